"""Learning discrete units: k-means over content frames, on a bounded sample of them.

Seeding is k-means++ (Arthur and Vassilvitskii, 2007), then Lloyd's iteration until the distance falls by less than a
thousandth of a percent. Everything is in the calling process and repeatable from the seed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from svc.content.units import BLOCK, nearest_units
from svc.errors import ConfigError

SEEDING_FRAMES = 20_000
TOLERANCE = 1e-5


@dataclass(frozen=True)
class LearntUnits:
    """centres (K, D) float32; the mean squared distance of a frame to its centre, and of a frame to the mean frame."""

    centres: np.ndarray
    distance: float
    variance: float
    iterations: int

    @property
    def explained(self) -> float:
        """The share of the frames' variance that the centres tell, 0..1."""
        return 1.0 - self.distance / self.variance if self.variance > 0 else 1.0


class FrameSample:
    """At most `limit` frames out of any number, each with the same chance, repeatable from `seed`."""

    def __init__(self, limit: int, seed: int = 0) -> None:
        self._limit = limit
        self._rng = np.random.default_rng(seed)
        self._values: list[np.ndarray] = []
        self._keys = np.zeros(0)
        self.seen = 0

    def add(self, values: np.ndarray) -> None:
        """Offer frames (T, D); ConfigError where D is not that of the frames before."""
        if self._values and values.shape[1] != self._values[0].shape[1]:
            raise ConfigError(
                f"Content of {values.shape[1]} values does not go with content of {self._values[0].shape[1]}: learn "
                "units from one encoder at a time."
            )
        self.seen += len(values)
        self._values.append(np.asarray(values, dtype=np.float32))
        self._keys = np.concatenate([self._keys, self._rng.random(len(values))])
        if len(self._keys) > 2 * self._limit:
            self._thin()

    def frames(self) -> np.ndarray:
        """The sample (n, D) float32, n = min(limit, frames seen)."""
        self._thin()
        return self._values[0] if self._values else np.zeros((0, 0), np.float32)

    def _thin(self) -> None:
        whole = np.concatenate(self._values) if self._values else np.zeros((0, 0), np.float32)
        if len(whole) > self._limit:
            kept = np.sort(np.argpartition(self._keys, self._limit)[: self._limit])
            whole, self._keys = whole[kept], self._keys[kept]
        self._values = [whole]


def learn_units(
    values: np.ndarray,
    count: int,
    seed: int = 0,
    most_iterations: int = 100,
    progress: Callable[[float], None] | None = None,
) -> LearntUnits:
    """`count` centres of frames (N, D).

    A centre that loses all its frames is put where frames are farthest from theirs. Raises ConfigError for fewer
    different frames than centres, and for fewer than two centres.
    """
    if count < 2:
        raise ConfigError(f"{count} units tell nothing: ask for at least 2.")
    values = np.ascontiguousarray(values, dtype=np.float32)
    if len(values) < count:
        raise ConfigError(f"{len(values)} frames are too few for {count} units: give more recordings, or fewer units.")
    if not np.isfinite(values).all():
        raise ConfigError("The content frames hold NaN or infinite values: prepare the recordings again.")
    rng = np.random.default_rng(seed)
    centres = _seeds(values, count, rng)
    last, distance, iterations = np.inf, np.inf, 0
    for iterations in range(1, most_iterations + 1):
        units = nearest_units(values, centres)
        distances = _distances(values, centres, units)
        distance = float(distances.mean())
        if progress:
            progress(iterations / most_iterations)
        if last - distance <= TOLERANCE * distance:
            break
        last = distance
        centres = _means(values, units, centres, distances)
    if progress:
        progress(1.0)
    variance = float(((values - values.mean(axis=0, dtype=np.float64)) ** 2).sum(axis=1).mean())
    return LearntUnits(centres, distance, variance, iterations)


def _seeds(values: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """k-means++: each further centre is a frame, likelier the farther it is from the centres before it."""
    pool = values
    if len(values) > max(SEEDING_FRAMES, 20 * count):
        pool = values[np.sort(rng.choice(len(values), max(SEEDING_FRAMES, 20 * count), replace=False))]
    centres = np.empty((count, values.shape[1]), np.float32)
    centres[0] = pool[rng.integers(len(pool))]
    nearest = ((pool - centres[0]) ** 2).sum(axis=1, dtype=np.float64)
    for index in range(1, count):
        total = nearest.sum()
        if total <= 0:
            raise ConfigError(f"Only {index} frames differ, so {count} units cannot be learnt: ask for fewer.")
        centres[index] = pool[min(len(pool) - 1, int(np.searchsorted(np.cumsum(nearest), rng.random() * total)))]
        nearest = np.minimum(nearest, ((pool - centres[index]) ** 2).sum(axis=1, dtype=np.float64))
    return centres


def _distances(values: np.ndarray, centres: np.ndarray, units: np.ndarray) -> np.ndarray:
    out = np.empty(len(values))
    for start in range(0, len(values), BLOCK):
        part = slice(start, start + BLOCK)
        out[part] = ((values[part] - centres[units[part]]) ** 2).sum(axis=1, dtype=np.float64)
    return out


def _means(values: np.ndarray, units: np.ndarray, centres: np.ndarray, distances: np.ndarray) -> np.ndarray:
    from scipy.sparse import csr_matrix

    count = len(centres)
    member = csr_matrix((np.ones(len(units)), (units, np.arange(len(units)))), shape=(count, len(units)))
    members = np.bincount(units, minlength=count)
    means = np.asarray(member @ values, dtype=np.float64) / np.maximum(members, 1)[:, None]
    empty = np.flatnonzero(members == 0)
    if len(empty):
        means[empty] = values[np.argsort(distances)[-len(empty) :]]
    return means.astype(np.float32)
