"""Recorded sound becomes the posterior of the latent; needed for training only."""

from torch import Tensor, nn

from svc.models.vits.wavenet import WaveNet


class PosteriorEncoder(nn.Module):
    """Linear spectrogram (B, F, T) to mean and log standard deviation of z, each (B, out, T)."""

    def __init__(
        self,
        bins: int,
        channels: int,
        out_channels: int,
        layers: int,
        speaker_channels: int,
        kernel_size: int = 5,
        depthwise: bool = False,
    ) -> None:
        super().__init__()
        self.pre = nn.Conv1d(bins, channels, 1)
        self.enc = WaveNet(channels, kernel_size, layers, speaker_channels, depthwise=depthwise)
        self.proj = nn.Conv1d(channels, 2 * out_channels, 1)

    def forward(self, spectrogram: Tensor, mask: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """spectrogram (B, F, T) magnitudes, mask (B, 1, T), speaker (B, G, 1 or T); float32 (mean, log std)."""
        x = self.enc(self.pre(spectrogram) * mask, mask, speaker)
        mean, log_std = (self.proj(x) * mask).float().chunk(2, dim=1)
        return mean, log_std
