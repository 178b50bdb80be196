"""Made-up recordings for the tests of preparing."""

from pathlib import Path

import numpy as np
import soundfile

from svc.config import Config, load_config

RATE = 16_000


def sung(seconds: float, hz: float = 220.0, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """A wandering voiced tone with a pause of 0.25 s every 1.5 s and a little noise (N,)."""
    random = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    wander = sum(
        random.uniform(0.05, 0.2) * np.sin(2 * np.pi * f * t + random.uniform(0, 6)) for f in (0.31, 0.83, 1.7)
    )
    phase = 2 * np.pi * np.cumsum(hz * 2.0**wander) / rate
    tilt = random.uniform(0.8, 1.6)
    tone = sum(np.sin(h * phase + random.uniform(0, 6)) * h**-tilt for h in range(1, 15))
    tone *= (t + random.uniform(0, 1.5)) % 1.5 > 0.25
    return (0.15 * tone + 1e-4 * random.standard_normal(len(t))).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.T, rate, subtype="FLOAT" if path.suffix == ".wav" else None)
    return path


def small_config(**changes) -> Config:
    """Settings that prepare made-up recordings in little time."""
    features = {"sample_rate": RATE, "hop_length": 256, "n_fft": 1024, "pitch_estimator": "dio"}
    prepare = {"separate": "none", "slice_min_seconds": 2, "slice_max_seconds": 4, "workers": 1}
    for name, value in changes.items():
        (prepare if name in prepare or name in ("keep_flagged", "slicer", "validation_fraction") else features)[
            name
        ] = value
    return load_config(None, {"features": features, "prepare": prepare})
