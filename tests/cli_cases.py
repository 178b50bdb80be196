"""What tests of the command line share: sung-like audio, a tiny voice, and a command that is run in this process."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

RATE = 44_100
FAST = ("--separate", "none", "--device", "cpu")


@dataclass(frozen=True)
class Outcome:
    """What one command left on its way."""

    code: int
    out: str
    err: str

    @property
    def sentences(self) -> list[str]:
        """The lines on stderr that say what failed."""
        return [line for line in self.err.splitlines() if line.startswith(("Error:", "Failed:"))]


class Cli:
    """Runs `svc ARGUMENTS` and collects what it prints."""

    def __init__(self, capsys) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Outcome:
        from svc.cli.app import run

        self._capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = self._capsys.readouterr()
        return Outcome(code, captured.out, captured.err)


def sung(seconds: float, f0_hz: float = 220.0, rate: int = RATE) -> np.ndarray:
    """Notes of a second with vibrato and a short rest after each: float32 (N,)."""
    t = np.arange(round(seconds * rate)) / rate
    notes = f0_hz * 2 ** (np.array([0, 4, 7, 2])[t.astype(int) % 4] / 12)
    phase = 2 * np.pi * np.cumsum(notes * 2 ** (0.3 / 12 * np.sin(2 * np.pi * 5 * t))) / rate
    tone = sum(np.sin(k * phase) / k for k in range(1, 12)) * 0.15
    into = t % 1.0
    return (tone * np.clip(into * 20, 0, 1) * np.clip((0.85 - into) * 20, 0, 1)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    """A wav file of (N,) or (N, C) samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def tiny_voice(path: Path, **features: object) -> Path:
    """A voice file with random weights of a tiny model; `features` change its specification."""
    import torch

    from svc.checkpoint.voice import SpeakerInfo, Voice, save_voice
    from svc.config import FeatureConfig, load_config
    from svc.features.spec import spec_from_config
    from svc.models.vits.voice_model import VoiceModel
    from svc.paths import recipe

    spec = spec_from_config(FeatureConfig(**{"pitch_estimator": "dio", **features}))
    voice = Voice(load_config(recipe("debug")).model, spec, [SpeakerInfo("anna", 1.0, 150.0, 220.0, 400.0)], {})
    torch.manual_seed(0)
    voice.state = VoiceModel(voice.config, voice.shape).state_dict()
    save_voice(path, voice)
    return path


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content, hidden ones too."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
