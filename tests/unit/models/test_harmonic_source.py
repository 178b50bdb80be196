import math

import numpy as np
import pytest
import torch

from svc.models.vocoders.harmonic_source import (
    AMPLITUDE,
    UNVOICED_NOISE,
    VOICED_NOISE,
    HarmonicSource,
    frame_phases,
)

RATE, HOP = 44_100, 512


def reference_phase(f0_hz: np.ndarray, start: float = 0.0) -> np.ndarray:
    """Cycles of every sample, summed sample by sample in float64, the current sample included."""
    return start + np.cumsum(np.repeat(f0_hz.astype(np.float64), HOP) / RATE)


@pytest.mark.parametrize("overtones", [0, 8])
@pytest.mark.parametrize("start", [0.0, 0.37])
def test_sines_follow_the_exact_phase(overtones: int, start: float) -> None:
    f0_hz = np.float32(200 + 150 * np.sin(np.arange(300) / 7))
    source = HarmonicSource(RATE, HOP, overtones)
    sines, end = source.sines(torch.from_numpy(f0_hz)[None], torch.tensor([start]))
    phase = reference_phase(f0_hz, start)
    expected = AMPLITUDE * np.sin(2 * np.pi * phase[:, None] * np.arange(1, overtones + 2))
    assert sines.shape == (1, 300 * HOP, overtones + 1)
    assert np.abs(sines[0].numpy() - expected).max() < 2e-5
    assert end.item() == pytest.approx(phase[-1] % 1, abs=1e-6)


def test_phase_is_exact_after_an_hour() -> None:
    generator = np.random.default_rng(0)
    f0_hz = generator.uniform(80, 1900, size=3600 * RATE // HOP).astype(np.float32)
    starts, end = frame_phases(torch.from_numpy(f0_hz)[None], HOP, RATE, torch.tensor([0.25]))
    # Exact rational sum: float32 values are whole multiples of 2**-17 in this range.
    whole = (f0_hz.astype(np.float64) * 2**17).astype(np.int64).astype(object)
    total = (int(whole.sum()) * HOP) % (RATE * 2**17)
    expected = (0.25 + total / (RATE * 2**17)) % 1
    assert abs(end.item() - expected) < 1e-6
    assert starts.min() >= 0
    assert starts.max() < 1


def test_two_halves_join_without_a_break() -> None:
    f0_hz = 220 + 60 * torch.rand(2, 40)
    f0_hz[0, 15:22] = 0
    source = HarmonicSource(RATE, HOP, 8)
    start = torch.tensor([0.1, 0.9])
    whole, end = source(f0_hz, start)
    first, middle = source(f0_hz[:, :17], start)
    second, last = source(f0_hz[:, 17:], middle)
    torch.testing.assert_close(torch.cat([first, second], -1), whole, atol=2e-5, rtol=0)
    torch.testing.assert_close(last, end, atol=1e-6, rtol=0)


def test_start_phase_shifts_each_sine_by_its_order() -> None:
    f0_hz = torch.full((1, 4), 300.0)
    source = HarmonicSource(RATE, HOP, 2)
    shifted, _ = source.sines(f0_hz, torch.tensor([0.2]))
    by_order, _ = source.sines(f0_hz, torch.zeros(1), torch.tensor([[0.2, 0.4, 0.6]]))
    torch.testing.assert_close(shifted, by_order, atol=1e-5, rtol=0)
    assert (shifted - source.sines(f0_hz, torch.zeros(1))[0]).abs().max() > 0.05


def test_no_pitch_is_silent_and_keeps_the_phase() -> None:
    f0_hz = torch.zeros(1, 5)
    source = HarmonicSource(RATE, HOP, 8)
    sines, end = source.sines(f0_hz, torch.tensor([0.3]))
    assert sines.abs().max() == 0
    assert end.item() == pytest.approx(0.3)


def test_noise_levels() -> None:
    torch.manual_seed(0)
    source = HarmonicSource(RATE, HOP, 8)
    f0_hz = torch.tensor([[200.0] * 40 + [0.0] * 40])
    noise = torch.randn(1, 80 * HOP)
    clean, _ = source(f0_hz, torch.zeros(1))
    noisy, _ = source(f0_hz, torch.zeros(1), noise)
    difference = (torch.atanh(noisy) - torch.atanh(clean))[0, 0] / source.linear.weight.norm()
    assert difference[: 40 * HOP].std().item() == pytest.approx(VOICED_NOISE, rel=0.03)
    assert difference[40 * HOP :].std().item() == pytest.approx(UNVOICED_NOISE, rel=0.03)


def test_gradient_reaches_the_mixing() -> None:
    source = HarmonicSource(RATE, HOP, 8)
    out, _ = source(torch.full((2, 3), 100.0), torch.zeros(2), torch.randn(2, 3 * HOP))
    out.square().sum().backward()
    assert source.linear.weight.grad.abs().min() > 0
    assert math.isfinite(source.linear.bias.grad.item())
