"""The U-Net of Spleeter (Hennequin et al., JOSS 2020; after Jansson et al., ISMIR 2017), one per stem."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_WIDTHS = (2, 16, 32, 64, 128, 256, 512)
_UP_IN = (512, 512, 256, 128, 64, 32)
_UP_OUT = (256, 128, 64, 32, 16, 1)
_NORM_EPS = 1e-3


class SpleeterUNet(nn.Module):
    """Estimates the magnitude spectrogram of one stem from that of a stereo mix.

    Widths are those of the released 2-stem model. Padding follows TensorFlow's `same` rule (one before, two after).
    """

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(a, b, 5, stride=2) for a, b in pairwise(_WIDTHS))
        self.down_norm = nn.ModuleList(nn.BatchNorm2d(width, eps=_NORM_EPS) for width in _WIDTHS[1:-1])
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 5, stride=2) for a, b in zip(_UP_IN, _UP_OUT))
        self.up_norm = nn.ModuleList(nn.BatchNorm2d(width, eps=_NORM_EPS) for width in _UP_OUT)
        self.out = nn.Conv2d(1, 2, 4, dilation=2, padding=3)

    def forward(self, magnitude: Tensor, layers: list[Tensor] | None = None) -> Tensor:
        """(B, 2, T, F) magnitudes, T and F multiples of 64, to the stem's magnitudes of the same shape.

        The layers on the way up, (B, C, T / 2^k, F / 2^k) from the lowest to the highest, are added to `layers`.
        """
        hidden = magnitude.contiguous(memory_format=torch.channels_last)  # a sixth faster on CPU
        skips: list[Tensor] = []
        for level, convolution in enumerate(self.down):
            hidden = convolution(F.pad(hidden, (1, 2, 1, 2)))
            skips.append(hidden)
            if level < len(self.down_norm):
                hidden = F.leaky_relu(self.down_norm[level](hidden), 0.2)
        skips.pop()  # the deepest level feeds on as it is, without norm, activation or skip
        for level, (convolution, norm) in enumerate(zip(self.up, self.up_norm)):
            if level:
                hidden = torch.cat([skips.pop(), hidden], dim=1)
            hidden = norm(F.relu(convolution(hidden)[:, :, 1:-2, 1:-2]))
            if layers is not None:
                layers.append(hidden)
        return torch.sigmoid(self.out(hidden)) * magnitude
