"""demucs' own results on a tiny model in its real file format."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from svc.audio.signal import Audio
from svc.separation.demucs import Demucs

pytest.importorskip("demucs", reason="pip install 'svc-toolkit[separation]'", exc_type=ImportError)

OF_PEAK = 5e-5


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "golden" / "parts" / "demucs_htdemucs"


def read(folder: Path, name: str) -> np.ndarray:
    samples, _ = soundfile.read(folder / f"{name}.flac", dtype="float32")
    factor = json.loads((folder / "outputs.json").read_text()).get(name, {"multiply_by": 1.0})["multiply_by"]
    return np.ascontiguousarray(samples.T) * np.float32(factor)


def near(got: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.abs(got - expected).max() <= OF_PEAK * np.abs(expected).max())


def test_every_source_equals_demucs(folder: Path) -> None:
    separator = Demucs(folder=folder)
    assert separator.model == "tinyht"
    sources = separator.separate_sources(Audio(read(folder, "mix"), 44_100))
    golden = np.load(folder / "golden.npz")
    assert list(sources) == [str(name) for name in golden["sources"]]
    start = int(golden["excerpt_start"])
    for name, audio in sources.items():
        assert near(audio.samples[:, start : start + 3000], golden[f"excerpt_{name}"])
    assert near(sources["vocals"].samples, read(folder, "vocals"))
    rest = sum(audio.samples for name, audio in sources.items() if name != "vocals")
    assert near(rest, read(folder, "instrumental"))


def test_vocals_are_the_same_and_the_rest_is_what_is_left(folder: Path) -> None:
    mix = read(folder, "mix")
    stems = Demucs(model="a1b2c3d4", folder=folder).separate(Audio(mix, 44_100))
    assert near(stems.vocals.samples, read(folder, "vocals"))
    np.testing.assert_allclose(stems.vocals.samples + stems.accompaniment.samples, mix, atol=1e-6)
