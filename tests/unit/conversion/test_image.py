import numpy as np
import pytest

from svc.conversion.image import ImageMeter

RATE = 16_000


def measured(samples: np.ndarray, block: int = 3000):
    meter = ImageMeter(RATE, len(samples))
    for start in range(0, samples.shape[1], block):
        meter.add(samples[:, start : start + block])
    return meter.image()


def voice(seconds: float = 4.0, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(round(seconds * RATE)) * 0.1).astype(np.float32)


@pytest.mark.parametrize("gains", [(1.0,), (0.5, 0.5), (0.9, 0.3), (0.5, -0.5), (0.0, 0.0, 0.7, 0.0, 0.1, 0.1)])
def test_a_voice_comes_back_where_it_stood(gains):
    samples = np.array(gains, np.float32)[:, None] * voice()
    image = measured(samples)
    np.testing.assert_allclose(image.place(image.downmix(samples), 0), samples, atol=2e-3)
    assert np.abs(image.weights).sum() == pytest.approx(1.0)


def test_panning_over_time_is_followed():
    mono = voice(12)
    pan = np.where(np.arange(len(mono)) < len(mono) // 2, 0.9, 0.2).astype(np.float32)
    samples = np.stack([mono * pan, mono * (1.1 - pan)])
    image = measured(samples)
    placed = image.place(image.downmix(samples), 0)
    for part in (slice(0, 4 * RATE), slice(8 * RATE, 12 * RATE)):
        wanted, got = (np.square(x[:, part]).mean(axis=1) for x in (samples, placed))
        np.testing.assert_allclose(10 * np.log10(got / wanted), 0.0, atol=0.5)


def test_wide_vocals_keep_the_level_of_each_side():
    samples = np.stack([voice(seed=1) + voice(seed=2), voice(seed=1) + 0.5 * voice(seed=3)])
    image = measured(samples)
    placed = image.place(image.downmix(samples), 0)
    ratio = np.square(placed).mean(axis=1) / np.square(samples).mean(axis=1)
    np.testing.assert_allclose(10 * np.log10(ratio), 0.0, atol=0.3)


def test_placing_in_blocks_is_placing_at_once():
    samples = np.stack([voice(seed=1), voice(seed=2)])
    image = measured(samples)
    mono = image.downmix(samples)
    blocks = [image.place(mono[at : at + 7001], at) for at in range(0, len(mono), 7001)]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), image.place(mono, 0))


def test_silence_has_an_even_image():
    image = measured(np.zeros((2, 5000), np.float32))
    np.testing.assert_array_equal(image.weights, [0.5, 0.5])
    assert not image.place(np.zeros(10, np.float32), 0).any()
