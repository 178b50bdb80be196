"""Windows over a long recording: they overlap, and fade into one another away from their cut ends."""

from collections.abc import Iterator

import numpy as np

WINDOW = 1500
OVERLAP = 500
# Frames at a cut end of a window that are not used: they lack neighbours.
EDGE = 150


def fading_windows(
    frames: int, window: int = WINDOW, overlap: int = OVERLAP, edge: int = EDGE
) -> Iterator[tuple[int, np.ndarray]]:
    """(first frame, weights (n,) float32) of windows over `frames` frames; the weights of every frame sum to 1."""
    fade = overlap - 2 * edge
    rise = np.concatenate([np.zeros(edge), (np.arange(fade) + 0.5) / fade, np.ones(edge)]).astype(np.float32)
    for start in range(0, max(1, frames - overlap), window - overlap):
        stop = min(start + window, frames)
        weights = np.ones(stop - start, dtype=np.float32)
        if start:
            weights[:overlap] = rise
        if stop < frames:
            weights[-overlap:] *= rise[::-1]
        yield start, weights


def limited_windows(frames: int, at_most: int | None) -> Iterator[tuple[int, np.ndarray]]:
    """As `fading_windows`, in the same proportions, none longer than `at_most` frames."""
    if at_most is None or at_most >= WINDOW:
        return fading_windows(frames)
    return fading_windows(frames, at_most, at_most * OVERLAP // WINDOW, at_most * EDGE // WINDOW)
