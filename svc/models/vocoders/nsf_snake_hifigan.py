"""HiFi-GAN with a harmonic source and anti-aliased periodic activations: so-vits-svc's "nsf-snake-hifigan"."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from svc.config import ModelConfig
from svc.models.vits.voice_model import VoiceShape
from svc.models.vocoders.nsf_hifigan import NsfHifigan, ResidualBlock
from svc.models.vocoders.snake_activation import SnakeActivation


class SnakeBlock(ResidualBlock):
    """A residual block with a periodic activation of its own before every convolution."""

    def __init__(self, channels: int, kernel_size: int, dilations: Sequence[int]) -> None:
        super().__init__(channels, kernel_size, dilations)
        self.activations = nn.ModuleList(SnakeActivation(channels) for _ in range(2 * len(dilations)))

    def forward(self, x: Tensor, active: Tensor) -> Tensor:
        """x (B, C, N) to the same shape; `active` is not used, since these blocks share no activation."""
        for i, (first, second) in enumerate(zip(self.convs1, self.convs2)):
            y = first(self.activations[2 * i](x))
            x = second(self.activations[2 * i + 1](y)).add_(x)
        return x


class NsfSnakeHifigan(NsfHifigan):
    """`NsfHifigan` with SnakeActivations everywhere instead of leaky ReLUs."""

    block = SnakeBlock
    activation_reach = 7

    def __init__(self, config: ModelConfig, shape: VoiceShape) -> None:
        super().__init__(config, shape)
        widths = [config.decoder_channels >> i for i in range(len(config.upsample_rates) + 1)]
        self.snakes = nn.ModuleList(SnakeActivation(width) for width in widths[:-1])
        self.snake_post = SnakeActivation(widths[-1])

    def generate_whole(self, z: Tensor, source: Tensor | None, speaker: Tensor) -> Tensor:
        """See `NsfHifigan.generate_whole`."""
        x = self.conv_pre(z) + self.cond(speaker)
        for i, (snake, up, blocks) in enumerate(zip(self.snakes, self.ups, self.resblocks)):
            x = up(snake(x))
            if source is not None:
                x = x.add_(self.noise_convs[i](source))
            first, *others = blocks.children()
            total: Tensor = first(x, x)
            for block in others:
                total.add_(block(x, x))
            x = total.div_(1 + len(others))
        return torch.tanh(self.conv_post(self.snake_post(x)))
