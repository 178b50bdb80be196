"""Joining stretches of sound by crossfades, and windows of a stream into one signal of exact length.

Two takes that do not correlate (noise, two renderings) keep their power under gains whose squares sum to 1;
two copies of the same signal keep their shape under gains that sum to 1.
"""

from collections.abc import Iterable, Iterator

import numpy as np


def equal_power_gains(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Gains (samples,) for what fades out and what fades in, float32: cosine and sine, squares summing to 1."""
    angle = (np.arange(samples) + 0.5) / max(1, samples) * (np.pi / 2)
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def linear_gains(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Gains (samples,) for what fades out and what fades in, float32, summing to 1."""
    rising = ((np.arange(samples) + 0.5) / max(1, samples)).astype(np.float32)
    return 1 - rising, rising


def equal_power_join(first: np.ndarray, second: np.ndarray, overlap: int) -> np.ndarray:
    """Uncorrelated `first` (..., A) and `second` (..., B) joined over `overlap` samples: (..., A + B - overlap)."""
    return _join(first, second, equal_power_gains(overlap))


def linear_join(first: np.ndarray, second: np.ndarray, overlap: int) -> np.ndarray:
    """Correlated `first` (..., A) and `second` (..., B) joined over `overlap` samples: (..., A + B - overlap)."""
    return _join(first, second, linear_gains(overlap))


def _join(first: np.ndarray, second: np.ndarray, gains: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    overlap = len(gains[0])
    if overlap > min(first.shape[-1], second.shape[-1]):
        raise ValueError(f"an overlap of {overlap} does not fit stretches of {first.shape[-1]} and {second.shape[-1]}")
    at = first.shape[-1] - overlap
    shared = first[..., at:] * gains[0] + second[..., :overlap] * gains[1]
    return np.concatenate([first[..., :at], shared, second[..., overlap:]], axis=-1)


class Overlap:
    """Cuts a signal into overlapping windows and stitches processed windows into a signal of the same length.

    Windows are `window` samples long, neighbours share `overlap` samples, and the last one is shorter where the
    signal ends. `correlated` chooses the gains: linear for windows that agree about what they share (the default),
    equal-power for those that do not. Memory is one window, whatever the length.

    ``for part in overlap.windows(blocks): out(overlap.push(process(part)))`` then ``out(overlap.finish())``.
    """

    def __init__(self, window: int, overlap: int, correlated: bool = True) -> None:
        if not 0 <= overlap <= window // 2 or window < 1:
            raise ValueError(f"an overlap of {overlap} must be 0 to half a window of {window} samples")
        self.window, self.overlap = window, overlap
        self.step = window - overlap
        self._gains = linear_gains(overlap) if correlated else equal_power_gains(overlap)
        self._tail: np.ndarray | None = None

    def ranges(self, length: int) -> list[tuple[int, int]]:
        """The [start, stop) of every window of a signal of `length` samples; the last is longer than the overlap."""
        count = max(1, -(-(length - self.overlap) // self.step)) if length else 0
        return [(i * self.step, min(i * self.step + self.window, length)) for i in range(count)]

    def windows(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The windows (..., n) of the signal that arrives as blocks (..., any length)."""
        held: np.ndarray | None = None
        first = True
        for block in blocks:
            held = block if held is None else np.concatenate([held, block], axis=-1)
            while held.shape[-1] >= self.window:
                yield held[..., : self.window]
                held, first = held[..., self.step :], False
        rest = 0 if held is None else held.shape[-1]
        if held is not None and (rest > self.overlap or (first and rest)):
            yield held

    def push(self, window: np.ndarray) -> np.ndarray:
        """Take the next processed window (..., n) and return the samples that are now final."""
        joined = window if self._tail is None else _join(self._tail, window, self._fitting(window))
        keep = min(self.overlap, joined.shape[-1])
        self._tail = joined[..., joined.shape[-1] - keep :].copy()
        return joined[..., : joined.shape[-1] - keep]

    def finish(self) -> np.ndarray:
        """The samples still held after the last window; the object is then ready for another signal."""
        tail, self._tail = self._tail, None
        if tail is None:
            raise ValueError("no window was pushed")
        return tail

    def _fitting(self, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert self._tail is not None
        if window.shape[-1] < self.overlap or self._tail.shape[-1] < self.overlap:
            raise ValueError(f"only the last window may be short, and all must exceed the overlap of {self.overlap}")
        return self._gains
