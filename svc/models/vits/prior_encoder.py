"""What is sung becomes the prior of the latent: content, voicing, loudness and F0 in, Gaussian out."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from svc.models.vits.content_reader import ContentReader
from svc.models.vits.layer_mix import LayerMix
from svc.models.vits.pitch_embedding import BinnedPitch, FourierPitch
from svc.models.vits.transformer import Transformer

Loudness = Literal["db", "rms"]


class ContentInput(nn.Module):
    """Content, voicing and loudness summed into one (B, C, T); the F0 predictor reads this too.

    Own voices: a convolution of 5 frames, voicing, loudness in dB. so-vits-svc 4.x: the same with
    `loudness` "rms" or None. RVC: `kernel_size` 1, no voicing, no loudness. With several `layers` the content holds
    them side by side, and their mix is learnt. With `reader_channels` a ContentReader of that width reads beside the
    convolution.
    """

    def __init__(
        self,
        content_dim: int,
        channels: int,
        kernel_size: int = 5,
        voicing: bool = True,
        loudness: Loudness | None = "db",
        layers: int = 1,
        reader_channels: int = 0,
    ) -> None:
        super().__init__()
        self.loudness_form = loudness
        self.mix = LayerMix(layers) if layers > 1 else None
        self.content = nn.Conv1d(content_dim // layers, channels, kernel_size, padding=kernel_size // 2)
        self.reader = ContentReader(content_dim // layers, channels, reader_channels) if reader_channels else None
        self.voicing = nn.Embedding(2, channels) if voicing else None
        self.loudness = nn.Linear(1, channels) if loudness else None

    def forward(self, content: Tensor, voiced: Tensor, loudness_db: Tensor, mask: Tensor) -> Tensor:
        """content (B, D, T), voiced (B, T) 0/1, loudness_db (B, T), mask (B, 1, T) to (B, C, T)."""
        if self.mix is not None:
            content = self.mix(content)
        x = self.content(content * mask) * mask
        if self.reader is not None:
            x = x + self.reader(content, mask)
        if self.voicing is not None:
            x = x + self.voicing((voiced > 0.5).long()).transpose(1, 2)
        if self.loudness is not None:
            level = loudness_db.float()
            level = (level + 60) / 30 if self.loudness_form == "db" else torch.pow(10.0, level / 20)
            x = x + self.loudness(level.unsqueeze(-1)).transpose(1, 2)
        return x


class PriorEncoder(nn.Module):
    """Adds the pitch, attends, and projects to mean and log standard deviation of the latent.

    `pitch` is a FourierPitch or BinnedPitch or None (models without F0). With `scaled_input` the sum is
    multiplied by sqrt(channels) and sent through a leaky ReLU of slope 0.1 first, as RVC does.
    """

    def __init__(
        self,
        transformer: Transformer,
        pitch: FourierPitch | BinnedPitch | None,
        channels: int,
        out_channels: int,
        scaled_input: bool = False,
    ) -> None:
        super().__init__()
        self.scale = math.sqrt(channels) if scaled_input else None
        self.pitch = pitch
        self.transformer = transformer
        self.proj = nn.Conv1d(channels, 2 * out_channels, 1)

    def forward(self, x: Tensor, f0_hz: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, T) from ContentInput, f0_hz (B, T); returns (mean, log std), each (B, out, T) float32."""
        return self.project(self.encode(x, f0_hz, mask), mask)

    def project(self, hidden: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, log std), each (B, out, T) float32, of the attended frames (B, C, T)."""
        mean, log_std = (self.proj(hidden) * mask).float().chunk(2, dim=1)
        return mean, log_std

    def encode(self, x: Tensor, f0_hz: Tensor, mask: Tensor) -> Tensor:
        """The attended frames (B, C, T) before the projection."""
        return self.transformer(self.embed(x, f0_hz), mask)

    def embed(self, x: Tensor, f0_hz: Tensor) -> Tensor:
        """The transformer's input (B, C, T)."""
        if self.pitch is not None:
            x = x + self.pitch(f0_hz)
        if self.scale is not None:
            x = functional.leaky_relu(x * self.scale, 0.1)
        return x
