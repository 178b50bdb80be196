from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.conversion.sources import ArraySource
from svc.conversion.windows import (
    Survey,
    WindowJoiner,
    correlation,
    crossfade_gains,
    is_quiet_cut,
    plan_cuts,
    survey,
)

RATE, HOP = 44_100, 512


def flat(frames: int, db: float = -20.0) -> Survey:
    return Survey(np.full(frames, db), np.full(frames, db))


@given(st.integers(0, 5000), st.integers(10, 900))
@settings(max_examples=60, deadline=None)
def test_cuts_cover_the_song_without_slivers(frames, window):
    cuts = plan_cuts(flat(frames), window)
    assert cuts[0] == 0 and cuts[-1] == frames
    lengths = np.diff(cuts)
    assert (lengths > 0).all()
    if len(lengths) > 1:
        assert lengths.min() >= window // 4 and lengths.max() <= 1.75 * window + 2


def test_cut_goes_into_the_pause_or_the_consonant():
    found = flat(1000)
    found.low_band_db[430:440] = -70.0
    cuts = plan_cuts(found, 400)
    assert 431 <= cuts[1] <= 439
    assert is_quiet_cut(found, cuts[1]) and not is_quiet_cut(found, 200)


def test_nearest_of_equally_quiet_places_wins():
    assert plan_cuts(flat(1000), 400)[1] == 400


def test_survey_tells_a_consonant_from_a_note():
    t = np.arange(RATE) / RATE
    note = 0.2 * np.sin(2 * np.pi * 220 * t)
    hiss = 0.2 * np.sin(2 * np.pi * 6000 * t)
    found = survey(ArraySource(np.concatenate([note, hiss, 0 * t]).astype(np.float32)), RATE, HOP)
    assert found.frames == -(-3 * RATE // HOP)
    mid = [RATE // HOP // 2 + k * (RATE // HOP) for k in range(3)]
    assert found.level_db[mid[0]] == pytest.approx(-17, abs=0.5) == found.level_db[mid[1]]
    assert found.low_band_db[mid[0]] > -18 and found.low_band_db[mid[1]] < -50
    assert found.level_db[mid[2]] == -100.0


def test_survey_in_blocks_equals_one_pass(monkeypatch):
    samples = np.random.default_rng(0).standard_normal(4096 * HOP + 12_345).astype(np.float32) * 0.1
    whole = survey(ArraySource(samples), RATE, HOP)
    first = survey(ArraySource(samples[: 4096 * HOP]), RATE, HOP)
    np.testing.assert_array_equal(whole.low_band_db[: first.frames], first.low_band_db)
    assert whole.frames == -(-len(samples) // HOP)


def test_gains_keep_power_at_every_correlation():
    weight = np.linspace(0, 1, 101)
    for r in (0.0, 0.3, 1.0):
        a, b = crossfade_gains(weight, r)
        np.testing.assert_allclose(a**2 + b**2 + 2 * r * a * b, 1.0, atol=1e-12)
    np.testing.assert_allclose(crossfade_gains(weight, 1.0)[1], weight)


def test_correlation_is_measured():
    x = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    y = np.random.default_rng(1).standard_normal(4000).astype(np.float32)
    assert correlation(x, 0.5 * x) == pytest.approx(1.0)
    assert correlation(x, y) < 0.1
    assert correlation(x, -x) == 0.0 and correlation(x, 0 * x) == 1.0


@given(st.lists(st.integers(300, 900), min_size=1, max_size=6), st.sampled_from([2, 20, 100]))
@settings(max_examples=40, deadline=None)
def test_windows_of_one_signal_join_to_that_signal(lengths, fade):
    edges = np.concatenate([[0], np.cumsum(lengths)])
    signal = np.random.default_rng(0).standard_normal(edges[-1]).astype(np.float32)
    out: list[np.ndarray] = []
    joiner = WindowJoiner(out.append)
    for index, (start, stop) in enumerate(pairwise(edges)):
        low, high = max(0, start - 120), min(edges[-1], stop + 120)
        last = index == len(lengths) - 1
        joiner.add(signal[low:high], low, stop, (0 if index == 0 else fade, 0 if last else fade))
    np.testing.assert_allclose(np.concatenate(out), signal, atol=1e-6)
    np.testing.assert_allclose(joiner.correlations, 1.0)


def test_different_windows_keep_their_power_over_the_join():
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(60_000).astype(np.float32) for _ in range(2))
    out: list[np.ndarray] = []
    joiner = WindowJoiner(out.append)
    joiner.add(a, 0, 30_000, (0, 20_000))
    joiner.add(b[10_000:], 10_000, 60_000, (20_000, 0))
    joined = np.concatenate(out)
    assert len(joined) == 60_000
    assert np.square(joined[25_000:35_000]).mean() == pytest.approx(1.0, abs=0.05)
