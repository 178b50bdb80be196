"""HiFi-GAN with a harmonic source added at every resolution (the decoder of so-vits-svc and RVC).

Kong et al. 2020 (arXiv:2010.05646) with the source of `harmonic_source`.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from svc.config import ModelConfig
from svc.errors import ConfigError
from svc.models.vits.normalisation import weight_norm
from svc.models.vits.voice_model import VoiceShape
from svc.models.vocoders.channels_last import add_from_one_channel, convolve, lay_out, widen
from svc.models.vocoders.decoder import Decoder
from svc.models.vocoders.harmonic_source import HarmonicSource

CHUNK_SAMPLES = 176_000
_SLOPE = 0.1
# Published models use torch's default slope before the last convolution.
_LAST_SLOPE = 0.01


class ResidualBlock(nn.Module):
    """Pairs of convolutions over (B, C, N), the first of each dilated, around residual sums."""

    def __init__(self, channels: int, kernel_size: int, dilations: Sequence[int]) -> None:
        super().__init__()

        def conv(dilation: int) -> nn.Module:
            padding = (kernel_size - 1) * dilation // 2
            return weight_norm(nn.Conv1d(channels, channels, kernel_size, dilation=dilation, padding=padding))

        self.convs1 = nn.ModuleList(conv(dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(conv(1) for _ in dilations)

    def forward(self, x: Tensor, active: Tensor) -> Tensor:
        """x (B, C, N) or its `channels_last` form to the same; `active` is its leaky ReLU, which blocks share."""
        for i, (first, second) in enumerate(zip(self.convs1, self.convs2)):
            y = convolve(first, functional.leaky_relu(x, _SLOPE) if i else active)
            # In place on outputs of convolutions, which no gradient needs: half the time of the rest is memory.
            x = convolve(second, functional.leaky_relu(y, _SLOPE, inplace=True)).add_(x)
        return x


class NsfHifigan(Decoder):
    """Upsampling stages from frames to samples.

    With `decoder_plain_ends` the first and last convolution have no weight norm and the last no bias (RVC). For a
    model without F0 (`pitch_input` "none") there is no source: plain HiFi-GAN.
    Raises ConfigError when the upsampling rates do not multiply to the hop length or lists disagree.
    """

    block: type[nn.Module] = ResidualBlock
    activation_reach = 0

    def __init__(self, config: ModelConfig, shape: VoiceShape) -> None:
        super().__init__()
        _check(config, shape)
        plain_ends = config.decoder_plain_ends
        norm: Callable[[nn.Module], nn.Module] = (lambda layer: layer) if plain_ends else weight_norm
        rates, width = config.upsample_rates, config.decoder_channels
        self.hop_length = shape.hop_length
        self.reach = _reach(config, self.activation_reach)
        self.fused = False
        self.source_noise = config.source_noise
        self.source: HarmonicSource | None = None
        if config.pitch_input != "none":
            self.source = HarmonicSource(shape.sample_rate, shape.hop_length, config.source_harmonics)
        self.conv_pre = norm(nn.Conv1d(config.inter_channels, width, 7, padding=3))
        self.cond = nn.Conv1d(config.speaker_channels, width, 1)
        self.ups = nn.ModuleList()
        self.noise_convs = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        channels = width
        for i, (rate, kernel) in enumerate(zip(rates, config.upsample_kernel_sizes)):
            channels = width >> (i + 1)
            padding = (kernel - rate) // 2
            self.ups.append(weight_norm(nn.ConvTranspose1d(width >> i, channels, kernel, rate, padding=padding)))
            if self.source is not None:
                stride = math.prod(rates[i + 1 :])
                size, pad = (2 * stride, stride // 2) if stride > 1 else (1, 0)
                self.noise_convs.append(nn.Conv1d(1, channels, size, stride=stride, padding=pad))
            self.resblocks.append(
                nn.ModuleList(
                    self.block(channels, size, dilations)
                    for size, dilations in zip(config.resblock_kernel_sizes, config.resblock_dilations)
                )
            )
        self.conv_post = norm(nn.Conv1d(channels, 1, 7, padding=3, bias=not plain_ends))

    def forward(
        self,
        z: Tensor,
        f0_hz: Tensor,
        voiced: Tensor,
        speaker: Tensor,
        phase_start: Tensor,
        source_noise: Tensor | None = None,
    ) -> Tensor:
        """See `Decoder`; `voiced` reaches this decoder only through z and zeros of f0_hz."""
        noise = source_noise if self.source_noise else None
        source = self.source(f0_hz, phase_start, noise)[0] if self.source is not None else None
        return self.generate(z, source, speaker)

    def fuse(self) -> None:
        """See `Decoder.fuse`; from here on a CPU computes channels last and in chunks."""
        super().fuse()
        if not self.fused:
            lay_out(self)
        self.fused = True

    def generate(self, z: Tensor, source: Tensor | None, speaker: Tensor) -> Tensor:
        """Audio (B, 1, N) of z (B, C, T) and a source signal (B, 1, N), N = T * hop_length, None without F0.

        Fused on a CPU, long audio is made chunk by chunk, each with as many frames around it as its samples depend
        on: the same numbers, from memory that the processor's cache holds.
        """
        frames, hop, reach = z.shape[2], self.hop_length, self.reach
        step = max(reach, CHUNK_SAMPLES // hop)
        if not (self.fused and z.device.type == "cpu") or frames <= step + 2 * reach:
            return self.generate_whole(z, source, speaker)
        audio = z.new_empty(z.shape[0], 1, frames * hop)
        for start in range(0, frames, step):
            stop = min(start + step, frames)
            low, high = max(0, start - reach), min(frames, stop + reach)
            part = self.generate_whole(
                z[:, :, low:high],
                None if source is None else source[:, :, low * hop : high * hop],
                speaker if speaker.shape[2] == 1 else speaker[:, :, low:high],
            )
            audio[:, :, start * hop : stop * hop] = part[:, :, (start - low) * hop : (stop - low) * hop]
        return audio

    def generate_whole(self, z: Tensor, source: Tensor | None, speaker: Tensor) -> Tensor:
        """`generate` in one pass."""
        x = self.conv_pre(z) + self.cond(speaker)
        if self.fused and x.device.type == "cpu":
            x = widen(x)
        for i, (up, blocks) in enumerate(zip(self.ups, self.resblocks)):
            x = convolve(up, functional.leaky_relu(x, _SLOPE, inplace=True))
            if source is not None:
                x = add_from_one_channel(x, self.noise_convs[i], source)
            active = functional.leaky_relu(x, _SLOPE)
            first, *others = blocks.children()
            total: Tensor = first(x, active)
            for block in others:
                total.add_(block(x, active))
            x = total.div_(1 + len(others))
        audio = torch.tanh(convolve(self.conv_post, functional.leaky_relu(x, _LAST_SLOPE, inplace=True)))
        return audio if audio.dim() == 3 else audio.squeeze(2)


def _reach(config: ModelConfig, activation: int) -> int:
    """Frames of z to each side that a sample of audio depends on; `activation` is the reach of one in samples."""
    # Widths from the last layer back to the first, in samples of each stage.
    reach = 3 + activation
    for rate, kernel in zip(reversed(config.upsample_rates), reversed(config.upsample_kernel_sizes)):
        reach += max(
            sum((dilation + 1) * (size - 1) // 2 + 2 * activation for dilation in dilations)
            for size, dilations in zip(config.resblock_kernel_sizes, config.resblock_dilations)
        )
        reach = -(-(reach + kernel) // rate) + 1 + activation
    return reach + 3


def _check(config: ModelConfig, shape: VoiceShape) -> None:
    rates, kernels = config.upsample_rates, config.upsample_kernel_sizes
    if math.prod(rates) != shape.hop_length:
        raise ConfigError(
            f"model.upsample_rates {list(rates)} multiply to {math.prod(rates)}, "
            f"but the hop length is {shape.hop_length}: choose rates whose product it is."
        )
    if len(rates) != len(kernels):
        raise ConfigError("model.upsample_kernel_sizes needs one kernel for each of model.upsample_rates.")
    for rate, kernel in zip(rates, kernels):
        if kernel < rate or (kernel - rate) % 2:
            raise ConfigError(f"Upsampling kernel {kernel} must exceed its rate {rate} by an even number.")
    if not config.resblock_kernel_sizes or len(config.resblock_kernel_sizes) != len(config.resblock_dilations):
        raise ConfigError("model.resblock_dilations needs one list for each of model.resblock_kernel_sizes.")
    if config.decoder_channels >> len(rates) < 1:
        raise ConfigError(f"model.decoder_channels must be at least {2 ** len(rates)} for {len(rates)} stages.")
