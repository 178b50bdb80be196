import numpy as np
import torch

from svc.audio.signal import Audio
from svc.separation.basic import Basic, centre_share, harmonic_share, low_cut


def test_says_that_it_is_basic() -> None:
    assert "basic" in Basic.quality_note
    assert "no trained network" in Basic.quality_note


def test_centre_is_kept_and_sides_are_not() -> None:
    generator = np.random.default_rng(0)
    one, other = generator.standard_normal((2, 64, 50)) + 1j * generator.standard_normal((2, 64, 50))
    assert centre_share(np.stack([one, one])).min() > 0.999
    assert centre_share(np.stack([one, 0 * one])).max() < 1e-6
    assert centre_share(np.stack([one, -one])).max() < 1e-6
    assert centre_share(np.stack([one, other])).mean() < 0.2


def test_steady_is_harmonic_and_a_click_is_not() -> None:
    steady = np.zeros((2, 100, 60), np.complex64)
    steady[:, 40] = 1
    click = np.zeros((2, 100, 60), np.complex64)
    click[:, :, 30] = 1
    assert harmonic_share(steady)[40].min() > 0.99
    assert harmonic_share(click)[:, 30].max() < 0.01


def test_low_cut_leaves_voices() -> None:
    gain = low_cut(2049)
    hz = np.linspace(0, 22_050, 2049)
    assert gain[hz < 60].max() < 0.01
    assert gain[hz > 220].min() > 0.95


def test_central_voice_against_panned_noise() -> None:
    rate = 44_100
    time = np.arange(4 * rate) / rate
    tone = sum(np.sin(2 * np.pi * 300 * k * time) / k for k in range(1, 8))
    voice = np.stack([tone, tone]).astype(np.float32) * 0.1
    generator = np.random.default_rng(1)
    backing = 0.1 * generator.standard_normal((2, len(time))).astype(np.float32) * np.float32([[1.0], [0.1]])
    stems = Basic().separate(Audio(voice + backing, rate))
    before = np.sqrt((backing**2).mean())
    after = np.sqrt(((stems.vocals.samples - voice) ** 2).mean())
    assert after < 0.35 * before


def test_repeatable_under_any_torch_seed() -> None:
    audio = Audio(np.random.default_rng(5).standard_normal((2, 50_000)).astype(np.float32) * 0.1, 44_100)
    torch.manual_seed(1)
    first = Basic().separate(audio).vocals.samples
    torch.manual_seed(2)
    np.testing.assert_array_equal(first, Basic().separate(audio).vocals.samples)
