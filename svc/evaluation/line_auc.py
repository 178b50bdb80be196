"""Does content say what is sung, whoever sings it? Takes of one line by two singers against takes of two lines."""

from collections.abc import Hashable, Sequence

import numpy as np

from svc.errors import ConfigError

DTW_BATCH = 64


def line_auc(frames: Sequence[np.ndarray], *, singers: Sequence[Hashable], lines: Sequence[Hashable]) -> float:
    """How often a pair of takes of one line is nearer than a pair of takes of two lines: 0.5 by chance, 1 is best.

    Args:
        frames: (T, D) of each take, without its silence.
        singers: who sings each take. Only pairs of two singers count.
        lines: what each take says.

    The distance is the mean cosine distance along the cheapest path of dynamic time warping; a tie counts half.
    Raises ConfigError where there are no pairs of either kind.
    """
    unit = [(v / (np.linalg.norm(v, axis=1, keepdims=True) + 1e-9)).astype(np.float32) for v in frames]
    pairs = [(i, j) for i in range(len(unit)) for j in range(i) if singers[i] != singers[j]]
    alike = np.array([lines[i] == lines[j] for i, j in pairs], dtype=bool)
    if not alike.any() or alike.all():
        raise ConfigError("The line AUC needs two singers who share a line, and two lines.")
    distances = np.empty(len(pairs))
    for start in range(0, len(pairs), DTW_BATCH):
        batch = pairs[start : start + DTW_BATCH]
        distances[start : start + DTW_BATCH] = warped_distances([1 - unit[i] @ unit[j].T for i, j in batch])
    same, other = distances[alike][:, None], distances[~alike][None]
    return float((same < other).mean() + 0.5 * (same == other).mean())


def warped_distances(costs: Sequence[np.ndarray]) -> np.ndarray:
    """Mean cost along the cheapest path (dynamic time warping) from corner to corner of each of B arrays (N, M).

    Steps are (1, 1), (1, 0), (0, 1), all of weight one; the path is the one of least sum. Goes along the diagonals,
    whose cells can be computed at once, through all arrays together.
    """
    rows, columns = (max(c.shape[k] for c in costs) for k in (0, 1))
    stacked = np.full((len(costs), rows, columns), np.inf)
    for k, cost in enumerate(costs):
        stacked[k, : cost.shape[0], : cost.shape[1]] = cost
    ends = np.array([[c.shape[0] - 1, c.shape[1] - 1] for c in costs])
    # Cell (i, j) lies at index i + 1 of diagonal i + j; index 0 and what lies outside is infinitely far.
    before, last = np.full((2, 2, len(costs), rows + 1), np.inf)
    result = np.empty(len(costs))
    for diagonal in range(rows + columns - 1):
        first, end = max(0, diagonal - columns + 1), min(diagonal, rows - 1) + 1
        inside, above = slice(first + 1, end + 1), slice(first, end)
        options = np.stack([before[:, :, above], last[:, :, above], last[:, :, inside]])
        best = options[:, 0].argmin(axis=0)
        sums, steps = np.take_along_axis(options, best[None, None], axis=0)[0]
        if diagonal == 0:
            sums, steps = np.zeros((2, len(costs), 1))
        here = np.full_like(last, np.inf)
        row = np.arange(first, end)
        here[0, :, inside] = sums + stacked[:, row, diagonal - row]
        here[1, :, inside] = steps + 1
        done = np.flatnonzero(ends.sum(axis=1) == diagonal)
        result[done] = here[0, done, ends[done, 0] + 1] / here[1, done, ends[done, 0] + 1]
        before, last = last, here
    return result


def normalised(values: np.ndarray) -> np.ndarray:
    """Frames (T, D) with mean 0 and variance 1 of every value over the take."""
    return (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-5)
