"""The network of RMVPE: a U-Net over a mel spectrogram, read by a recurrent layer, giving pitch salience.

Wei et al., "RMVPE: A Robust Model for Vocal Pitch Estimation in Polyphonic Music", Interspeech 2023
(arXiv 2306.15412). Names of modules are those of the published files.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

CNN_CHANNELS = 3


@dataclass(frozen=True)
class RmvpeShape:
    """Sizes of one file; the published ones have 16 channels, 5 levels, 4 + 4 blocks and 256 recurrent units."""

    channels: int
    levels: int
    middle_layers: int
    blocks: int
    recurrent: int
    recurrent_layers: int
    mels: int
    bins: int


def shape_of(state: Mapping[str, Tensor]) -> RmvpeShape:
    """Sizes read from the tensors of a file; KeyError names the first tensor that is missing."""

    def count(pattern: str) -> int:
        found = {int(match[1]) for name in state if (match := re.match(pattern, name))}
        if not found:
            raise KeyError(pattern.replace("\\", "").replace("(d+)", "0"))
        return len(found)

    return RmvpeShape(
        channels=state["unet.encoder.layers.0.conv.0.conv.0.weight"].shape[0],
        levels=count(r"unet\.encoder\.layers\.(\d+)\."),
        middle_layers=count(r"unet\.intermediate\.layers\.(\d+)\."),
        blocks=count(r"unet\.encoder\.layers\.0\.conv\.(\d+)\."),
        recurrent=state["fc.0.gru.weight_hh_l0"].shape[1],
        recurrent_layers=count(r"fc\.0\.gru\.weight_ih_l(\d+)$"),
        mels=state["fc.0.gru.weight_ih_l0"].shape[1] // CNN_CHANNELS,
        bins=state["fc.1.weight"].shape[0],
    )


class ConvBlock(nn.Module):
    """Two 3x3 convolutions around a residual sum, (B, C, T, M) to (B, C', T, M)."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(width_in, width_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(width_out),
            nn.ReLU(),
            nn.Conv2d(width_out, width_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(width_out),
            nn.ReLU(),
        )
        self.shortcut = nn.Conv2d(width_in, width_out, 1) if width_in != width_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, M) to (B, C', T, M)."""
        return self.conv(x) + self.shortcut(x)


class _Blocks(nn.Module):
    def __init__(self, width_in: int, width_out: int, blocks: int) -> None:
        super().__init__()
        self.conv = nn.ModuleList(ConvBlock(width_out if i else width_in, width_out) for i in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.conv:
            x = block(x)
        return x


class _Encoder(nn.Module):
    def __init__(self, shape: RmvpeShape) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(1)
        widths = [1, *(shape.channels << level for level in range(shape.levels))]
        self.layers = nn.ModuleList(_Blocks(a, b, shape.blocks) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, kept = self.bn(x), []
        for layer in self.layers:
            kept.append(layer(x))
            x = functional.avg_pool2d(kept[-1], 2)
        return x, kept


class _Middle(nn.Module):
    def __init__(self, width: int, shape: RmvpeShape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _Blocks(2 * width if i else width, 2 * width, shape.blocks) for i in range(shape.middle_layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class _Up(nn.Module):
    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.ConvTranspose2d(2 * width, width, 3, stride=2, padding=1, output_padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.conv2 = nn.ModuleList(ConvBlock(width if i else 2 * width, width) for i in range(blocks))

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        x = torch.cat([self.conv1(x), kept], dim=1)
        for block in self.conv2:
            x = block(x)
        return x


class _Decoder(nn.Module):
    def __init__(self, shape: RmvpeShape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _Up(shape.channels << level, shape.blocks) for level in reversed(range(shape.levels))
        )

    def forward(self, x: Tensor, kept: list[Tensor]) -> Tensor:
        for layer, skip in zip(self.layers, reversed(kept)):
            x = layer(x, skip)
        return x


class _UNet(nn.Module):
    def __init__(self, shape: RmvpeShape) -> None:
        super().__init__()
        self.encoder = _Encoder(shape)
        self.intermediate = _Middle(shape.channels << (shape.levels - 1), shape)
        self.decoder = _Decoder(shape)

    def forward(self, x: Tensor) -> Tensor:
        x, kept = self.encoder(x)
        return self.decoder(self.intermediate(x), kept)


class _Recurrent(nn.Module):
    def __init__(self, width: int, shape: RmvpeShape) -> None:
        super().__init__()
        self.gru = nn.GRU(width, shape.recurrent, shape.recurrent_layers, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.gru(x)[0]


class RmvpeNetwork(nn.Module):
    """Salience of 360 pitch bins, 20 cents apart, from a log mel spectrogram."""

    def __init__(self, shape: RmvpeShape) -> None:
        super().__init__()
        self.shape = shape
        self.unet = _UNet(shape)
        self.cnn = nn.Conv2d(shape.channels, CNN_CHANNELS, 3, padding=1)
        self.fc = nn.Sequential(
            _Recurrent(CNN_CHANNELS * shape.mels, shape), nn.Linear(2 * shape.recurrent, shape.bins)
        )

    def forward(self, log_mel: Tensor) -> Tensor:
        """Salience (B, T, bins) in 0..1 of natural log mels (B, mels, T).

        Frames are padded with zeros (in the log domain, as the programs that use the files do) to a multiple of
        2^levels; what they become is cut off.
        """
        frames = log_mel.shape[-1]
        step = 1 << self.shape.levels
        x = functional.pad(log_mel, (0, -frames % step)).transpose(1, 2).unsqueeze(1)
        x = self.cnn(self.unet(x)).transpose(1, 2).flatten(2)
        return torch.sigmoid(self.fc(x))[:, :frames]
