"""What every separation method promises."""

from pathlib import Path

import numpy as np
import pytest
import torch

from svc.audio.signal import Audio
from svc.errors import MissingExtraError, WeightError
from svc.registry import SEPARATORS
from svc.separation.choosing import Choice
from svc.separation.lead import Lead
from svc.separation.separator import Separator, Source

# Methods whose weights the user brings are held to the contract with a small file of the true format.
SMALL_FILES = {
    "roformer": "bs_roformer",
    "mdx": "mdx_onnx",
    "vr": "vr_cascadednet",
}


@pytest.fixture(scope="module", params=SEPARATORS.names())
def separator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Separator:
    if request.param in SMALL_FILES:
        shared = request.getfixturevalue("shared")
        try:
            return SEPARATORS.create(request.param, folder=shared / "golden" / "parts" / SMALL_FILES[request.param])
        except MissingExtraError as error:
            pytest.skip(str(error))
    if request.param == "lead":
        golden = request.getfixturevalue("shared") / "golden" / "parts"
        paths = [golden / "bs_roformer" / "model.ckpt", golden / "mel_band_roformer" / "model.ckpt"]
        return Lead("cpu", tuple(Choice("roformer", {"model": path}) for path in paths))
    try:
        return SEPARATORS.create(request.param)
    except (MissingExtraError, WeightError) as error:
        if request.param != "demucs":
            raise
        return tiny_demucs(tmp_path_factory.mktemp("demucs"), error)


@pytest.mark.parametrize("name", sorted(SMALL_FILES))
def test_without_its_file_a_method_says_where_to_put_it(name: str, tmp_path: Path) -> None:
    with pytest.raises((WeightError, MissingExtraError)) as caught:
        SEPARATORS.create(name, folder=tmp_path)
    assert str(tmp_path) in str(caught.value) or isinstance(caught.value, MissingExtraError)


def tiny_demucs(folder, error: Exception) -> Separator:
    """Without trained weights the contract is held by a small model in demucs' own file format."""
    if isinstance(error, MissingExtraError):
        pytest.skip(str(error))
    from demucs.hdemucs import HDemucs

    torch.manual_seed(0)
    settings = {"sources": ["other", "vocals"], "channels": 16, "depth": 4, "nfft": 1024, "segment": 2}
    package = {"klass": HDemucs, "args": (), "kwargs": settings, "state": HDemucs(**settings).state_dict()}
    torch.save({**package, "training_args": {}}, folder / "tiny.th")
    return SEPARATORS.load("demucs")("cpu", folder=folder)


def song(channels: int, length: int, rate: int) -> Audio:
    generator = np.random.default_rng(channels * length)
    time = np.arange(length) / rate
    tone = 0.3 * np.sin(2 * np.pi * 330 * time + np.sin(2 * np.pi * 5 * time))
    samples = tone + 0.1 * generator.standard_normal((channels, length))
    return Audio(samples.astype(np.float32), rate)


@pytest.mark.parametrize(
    ("channels", "length", "rate"),
    [
        (2, 44_101, 44_100),
        (1, 30_011, 44_100),
        (2, 1, 44_100),
        (2, 700, 44_100),
        (2, 24_007, 48_000),
        (1, 8_001, 16_000),
    ],
)
def test_stems_sum_to_the_song_and_keep_its_shape(separator: Separator, channels: int, length: int, rate: int) -> None:
    audio = song(channels, length, rate)
    stems = separator.separate(audio)
    for stem in (stems.vocals, stems.accompaniment):
        assert stem.sample_rate == rate
        assert stem.samples.shape == audio.samples.shape
        assert stem.samples.dtype == np.float32
    np.testing.assert_allclose(stems.vocals.samples + stems.accompaniment.samples, audio.samples, atol=1e-5)


def test_silence_in_is_silence_out(separator: Separator) -> None:
    stems = separator.separate(Audio(np.zeros((2, 20_001), np.float32), 44_100))
    assert not stems.vocals.samples.any()
    assert not stems.accompaniment.samples.any()


def test_repeatable(separator: Separator) -> None:
    audio = song(2, 30_000, 44_100)
    torch.manual_seed(1)
    first = separator.separate(audio).vocals.samples
    torch.manual_seed(2)
    np.testing.assert_array_equal(first, separator.separate(audio).vocals.samples)


def test_a_stream_equals_the_song_in_memory(separator: Separator) -> None:
    audio = song(2, 50_001, 44_100)
    whole = separator.separate(audio)
    parts: list[np.ndarray] = []
    length = separator.separate_stream(Source.of(audio, 7_001), lambda vocals, rest: parts.append(vocals))
    assert length == audio.length
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole.vocals.samples, atol=1e-6)


def test_progress_ends_at_one_and_never_falls(separator: Separator) -> None:
    seen: list[float] = []
    separator.separate(song(2, 140_000, 44_100), seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 1


def test_says_what_it_is(separator: Separator) -> None:
    assert separator.name in SEPARATORS.names()
    assert isinstance(separator, SEPARATORS.load(separator.name))
    assert separator.quality_note.startswith(f"{separator.name}:")
    assert separator.sample_rate > 0
