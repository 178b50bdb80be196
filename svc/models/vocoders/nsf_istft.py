"""NSF-iSTFT decoder: a neural source filter at frame rate.

A pulse train at the asked F0 and white noise are taken to the short-time Fourier domain; a ConvNeXt
backbone (Siuzdak 2023, "Vocos") reads the latent frames and predicts one complex filter for the
pulses and one real filter for the noise per frame and bin; their sum goes back through the inverse
transform. All layers run at frame rate, so it costs 10 to 20 times less than upsampling convolutions,
and the pitch of the result is the pitch of the source by construction.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from svc.config import ModelConfig
from svc.errors import ConfigError
from svc.models.vocoders.decoder import Decoder
from svc.models.vocoders.pulse_source import pulse_train

if TYPE_CHECKING:
    from svc.models.vits.voice_model import VoiceShape

SUBFRAMES = 2  # spectral frames per latent frame: consonants need finer steps than the 512-sample hop
WINDOW_HOPS = 4  # window length in spectral hops
MAX_LOG_GAIN = 7.0
VOICED_MARGIN = 2  # frames beside voiced ones that count as voiced: trackers lose a voice before it ends


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over time, then a pointwise bottleneck turned inside out, with a residual."""

    def __init__(self, channels: int, layer_scale: float, kernel_size: int = 7) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand = nn.Linear(channels, 3 * channels)
        self.contract = nn.Linear(3 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), layer_scale))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) to (B, C, T)."""
        y = self.depthwise(x).transpose(1, 2)
        y = self.contract(nn.functional.gelu(self.expand(self.norm(y))))
        return x + (self.scale * y).transpose(1, 2)


class NsfIstft(Decoder):
    """The `fast` decoder; about 1.5 GFLOP per second of audio at 384 channels and 8 layers."""

    window: Tensor

    def __init__(self, config: ModelConfig, shape: "VoiceShape") -> None:
        super().__init__()
        if shape.hop_length % SUBFRAMES:
            raise ConfigError(f"nsf_istft needs an even hop length, got {shape.hop_length}: set features.hop_length.")
        self.sample_rate, self.hop_length = shape.sample_rate, shape.hop_length
        self.step = shape.hop_length // SUBFRAMES
        self.window_length = WINDOW_HOPS * self.step
        self.bins = self.window_length // 2 + 1
        width = config.decoder_channels
        self.embed = nn.Conv1d(config.inter_channels, width, 7, padding=3)
        self.pitch = nn.Conv1d(2 * PITCH_WAVES, width, 1)
        self.condition = nn.Conv1d(config.speaker_channels, width, 1)
        self.norm_in = nn.LayerNorm(width, eps=1e-6)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(width, 1.0 / config.decoder_layers) for _ in range(config.decoder_layers)
        )
        self.norm_out = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, SUBFRAMES * 3 * self.bins)
        nn.init.normal_(self.head.weight, std=0.02)
        with torch.no_grad():
            # Start near the level of singing, the noise well under the pulses.
            bias = torch.zeros(SUBFRAMES, 3, self.bins)
            bias[:, 0], bias[:, 2] = -3.0, -5.0
            self.head.bias.copy_(bias.flatten())
        self.register_buffer("window", torch.hann_window(self.window_length), persistent=False)

    def forward(
        self,
        z: Tensor,
        f0_hz: Tensor,
        voiced: Tensor,
        speaker: Tensor,
        phase_start: Tensor,
        source_noise: Tensor | None = None,
    ) -> Tensor:
        """See Decoder.forward; the latent says how much of both sources is heard, see `_where_voiced` for `voiced`."""
        x = self.embed(z) + self.pitch(pitch_waves(f0_hz).to(z.dtype)) + self.condition(speaker)
        x = self.norm_in(x.transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        filters = self.head(self.norm_out(x.transpose(1, 2)))
        with torch.autocast(device_type=z.device.type, enabled=False):
            noise = None if source_noise is None else source_noise.float()
            return self._synthesise(filters.float(), f0_hz.float(), voiced, phase_start, noise)

    def _synthesise(
        self, filters: Tensor, f0_hz: Tensor, voiced: Tensor, phase_start: Tensor, noise: Tensor | None
    ) -> Tensor:
        batch, frames, _ = filters.shape
        # (B, T, sub * 3 * bins) -> three of (B, bins, T * sub)
        parts = filters.view(batch, frames * SUBFRAMES, 3, self.bins).permute(2, 0, 3, 1)
        log_pulse, angle, log_noise = parts[0], parts[1], parts[2]
        pulse_filter = torch.polar(torch.exp(log_pulse.clamp(max=MAX_LOG_GAIN)), angle)
        pulses = self._transform(pulse_train(f0_hz, phase_start, self.hop_length, self.sample_rate, noise))
        if noise is None:
            spectrum = pulses * pulse_filter
        else:
            hiss = self._transform(noise)
            spectrum = self._where_voiced(pulses, hiss, f0_hz, voiced) * pulse_filter
            spectrum = spectrum + hiss * torch.exp(log_noise.clamp(max=MAX_LOG_GAIN))
        return self._inverse(spectrum, frames * self.hop_length).unsqueeze(1)

    def _where_voiced(self, pulses: Tensor, hiss: Tensor, f0_hz: Tensor, voiced: Tensor) -> Tensor:
        """The spectrum of the pulses, and where nobody sings a pitch noise of their level in their place.

        Without that the filled F0 hums in breaths and consonants, as far as the latent lets pulses through there.
        Below F0 and without F0 pulses are silent, and no loss ever told their filter what to be: silent here, too.
        """
        near = nn.functional.max_pool1d(voiced.float().unsqueeze(1), 2 * VOICED_MARGIN + 1, 1, VOICED_MARGIN)
        sung = nn.functional.interpolate(near, scale_factor=SUBFRAMES, mode="linear")
        spacing = self.sample_rate / self.window_length
        bins_hz = torch.arange(self.bins, device=pulses.device).view(1, -1, 1) * spacing
        pitch_hz = f0_hz.repeat_interleave(SUBFRAMES, dim=1).unsqueeze(1)
        audible = (pitch_hz > 0) & (bins_hz > pitch_hz - 0.5 * spacing)
        # The same noise with every other sample negated: another one in each bin, so both may be heard at once.
        other = hiss.flip(1).conj() * audible
        return pulses * sung.sqrt() + other * (1.0 - sung).sqrt()

    def _transform(self, audio: Tensor) -> Tensor:
        """(B, N) to complex (B, bins, N / step), spectral frame s centred at (s + 0.5) * step."""
        pad = (self.window_length - self.step) // 2
        padded = nn.functional.pad(audio, (pad, self.window_length - self.step - pad))
        return torch.stft(padded, self.window_length, self.step, window=self.window, center=False, return_complex=True)

    def _inverse(self, spectrum: Tensor, length: int) -> Tensor:
        """Windowed overlap-add, the exact inverse of `_transform` where nothing was changed."""
        frames = torch.fft.irfft(spectrum, n=self.window_length, dim=1) * self.window.view(1, -1, 1)
        total = length + self.window_length - self.step
        fold = {"output_size": (1, total), "kernel_size": (1, self.window_length), "stride": (1, self.step)}
        audio = nn.functional.fold(frames, **fold)[:, 0, 0]
        weight = self.window.square().view(1, -1, 1).expand(1, -1, spectrum.shape[2])
        norm = nn.functional.fold(weight, **fold)[:, 0, 0]
        pad = (self.window_length - self.step) // 2
        return audio[:, pad : pad + length] / norm[:, pad : pad + length].clamp(min=1e-3)


PITCH_WAVES = 8


def pitch_waves(f0_hz: Tensor) -> Tensor:
    """Sines and cosines of log2 F0 at octave fractions, (B, 2 * PITCH_WAVES, T); frames without F0 count as 50 Hz."""
    octave = torch.log2(f0_hz.float().clamp(min=50.0) / 50.0)
    rates = torch.pi * 2.0 ** torch.arange(-2, PITCH_WAVES - 2, device=f0_hz.device)
    angle = octave.unsqueeze(1) * rates.view(1, -1, 1)
    return torch.cat([angle.sin(), angle.cos()], dim=1)
