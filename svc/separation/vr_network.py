"""The two networks of UVR's VR architecture, built to the sizes of a state dict (vocal-remover by tsurumeso, MIT).

Both see a magnitude spectrogram (B, 2, bins + 1, T) and return a mask of the same shape, of which `offset` frames on
either side are not to be used. `CascadedAspp` is the older family, `CascadedLstm` is VR 5.1.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DILATIONS = {3: 4, 4: 8, 5: 16, 6: 16, 7: 16}
DILATIONS_51 = {3: (4, 2), 4: (8, 4), 5: (12, 6)}


class ConvNorm(nn.Module):
    """Convolution (with a pointwise one after it where it is `separable`), batch norm, activation."""

    def __init__(
        self,
        a: int,
        b: int,
        size: int,
        stride: int = 1,
        dilation: Any = 1,
        leaky: bool = False,
        separable: bool = False,
    ) -> None:
        super().__init__()
        pad = dilation if size == 3 else 0
        groups, first = (a, a) if separable else (1, b)
        layers: list[nn.Module] = [nn.Conv2d(a, first, size, stride, pad, dilation, groups, bias=False)]
        if separable:
            layers.append(nn.Conv2d(a, b, 1, bias=False))
        self.conv = nn.Sequential(*layers, nn.BatchNorm2d(b), nn.LeakyReLU(0.01) if leaky else nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """(B, a, F, T) to (B, b, F', T')."""
        return self.conv(x)


class Encoder(nn.Module):
    """Two convolutions, one of which halves both axes: the second (older family) or the first (5.1)."""

    def __init__(self, a: int, b: int, halve_first: bool) -> None:
        super().__init__()
        self.conv1 = ConvNorm(a, b, 3, 2 if halve_first else 1, leaky=True)
        self.conv2 = ConvNorm(b, b, 3, 1 if halve_first else 2, leaky=True)


class Decoder(nn.Module):
    """Doubles both axes, puts the encoder's values beside, one convolution, which is called `name`."""

    def __init__(self, a: int, b: int, name: str) -> None:
        super().__init__()
        self.add_module(name, ConvNorm(a, b, 3))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, C, F, T) and a skip of twice the size to (B, b, 2F, 2T)."""
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        start = (skip.shape[3] - x.shape[3]) // 2
        x = torch.cat([x, skip[..., start : start + x.shape[3]]], dim=1)
        (layer,) = self.children()
        return layer(x)


class Aspp(nn.Module):
    """Parallel dilated convolutions and the mean over all bins."""

    def __init__(self, width: int, out: int, branches: int, new: bool) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.AdaptiveAvgPool2d((1, None)), ConvNorm(width, width, 1))
        self.conv2 = ConvNorm(width, width, 1)
        for number in range(3, branches + 1):
            dilation = DILATIONS_51[number] if new else DILATIONS[number]
            self.add_module(f"conv{number}", ConvNorm(width, width, 3, dilation=dilation, separable=not new))
        bottleneck = ConvNorm(width * branches, out, 1)
        self.bottleneck = bottleneck if new else nn.Sequential(bottleneck)
        self.branches = branches

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, F, T) to (B, out, F, T)."""
        mean = F.interpolate(self.conv1(x), size=x.shape[2:], mode="bilinear", align_corners=True)
        others = [self.get_submodule(f"conv{number}")(x) for number in range(2, self.branches + 1)]
        return self.bottleneck(torch.cat([mean, *others], dim=1))


class AsppNet(nn.Module):
    """U-Net of the older family with four or five halvings."""

    def __init__(self, inputs: int, width: int, levels: int, branches: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        self.levels = levels
        for level, (a, b) in enumerate(zip([inputs, *widths], widths), 1):
            self.add_module(f"enc{level}", Encoder(a, b, halve_first=False))
        self.aspp = Aspp(widths[-1], 2 * widths[-1], branches, new=False)
        for level, b in enumerate(widths, 1):
            self.add_module(f"dec{level}", Decoder(3 * b, b, "conv"))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, F, T) to (B, width, F, T)."""
        skips = []
        for level in range(1, self.levels + 1):
            skips.append(self.get_submodule(f"enc{level}.conv1")(x))
            x = self.get_submodule(f"enc{level}.conv2")(skips[-1])
        x = self.aspp(x)
        for level in range(self.levels, 0, -1):
            x = self.get_submodule(f"dec{level}")(x, skips[level - 1])
        return x


class CascadedAspp(nn.Module):
    """Low and high half alone, then twice the whole with what was found before."""

    offset = 128

    def __init__(self, state: Mapping[str, Tensor], bins: int) -> None:
        super().__init__()
        self.bins = bins
        for name in ("stg1_low_band_net", "stg1_high_band_net", "stg2_full_band_net", "stg3_full_band_net"):
            width, inputs = state[f"{name}.enc1.conv1.conv.0.weight"].shape[:2]
            levels = 5 if f"{name}.enc5.conv1.conv.0.weight" in state else 4
            branches = max(n for n in DILATIONS if f"{name}.aspp.conv{n}.conv.0.weight" in state)
            self.add_module(name, AsppNet(inputs, width, levels, branches))
        for name in ("stg2_bridge", "stg3_bridge"):
            width, inputs = state[f"{name}.conv.0.weight"].shape[:2]
            self.add_module(name, ConvNorm(inputs, width, 1))
        for name in ("out", "aux1_out", "aux2_out"):
            self.add_module(name, nn.Conv2d(state[f"{name}.weight"].shape[1], 2, 1, bias=False))

    def forward(self, magnitude: Tensor) -> Tensor:
        """The mask, as in the module's docstring."""
        part = {name: module for name, module in self.named_children()}
        x = magnitude[:, :, : self.bins]
        half = self.bins // 2
        first = torch.cat([part["stg1_low_band_net"](x[:, :, :half]), part["stg1_high_band_net"](x[:, :, half:])], 2)
        second = part["stg2_full_band_net"](part["stg2_bridge"](torch.cat([x, first], 1)))
        third = part["stg3_full_band_net"](part["stg3_bridge"](torch.cat([x, first, second], 1)))
        return _whole(torch.sigmoid(part["out"](third)))


class LstmBranch(nn.Module):
    """One channel over time through a two-way LSTM."""

    def __init__(self, width: int, bins: int, out: int) -> None:
        super().__init__()
        self.conv = ConvNorm(width, 1, 1)
        self.lstm = nn.LSTM(bins, out // 2, bidirectional=True)
        self.dense = nn.Sequential(nn.Linear(out, bins), nn.BatchNorm1d(bins), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, bins, T) to (B, 1, bins, T)."""
        hidden, _ = self.lstm(self.conv(x)[:, 0].permute(2, 0, 1))
        frames, batch = hidden.shape[:2]
        return self.dense(hidden.flatten(0, 1)).view(frames, batch, 1, -1).permute(1, 2, 3, 0)


class LstmNet(nn.Module):
    """U-Net of VR 5.1."""

    def __init__(self, inputs: int, width: int, lstm_bins: int, lstm_out: int) -> None:
        super().__init__()
        self.enc1 = ConvNorm(inputs, width, 3)
        steps = [1, 2, 4, 6, 8]
        for level, (a, b) in enumerate(pairwise(steps), 2):
            self.add_module(f"enc{level}", Encoder(a * width, b * width, halve_first=True))
        self.aspp = Aspp(8 * width, 8 * width, 5, new=True)
        for level, (a, b) in enumerate(zip([2, 4, 6], [4, 6, 8]), 2):
            self.add_module(f"dec{level}", Decoder((a + b) * width, a * width, "conv1"))
        self.lstm_dec2 = LstmBranch(2 * width, lstm_bins, lstm_out)
        self.dec1 = Decoder(3 * width + 1, width, "conv1")

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, F, T) to (B, width, F, T)."""
        skips = [self.enc1(x)]
        for level in range(2, 6):
            halved = self.get_submodule(f"enc{level}.conv1")(skips[-1])
            skips.append(self.get_submodule(f"enc{level}.conv2")(halved))
        x = self.aspp(skips.pop())
        for level in (4, 3, 2):
            x = self.get_submodule(f"dec{level}")(x, skips.pop())
        return self.dec1(torch.cat([x, self.lstm_dec2(x)], dim=1), skips.pop())


class CascadedLstm(nn.Module):
    """Both halves alone, both again with what was found, then the whole."""

    offset = 64

    def __init__(self, state: Mapping[str, Tensor], bins: int) -> None:
        super().__init__()
        self.bins = bins
        width = state["out.weight"].shape[1]
        lstm = state["stg3_full_band_net.lstm_dec2.dense.0.weight"].shape[1]
        quarter = bins // 4
        self.stg1_low_band_net = nn.Sequential(
            LstmNet(2, width // 2, quarter, lstm), ConvNorm(width // 2, width // 4, 1)
        )
        self.stg1_high_band_net = LstmNet(2, width // 4, quarter, lstm // 2)
        inputs = width // 4 + 2
        self.stg2_low_band_net = nn.Sequential(LstmNet(inputs, width, quarter, lstm), ConvNorm(width, width // 2, 1))
        self.stg2_high_band_net = LstmNet(inputs, width // 2, quarter, lstm // 2)
        self.stg3_full_band_net = LstmNet(3 * width // 4 + 2, width, bins // 2, lstm)
        self.out = nn.Conv2d(width, 2, 1, bias=False)
        self.aux_out = nn.Conv2d(3 * width // 4, 2, 1, bias=False)

    def forward(self, magnitude: Tensor) -> Tensor:
        """The mask, as in the module's docstring."""
        x = magnitude[:, :, : self.bins]
        low, high = x[:, :, : self.bins // 2], x[:, :, self.bins // 2 :]
        low1, high1 = self.stg1_low_band_net(low), self.stg1_high_band_net(high)
        low2 = self.stg2_low_band_net(torch.cat([low, low1], 1))
        high2 = self.stg2_high_band_net(torch.cat([high, high1], 1))
        found = [torch.cat(pair, 2) for pair in ([low1, high1], [low2, high2])]
        return _whole(torch.sigmoid(self.out(self.stg3_full_band_net(torch.cat([x, *found], 1)))))


def _whole(mask: Tensor) -> Tensor:
    """The top bin, which the networks do not see, has the mask of the one below."""
    return torch.cat([mask, mask[:, :, -1:]], dim=2)
