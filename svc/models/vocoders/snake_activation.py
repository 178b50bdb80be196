"""The anti-aliased periodic activation of BigVGAN (Lee et al. 2022, arXiv:2206.04658, section 3.3).

x + sin^2(a x) / b bends a signal periodically; at twice the rate, so that the partials it adds above half the rate are
filtered off instead of folding back.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

TAPS = 12
_TINY = 1e-9


def half_band_filter() -> Tensor:
    """The low-pass filter (1, 1, TAPS) of both resamplings: a sinc at a quarter of the upper rate, Kaiser-windowed.

    Sums to one. The transition of 0.6 of the lower rate's half gives the attenuation, Kaiser's formula the beta.
    """
    cutoff, transition = 0.25, 0.3
    attenuation = 2.285 * (TAPS // 2 - 1) * math.pi * 4 * transition + 7.95
    beta = 0.1102 * (attenuation - 8.7) if attenuation > 50 else _kaiser_beta(attenuation)
    window = torch.kaiser_window(TAPS, beta=beta, periodic=False)
    time = torch.arange(-(TAPS // 2), TAPS // 2) + 0.5
    taps = 2 * cutoff * window * torch.sinc(2 * cutoff * time)
    return (taps / taps.sum()).view(1, 1, TAPS)


def _kaiser_beta(attenuation: float) -> float:
    """Kaiser's beta below 50 dB; no window is needed below 21 dB."""
    over = attenuation - 21.0
    return 0.5842 * over**0.4 + 0.07886 * over if over >= 0 else 0.0


class Bend(nn.Module):
    """The two numbers per channel of x + sin^2(exp(alpha) x) / exp(beta)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, N), same shape out."""
        speed = self.alpha.exp().unsqueeze(-1)
        size = 1.0 / (self.beta.exp() + _TINY)
        return torch.addcmul(x, size.unsqueeze(-1), torch.sin(x * speed).square())


class SnakeActivation(nn.Module):
    """Twice the rate, `Bend`, back to the rate: (B, C, N) to (B, C, N). The edges are held, as where it was trained."""

    taps: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.act = Bend(channels)
        self.register_buffer("taps", half_band_filter(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Any N of at least 1."""
        channels = x.shape[1]
        taps = self.taps.to(x.dtype).expand(channels, 1, TAPS)
        margin = TAPS // 2 - 1
        x = functional.pad(x, (margin, margin), mode="replicate")
        x = functional.conv_transpose1d(x, 2 * taps, stride=2, groups=channels)
        # What lies outside the held signal, and the filter's delay.
        cut = 2 * margin + (TAPS - 2) // 2
        x = self.act(x[..., cut:-cut])
        x = functional.pad(x, (margin, margin + 1), mode="replicate")
        return functional.conv1d(x, taps, stride=2, groups=channels)
