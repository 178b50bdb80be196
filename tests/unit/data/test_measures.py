import numpy as np
import pytest
from recordings import sung
from scipy.signal import fftconvolve

from svc.audio.loudness import frame_loudness_db
from svc.config import FeatureConfig
from svc.data.measures import (
    fingerprint,
    flat_tops,
    quick_decays_per_second,
    second_voice_share,
    snr_db,
    waveform_match,
)
from svc.features.spec import spec_from_config
from svc.pitch.world import Dio

RATE = 16_000
SPEC = spec_from_config(FeatureConfig(sample_rate=RATE, hop_length=256, n_fft=1024, pitch_estimator="dio"))


def f0_of(samples):
    return Dio().estimate(samples, RATE, SPEC.frame_times(SPEC.frames(len(samples)))).f0_hz


def loudness_of(samples):
    return frame_loudness_db(samples, 256, 1024)


def test_flat_tops_counts_clipped_samples_where_they_are():
    t = np.arange(RATE) / RATE
    wave = np.sin(2 * np.pi * 100 * t).astype(np.float32)
    assert flat_tops(wave[None], RATE).sum() == 0
    clipped = np.where(t < 0.5, np.clip(1.5 * wave, -1, 1), 0.3 * wave).astype(np.float32)
    for level in (1.0, 0.4):
        counts = flat_tops(np.stack([clipped * np.float32(level)] * 2), RATE)
        assert len(counts) == 10 and (counts[:5] > 0).all() and not counts[6:].any()
        # arcsin(1 / 1.5) leaves 53.5 % of each period above the limit
        assert counts[:5].sum() / (2 * RATE / 2) == pytest.approx(0.535, abs=0.02)


@pytest.mark.parametrize(("noise", "wanted"), [(0.003, 33), (0.03, 13)])
def test_snr_is_voice_over_pauses(noise, wanted):
    voice = sung(6, seed=1)
    f0 = f0_of(voice)
    level = np.median(loudness_of(voice)[f0 > 0])
    voice = voice * np.float32(10 ** ((-17.5 - level) / 20))
    noisy = voice + noise * np.random.default_rng(0).standard_normal(len(voice)).astype(np.float32)
    assert snr_db(loudness_of(noisy), f0, SPEC.frame_rate) == pytest.approx(wanted, abs=1.5)


def test_snr_is_unknown_without_pauses_or_without_voice():
    assert snr_db(np.full(500, -20.0), np.full(500, 200.0), 62.5) is None
    assert snr_db(np.full(500, -20.0), np.zeros(500), 62.5) is None


def test_reverberation_makes_quick_decays_rare():
    dry = sung(8, seed=2)
    t = np.arange(int(1.5 * RATE)) / RATE
    room = np.random.default_rng(0).standard_normal(len(t)) * 10 ** (-3 * t / 1.2)
    wet = dry + 0.5 * fftconvolve(dry, room / np.linalg.norm(room))[: len(dry)].astype(np.float32)
    assert quick_decays_per_second(dry, RATE) > 1.5
    assert quick_decays_per_second(wet, RATE) < 0.7
    assert quick_decays_per_second(dry[: RATE // 2], RATE) is None


def steady(hz, seconds=4.0):
    t = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(hz * 2 ** (0.2 / 12 * np.sin(2 * np.pi * 0.5 * t))) / RATE
    return (0.15 * sum(np.sin(h * phase) / h for h in range(1, 20))).astype(np.float32)


def test_a_second_voice_shows_between_the_harmonics():
    solo = steady(220)
    f0 = f0_of(solo)
    assert second_voice_share(solo, f0, SPEC) < 0.05
    assert second_voice_share(solo + steady(311), f0, SPEC) > 0.8
    assert second_voice_share(solo, np.zeros_like(f0), SPEC) is None


def test_fingerprint_ignores_level_and_tells_songs_apart():
    first, second = sung(4, seed=3), sung(4, 300, seed=4)
    mine = np.array(fingerprint(first, SPEC))
    assert np.linalg.norm(mine) == pytest.approx(1, abs=1e-3)
    assert mine @ np.array(fingerprint(0.1 * first, SPEC)) > 0.999
    assert mine @ np.array(fingerprint(second, SPEC)) < 0.93
    assert not any(fingerprint(np.zeros(RATE, np.float32), SPEC))
    assert len(fingerprint(first[:300], SPEC)) == len(mine)


def test_waveform_match_ignores_shift_level_and_polarity():
    wave = sung(2, seed=5)
    shifted = np.concatenate([np.zeros(500, np.float32), -0.3 * wave])
    assert waveform_match(wave, shifted) > 0.999
    assert waveform_match(wave, sung(2, 230, seed=6)) < 0.5
    assert waveform_match(wave, np.zeros(10, np.float32)) == 0.0
