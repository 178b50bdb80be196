"""Music-Source-Separation-Training's own results on tiny RoFormers in their real file format."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from svc.audio.signal import Audio
from svc.separation.roformer import Roformer
from svc.separation.separator import Source

OF_PEAK = 2e-5


@pytest.fixture(scope="module", params=["bs_roformer", "mel_band_roformer"])
def folder(request: pytest.FixtureRequest, shared: Path) -> Path:
    return shared / "golden" / "parts" / request.param


def read(folder: Path, name: str) -> np.ndarray:
    samples, _ = soundfile.read(folder / f"{name}.flac", dtype="float32")
    return np.ascontiguousarray(samples.T)


def near(got: np.ndarray, expected: np.ndarray) -> bool:
    assert got.shape == expected.shape
    return bool(np.abs(got - expected).max() <= OF_PEAK * np.abs(expected).max())


def test_one_pass_equals_the_original(folder: Path) -> None:
    golden = np.load(folder / "golden.npz")
    network = Roformer(folder=folder).network
    with torch.inference_mode():
        out = network(torch.from_numpy(golden["chunk_in"]).unsqueeze(0))[0, 0]
    assert near(out.numpy(), golden["chunk_out"].reshape(2, -1))


def test_a_song_equals_the_original(folder: Path) -> None:
    mix = read(folder, "mix")
    stems = Roformer(folder=folder).separate(Audio(mix, 44_100))
    assert near(stems.vocals.samples, read(folder, "vocals"))
    np.testing.assert_allclose(stems.vocals.samples + stems.accompaniment.samples, mix, atol=1e-6)


def test_small_blocks_give_the_same(folder: Path) -> None:
    mix = read(folder, "mix")
    parts: list[np.ndarray] = []
    Roformer(folder=folder).separate_stream(
        Source.of(Audio(mix, 44_100), 5_003), lambda vocals, rest: parts.append(vocals)
    )
    assert near(np.concatenate(parts, axis=1), read(folder, "vocals"))
