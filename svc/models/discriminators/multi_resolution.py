"""Discriminators on complex spectrograms of several resolutions, each split into frequency bands.

Jang et al. 2021 (UnivNet, arXiv:2106.07889) for the resolutions; Kumar et al. 2023 (arXiv:2306.06546)
for complex input and bands, which keep faint high partials from being outweighed by the low ones.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from svc.models.vits.normalisation import weight_norm

_SLOPE = 0.1
# Band edges as shares of the spectrum.
_BANDS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)


class ResolutionDiscriminator(nn.Module):
    """One window size: its own convolutions for each band, one score over all bands."""

    window: Tensor

    def __init__(self, window_length: int, channels: int = 32, bands: Sequence[float] = _BANDS) -> None:
        super().__init__()
        self.window_length = window_length
        self.hop_length = window_length // 4
        bins = window_length // 2 + 1
        edges = [round(edge * bins) for edge in bands]
        self.edges = [(edges[i], edges[i + 1]) for i in range(len(edges) - 1)]
        self.register_buffer("window", torch.hann_window(window_length), persistent=False)
        self.bands = nn.ModuleList(_band_convs(channels) for _ in self.edges)
        self.conv_post = weight_norm(nn.Conv2d(channels, 1, (3, 3), padding=(1, 1)))

    def forward(self, audio: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Score (B, S) and feature maps (B, C, frames, bins of a band) of audio (B, 1, N)."""
        spectrum = self.spectrum(audio)
        features, ends = [], []
        for convs, (low, high) in zip(self.bands, self.edges):
            x = spectrum[..., low:high]
            for conv in convs.children():
                x = functional.leaky_relu(conv(x), _SLOPE)
                features.append(x)
            ends.append(x)
        score = self.conv_post(torch.cat(ends, dim=-1))
        features.append(score)
        return score.flatten(1), features

    def spectrum(self, audio: Tensor) -> Tensor:
        """Real and imaginary part as channels, (B, 2, frames, bins), float32 for every input."""
        with torch.autocast(audio.device.type, enabled=False):
            samples = audio.float().squeeze(1)
            pad = (self.window_length - self.hop_length) // 2
            samples = functional.pad(samples.unsqueeze(1), (pad, pad), mode="reflect").squeeze(1)
            spectrum = torch.stft(
                samples,
                self.window_length,
                self.hop_length,
                window=self.window,
                center=False,
                normalized=True,
                return_complex=True,
            )
            return torch.stack([spectrum.real, spectrum.imag], dim=1).transpose(2, 3)


class MultiResolutionDiscriminator(nn.Module):
    """One ResolutionDiscriminator for each of `windows` samples."""

    def __init__(self, windows: Sequence[int] = (2048, 1024, 512), channels: int = 32) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(ResolutionDiscriminator(window, channels) for window in windows)

    def forward(self, audio: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """For each window size its score (B, S) and feature maps, the raw score map last.

        audio (B, 1, N), N at least half the longest window.
        """
        return [discriminator(audio) for discriminator in self.discriminators]


def _band_convs(channels: int) -> nn.ModuleList:
    """Five convolutions (frames, bins), three of them halving the bins."""
    sizes = (
        (2, (3, 9), (1, 1), (1, 4)),
        (channels, (3, 9), (1, 2), (1, 4)),
        (channels, (3, 9), (1, 2), (1, 4)),
        (channels, (3, 9), (1, 2), (1, 4)),
        (channels, (3, 3), (1, 1), (1, 1)),
    )
    return nn.ModuleList(
        weight_norm(nn.Conv2d(a, channels, kernel, stride, padding=pad)) for a, kernel, stride, pad in sizes
    )
