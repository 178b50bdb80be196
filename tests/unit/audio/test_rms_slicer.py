import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.audio.rms_slicer import RmsSlicer, frame_energies, silences

RATE = 8_000


def blocks(*levels_and_seconds: tuple[float, float]) -> np.ndarray:
    return np.concatenate([np.full(round(s * RATE), level, np.float32) for level, s in levels_and_seconds])


def test_energies_are_centred_rms_with_zeros_beyond_the_ends() -> None:
    samples = np.random.default_rng(0).standard_normal(1_003).astype(np.float32)
    energy = frame_energies(samples, 100, 400)
    padded = np.pad(samples, 200)
    expected = [np.sqrt(np.mean(padded[t * 100 : t * 100 + 400] ** 2)) for t in range(11)]
    assert energy == pytest.approx(expected, rel=1e-5)


def test_one_cut_in_a_short_silence_two_in_a_long_one() -> None:
    loud, kept = 1.0, 20
    energy = np.array([loud] * 50 + [0.0] * 15 + [loud] * 50 + [0.0] * 60 + [loud] * 50)
    energy[57] = -0.1  # the quietest frame
    found = silences(energy, 0.5, min_length=40, min_interval=10, kept=kept)
    assert found == [(57, 57), (115, 155)]


def test_silence_up_to_twice_what_is_kept() -> None:
    energy = np.array([1.0] * 50 + [0.2] * 30 + [1.0] * 50)
    energy[64] = 0.1
    assert silences(energy, 0.5, min_length=40, min_interval=10, kept=20) == [(64, 64)]
    energy[[52, 78]] = 0.05
    assert silences(energy, 0.5, min_length=40, min_interval=10, kept=20) == [(52, 78)]


def test_silence_at_the_ends() -> None:
    energy = np.array([0.1] * 30 + [1.0] * 50 + [0.1] * 30)
    energy[25] = 0.0
    assert silences(energy, 0.5, min_length=40, min_interval=10, kept=20) == [(0, 25), (80, 111)]
    assert silences(energy, 0.5, min_length=40, min_interval=40, kept=40) == []


def test_pauses_too_short_or_too_early_are_not_cut() -> None:
    energy = np.array([1.0] * 50 + [0.0] * 9 + [1.0] * 50 + [0.0] * 12 + [1.0] * 9)
    assert silences(energy, 0.5, min_length=40, min_interval=10, kept=20) == [(109, 109)]
    assert silences(energy, 0.5, min_length=125, min_interval=10, kept=20) == []


def test_short_clips_are_one_chunk() -> None:
    slicer = RmsSlicer()
    assert slicer.ranges(np.zeros(5 * RATE, np.float32), RATE) == [(0, 5 * RATE)]
    assert slicer.ranges(np.zeros(0, np.float32), RATE) == []
    assert slicer.ranges(blocks((0.5, 20)), RATE) == [(0, 20 * RATE)]


def test_max_seconds_divides_what_is_too_long() -> None:
    samples = blocks((0.5, 20), (0.02, 0.2), (0.5, 15), (0.0, 1), (0.5, 8))
    exact = RmsSlicer().ranges(samples, RATE)
    assert [round((b - a) / RATE) for a, b in exact] == [35, 9]
    divided = RmsSlicer(5, 15).ranges(samples, RATE)
    assert all(b - a <= 15 * RATE for a, b in divided)
    assert sum(b - a for a, b in divided) == len(samples)
    assert divided[-1] == exact[-1]


# Hundredths of a second; sounds shorter than the 80 ms window may be silent in its mean square.
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.001, 0.02, 0.5]), st.integers(8, 700)), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_recording_gives_ordered_chunks_and_loses_only_silence(parts: list[tuple[float, int]]) -> None:
    samples = blocks(*((level, n / 100) for level, n in parts))
    ranges = RmsSlicer(2, None, max_silence_kept_seconds=0.5).ranges(samples, RATE)
    edges = [0, *(edge for pair in ranges for edge in pair), len(samples)]
    assert edges == sorted(edges)
    for start, stop in zip(edges[0::2], edges[1::2]):
        assert (np.abs(samples[start + 640 : max(start + 640, stop - 640)]) < 0.01).all()
