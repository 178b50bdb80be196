"""Band-limited pulse train: all harmonics of F0 below half the sample rate, in closed form, as unsteady as a voice."""

import math

import torch
from torch import Tensor, nn

JITTER_CYCLES = 0.007


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


def jitter(source_noise: Tensor, hop_length: int) -> Tensor:
    """How far each sample's pulse comes too early, in cycles, (B, N) of standard normal noise (B, N).

    A voice's cycles differ by about a hundredth, which no F0 curve tells: pulses without that sound like a buzzer, most
    of all in a low voice, whose high harmonics are then lines where a voice has noise. Each frame is displaced by
    itself, by `JITTER_CYCLES` in root mean square, and samples between two frame centres by the line between both. So
    the pitch stays the asked one, and what a sample gets depends on its place alone, not on where a window began.
    """
    drawn = source_noise.unflatten(1, (-1, hop_length)).mean(dim=2) * (JITTER_CYCLES * math.sqrt(hop_length))
    return nn.functional.interpolate(drawn.unsqueeze(1), scale_factor=hop_length, mode="linear").squeeze(1)


def pulse_train(
    f0_hz: Tensor, phase_start: Tensor, hop_length: int, sample_rate: int, source_noise: Tensor | None = None
) -> Tensor:
    """Sum of cos(2 pi k phase) over all harmonics k under the Nyquist frequency, (B, T * hop_length).

    The sum is the Dirichlet kernel (sin((2K + 1) pi p) / sin(pi p) - 1) / 2, so its cost does not
    depend on the number K of harmonics. Scaled by sqrt(f0), which makes the level of the spectral
    envelope independent of F0 (unit power). Frames with F0 = 0 are silent. With `source_noise`
    (B, T * hop_length), standard normal, they are unsteady, see `jitter`.
    """
    phase = sample_phase(f0_hz, phase_start, hop_length, sample_rate)
    if source_noise is not None:
        phase = phase + jitter(source_noise, hop_length)
    f0 = f0_hz.float().repeat_interleave(hop_length, dim=1)
    count = torch.floor(0.5 * sample_rate / f0.clamp(min=20.0)).clamp(min=1.0)
    centred = phase - torch.round(phase)
    below = torch.sin(math.pi * centred)
    near = below.abs() < 1e-4
    ratio = torch.sin((2 * count + 1) * math.pi * centred) / torch.where(near, torch.ones_like(below), below)
    kernel = 0.5 * (torch.where(near, 2 * count + 1, ratio) - 1.0)
    return kernel * torch.sqrt(2.0 / count) * (f0 > 0)
