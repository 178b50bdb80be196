"""Band-limited pulse train: all harmonics of F0 below half the sample rate, in closed form."""

import math

import torch
from torch import Tensor


def sample_phase(f0_hz: Tensor, phase_start: Tensor, hop_length: int, sample_rate: int) -> Tensor:
    """Phase of the fundamental after each sample, in cycles, (B, T * hop_length) float32 in [0, 1).

    F0 (B, T) is held for the frame; `phase_start` (B,) is the phase just before the first sample.
    Whole frames are summed in float64, so that the phase does not drift over hours.
    """
    step = f0_hz.double() / sample_rate
    ends = torch.cumsum(step * hop_length, dim=1)
    starts = (phase_start.double().unsqueeze(1) + ends - step * hop_length) % 1.0
    ramp = torch.arange(1, hop_length + 1, device=f0_hz.device, dtype=torch.float64)
    phase = starts.unsqueeze(-1) + step.unsqueeze(-1) * ramp
    return (phase % 1.0).float().flatten(1)


def pulse_train(f0_hz: Tensor, phase_start: Tensor, hop_length: int, sample_rate: int) -> Tensor:
    """Sum of cos(2 pi k phase) over all harmonics k under the Nyquist frequency, (B, T * hop_length).

    The sum is the Dirichlet kernel (sin((2K + 1) pi p) / sin(pi p) - 1) / 2, so its cost does not
    depend on the number K of harmonics. Scaled by sqrt(f0), which makes the level of the spectral
    envelope independent of F0 (unit power). Frames with F0 = 0 are silent.
    """
    phase = sample_phase(f0_hz, phase_start, hop_length, sample_rate)
    f0 = f0_hz.float().repeat_interleave(hop_length, dim=1)
    count = torch.floor(0.5 * sample_rate / f0.clamp(min=20.0)).clamp(min=1.0)
    centred = phase - torch.round(phase)
    below = torch.sin(math.pi * centred)
    near = below.abs() < 1e-4
    ratio = torch.sin((2 * count + 1) * math.pi * centred) / torch.where(near, torch.ones_like(below), below)
    kernel = 0.5 * (torch.where(near, 2 * count + 1, ratio) - 1.0)
    return kernel * torch.sqrt(2.0 / count) * (f0 > 0)
