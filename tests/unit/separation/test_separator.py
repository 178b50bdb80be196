from collections.abc import Callable, Iterator

import numpy as np
import pytest

from svc.audio.signal import Audio
from svc.errors import AudioError
from svc.separation.none import NoSeparation
from svc.separation.separator import Separator, Source, VocalStream, channel_groups


class Half(Separator):
    """Vocals are half of the left and a quarter of the right side, 1,000 samples late inside the stream."""

    name = "half"
    quality_note = "half: for tests."
    sample_rate = 44_100

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.first_passes: list[int] = []

    def open_stream(self, pair: Callable[[], Iterator[np.ndarray]]) -> VocalStream:
        self.first_passes.append(sum(block.shape[1] for block in pair()))
        return LateGain()


class LateGain:
    def __init__(self) -> None:
        self._kept = np.zeros((2, 0), np.float32)

    def process(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        self._kept = np.concatenate([self._kept, block * np.float32([[0.5], [0.25]])], axis=1)
        ready = self._kept.shape[1] if last else max(0, self._kept.shape[1] - 1000)
        out, self._kept = self._kept[:, :ready], self._kept[:, ready:]
        return out


def noise(channels: int, length: int, rate: int = 44_100) -> Audio:
    samples = np.random.default_rng(length).uniform(-0.5, 0.5, (channels, length)).astype(np.float32)
    return Audio(samples, rate)


@pytest.mark.parametrize("channels", range(1, 10))
def test_every_channel_is_in_one_group_of_at_most_two(channels: int) -> None:
    groups = channel_groups(channels)
    assert sorted(channel for group in groups for channel in group) == list(range(channels))
    assert all(len(group) <= 2 for group in groups)


def test_surround_pairs_left_with_right_and_leaves_centre_alone() -> None:
    audio = noise(6, 5001)
    vocals = Half().separate(audio).vocals.samples
    # L R C LFE Ls Rs: a channel alone is copied to both sides, and both results are averaged.
    gains = np.float32([0.5, 0.25, 0.375, 0.375, 0.5, 0.25])[:, None]
    np.testing.assert_allclose(vocals, audio.samples * gains, atol=1e-7)


def test_mono_is_both_sides_averaged() -> None:
    audio = noise(1, 70_001)
    np.testing.assert_allclose(Half().separate(audio).vocals.samples, audio.samples * 0.375, atol=1e-7)


@pytest.mark.parametrize("rate", [8_000, 32_000, 48_000, 96_000])
def test_other_rates_keep_length_and_everything_above_the_methods_band(rate: int) -> None:
    audio = noise(2, rate // 2 + 7, rate)
    separator = Half()
    stems = separator.separate(audio)
    assert stems.vocals.length == stems.accompaniment.length == audio.length
    assert stems.vocals.sample_rate == rate
    np.testing.assert_allclose(stems.vocals.samples + stems.accompaniment.samples, audio.samples, atol=1e-6)
    assert separator.first_passes == [round(audio.length * 44_100 / rate)]
    # A tone well inside both bands comes back at its gain and in time.
    tone = np.sin(2 * np.pi * 440 * np.arange(audio.length) / rate).astype(np.float32)[None].repeat(2, 0) * 0.5
    voice = Half().separate(Audio(tone, rate)).vocals.samples
    inner = slice(rate // 10, -rate // 10)
    np.testing.assert_allclose(voice[0, inner], tone[0, inner] * 0.5, atol=1e-4)


@pytest.mark.parametrize("block", [1, 999, 4096, 100_000])
def test_blocks_of_the_source_do_not_matter(block: int) -> None:
    audio = noise(2, 3001 if block == 1 else 40_003, 32_000)
    whole = Half().separate(audio)
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    length = Half().separate_stream(Source.of(audio, block), lambda v, a: parts.append((v, a)))
    assert length == audio.length
    np.testing.assert_allclose(np.concatenate([v for v, _ in parts], axis=1), whole.vocals.samples, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([a for _, a in parts], axis=1), whole.accompaniment.samples, atol=1e-6)


def test_progress_rises_to_one() -> None:
    seen: list[float] = []
    Half().separate(noise(2, 300_000), seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 2
    assert seen[-1] == 1.0


@pytest.mark.parametrize("separator", [Half(), NoSeparation()])
def test_nan_is_refused_in_a_stream(separator: Separator) -> None:
    bad = np.full((2, 10), np.nan, np.float32)
    source = Source(44_100, 2, 10, lambda: iter([bad]))
    with pytest.raises(AudioError, match="NaN"):
        separator.separate_stream(source, lambda vocals, rest: None)


def test_no_separation_is_the_input_bit_by_bit() -> None:
    audio = noise(3, 12_345, 96_000)
    stems = NoSeparation().separate(audio)
    np.testing.assert_array_equal(stems.vocals.samples, audio.samples)
    assert not stems.accompaniment.samples.any()
