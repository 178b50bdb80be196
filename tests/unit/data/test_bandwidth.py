"""The edge of narrow recordings is found, and none is seen where a spectrum only slopes."""

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from svc.audio.resampling import resample
from svc.data.bandwidth import bandwidth_hz, expected_edge

RATE = 44_100


def voice(seconds: float = 6.0, rate: int = RATE, slope_db: float = 9.0) -> np.ndarray:
    """Notes with harmonics that fall by `slope_db` per octave, bursts of bright noise, pauses with faint noise."""
    random = np.random.default_rng(0)
    times = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(220 + 30 * np.sin(2 * np.pi * 0.7 * times)) / rate
    notes = sum(np.sin(h * phase) * h ** (-slope_db / 6.02) for h in range(1, 80) if h * 250 < rate / 2)
    hiss = random.standard_normal(len(times)) * (np.sin(2 * np.pi * 1.7 * times) > 0.9)
    sound = 0.2 * notes * (np.sin(2 * np.pi * 0.9 * times) > -0.6) + 0.05 * hiss
    return (sound + 1e-5 * random.standard_normal(len(times))).astype(np.float32)


def rounded(samples: np.ndarray) -> np.ndarray:
    scale = np.abs(samples).max() / 32767
    return (np.round(samples / scale) * scale).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 32_000])
def test_a_recording_of_a_lower_rate_ends_at_its_half(rate: int) -> None:
    samples = rounded(resample(voice(rate=rate), rate, RATE))
    assert 0.9 * rate / 2 < bandwidth_hz(samples, RATE) <= 1.02 * rate / 2


def test_a_codec_s_low_pass_is_found_above_its_own_faint_noise() -> None:
    sos = butter(16, 11_000, output="sos", fs=RATE)
    low = sosfiltfilt(sos, voice())
    noise = 1e-5 * np.random.default_rng(1).standard_normal(len(low))
    assert 10_000 < bandwidth_hz(rounded((low + noise).astype(np.float32)), RATE) < 12_500


@pytest.mark.parametrize("slope_db", [6.0, 9.0, 14.0])
def test_a_slope_is_no_edge(slope_db: float) -> None:
    assert bandwidth_hz(rounded(voice(slope_db=slope_db)), RATE) == RATE / 2


def test_what_is_too_short_or_silent_counts_as_whole() -> None:
    assert bandwidth_hz(np.zeros(1000, np.float32), RATE) == RATE / 2
    assert bandwidth_hz(np.zeros(10 * RATE, np.float32), RATE) == RATE / 2


def narrow_with_breathing_noise(edge_hz: float = 8_000) -> np.ndarray:
    """A voice that ends at `edge_hz`, above it noise that follows its level, as gain controls leave it."""
    sound = voice()
    low = sosfiltfilt(butter(16, edge_hz, output="sos", fs=RATE), sound)
    envelope = sosfiltfilt(butter(2, 8, output="sos", fs=RATE), np.abs(low))
    noise = 0.02 * envelope * np.random.default_rng(1).standard_normal(len(low))
    return rounded((low + noise).astype(np.float32))


def test_an_edge_above_which_noise_follows_the_sound_is_seen_where_it_is_expected() -> None:
    samples = narrow_with_breathing_noise()
    assert bandwidth_hz(samples, RATE) == RATE / 2
    found = expected_edge(samples, RATE, [5_100, 8_100])
    assert found is not None and 7_400 <= found <= 8_700
    assert expected_edge(samples, RATE, [5_100, 12_000]) is None


@pytest.mark.parametrize("slope_db", [6.0, 9.0, 14.0])
def test_no_edge_is_seen_in_a_slope_because_one_is_expected(slope_db: float) -> None:
    assert expected_edge(rounded(voice(slope_db=slope_db)), RATE, [3_400, 5_000, 8_000, 11_000, 16_000]) is None


def test_nothing_is_expected_of_what_is_too_short() -> None:
    assert expected_edge(np.zeros(1000, np.float32), RATE, [8_000]) is None
    assert expected_edge(narrow_with_breathing_noise(), RATE, []) is None
