"""The `fast` preset's discriminators: narrow spectrogram and period networks.

The same two ideas as at full size, a view of the waveform folded by periods (HiFi-GAN) and views of
spectrograms at several resolutions (UnivNet), at about a tenth of the operations of MPD + MSD:
at full size they, not the generator, would be most of a training step.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

SLOPE = 0.1
PERIODS = (2, 3, 5, 7, 11)
RESOLUTIONS = (512, 1024, 2048)
PERIOD_WIDTHS = (12, 48, 96, 192, 192)
SPECTRUM_WIDTH = 16


class NarrowPeriodDiscriminator(nn.Module):
    """The waveform folded to (N / period, period), strided convolutions along time."""

    def __init__(self, period: int, widths: tuple[int, ...] = PERIOD_WIDTHS) -> None:
        super().__init__()
        self.period = period
        strides = (3,) * (len(widths) - 1) + (1,)
        channels = (1, *widths)
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 1), (s, 1), padding=(2, 0)))
            for (a, b), s in zip(pairwise(channels), strides)
        )
        self.score = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, audio: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Audio (B, 1, N) to (score (B, S), feature maps)."""
        short = -audio.shape[-1] % self.period
        x = nn.functional.pad(audio, (0, short), mode="reflect")
        x = x.view(x.shape[0], 1, -1, self.period)
        features = []
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x), SLOPE)
            features.append(x)
        return self.score(x).flatten(1), features


class NarrowSpectrumDiscriminator(nn.Module):
    """Log-compressed magnitude spectrogram (B, 1, bins, frames), convolutions strided along frequency."""

    window: Tensor

    def __init__(self, window: int, width: int = SPECTRUM_WIDTH) -> None:
        super().__init__()
        self.window_length, self.hop = window, window // 4
        channels = (1, width, width, 2 * width, 2 * width)
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (9, 3), (4 if k == 0 else 2, 1), padding=(4, 1)))
            for k, (a, b) in enumerate(pairwise(channels))
        )
        self.score = weight_norm(nn.Conv2d(2 * width, 1, (3, 3), padding=(1, 1)))
        self.register_buffer("window", torch.hann_window(window), persistent=False)

    def forward(self, audio: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Audio (B, 1, N) to (score (B, S), feature maps)."""
        with torch.autocast(device_type=audio.device.type, enabled=False):
            spectrum = torch.stft(
                audio.squeeze(1).float(), self.window_length, self.hop, window=self.window, return_complex=True
            )
            # Power in log: consonants and high partials count as much as loud vowels.
            x = torch.log(spectrum.abs().square() + 1e-4).unsqueeze(1) * 0.25
        features = []
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x), SLOPE)
            features.append(x)
        return self.score(x).flatten(1), features


class LightDiscriminator(nn.Module):
    """Five period and three spectrogram discriminators, together under 3 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        members = [NarrowPeriodDiscriminator(period) for period in PERIODS]
        self.members = nn.ModuleList([*members, *(NarrowSpectrumDiscriminator(size) for size in RESOLUTIONS)])

    def forward(self, audio: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """Audio (B, 1, N) to one (score, feature maps) per member."""
        return [member(audio) for member in self.members]
