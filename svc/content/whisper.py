"""Whisper's encoder as content ("PPG"), on a weight file of any size that the user puts into pretrain/.

The network always hears 30 s, with silence behind a shorter recording. A longer one is cut into windows that overlap
by 10 s and fade into one another, where the programs that use Whisper so drop what is beyond 30 s.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch

from svc.content.encoder import ContentEncoder, ContentFrames, Progress
from svc.content.weight_facts import FileHash, identity
from svc.content.whisper_files import read_whisper, weight_file
from svc.content.whisper_network import (
    CLIP,
    CONTEXT,
    HOP,
    MEL_HOP,
    N_FFT,
    SAMPLE_RATE,
    WhisperShape,
    compressed,
    log_power,
)
from svc.content.windows import fading_windows
from svc.errors import CheckpointError, WeightError
from svc.paths import pretrain_dir
from svc.weights.advice import get_line

FILE_NAMES = ("whisper.pt", "whisper")
ORIGIN = (
    "https://github.com/openai/whisper (medium.pt, large-v2.pt or any other size) or a whole folder such as "
    "huggingface.co/openai/whisper-medium"
)
ENDINGS = {".pt", ".pth"}
_shapes: dict[tuple[str, int, int], WhisperShape | None] = {}


class FileFact:
    """A fact of the weight file: of the loaded one on an encoder, of the one in pretrain/ on the class.

    Reading it raises WeightError without such a file.
    """

    def __init__(self, fact: Callable[[WhisperShape], Any]) -> None:
        self.fact = fact

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self.fact(instance.shape if instance is not None else owner.shape_of(owner.find_weights()))


class Whisper(ContentEncoder):
    """A frame every 20 ms; `dim` and `layer_count` are those of the file.

    Layers 1 to n are the outputs of the file's n blocks, n + 1 (the default) is the last behind the final norm: the
    PPG of so-vits-svc. Normalisations "none" and "adaptive" give the frames as the network does; "recording" removes
    mean and variance of each value over the recording.
    """

    name: ClassVar[str] = "whisper"
    sample_rate: ClassVar[int] = SAMPLE_RATE
    dim: ClassVar[int] = cast(int, FileFact(lambda shape: shape.width))
    layer_count: ClassVar[int] = cast(int, FileFact(lambda shape: shape.layers + 1))
    default_layers: ClassVar[dict[int, float]] = cast(
        "dict[int, float]", FileFact(lambda shape: {shape.layers + 1: 1.0})
    )
    weights_sha256: ClassVar[str] = cast(str, FileHash())
    # Two convolutions of three, the second over every other frame, over windows of N_FFT samples.
    receptive_field: ClassVar[int] = N_FFT + 4 * MEL_HOP
    hop_length: ClassVar[int] = HOP

    def __init__(
        self,
        layers: dict[int, float] | None = None,
        normalisation: str = "adaptive",
        device: str = "cpu",
        path: Path | None = None,
        *,
        stacked: bool = False,
    ) -> None:
        """As ContentEncoder; `path` names OpenAI's file or a Hugging Face folder, None looks into pretrain/.

        Raises WeightError for a missing file, CheckpointError for a damaged one and one that is no Whisper.
        """
        self.path = Path(path) if path is not None else self.find_weights()
        weights = read_whisper(self.path)
        self.shape = weights.shape
        super().__init__(layers, normalisation, device, stacked=stacked)
        self.network = weights.network(device)

    @classmethod
    def shape_of(cls, path: Path) -> WhisperShape:
        """Sizes of the encoder in the file or folder `path`; CheckpointError if there is none."""
        shape = _shape_of(path)
        return shape if shape is not None else read_whisper(path).shape

    @classmethod
    def find_weights(cls) -> Path:
        """The file in pretrain/ by name, else the only one whose content fits; WeightError says what to get."""
        folder = pretrain_dir()
        for name in FILE_NAMES:
            if (folder / name).exists():
                return folder / name
        candidates = sorted(folder.iterdir()) if folder.is_dir() else []
        fitting = [path for path in candidates if _may_fit(path) and _shape_of(path) is not None]
        if len(fitting) > 1:
            raise WeightError(
                f"More than one file in {folder}/ is a Whisper ({', '.join(path.name for path in fitting)}): rename "
                "the one you mean to whisper.pt, or its folder to whisper."
            )
        if not fitting:
            raise WeightError(
                f"Content encoder '{cls.name}' needs a Whisper file, which does not ship with the toolkit: "
                f"{get_line((), 'whisper')}get it from {ORIGIN}, and put it into {folder}/."
            )
        return fitting[0]

    def encode(self, samples: np.ndarray, progress: Progress | None = None) -> ContentFrames:
        """See ContentEncoder.encode; T' = N // 320 + 1 frames, frame t centred on sample 320 t.

        Up to 30 s the frames are those of the original, which drops the last one of them.
        """
        samples = self.check_samples(samples)
        frames = len(samples) // HOP + 1
        windows = list(fading_windows(frames, CONTEXT))
        values = np.zeros((frames, self.output_dim), dtype=np.float32)
        with torch.inference_mode():
            # The original's level is relative to the loudest moment of all it hears; one pass over all finds it.
            peak = max(float(self._log_power(samples, start).max()) for start, _ in windows)
            for start, weights in windows:
                mel = compressed(self._log_power(samples, start), peak)
                mixed = self.heard(mel)
                stop = start + len(weights)
                values[start:stop] += mixed[: len(weights)].cpu().numpy() * weights[:, None]
                if progress:
                    progress(stop / frames)
        if self.normalisation == "recording":
            values -= values.mean(axis=0, dtype=np.float64).astype(np.float32)
            values /= values.std(axis=0, dtype=np.float64).astype(np.float32) + 1e-5
        return ContentFrames(values, np.arange(frames) * (HOP / SAMPLE_RATE))

    def heard(self, mel: torch.Tensor) -> torch.Tensor:
        """The chosen layers (1500, D) of log-mel (mels, 3000)."""
        states = self.network(mel[None], max(self.layers))
        return self.combined([states[layer][0] for layer in self.layers])

    def _log_power(self, samples: np.ndarray, start: int) -> torch.Tensor:
        """log10 of mel power of the 30 s from frame `start` on."""
        piece = torch.from_numpy(samples[start * HOP : start * HOP + CLIP].copy())
        return log_power(piece.to(self.device), self.shape.mels)


def _may_fit(path: Path) -> bool:
    return (path / "config.json").is_file() if path.is_dir() else path.suffix.lower() in ENDINGS


def _shape_of(path: Path) -> WhisperShape | None:
    """Sizes of a Whisper file, None for any other; remembered until the file changes."""
    try:
        key = identity(weight_file(path))
        if key not in _shapes:
            _shapes[key] = read_whisper(path).shape
        return _shapes[key]
    except (CheckpointError, OSError):
        return None
