from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.audio.joining import Overlap, equal_power_gains, equal_power_join, linear_gains, linear_join


@pytest.mark.parametrize("samples", [1, 2, 7, 500])
def test_gains(samples: int) -> None:
    out, rising = equal_power_gains(samples)
    assert out**2 + rising**2 == pytest.approx(np.ones(samples), abs=1e-6)
    assert (np.diff(rising) > 0).all() and out == pytest.approx(rising[::-1], abs=1e-6)
    out, rising = linear_gains(samples)
    assert out + rising == pytest.approx(np.ones(samples), abs=1e-6)
    assert (np.diff(rising) > 0).all()


def test_equal_power_keeps_the_power_of_what_does_not_correlate() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 400, 3_000))
    joined = equal_power_join(first, second, 1_000)
    assert joined.shape == (400, 5_000)
    power = (joined**2).mean(axis=0).reshape(50, 100).mean(axis=1)
    assert np.abs(10 * np.log10(power)).max() < 0.2
    middle = (linear_join(first, second, 1_000) ** 2).mean(axis=0)[2_400:2_600].mean()
    assert 10 * np.log10(middle) == pytest.approx(-3, abs=0.3)


def test_joins_leave_the_rest_alone() -> None:
    first, second = np.ones((2, 10)), np.full((2, 8), 3.0)
    for join in (linear_join, equal_power_join):
        joined = join(first, second, 4)
        assert joined.shape == (2, 14)
        assert np.array_equal(joined[:, :6], first[:, :6]) and np.array_equal(joined[:, 10:], second[:, 4:])
        assert np.array_equal(join(first, second, 0), np.concatenate([first, second], axis=1))
    with pytest.raises(ValueError, match="does not fit"):
        linear_join(first, second, 9)


windows = st.integers(1, 60).flatmap(lambda w: st.tuples(st.just(w), st.integers(0, w // 2)))


@given(st.integers(1, 400), windows, st.lists(st.integers(0, 90), max_size=8))
@settings(max_examples=80, deadline=None)
def test_windows_of_one_signal_give_it_back(length: int, shape: tuple[int, int], sizes: list[int]) -> None:
    """Any signal, any window, arriving in blocks of any size: same samples, same length, flat memory."""
    samples = np.random.default_rng(length).standard_normal((2, length)).astype(np.float32)
    edges = np.minimum(np.cumsum([0, *sizes, length]), length)
    overlap = Overlap(*shape)
    cut = list(overlap.windows(samples[:, a:b] for a, b in pairwise(edges)))
    assert [w.shape[1] for w in cut] == [b - a for a, b in overlap.ranges(length)]
    for window, (start, stop) in zip(cut, overlap.ranges(length)):
        assert np.array_equal(window, samples[:, start:stop])
    joined = np.concatenate([*(overlap.push(window) for window in cut), overlap.finish()], axis=1)
    assert joined.shape == samples.shape
    assert np.abs(joined - samples).max() < 1e-5


def test_windows_that_disagree_are_faded_with_equal_power() -> None:
    rng = np.random.default_rng(1)
    overlap = Overlap(1_000, 400, correlated=False)
    spans = overlap.ranges(20_000)
    parts = [overlap.push(rng.standard_normal((200, b - a))) for a, b in spans]
    joined = np.concatenate([*parts, overlap.finish()], axis=1)
    assert joined.shape[1] == 20_000
    power = (joined**2).mean(axis=0).reshape(200, 100).mean(axis=1)
    assert np.abs(10 * np.log10(power)).max() < 0.2


def test_a_join_has_no_step() -> None:
    """Windows off by a constant: the step is spread over the overlap."""
    overlap = Overlap(1_000, 400)
    parts = [overlap.push(np.full((1, b - a), float(i % 2))) for i, (a, b) in enumerate(overlap.ranges(5_000))]
    joined = np.concatenate([*parts, overlap.finish()], axis=1)
    assert np.abs(np.diff(joined)).max() <= 1.01 / 400


def test_misuse() -> None:
    with pytest.raises(ValueError, match="half a window"):
        Overlap(10, 6)
    overlap = Overlap(10, 4)
    with pytest.raises(ValueError, match="no window"):
        overlap.finish()
    assert overlap.ranges(0) == []
    overlap.push(np.zeros((1, 10)))
    with pytest.raises(ValueError, match="only the last window may be short"):
        overlap.push(np.zeros((1, 3)))
