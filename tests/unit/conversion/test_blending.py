import numpy as np
import pytest

from svc.conversion import blending
from svc.conversion.sources import ArraySource
from svc.conversion.windows import survey

RATE, HOP = 44_100, 512
FRAMES = 200
N = FRAMES * HOP


def rng_noise(level: float, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(N) * level).astype(np.float32)


def test_silence_is_closed_and_sound_is_open():
    source = rng_noise(0.1)
    source[N // 4 : N // 2] = 0.0
    gate = blending.silence_gate(source, HOP)
    assert gate.shape == (N,)
    assert gate[N // 4 + 3 * HOP : N // 2 - 3 * HOP].max() == 0.0
    assert gate[: N // 4].min() == 1.0 and gate[N // 2 :].min() == 1.0


def test_pauses_keep_a_trace_of_the_source_and_nothing_of_the_result():
    source, result = rng_noise(0.1), rng_noise(0.1, 1)
    pause, digital = slice(N // 4, N // 2), slice(N * 3 // 4, N)
    source[pause] *= 1e-3
    source[digital] = 0.0
    mixed = blending.keep_room_tone(source, result, HOP)
    inside = slice(pause.start + 3 * HOP, pause.stop - 3 * HOP)
    np.testing.assert_allclose(mixed[inside], source[inside] * 10 ** (-30 / 20), rtol=1e-5)
    np.testing.assert_array_equal(mixed[: pause.start], result[: pause.start])
    assert np.abs(mixed[digital.start + 3 * HOP :]).max() == 0.0


@pytest.mark.parametrize("amount", [0.0, 0.5, 1.0])
def test_loudness_is_drawn_towards_the_source(amount):
    source, result = rng_noise(0.05), rng_noise(0.1, 1)
    source[N // 2 :] *= 4
    gain = blending.loudness_gain(source, result, RATE, HOP, amount)
    moved = np.array(
        [np.sqrt(np.square((result * gain)[part]).mean()) for part in (slice(0, N // 3), slice(-N // 3, N))]
    )
    np.testing.assert_allclose(moved, 0.1 * np.array([0.5, 2.0]) ** amount, rtol=0.03)


def test_gain_is_limited_where_the_voice_made_nothing():
    gain = blending.loudness_gain(rng_noise(0.1), rng_noise(1e-5), RATE, HOP, 1.0)
    assert gain.max() == pytest.approx(10 ** (blending.LARGEST_GAIN_DB / 20), rel=1e-6)


def noisy_and_voiced() -> tuple[np.ndarray, np.ndarray]:
    """First half a tone, second half hiss above 2 kHz; the voicing that goes with it."""
    from scipy.signal import butter, sosfilt

    t = np.arange(N) / RATE
    hiss = sosfilt(butter(4, 2000, "highpass", fs=RATE, output="sos"), rng_noise(0.1)).astype(np.float32)
    out = np.where(t < N / 2 / RATE, 0.2 * np.sin(2 * np.pi * 220 * t), hiss).astype(np.float32)
    return out, np.arange(FRAMES) < FRAMES // 2


def test_breaths_are_found_and_missed_notes_are_not_let_through():
    source, voiced = noisy_and_voiced()
    low = survey(ArraySource(source), RATE, HOP).low_band_db
    weight = blending.noise_like(source, voiced, low, HOP)
    assert weight[: FRAMES // 2 + 1].max() == 0.0
    assert weight[FRAMES // 2 + 3 :].min() == 1.0
    nothing_voiced = blending.noise_like(source, np.zeros(FRAMES, bool), low, HOP)
    assert nothing_voiced[: FRAMES // 2 - 1].max() == 0.0


def test_protection_keeps_power_and_reaches_the_source():
    source, result = rng_noise(0.1), rng_noise(0.1, 1)
    for share in (0.33, 1.0):
        mixed = blending.keep_noises(source, result, np.full(FRAMES, share), HOP)
        assert np.square(mixed).mean() == pytest.approx(0.01, rel=0.05)
    np.testing.assert_allclose(mixed, source, atol=1e-6)
    np.testing.assert_array_equal(blending.keep_noises(source, result, np.zeros(FRAMES), HOP), result)


def test_a_quiet_recording_is_not_taken_for_silence():
    assert blending.silence_level(np.full(100, -15.0)) == -66.0
    assert blending.silence_level(np.full(100, -35.0)) == -80.0
    assert blending.silence_level(np.full(100, -100.0)) == -88.0
    quiet = rng_noise(10 ** (-72 / 20))
    assert blending.silence_gate(quiet, HOP).max() < 0.6
    assert blending.silence_gate(quiet, HOP, blending.silence_level(np.full(9, -40.0))).min() == 1.0
    assert blending.silence_gate(np.zeros(N, np.float32), HOP, -88.0).max() == 0.0
