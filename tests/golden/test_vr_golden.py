"""UVR's VR inference on tiny networks of both families in the real file format."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from svc.audio.signal import Audio
from svc.separation.separator import Source
from svc.separation.vr import MaskShape, SpectrumReader, SpectrumWriter, Vr, VrStream

OF_PEAK = 5e-5
HALF_PRECISION = (
    1.5e-3  # the recorded masks have 16 bits; measured 1.2e-3 at one bin of near silence, 1.2e-4 on average
)
WINDOWS = {"vr_cascadedaspp": 320, "vr_cascadednet": 208}


@pytest.fixture(scope="module", params=sorted(WINDOWS))
def folder(request: pytest.FixtureRequest, shared: Path) -> Path:
    return shared / "golden" / "parts" / request.param


@pytest.fixture(scope="module")
def separator(folder: Path) -> Vr:
    return Vr(folder=folder, window=WINDOWS[folder.name])


def read(folder: Path, name: str) -> np.ndarray:
    samples, _ = soundfile.read(folder / f"{name}.flac", dtype="float32")
    return np.ascontiguousarray(samples.T)


def near(got: np.ndarray, expected: np.ndarray) -> bool:
    assert got.shape == expected.shape
    return bool(np.abs(got - expected).max() <= OF_PEAK * np.abs(expected).max())


def test_the_first_mask_equals_the_original(folder: Path, separator: Vr) -> None:
    golden = np.load(folder / "golden.npz")
    stream = separator.open_stream(lambda: iter([read(folder, "mix")]))
    assert isinstance(stream, VrStream)
    assert stream._loudest == pytest.approx(float(golden["mag_max"]), rel=1e-5)
    frames = stream._reader.process(read(folder, "mix"), last=True)
    offset, window = separator.network.offset, separator.window
    magnitude = np.pad(np.abs(frames), ((0, 0), (0, 0), (offset, window)))[:, :, :window]
    seen = golden["mask_in_excerpt"].astype(np.float32)
    np.testing.assert_allclose((magnitude / stream._loudest)[:, :, ::16], seen, atol=HALF_PRECISION)
    mask = golden["mask_excerpt"].astype(np.float32)
    np.testing.assert_allclose(stream.mask(magnitude)[:, :, ::4], mask, atol=HALF_PRECISION)


def test_a_song_equals_the_original(folder: Path, separator: Vr) -> None:
    mix, primary = read(folder, "mix"), read(folder, "primary")
    stems = separator.separate(Audio(mix, 44_100))
    assert near(stems.vocals.samples[:, : primary.shape[1]], primary)
    np.testing.assert_allclose(stems.vocals.samples + stems.accompaniment.samples, mix, atol=1e-6)


def test_the_other_stem_equals_the_original(folder: Path, separator: Vr) -> None:
    """The original's second stem lacks the top bins, which no mask sees; ours leaves them to the accompaniment."""
    golden, mix = np.load(folder / "golden.npz"), read(folder, "mix")
    seen = SpectrumWriter(separator.bands).process(SpectrumReader(separator.bands).process(mix, last=True), last=True)
    vocals = separator.separate(Audio(mix, 44_100)).vocals.samples[:, : seen.shape[1]]
    start = int(golden["excerpt_start"])
    assert near((seen - vocals)[:, start : start + 4000], golden["secondary_excerpt"])


def test_small_blocks_give_the_same(folder: Path, separator: Vr) -> None:
    mix = read(folder, "mix")
    parts: list[np.ndarray] = []
    separator.separate_stream(Source.of(Audio(mix, 44_100), 5_003), lambda vocals, rest: parts.append(vocals))
    whole = separator.separate(Audio(mix, 44_100)).vocals.samples
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-6)


def test_aggression_zero_leaves_the_mask() -> None:
    mask = np.random.default_rng(0).random((2, 9, 4)).astype(np.float32)
    np.testing.assert_array_equal(MaskShape(320, 0, True, True).adjust(mask, 5), mask)
