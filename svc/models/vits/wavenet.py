"""Non-causal WaveNet stack with speaker conditioning, of the posterior encoder and the flow."""

import torch
from torch import Tensor, nn

from svc.models.vits.normalisation import weight_norm


class SeparableConv(nn.Module):
    """A depthwise then a pointwise convolution, each with bias and weight norm (so-vits-svc "tiny")."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, dilation: int, padding: int) -> None:
        super().__init__()
        self.depth_conv = weight_norm(
            nn.Conv1d(in_channels, in_channels, kernel_size, dilation=dilation, padding=padding, groups=in_channels)
        )
        self.point_conv = weight_norm(nn.Conv1d(in_channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, T) to (B, out, T)."""
        return self.point_conv(self.depth_conv(x))


class WaveNet(nn.Module):
    """Gated residual layers over (B, C, T) whose skip outputs are summed.

    `kernel_size` must be odd; layer i is dilated by `dilation_rate ** i`; `speaker_channels` 0 means no
    conditioning; `depthwise` makes the gated convolutions separable.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        layers: int,
        speaker_channels: int = 0,
        dilation_rate: int = 1,
        depthwise: bool = False,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.in_layers = nn.ModuleList()
        self.res_skip_layers = nn.ModuleList()
        for i in range(layers):
            dilation = dilation_rate**i
            padding = (kernel_size - 1) * dilation // 2
            if depthwise:
                self.in_layers.append(SeparableConv(channels, 2 * channels, kernel_size, dilation, padding))
            else:
                conv = nn.Conv1d(channels, 2 * channels, kernel_size, dilation=dilation, padding=padding)
                self.in_layers.append(weight_norm(conv))
            # Nothing follows the last layer, so it has no residual half.
            out = 2 * channels if i < layers - 1 else channels
            self.res_skip_layers.append(weight_norm(nn.Conv1d(channels, out, 1)))
        self.cond_layer = None
        if speaker_channels:
            self.cond_layer = weight_norm(nn.Conv1d(speaker_channels, 2 * channels * layers, 1))

    def forward(self, x: Tensor, mask: Tensor, speaker: Tensor | None = None) -> Tensor:
        """x (B, C, T), mask (B, 1, T), speaker (B, G, 1 or T) to (B, C, T), zero on padding."""
        condition = self.cond_layer(speaker).chunk(len(self.in_layers), dim=1) if self.cond_layer is not None else None
        total: Tensor | None = None
        for i, (gated, res_skip) in enumerate(zip(self.in_layers, self.res_skip_layers)):
            y = gated(x)
            if condition is not None:
                y = y + condition[i]
            tanh_half, sigmoid_half = y.chunk(2, dim=1)
            y = res_skip(torch.tanh(tanh_half) * torch.sigmoid(sigmoid_half))
            if i < len(self.in_layers) - 1:
                residual, y = y.chunk(2, dim=1)
                x = (x + residual) * mask
            total = y if total is None else total + y
        assert total is not None
        return total * mask
