"""Spleeter's published form against a recording that the original networks separated."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from svc.audio.signal import Audio
from svc.paths import pretrain_dir
from svc.separation.spleeter import Spleeter

FULL_SCALE_TOLERANCE = 1e-4
# The embedded file keeps 92 % of the numbers in 8 bits: -62 dB, measured 1.1e-3 at its largest.
EMBEDDED_TOLERANCE = 1.5e-3


def read(shared: Path, name: str) -> np.ndarray:
    samples, rate = soundfile.read(shared / "golden" / "registry" / f"spleeter_{name}.flac", dtype="float32")
    assert rate == 44_100
    return np.ascontiguousarray(samples.T)


def below_11_khz(samples: np.ndarray) -> np.ndarray:
    """The lowest 1,024 bins alone."""
    import torch

    window = torch.hann_window(4096)
    spectrum = torch.stft(
        torch.from_numpy(samples), 4096, 1024, window=window, pad_mode="constant", return_complex=True
    )
    spectrum[:, 1024:] = 0
    return torch.istft(spectrum, 4096, 1024, window=window, length=samples.shape[1]).numpy()


def compare(shared: Path, separator: Spleeter, tolerance: float) -> None:
    mix = read(shared, "mix")
    stems = separator.separate(Audio(mix, 44_100))
    vocals = read(shared, "vocals")
    assert np.abs(vocals).max() > 0.1
    assert np.abs(stems.vocals.samples - vocals).max() < tolerance
    # The reference has nothing above 11 kHz in either stem; ours leaves that to the accompaniment.
    accompaniment = stems.accompaniment.samples - (mix - below_11_khz(mix))
    assert np.abs(accompaniment - read(shared, "accompaniment")).max() < tolerance
    error = np.square(stems.vocals.samples - vocals).mean() / np.square(vocals).mean()
    assert 10 * np.log10(error) < -60


def test_plain_form_with_embedded_weights(shared: Path) -> None:
    compare(shared, Spleeter(plain=True), EMBEDDED_TOLERANCE)


def test_plain_form_with_32_bit_weights(shared: Path) -> None:
    path = pretrain_dir() / "spleeter_float.safetensors"
    if not path.is_file():
        pytest.skip(f"{path} is not here: python scripts/recipes/spleeter_weights.py --float {path}")
    compare(shared, Spleeter(plain=True, weights=path), FULL_SCALE_TOLERANCE)


def test_default_form_stays_near_the_plain_one(shared: Path) -> None:
    """Overlapping blocks and the band above 11 kHz may change the result, not what it is."""
    ours = Spleeter().separate(Audio(read(shared, "mix"), 44_100)).vocals.samples
    vocals = read(shared, "vocals")
    difference = np.square(below_11_khz(ours) - vocals).mean() / np.square(vocals).mean()
    assert 10 * np.log10(difference) < -20
