import math

import numpy as np
import pytest

from svc.evaluation import spectral_metrics as metrics

RATE = 44_100


def tone(f0_hz: float = 220.0, seconds: float = 1.0, formant: float = 600.0) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    out = sum(
        np.exp(-(((k * f0_hz - formant) / 400) ** 2)) * np.sin(2 * np.pi * k * f0_hz * t + k) for k in range(1, 30)
    )
    return (0.1 * out).astype(np.float32)


def test_cepstral_distance_grows_with_the_difference_and_ignores_tempo():
    a = tone()
    assert metrics.mel_cepstral_distance(a, a, RATE) == pytest.approx(0.0, abs=1e-6)
    near = metrics.mel_cepstral_distance(a, tone(seconds=1.3), RATE)
    far = metrics.mel_cepstral_distance(a, tone(formant=1500.0), RATE)
    assert near < 0.3 * far


def test_high_frequencies():
    t = np.arange(RATE) / RATE
    low, high = np.sin(2 * np.pi * 1000 * t), np.sin(2 * np.pi * 10_000 * t)
    assert metrics.high_frequency_ratio(low + high, RATE) == pytest.approx(0.5, abs=0.01)
    assert metrics.high_frequency_ratio(low, RATE) < 1e-6
    assert metrics.high_frequency_ratio(np.zeros(RATE), RATE) == 0.0
    assert metrics.high_frequency_ratio(low[:16_000], 16_000) < 1e-3


def test_clipping():
    x = np.zeros(1000, np.float32)
    x[:10] = [1.0, -1.0] * 5
    assert metrics.clip_ratio(x) == pytest.approx(0.01)
    assert metrics.clip_ratio(0.9 * x) == 0.0


def test_silence_leak():
    source = tone()
    source[RATE // 2 :] = 0
    quiet, leaking = source.copy(), source.copy()
    leaking[RATE // 2 :] = 0.01
    assert metrics.silence_leak_db(source, quiet, RATE) == -100.0
    assert metrics.silence_leak_db(source, leaking, RATE) == pytest.approx(-40.0, abs=0.1)
    assert math.isnan(metrics.silence_leak_db(tone(), tone(), RATE))


@pytest.mark.parametrize("step", [0.02, 0.2])
def test_a_step_at_a_join_is_a_click_and_a_smooth_join_is_none(step):
    source = tone(seconds=2.0)
    joins = np.array([30_000, 60_000])
    assert metrics.click_excess(source, source, RATE, joins) <= 1.0
    broken = source.copy()
    broken[60_000:] += step
    assert metrics.click_excess(source, broken, RATE, joins) > 2.0
    assert metrics.click_excess(source, broken, RATE, joins[:1]) <= 1.0
    assert metrics.click_excess(source, broken, RATE, np.array([])) == 0.0


def test_a_click_the_source_has_at_the_same_place_is_not_counted():
    source = tone(seconds=2.0)
    source[60_000:] += 0.1
    assert metrics.click_excess(source, source, RATE, np.array([60_000])) <= 1.0
