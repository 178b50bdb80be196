import numpy as np
import pytest

from svc.errors import ConfigError
from svc.evaluation.line_auc import line_auc, normalised, warped_distances


def take(line: int, singer: int, length: int, told: float) -> np.ndarray:
    """Three sounds in the line's order, stretched, with something of the singer and noise."""
    rng = np.random.default_rng(10 * line + singer)
    sounds = np.eye(4)[[[0, 1, 2], [2, 1, 3]][line]]
    return told * np.repeat(sounds, length, axis=0) + 0.1 * rng.standard_normal((3 * length, 4))


def test_content_that_tells_the_line() -> None:
    cases = [(line, singer) for line in range(2) for singer in range(4)]
    who, what = [str(s) for _, s in cases], [str(line) for line, _ in cases]
    told = [take(line, singer, 6 + singer, 1.0) for line, singer in cases]
    assert line_auc(told, singers=who, lines=what) == 1.0
    blind = [take(line, singer, 6 + singer, 0.0) for line, singer in cases]
    assert 0.2 < line_auc(blind, singers=who, lines=what) < 0.8


def test_ties_count_half() -> None:
    same = [np.ones((20, 4))] * 4
    assert line_auc(same, singers=["a", "a", "b", "b"], lines=[0, 1, 0, 1]) == 0.5


def test_without_pairs_there_is_no_figure() -> None:
    frames = [np.ones((3, 2))] * 2
    with pytest.raises(ConfigError, match="two singers who share a line"):
        line_auc(frames, singers=["a", "b"], lines=["1", "1"])


def test_normalised() -> None:
    values = normalised(np.random.default_rng(0).standard_normal((50, 3)) * [1, 5, 0.1] + [3, 0, -2])
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-3)


def test_warped_distances_are_mean_costs_of_cheapest_paths() -> None:
    rng = np.random.default_rng(8)
    arrays = [rng.random(shape) for shape in ((5, 9), (9, 5), (1, 4), (1, 1))]
    arrays.append(np.array([[1.0, 9, 9], [2, 9, 9], [9, 3, 4]]))
    wanted = []
    for costs in arrays:
        best = {(0, 0): (costs[0, 0], 1)}
        for i, j in np.ndindex(costs.shape):
            if (i, j) != (0, 0):
                total, steps = min(best[k] for k in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if k in best)
                best[i, j] = (total + costs[i, j], steps + 1)
        total, steps = best[costs.shape[0] - 1, costs.shape[1] - 1]
        wanted.append(total / steps)
    assert wanted[-1] == 2.5
    assert np.allclose(warped_distances(arrays), wanted)
