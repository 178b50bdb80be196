"""The harmonic source of neural source-filter decoders: sines at multiples of F0, with explicit phase.

Wang et al. 2019 (arXiv:1904.12088). F0 is held over a frame; the phase is exact for any length,
because whole frames are summed in float64 and reduced to one cycle before samples are counted.
"""

import math

import torch
from torch import Tensor, nn

AMPLITUDE = 0.1
VOICED_NOISE = 0.003
UNVOICED_NOISE = AMPLITUDE / 3


def frame_phases(f0_hz: Tensor, hop_length: int, sample_rate: int, phase_start: Tensor) -> tuple[Tensor, Tensor]:
    """Phase of the fundamental just before each frame's first sample, and after the last frame.

    f0_hz (B, T); phase_start (B,) in cycles; returns ((B, T), (B,)) in [0, 1), float32. The second is the
    phase_start of the audio that follows without a break.
    """
    # MPS has no float64; these are a few numbers per frame.
    device = torch.device("cpu") if f0_hz.device.type == "mps" else f0_hz.device
    step = f0_hz.to(device, torch.float64) * (hop_length / sample_rate)
    ends = torch.cumsum(step, dim=1) + phase_start.to(device, torch.float64).unsqueeze(1)
    starts = torch.cat([phase_start.to(device, torch.float64).unsqueeze(1), ends], dim=1)
    # Rounding to float32 may reach 1.0, which is phase 0.
    starts = (starts % 1.0).float().to(f0_hz.device)
    starts = torch.where(starts >= 1.0, torch.zeros_like(starts), starts)
    return starts[:, :-1], starts[:, -1]


class HarmonicSource(nn.Module):
    """A fundamental and `overtones` above it, mixed into one channel by a linear layer and tanh."""

    def __init__(self, sample_rate: int, hop_length: int, overtones: int) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.hop_length = hop_length
        self.sines_count = overtones + 1
        self.linear = nn.Linear(self.sines_count, 1)

    def forward(
        self,
        f0_hz: Tensor,
        phase_start: Tensor,
        noise: Tensor | None = None,
        overtone_phase: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Source (B, 1, T * hop_length) and the phase (B,) after it.

        f0_hz (B, T), 0 where there is no pitch: silence and, with `noise` (B, T * hop_length) standard
        normal, stronger noise there. phase_start (B,) and overtone_phase (B, overtones + 1), which is
        added to each sine, in cycles.
        """
        sines, phase_end = self.sines(f0_hz, phase_start, overtone_phase)
        mixed = self.linear(sines.to(self.linear.weight.dtype)).squeeze(-1)
        if noise is not None:
            level = torch.where(f0_hz > 0, VOICED_NOISE, UNVOICED_NOISE).repeat_interleave(self.hop_length, dim=1)
            # One noise of the norm of the mixing weights equals independent noise on every sine.
            mixed = mixed + noise * level * self.linear.weight.norm()
        return torch.tanh(mixed).unsqueeze(1), phase_end

    def sines(self, f0_hz: Tensor, phase_start: Tensor, overtone_phase: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The sines (B, T * hop_length, overtones + 1) before mixing, and the phase (B,) after them."""
        f0_hz = f0_hz.float()
        starts, end = frame_phases(f0_hz, self.hop_length, self.sample_rate, phase_start)
        # The first sample already lies one step after the start.
        count = torch.arange(1, self.hop_length + 1, device=f0_hz.device, dtype=torch.float32)
        ramp = (f0_hz / self.sample_rate).unsqueeze(-1) * count
        cycles = ((starts.unsqueeze(-1) + ramp) % 1.0).flatten(1).unsqueeze(-1)
        orders = torch.arange(1, self.sines_count + 1, device=f0_hz.device, dtype=torch.float32)
        cycles = cycles * orders
        if overtone_phase is not None:
            cycles = cycles + overtone_phase.unsqueeze(1)
        voiced = (f0_hz > 0).float().repeat_interleave(self.hop_length, dim=1).unsqueeze(-1)
        return AMPLITUDE * torch.sin(2 * math.pi * cycles) * voiced, end
