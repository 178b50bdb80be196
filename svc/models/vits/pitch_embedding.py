"""How the prior encoder is told the F0."""

import math

import torch
from torch import Tensor, nn

_BINS = 256
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 1100.0


class FourierPitch(nn.Module):
    """F0 (B, T) in Hz to (B, C, T): sines and cosines of log2 F0, then a linear layer.

    Periods are 8, 4, 2, 1, 1/2 ... 1/16 octaves, so every note from 20 Hz to 5 kHz has its own code
    without bins, and neighbouring pitches have neighbouring codes.
    """

    rates: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rates = 2.0 ** torch.arange(-3, 5)
        self.register_buffer("rates", rates, persistent=False)
        self.proj = nn.Linear(2 * len(rates), channels)

    def forward(self, f0_hz: Tensor) -> Tensor:
        """F0 below 20 Hz, 0 included, reads as 20 Hz."""
        octaves = torch.log2(f0_hz.float().clamp(min=20.0) / 20.0)
        angles = 2 * math.pi * octaves.unsqueeze(-1) * self.rates
        return self.proj(torch.cat([angles.sin(), angles.cos()], dim=-1)).transpose(1, 2)


class BinnedPitch(nn.Module):
    """F0 (B, T) in Hz to (B, C, T) through a table of 256 mel-spaced bins from 50 to 1100 Hz.

    The form of so-vits-svc and RVC voices. `overflow` is the bin of notes above the range: 255 there,
    except 0 in so-vits-svc 4.1.
    """

    def __init__(self, channels: int, overflow: int = _BINS - 1) -> None:
        super().__init__()
        self.overflow = overflow
        self.table = nn.Embedding(_BINS, channels)

    def forward(self, f0_hz: Tensor) -> Tensor:
        """Embedding rows of the F0's bins; 0 Hz is bin 1."""
        return self.table(coarse_f0(f0_hz, self.overflow)).transpose(1, 2)


def coarse_f0(f0_hz: Tensor, overflow: int = _BINS - 1) -> Tensor:
    """Bin 1..255 of each F0: 50 Hz is 1 and 1100 Hz is 255 on the mel scale 1127 ln(1 + f / 700)."""
    low = 1127 * math.log1p(_LOWEST_HZ / 700)
    high = 1127 * math.log1p(_HIGHEST_HZ / 700)
    mel = 1127 * torch.log1p(f0_hz.float() / 700)
    bins = torch.round((mel - low) * ((_BINS - 2) / (high - low)) + 1).long()
    above = bins >= _BINS
    return bins.clamp(1, _BINS - 1).masked_fill(above, overflow)
