"""What every waveform generator of a voice model must offer."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Decoder(nn.Module, ABC):
    """Turns latent frames and F0 into audio.

    Constructed as ``DecoderClass(config: ModelConfig, shape: VoiceShape)`` through
    ``svc.registry.DECODERS``; raises ConfigError when the settings do not fit together.
    Any normalisation of weights is removed by `fuse` before inference.
    """

    @abstractmethod
    def forward(
        self,
        z: Tensor,
        f0_hz: Tensor,
        voiced: Tensor,
        speaker: Tensor,
        phase_start: Tensor,
        source_noise: Tensor | None = None,
    ) -> Tensor:
        """Audio of latent frames, (B, 1, T * hop_length), nominal range [-1, 1].

        z (B, inter_channels, T); f0_hz (B, T), interpolated over unvoiced frames, 0 only where there
        is no pitch at all; voiced (B, T) 0/1; speaker (B, speaker_channels, 1) or one vector per frame
        (B, speaker_channels, T); phase_start (B,) phase of the fundamental in cycles just before the
        first sample; source_noise (B, T * hop_length) standard normal noise of the source, or None for
        a source without noise.
        """

    def fuse(self) -> None:
        """Fold weight normalisation into plain weights; a second call does nothing."""
        from svc.models.vits.normalisation import fuse_weight_norm

        fuse_weight_norm(self)
