"""UVR's MDX-Net inference on a tiny network in the real file format."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from svc.audio.signal import Audio
from svc.separation.mdx import Mdx, MdxStream
from svc.separation.separator import Source

pytest.importorskip("onnxruntime", reason="pip install 'svc-toolkit[separation]'", exc_type=ImportError)

TOLERANCE = 2e-5
EDGE = 64  # there the original divides by windows of nearly nothing


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "golden" / "parts" / "mdx_onnx"


def read(folder: Path, name: str) -> np.ndarray:
    samples, _ = soundfile.read(folder / f"{name}.flac", dtype="float32")
    return np.ascontiguousarray(samples.T)


def difference(got: np.ndarray, expected: np.ndarray) -> float:
    assert got.shape == expected.shape
    return float(np.abs(got - expected)[:, EDGE:-EDGE].max())


def test_settings_are_found_by_the_files_md5(folder: Path) -> None:
    settings = Mdx(folder=folder).settings
    assert (settings.bins, settings.frames, settings.n_fft, settings.compensate) == (1024, 64, 2048, 1.035)
    assert settings.vocals


def test_one_chunk_equals_the_original(folder: Path) -> None:
    golden = np.load(folder / "golden.npz")
    chunk = read(folder, "mix")[:, : int(golden["chunk_size"])]
    assert difference(Mdx(folder=folder).run(chunk)[:, :4000], golden["chunk_out"]) < TOLERANCE


@pytest.mark.parametrize(("denoise", "name"), [(False, "demix_excerpt"), (True, "demix_denoise_excerpt")])
def test_a_song_without_gain_equals_the_original(folder: Path, denoise: bool, name: str) -> None:
    golden = np.load(folder / "golden.npz")
    separator = Mdx(folder=folder, denoise=denoise)
    stream = MdxStream(separator.run, separator.settings.chunk, separator.settings.n_fft // 2)
    out = stream.process(read(folder, "mix"), last=True)
    start = int(golden["excerpt_start"])
    assert difference(out[:, start : start + 3000], golden[name]) < TOLERANCE
    if not denoise:
        assert difference(out, read(folder, "demix")) < TOLERANCE


def test_stems_have_uvrs_gain(folder: Path) -> None:
    golden = np.load(folder / "golden.npz")
    stems = Mdx(folder=folder).separate(Audio(read(folder, "mix"), 44_100))
    start = int(golden["excerpt_start"])
    excerpt = slice(start, start + 3000)
    assert difference(stems.vocals.samples[:, excerpt], golden["uvr_primary_excerpt"]) < TOLERANCE
    assert difference(stems.accompaniment.samples[:, excerpt], golden["uvr_secondary_excerpt"]) < TOLERANCE


def test_small_blocks_give_the_same(folder: Path) -> None:
    mix = read(folder, "mix")
    separator = Mdx(folder=folder)
    parts: list[np.ndarray] = []
    separator.separate_stream(Source.of(Audio(mix, 44_100), 5_003), lambda vocals, rest: parts.append(vocals))
    whole = separator.separate(Audio(mix, 44_100)).vocals.samples
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
