import numpy as np
import pytest

from svc.conversion.noise import LATENT_BLOCK_FRAMES, SOURCE_BLOCK_SAMPLES, PositionNoise


@pytest.mark.parametrize(("start", "frames"), [(0, 10), (LATENT_BLOCK_FRAMES - 3, 7), (1000, 3 * LATENT_BLOCK_FRAMES)])
def test_overlapping_spans_agree(start, frames):
    whole = PositionNoise(3).latent(0, start + frames, 6)
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(PositionNoise(3).latent(start, frames, 6), whole[:, start:])


def test_going_back_gives_the_same():
    noise = PositionNoise(1)
    first = noise.source(SOURCE_BLOCK_SAMPLES - 10, 20)
    noise.source(5 * SOURCE_BLOCK_SAMPLES, 20)
    np.testing.assert_array_equal(noise.source(SOURCE_BLOCK_SAMPLES - 10, 20), first)


def test_it_is_standard_normal_and_independent():
    noise = PositionNoise(0)
    latent, source = noise.latent(0, 2048, 8), noise.source(0, 3 * SOURCE_BLOCK_SAMPLES)
    assert abs(latent.mean()) < 0.03 and abs(latent.std() - 1) < 0.03
    assert abs(source.mean()) < 0.02 and abs(source.std() - 1) < 0.02
    blocks = source.reshape(3, -1)
    assert np.abs(np.corrcoef(blocks) - np.eye(3)).max() < 0.02
    assert not np.array_equal(PositionNoise(1).source(0, 100), source[:100])


def test_memory_does_not_grow():
    noise = PositionNoise(0)
    for block in range(20):
        noise.source(block * SOURCE_BLOCK_SAMPLES, SOURCE_BLOCK_SAMPLES)
    assert len(noise._kept) <= 3
