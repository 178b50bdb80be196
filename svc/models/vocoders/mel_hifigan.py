"""HiFi-GAN from mel spectrograms to audio, plain or with a source: the published vocoders.

Kong et al. 2020 (arXiv:2010.05646), versions 1 to 3; with the harmonic source of Wang et al. 2019
(arXiv:1904.12088) as in OpenVPI's NSF-HiFiGAN; with one sine after the second stage as in its pc-NSF-HiFiGAN.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from svc.models.vits.normalisation import weight_norm
from svc.models.vocoders.harmonic_source import UNVOICED_NOISE, VOICED_NOISE, HarmonicSource, frame_phases
from svc.models.vocoders.nsf_hifigan import ResidualBlock

OVERTONES = 8
SINE_STAGE = 1  # the single sine joins after the second stage, at the rate reached there
_SLOPE = 0.1
# The published programs leave torch's default before the last convolution.
_LAST_SLOPE = 0.01


@dataclass(frozen=True)
class MelHifiganShape:
    """Structure of one vocoder.

    `source` is "none" (plain HiFi-GAN), "harmonics" (NSF) or "sine" (pc-NSF); `resblock` is 1 or 2, the two kinds
    of the HiFi-GAN paper; `width` the channels before the first stage, halved by each.
    """

    mels: int
    width: int
    upsample_rates: tuple[int, ...]
    upsample_kernels: tuple[int, ...]
    resblock: int
    resblock_kernels: tuple[int, ...]
    resblock_dilations: tuple[tuple[int, ...], ...]
    sample_rate: int
    source: str

    @property
    def hop_length(self) -> int:
        """Samples per mel frame."""
        return math.prod(self.upsample_rates)


class SmallResidualBlock(nn.Module):
    """Dilated convolutions over (B, C, N), each around its own residual sum (version 3)."""

    def __init__(self, channels: int, kernel_size: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv1d(channels, channels, kernel_size, dilation=d, padding=(kernel_size - 1) * d // 2))
            for d in dilations
        )

    def forward(self, x: Tensor, active: Tensor) -> Tensor:
        """x (B, C, N) to the same shape; `active` is its leaky ReLU, which parallel blocks share."""
        for i, conv in enumerate(self.convs):
            x = conv(functional.leaky_relu(x, _SLOPE) if i else active) + x
        return x


class MelHifigan(nn.Module):
    """Natural-log mels (and F0, where there is a source) to audio."""

    def __init__(self, shape: MelHifiganShape) -> None:
        super().__init__()
        self.shape = shape
        rates = shape.upsample_rates
        self.conv_pre = weight_norm(nn.Conv1d(shape.mels, shape.width, 7, padding=3))
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        channels = shape.width
        kind = ResidualBlock if shape.resblock == 1 else SmallResidualBlock
        for rate, kernel in zip(rates, shape.upsample_kernels):
            up = nn.ConvTranspose1d(channels, channels // 2, kernel, rate, padding=(kernel - rate) // 2)
            self.ups.append(weight_norm(up))
            channels //= 2
            self.resblocks.extend(
                kind(channels, size, dilations)
                for size, dilations in zip(shape.resblock_kernels, shape.resblock_dilations)
            )
        self.conv_post = weight_norm(nn.Conv1d(channels, 1, 7, padding=3))
        if shape.source == "harmonics":
            self.source = HarmonicSource(shape.sample_rate, shape.hop_length, OVERTONES)
            self.noise_convs = nn.ModuleList(
                _from_source(shape.width >> (i + 1), math.prod(rates[i + 1 :])) for i in range(len(rates))
            )
        elif shape.source == "sine":
            self.source_conv = nn.Conv1d(1, shape.width >> (SINE_STAGE + 1), 1)

    def forward(
        self,
        log_mel: Tensor,
        f0_hz: Tensor | None = None,
        phase_start: Tensor | None = None,
        source_noise: Tensor | None = None,
        overtone_phase: Tensor | None = None,
    ) -> Tensor:
        """Audio (B, 1, T * hop_length) of log_mel (B, mels, T).

        f0_hz (B, T), needed by the kinds with a source, 0 where unvoiced; the others are for `make_source`.
        """
        source = None
        if self.shape.source != "none":
            if f0_hz is None:
                raise ValueError("a vocoder with a source needs F0")
            source = self.make_source(f0_hz, phase_start, source_noise, overtone_phase)
        return self.generate(log_mel, source)

    def make_source(
        self,
        f0_hz: Tensor,
        phase_start: Tensor | None = None,
        noise: Tensor | None = None,
        overtone_phase: Tensor | None = None,
    ) -> Tensor:
        """The excitation: (B, 1, T * hop_length) of harmonics, (B, 1, T * upsampling of two stages) of one sine.

        phase_start (B,) in cycles of the fundamental before the first sample. For harmonics only: noise, standard
        normal, (B, T * hop_length, 9) for one per sine or (B, T * hop_length), and overtone_phase (B, 9) in cycles
        added to each sine.
        """
        if phase_start is None:
            phase_start = torch.zeros(len(f0_hz), device=f0_hz.device)
        if self.shape.source == "sine":
            return self._one_sine(f0_hz.float(), phase_start)
        if noise is None or noise.ndim == 2:
            return self.source(f0_hz, phase_start, noise, overtone_phase)[0]
        sines, _ = self.source.sines(f0_hz, phase_start, overtone_phase)
        level = torch.where(f0_hz > 0, VOICED_NOISE, UNVOICED_NOISE).repeat_interleave(self.shape.hop_length, dim=1)
        return torch.tanh(self.source.linear(sines + noise * level.unsqueeze(-1))).transpose(1, 2)

    def phases(self, f0_hz: Tensor) -> Tensor:
        """Phase (B, T) in cycles of the fundamental before each frame, so that a window can start anywhere."""
        start = torch.zeros(len(f0_hz), device=f0_hz.device)
        if self.shape.source == "sine":
            return self._sine_phases(f0_hz.float(), start)
        return frame_phases(f0_hz.float(), self.shape.hop_length, self.shape.sample_rate, start)[0]

    def generate(self, log_mel: Tensor, source: Tensor | None, latent_noise: Tensor | None = None) -> Tensor:
        """Audio (B, 1, T * hop_length) of log_mel (B, mels, T) and an excitation from `make_source`.

        latent_noise (B, width, T) is added after the first convolution, as files trained with a noise_sigma expect.
        """
        x = self.conv_pre(log_mel)
        if latent_noise is not None:
            x = x + latent_noise
        blocks_per_stage = len(self.shape.resblock_kernels)
        for i, up in enumerate(self.ups):
            x = up(functional.leaky_relu(x, _SLOPE))
            if self.shape.source == "harmonics":
                x = x + self.noise_convs[i](source)
            elif self.shape.source == "sine" and i == SINE_STAGE:
                x = x + self.source_conv(source)
            active = functional.leaky_relu(x, _SLOPE)
            blocks = self.resblocks[i * blocks_per_stage : (i + 1) * blocks_per_stage]
            x = torch.stack([block(x, active) for block in blocks]).sum(0) / blocks_per_stage
        return torch.tanh(self.conv_post(functional.leaky_relu(x, _LAST_SLOPE)))

    def _sine_rate(self) -> tuple[int, float]:
        """Source samples per frame, and per second."""
        rates = self.shape.upsample_rates
        return math.prod(rates[: SINE_STAGE + 1]), self.shape.sample_rate / math.prod(rates[SINE_STAGE + 1 :])

    def _sine_phases(self, f0_hz: Tensor, start: Tensor) -> Tensor:
        count, rate = self._sine_rate()
        device = torch.device("cpu") if f0_hz.device.type == "mps" else f0_hz.device
        f0 = f0_hz.to(device, torch.float64) / rate
        slope = functional.pad(f0.diff(dim=1), (0, 1))
        ends = torch.cumsum(f0 * count + 0.5 * slope * (count - 1), dim=1)
        starts = functional.pad(ends[:, :-1], (1, 0)) + start.to(device, torch.float64).unsqueeze(1)
        return (starts % 1.0).float().to(f0_hz.device)

    def _one_sine(self, f0_hz: Tensor, start: Tensor) -> Tensor:
        """A sine whose F0 runs linearly from each frame to the next, never muted; the last frame holds its F0."""
        count, rate = self._sine_rate()
        n = torch.arange(1, count + 1, device=f0_hz.device, dtype=torch.float32)
        f0 = (f0_hz / rate).unsqueeze(-1)
        slope = functional.pad(f0.diff(dim=1), (0, 0, 0, 1))
        ramp = f0 * n + 0.5 * slope * n * (n - 1) / count
        cycles = (self._sine_phases(f0_hz, start).unsqueeze(-1) + ramp) % 1.0
        return torch.sin(2 * math.pi * cycles).flatten(1).unsqueeze(1)


def _from_source(channels: int, stride: int) -> nn.Module:
    size, pad = (2 * stride, stride // 2) if stride > 1 else (1, 0)
    return nn.Conv1d(1, channels, size, stride=stride, padding=pad)
