"""Overlapping chunks as a stream."""

import numpy as np
import pytest

from svc.separation.chunks import ChunkStream


def noise(length: int) -> np.ndarray:
    return np.random.default_rng(length).standard_normal((2, length)).astype(np.float32)


def run(song: np.ndarray, block: int, chunk: int, step: int, batch: int, estimate=None) -> np.ndarray:
    stream = ChunkStream(estimate or (lambda part: part), chunk, step, batch)
    starts = range(0, max(1, song.shape[1]), block)
    return np.concatenate([stream.process(song[:, s : s + block], s + block >= song.shape[1]) for s in starts], axis=1)


@pytest.mark.parametrize("length", [1, 40, 99, 100, 101, 151, 400, 1013])
@pytest.mark.parametrize(("step", "batch"), [(50, 1), (50, 4), (25, 1), (33, 3)])
def test_what_is_left_alone_comes_back(length: int, step: int, batch: int) -> None:
    song = noise(length)
    out = run(song, 37, 100, step, batch)
    faded = 1 if batch > 1 else 0  # the original's batches leave the very first sample of a short song at nothing
    np.testing.assert_allclose(out[:, faded:], song[:, faded:], atol=1e-5)


@pytest.mark.parametrize("batch", [1, 4])
def test_block_sizes_do_not_matter(batch: int) -> None:
    song = noise(1013)

    def estimate(part: np.ndarray) -> np.ndarray:
        return part * np.arange(100, dtype=np.float32)

    whole = run(song, 2000, 100, 50, batch, estimate)
    np.testing.assert_array_equal(whole, run(song, 7, 100, 50, batch, estimate))


def test_memory_is_flat() -> None:
    stream = ChunkStream(lambda part: part, 100, 50, 4)
    for _ in range(300):
        stream.process(noise(97))
        assert stream._samples.shape[1] < 100 + 4 * 50 + 2 * 97
