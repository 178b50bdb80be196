"""What the conversion benchmarks share: voices with random weights, and singing of any length."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
RATE = 44_100


def random_voice(preset: str, pitch_estimator: str | None = None):
    """A Voice of the shape of configs/PRESET.yaml. Weights are random: speed and memory do not depend on them."""
    import torch

    from svc.checkpoint.voice import SpeakerInfo, Voice
    from svc.config import load_config
    from svc.features.spec import spec_from_config
    from svc.models.vits.voice_model import VoiceModel

    overrides = {"features": {"pitch_estimator": pitch_estimator}} if pitch_estimator else None
    config = load_config(CONFIGS / f"{preset}.yaml", overrides)
    torch.manual_seed(0)
    voice = Voice(
        config.model, spec_from_config(config.features), [SpeakerInfo("random", 0.0, 150.0, 220.0, 400.0)], {}
    )
    voice.state = VoiceModel(config.model, voice.shape).state_dict()
    return voice


def made_singing(seconds: float, seed: int = 0) -> np.ndarray:
    """Notes with vibrato, breaths between phrases and pauses, as singing has them: float32 (N,) at 44.1 kHz."""
    rng = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    length = 0
    while length < seconds * RATE:
        for _ in range(rng.integers(4, 9)):
            t = np.arange(round(rng.uniform(0.2, 0.9) * RATE)) / RATE
            f0 = 220 * 2 ** (rng.integers(-5, 8) / 12) * 2 ** (0.25 / 12 * np.sin(2 * np.pi * 5.5 * t))
            phase = 2 * np.pi * np.cumsum(f0) / RATE
            edge = np.minimum(1.0, np.minimum(t, t[::-1]) / 0.03)
            parts.append(0.12 * edge * sum(np.sin(k * phase) / k for k in range(1, 16)))
        parts.append(rng.standard_normal(round(0.3 * RATE)) * 0.01)
        parts.append(np.zeros(round(rng.uniform(0.2, 1.5) * RATE)))
        length = sum(map(len, parts))
    return np.concatenate(parts)[: round(seconds * RATE)].astype(np.float32)


def looped(samples: np.ndarray, total: int) -> Iterator[np.ndarray]:
    """(C, n) blocks of `samples` (C, N) again and again, `total` samples together."""
    left = total
    while left > 0:
        block = samples[:, :left]
        left -= block.shape[1]
        yield block


def peak_memory_bytes() -> int:
    """Largest resident memory of this process so far."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
