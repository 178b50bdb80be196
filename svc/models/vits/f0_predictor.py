"""Guesses a natural F0 curve from what is sung; used when the input is speech."""

import math

import torch
from torch import Tensor, nn

from svc.models.vits.transformer import Transformer


class F0Predictor(nn.Module):
    """Causal attention layers from the prior's input, a normalised F0 and the speaker to log F0."""

    def __init__(
        self,
        channels: int,
        filter_channels: int,
        layers: int,
        heads: int,
        speaker_channels: int,
        kernel_size: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.prenet = nn.Conv1d(channels, channels, 3, padding=1)
        self.f0_prenet = nn.Conv1d(1, channels, 3, padding=1)
        self.cond = nn.Conv1d(speaker_channels, channels, 1)
        self.decoder = Transformer(
            channels, filter_channels, layers, heads, kernel_size, dropout, window=None, causal=True
        )
        self.proj = nn.Conv1d(channels, 1, 1)

    def forward(self, x: Tensor, normal_lf0: Tensor, mask: Tensor, speaker: Tensor) -> Tensor:
        """Log F0 (B, T) on the scale of `log_f0`, float32, 0 on padding.

        x (B, C, T) from ContentInput and speaker (B, G, 1 or T) get no gradient from here; normal_lf0
        (B, T) is from `normalise_log_f0`.
        """
        x = x.detach() + self.cond(speaker.detach()) + self.f0_prenet(normal_lf0.unsqueeze(1) * mask)
        x = self.decoder(self.prenet(x * mask) * mask, mask)
        return (self.proj(x) * mask).squeeze(1).float()


def log_f0(f0_hz: Tensor) -> Tensor:
    """F0 in Hz to a mel-like log scale: 2595 log10(1 + f / 700) / 500."""
    return 2595.0 / 500.0 / math.log(10.0) * torch.log1p(f0_hz.float() / 700.0)


def f0_from_log(lf0: Tensor) -> Tensor:
    """The inverse of `log_f0`, in Hz."""
    return 700.0 * torch.expm1(lf0.float() * (math.log(10.0) * 500.0 / 2595.0))


def normalise_log_f0(lf0: Tensor, voiced: Tensor, mask: Tensor, scale: Tensor | None = None) -> Tensor:
    """lf0 (B, T) minus its mean over voiced frames, times `scale` (B, 1) where given; 0 on padding.

    A stretch without a voiced frame is centred on 0 as it is. voiced (B, T) 0/1, mask (B, 1, T).
    """
    weight = voiced.float() * mask[:, 0]
    mean = (lf0 * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1.0)
    normal = (lf0 - mean) * mask[:, 0]
    return normal if scale is None else normal * scale
