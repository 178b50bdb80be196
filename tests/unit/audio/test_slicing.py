import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.audio.slicing import _LOST_STEP_COST, _SILENT_STEP_COST, _SLICE_COST, QuietSlicer, _cheapest, _Grid, runs
from svc.errors import ConfigError
from svc.registry import SLICERS

RATE = 4_000


def note(seconds: float, hz: float = 220.0, level_db: float = -12.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (10 ** (level_db / 20) * np.sign(np.sin(2 * np.pi * hz * time)) * 0.8).astype(np.float32)


def hiss(seconds: float, level_db: float) -> np.ndarray:
    samples = round(seconds * RATE)
    return (10 ** (level_db / 20) * np.random.default_rng(samples).standard_normal(samples)).astype(np.float32)


def seconds_of(ranges: list[tuple[int, int]]) -> list[float]:
    return [(stop - start) / RATE for start, stop in ranges]


# A stretch is a kind of sound, its length in units of 10 ms and its level; 0 dB to digital silence.
stretches = st.lists(
    st.tuples(st.sampled_from(["note", "hiss"]), st.integers(1, 1_500), st.sampled_from([0, -6, -20, -45, -70, -300])),
    min_size=1,
    max_size=8,
)


def build(parts: list[tuple[str, int, int]], extra: int) -> np.ndarray:
    made = [(note if kind == "note" else hiss)(n / 100, level_db=level) for kind, n, level in parts]
    return np.concatenate([*made, np.zeros(extra, np.float32)])


@given(stretches, st.integers(0, 39), st.booleans())
@settings(max_examples=60, deadline=None)
def test_slices_of_any_recording(parts: list[tuple[str, int, int]], extra: int, with_voiced: bool) -> None:
    samples = build(parts, extra)
    voiced = None
    if with_voiced:
        voiced = np.random.default_rng(len(samples)).random(max(1, len(samples) // 50)) < 0.5
    ranges = QuietSlicer(5, 15).ranges(samples, RATE, voiced)
    # Lengths hold by construction.
    if len(samples) < RATE:
        assert ranges == []
    elif len(samples) < 5 * RATE:
        assert ranges in ([], [(0, len(samples))])
    else:
        assert all(5 * RATE <= stop - start <= 15 * RATE for start, stop in ranges)
    # Ordered, disjoint, inside.
    edges = [0, *(edge for pair in ranges for edge in pair), len(samples)]
    assert edges == sorted(edges)
    # Slices and what lies between them are the recording.
    between = [samples[a:b] for a, b in zip(edges[0::2], edges[1::2])]
    inside = [samples[a:b] for a, b in ranges]
    joined = [between[0], *(part for pair in zip(inside, between[1:]) for part in pair)]
    assert np.array_equal(np.concatenate(joined), samples)
    # Nothing that sounds is lost: what lies between is far below the recording's level.
    if len(samples) >= RATE and np.abs(samples).max() > 1e-4:
        loudest_lost = max((np.abs(part).max(initial=0) for part in between), default=0)
        assert loudest_lost < 0.1 * np.abs(samples).max()


@given(stretches, st.sampled_from([0.25, 0.01]))
@settings(max_examples=15, deadline=None)
def test_the_threshold_is_relative_to_the_recording(parts: list[tuple[str, int, int]], factor: float) -> None:
    """A power of the recording's level changes nothing, as long as nothing comes near the -100 dB floor."""
    parts = [(kind, n, max(level, -45)) for kind, n, level in parts]
    samples = build(parts, 0)
    slicer = QuietSlicer(5, 15)
    before = slicer.ranges(samples, RATE)
    after = slicer.ranges((samples * factor).astype(np.float32), RATE)
    assert len(before) == len(after)
    assert sum(seconds_of(before)) == pytest.approx(sum(seconds_of(after)), abs=0.05)


@given(
    st.integers(2, 11),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(0, 9),
    st.randoms(use_true_random=False),
)
@settings(max_examples=80, deadline=None)
def test_the_search_finds_the_best_way(steps: int, shortest: int, spread: int, rest: int, random) -> None:
    """Against trying every way through a short recording."""
    grid = _Grid(length=steps * 10 - rest, hop=10, shortest=shortest * 10, longest=(shortest + spread) * 10)
    cut_cost = np.array([random.choice([0.0, 1.0, 4.0, 16.0]) for _ in range(grid.points)])
    silent = np.array([random.random() < 0.3 for _ in range(grid.points - 1)])

    def best(point: int) -> float:
        if point == 0:
            return 0.0
        costs = [best(point - 1) + (0 if silent[point - 1] else _LOST_STEP_COST)]
        for start in range(point):
            if grid.shortest <= grid.position(point) - grid.position(start) <= grid.longest:
                own = cut_cost[start] + cut_cost[point] + _SLICE_COST + _SILENT_STEP_COST * silent[start:point].sum()
                costs.append(best(start) + own)
        return min(costs)

    slices = _cheapest(grid, cut_cost, silent)
    inside = np.zeros(grid.points - 1, bool)
    cost = 0.0
    for start, stop in slices:
        assert grid.shortest <= stop - start <= grid.longest
        first, last = start // 10, math.ceil(stop / 10)
        inside[first:last] = True
        cost += cut_cost[first] + cut_cost[last] + _SLICE_COST + _SILENT_STEP_COST * silent[first:last].sum()
    cost += _LOST_STEP_COST * (~inside & ~silent).sum()
    assert cost == pytest.approx(best(grid.points - 1))


def test_short_recordings() -> None:
    slicer = QuietSlicer(5, 15)
    assert slicer.ranges(note(0.99), RATE) == []
    for seconds in (1.0, 3.3, 4.99, 5.0, 9.0, 15.0):
        samples = note(seconds)
        assert slicer.ranges(samples, RATE) == [(0, len(samples))]


def test_silence_gives_nothing() -> None:
    assert QuietSlicer().ranges(np.zeros(20 * RATE, np.float32), RATE) == []
    assert QuietSlicer().ranges(np.zeros(2 * RATE, np.float32), RATE) == []
    assert QuietSlicer().ranges(np.zeros(0, np.float32), RATE) == []


@pytest.mark.parametrize("seconds", [15.2, 16.0, 19.9, 31.0, 46.5])
def test_leftovers_merge_with_their_neighbours(seconds: float) -> None:
    """A note without a pause is covered wholly; no slice is short because the length does not divide."""
    samples = note(seconds)
    ranges = QuietSlicer(5, 15).ranges(samples, RATE)
    assert ranges[0][0] == 0 and ranges[-1][1] == len(samples)
    assert all(a[1] == b[0] for a, b in pairwise(ranges))
    assert len(ranges) == math.ceil(seconds / 15)


@pytest.mark.parametrize("rest_level", [-300.0, -70.0])
def test_long_silence_is_left_out(rest_level: float) -> None:
    rest = hiss(4, rest_level)
    samples = np.concatenate([hiss(2, rest_level), note(8), rest, note(7, 330), rest, note(2), rest])
    ranges = QuietSlicer(5, 15).ranges(samples, RATE)
    assert seconds_of(ranges)[:2] == pytest.approx([8.2, 7.2], abs=0.1)
    assert ranges[0][0] / RATE == pytest.approx(1.9, abs=0.05)
    assert seconds_of(ranges)[2] == pytest.approx(5.0, abs=0.05)  # two seconds of sound need three of the silence
    assert ranges[2][0] <= 25 * RATE and ranges[2][1] >= 27 * RATE


def test_short_pauses_stay_inside() -> None:
    samples = np.concatenate([note(4), hiss(0.4, -300), note(4)])
    assert QuietSlicer(5, 15).ranges(samples, RATE) == [(0, len(samples))]


@pytest.mark.parametrize("given_voiced", [True, False])
def test_cuts_avoid_notes(given_voiced: bool) -> None:
    """A consonant louder than the notes beside it is still the better place; told or measured."""
    parts = [note(6, level_db=-30), hiss(0.15, -14), note(6, 330, level_db=-30), hiss(0.15, -14), note(6, level_db=-30)]
    samples = np.concatenate(parts)
    voiced = np.concatenate([np.full(len(part), i % 2 == 0) for i, part in enumerate(parts)])[::40]
    ranges = QuietSlicer(5, 15).ranges(samples, RATE, voiced if given_voiced else None, 100.0 if given_voiced else None)
    cuts = [stop / RATE for _, stop in ranges[:-1]]
    assert len(cuts) == 1
    slack = 0 if given_voiced else 0.03  # half of what the periodicity window sees
    assert 6 - slack <= cuts[0] <= 6.15 + slack or 12.15 - slack <= cuts[0] <= 12.3 + slack


def test_cuts_fall_into_the_quietest_gap() -> None:
    samples = np.concatenate([note(7), hiss(0.2, -40), note(4), hiss(0.2, -60), note(7)])
    ranges = QuietSlicer(5, 15).ranges(samples, RATE)
    assert len(ranges) == 2
    assert 11.2 <= ranges[0][1] / RATE <= 11.4


def test_lengths_hold_even_where_sound_must_be_lost() -> None:
    ranges = QuietSlicer(10, 11).ranges(note(15), RATE)
    assert len(ranges) == 1 and 10 <= seconds_of(ranges)[0] <= 11


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100])
def test_lengths_hold_at_rates_that_10_ms_do_not_divide(rate: int) -> None:
    samples = np.random.default_rng(0).standard_normal(rate * 23 + 77).astype(np.float32)
    ranges = QuietSlicer(2, 3.1).ranges(samples, rate)
    assert all(2 * rate <= stop - start <= 3.1 * rate for start, stop in ranges)
    assert ranges[0][0] == 0 and ranges[-1][1] == len(samples)


def test_impossible_lengths() -> None:
    with pytest.raises(ConfigError, match="must exceed the shortest"):
        QuietSlicer(15, 5)
    with pytest.raises(ConfigError, match="slice_max_seconds"):
        QuietSlicer(5, 5.05)


def test_runs() -> None:
    assert runs(np.array([True, True, False, True])) == [(0, 2), (3, 4)]
    assert runs(np.zeros(3, bool)) == [] and runs(np.zeros(0, bool)) == []


@pytest.mark.parametrize("name", SLICERS.names())
def test_every_slicer_keeps_the_contract(name: str) -> None:
    slicer = SLICERS.create(name, 5.0, 15.0)
    samples = np.concatenate([note(8), hiss(1, -80), note(30), hiss(6, -300), note(9), hiss(7, -300)])
    voiced = np.abs(samples[::40]) > 0.1
    for arguments in ((), (voiced,), (voiced, 100.0)):
        ranges = slicer.ranges(samples, RATE, *arguments)
        edges = [0, *(edge for pair in ranges for edge in pair), len(samples)]
        assert edges == sorted(edges) and len(ranges) >= 4
        assert all(stop - start <= 15 * RATE for start, stop in ranges)
        covered = sum(int((np.abs(samples[a:b]) > 0.1).sum()) for a, b in ranges)
        assert covered == int((np.abs(samples) > 0.1).sum())
