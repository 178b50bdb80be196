"""The voice model: a conditional VAE with a flow prior and a waveform decoder (VITS, arXiv:2106.06103).

The prior describes the latent z from what is sung (content, F0, voicing, loudness); the posterior
reads z from recorded sound; the flow, told who sings, maps between the two; the decoder turns z into
audio. Conversion uses the prior alone.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from svc.config import ModelConfig
from svc.errors import ConfigError
from svc.models.vits.f0_predictor import F0Predictor, f0_from_log, log_f0, normalise_log_f0
from svc.models.vits.flow import Flow
from svc.models.vits.flow_attention import FlowAttention
from svc.models.vits.frame_head import FrameHead
from svc.models.vits.normalisation import fuse_weight_norm
from svc.models.vits.pitch_embedding import BinnedPitch, FourierPitch
from svc.models.vits.posterior_encoder import PosteriorEncoder
from svc.models.vits.prior_encoder import ContentInput, PriorEncoder
from svc.models.vits.prompt_encoder import PromptEncoder
from svc.models.vits.segments import Draw, cut_segments
from svc.models.vits.transformer import Transformer
from svc.models.vits.wavenet import WaveNet
from svc.models.vocoders.decoder import Decoder
from svc.registry import DECODERS

_WAVENET_KERNEL = 5


@dataclass(frozen=True)
class VoiceShape:
    """Sizes that come from the features and the dataset rather than from ModelConfig.

    `content_dim` counts all values of a frame; with several `content_layers` it holds that many layers side by side.
    """

    content_dim: int
    sample_rate: int
    hop_length: int
    n_fft: int
    speakers: int
    content_layers: int = 1

    @property
    def bins(self) -> int:
        """Rows F of a linear spectrogram."""
        return self.n_fft // 2 + 1


@dataclass
class ModelInput:
    """One padded batch of features.

    content (B, D, T); f0_hz (B, T), interpolated over unvoiced frames; voiced (B, T) 0/1;
    loudness_db (B, T); lengths (B,) real frames of each item; speaker_id (B,) integer, or for inference
    (B, S, T) float, the weight of each of the model's S speakers in each frame;
    spectrogram (B, F, T) linear magnitudes, for training only.

    speaker_vector (B, G) says who sings in place of speaker_id; shift_semitones (B,) is the formant shift, None for
    none. For training a voice with a prompt encoder: prompt (B, N) audio of the singer, prompt_lengths (B,) in
    samples, prompted (B,) bool where it, and not speaker_id, says who sings.
    """

    content: Tensor
    f0_hz: Tensor
    voiced: Tensor
    loudness_db: Tensor
    lengths: Tensor
    speaker_id: Tensor
    spectrogram: Tensor | None = None
    speaker_vector: Tensor | None = None
    shift_semitones: Tensor | None = None
    prompt: Tensor | None = None
    prompt_lengths: Tensor | None = None
    prompted: Tensor | None = None

    def mask(self) -> Tensor:
        """(B, 1, T) float32, 1 on real frames."""
        frames = torch.arange(self.content.shape[2], device=self.content.device)
        return (frames.unsqueeze(0) < self.lengths.unsqueeze(1)).unsqueeze(1).float()

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "ModelInput":
        """The same batch on another device."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return ModelInput(**{name: value.to(device, non_blocking=non_blocking) for name, value in given.items()})


@dataclass
class TrainOutput:
    """What the losses need; all float32, C the latent's channels, S samples of a segment.

    audio (B, 1, S) decoded from the segment that begins at frame starts (B,); z_p, posterior_log_std,
    prior_mean, prior_log_std (B, C, T); mask (B, 1, T); predicted_lf0 and target_lf0 (B, T), 0 on
    padding, None without an F0 predictor; prior_audio (B, 1, S), the same segment decoded from the
    prior's mean, only when asked for; frame_mel (B, 80, T) the frame head's log-mel; prompt_vector and table_vector
    (B, G), who sings by the prompt and by the speaker table, None without prompts.
    """

    audio: Tensor
    starts: Tensor
    z_p: Tensor | None
    posterior_log_std: Tensor | None
    prior_mean: Tensor
    prior_log_std: Tensor
    mask: Tensor
    predicted_lf0: Tensor | None
    target_lf0: Tensor | None
    prior_audio: Tensor | None = None
    frame_mel: Tensor | None = None
    prompt_vector: Tensor | None = None
    table_vector: Tensor | None = None


class VoiceModel(nn.Module):
    """The network of a voice file.

    `training_parts` False leaves out the posterior encoder, which conversion does not need; `frame_head` adds the
    head of the loss `frame_mel`, a training part too. Raises ConfigError when the settings do not fit together.
    """

    def __init__(
        self, config: ModelConfig, shape: VoiceShape, training_parts: bool = True, frame_head: bool = False
    ) -> None:
        super().__init__()
        _check(config, shape)
        self.config = config
        self.shape = shape
        hidden, inter, speaker = config.hidden_channels, config.inter_channels, config.speaker_channels
        self.speaker = nn.Embedding(shape.speakers, speaker)
        self.content_input = ContentInput(
            shape.content_dim,
            hidden,
            config.content_kernel_size,
            config.voicing_input,
            None if config.loudness_input == "none" else config.loudness_input,
            shape.content_layers,
            config.content_reader_channels,
        )
        transformer = Transformer(
            hidden,
            config.filter_channels,
            config.prior_layers,
            config.prior_heads,
            config.prior_kernel_size,
            config.dropout,
            config.attention_window,
        )
        self.prior = PriorEncoder(transformer, _pitch(config), hidden, inter, config.prior_scaled_input)
        self.posterior = None
        if training_parts and config.latent == "variational":
            self.posterior = PosteriorEncoder(
                shape.bins,
                hidden,
                inter,
                config.posterior_layers,
                speaker,
                _WAVENET_KERNEL,
                config.wavenet_depthwise,
            )
        self.flow = Flow(
            inter,
            hidden,
            config.flow_couplings,
            lambda: _flow_network(config),
            config.flow_shared,
        )
        self.f0_predictor = None
        if config.predict_f0:
            self.f0_predictor = F0Predictor(
                hidden,
                config.filter_channels,
                config.f0_predictor_layers,
                config.prior_heads,
                speaker,
                config.prior_kernel_size,
                config.dropout,
            )
        self.decoder: Decoder = DECODERS.create(config.decoder, config, shape)
        self.formant = None
        if config.formant_input:
            self.formant = nn.Linear(1, speaker, bias=False)
            nn.init.zeros_(self.formant.weight)
        self.prompt_encoder = None
        if config.prompt_encoder:
            self.prompt_encoder = PromptEncoder(speaker, shape.sample_rate)
            # Rows as small as the encoder's first vectors, so that the two can come to agree.
            nn.init.normal_(self.speaker.weight, std=0.1)
        self.frame_head = FrameHead(hidden, speaker) if frame_head else None

    def forward(
        self,
        batch: ModelInput,
        segment_frames: int,
        generator: torch.Generator | None = None,
        prior_audio: bool = False,
    ) -> TrainOutput:
        """One training pass over a batch with spectrograms; `segment_frames` are decoded per item.

        `generator` (on the batch's device) draws the posterior's noise, the segments, the source's
        start phases and noise, and the F0 predictor's scale; dropout uses torch's own generator.
        Items shorter than a segment are decoded from their start with silence behind. Raises
        ConfigError when the batch has fewer frames than a segment or no spectrogram.
        """
        direct = self.config.latent == "direct"
        if not direct and (batch.spectrogram is None or self.posterior is None):
            raise ConfigError("Training needs spectrograms and a model built with its training parts.")
        if batch.content.shape[2] < segment_frames:
            raise ConfigError(
                f"The batch has {batch.content.shape[2]} frames, fewer than a segment of {segment_frames}: "
                "lower train.segment_frames or pad the batch."
            )
        draw = Draw(batch.content.device, generator)
        mask = batch.mask()
        batch, by_prompt, by_table = self._told_by_prompts(batch)
        speaker = self.speaker_vector(batch)
        x = self.content_input(batch.content, batch.voiced, batch.loudness_db, mask)
        predicted_lf0, target_lf0 = self._train_f0(x, batch, mask, speaker, draw)
        sung_hz = self._sung_f0(batch)
        hidden = self.prior.encode(x, sung_hz, mask)
        prior_mean, prior_log_std = self.prior.project(hidden, mask)
        z_p = log_std = None
        if self.posterior is not None and batch.spectrogram is not None and not direct:
            mean, log_std = self.posterior(batch.spectrogram, mask, speaker)
            z = (mean + draw.normal(mean.shape) * torch.exp(log_std)) * mask
            z_p = self.flow(z, mask, speaker).float()
        else:
            z = self.flow(prior_mean, mask, speaker, reverse=True)
        starts = draw.starts(batch.lengths, segment_frames)
        phase = draw.uniform((len(starts),))
        noise = draw.normal((len(starts), segment_frames * self.shape.hop_length))
        f0_hz = cut_segments(sung_hz, starts, segment_frames)
        voiced = cut_segments(batch.voiced, starts, segment_frames)

        def decode(latent: Tensor) -> Tensor:
            part = cut_segments(latent, starts, segment_frames)
            return self.decoder(part, f0_hz, voiced, speaker, phase, noise).float()

        from_prior = None
        if prior_audio and not direct:
            from_prior = decode(self.flow(prior_mean, mask, speaker, reverse=True))
        return TrainOutput(
            audio=decode(z),
            starts=starts,
            z_p=z_p,
            posterior_log_std=log_std,
            prior_mean=prior_mean,
            prior_log_std=prior_log_std,
            mask=mask,
            predicted_lf0=predicted_lf0,
            target_lf0=target_lf0,
            prior_audio=from_prior,
            frame_mel=None if self.frame_head is None else self.frame_head(hidden, speaker),
            prompt_vector=by_prompt,
            table_vector=by_table,
        )

    def speaker_vector(self, batch: ModelInput) -> Tensor:
        """Who sings, with the formant shift: (B, G, 1), or (B, G, T) where `batch.speaker_id` gives weights per frame.

        `batch.speaker_vector` where given, else the speaker table's. A shift is not heard by a voice without
        `formant_input`.
        """
        if batch.speaker_vector is not None:
            vector = batch.speaker_vector.unsqueeze(-1)
        else:
            vector = self._singer(batch.speaker_id)
        if self.formant is not None and batch.shift_semitones is not None:
            vector = vector + self.formant(batch.shift_semitones.unsqueeze(1) / 12.0).unsqueeze(-1)
        return vector

    def _told_by_prompts(self, batch: ModelInput) -> tuple[ModelInput, Tensor | None, Tensor | None]:
        """The batch with prompts heard, and who sings (B, G) by prompt and by table; None without prompts."""
        if self.prompt_encoder is None or batch.prompt is None or batch.prompt_lengths is None:
            return batch, None, None
        heard = self.prompt_encoder(batch.prompt, batch.prompt_lengths)
        known = self.speaker(batch.speaker_id)
        if batch.prompted is None:
            return batch, heard, known
        return replace(batch, speaker_vector=torch.where(batch.prompted.unsqueeze(1), heard, known)), heard, known

    def infer(
        self,
        batch: ModelInput,
        noise: Tensor | None,
        phase_start: Tensor,
        source_noise: Tensor | None = None,
        predict_f0: bool = False,
    ) -> Tensor:
        """Audio (B, 1, T * hop_length) of features; samples beyond an item's length mean nothing.

        noise (B, inter_channels, T), already scaled, is multiplied by the prior's standard deviation,
        None takes the prior's mean; phase_start (B,) cycles; source_noise (B, T * hop_length) standard
        normal or None. With `predict_f0` the model's own F0 replaces the given one, whose shape about
        its mean it still follows. Raises ConfigError when the model has no F0 predictor.
        """
        z, f0_hz = self.infer_latent(batch, noise, predict_f0)
        return self.decode(z, f0_hz, batch.voiced, self.speaker_vector(batch), phase_start, source_noise)

    def infer_latent(
        self, batch: ModelInput, noise: Tensor | None = None, predict_f0: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Latent z (B, inter_channels, T) and the F0 (B, T) in Hz to decode it with; see `infer`."""
        mask = batch.mask()
        speaker = self.speaker_vector(batch)
        x = self.content_input(batch.content, batch.voiced, batch.loudness_db, mask)
        f0_hz = self._predict_f0(x, batch, mask, speaker) if predict_f0 else self._sung_f0(batch)
        mean, log_std = self.prior(x, f0_hz, mask)
        if noise is not None and self.config.latent == "variational":
            mean = mean + noise * torch.exp(log_std) * mask
        return self.flow(mean, mask, speaker, reverse=True), f0_hz

    def decode(
        self,
        z: Tensor,
        f0_hz: Tensor,
        voiced: Tensor,
        speaker: Tensor,
        phase_start: Tensor,
        source_noise: Tensor | None = None,
    ) -> Tensor:
        """Audio (B, 1, T * hop_length) float32 of latent frames z (B, inter_channels, T); see `infer`.

        `speaker` is what `speaker_vector` gives.
        """
        return self.decoder(z, f0_hz, voiced, speaker, phase_start, source_noise).float()

    def fuse(self) -> None:
        """Fold weight normalisation into plain weights, for inference; training is over then."""
        self.decoder.fuse()
        fuse_weight_norm(self)

    def _singer(self, speaker_id: Tensor) -> Tensor:
        """Speaker vectors (B, G, 1) of numbers (B,), or (B, G, T) of weights (B, S, T) per frame."""
        if speaker_id.dim() == 3:
            return self.speaker.weight.T @ speaker_id.to(self.speaker.weight.dtype)
        return self.speaker(speaker_id).unsqueeze(-1)

    def _sung_f0(self, batch: ModelInput) -> Tensor:
        """F0 (B, T) that prior and source get, by the voice's rule for unvoiced frames."""
        return batch.f0_hz * (batch.voiced > 0.5) if self.config.unvoiced_f0 == "zero" else batch.f0_hz

    def _train_f0(
        self, x: Tensor, batch: ModelInput, mask: Tensor, speaker: Tensor, draw: Draw
    ) -> tuple[Tensor | None, Tensor | None]:
        if self.f0_predictor is None:
            return None, None
        target = log_f0(batch.f0_hz) * mask[:, 0]
        # A random stretch keeps the predictor from copying the range of its input.
        scale = 0.8 + 0.4 * draw.uniform((len(target), 1))
        normal = normalise_log_f0(target, batch.voiced, mask, scale)
        return self.f0_predictor(x, normal, mask, speaker), target

    def _predict_f0(self, x: Tensor, batch: ModelInput, mask: Tensor, speaker: Tensor) -> Tensor:
        if self.f0_predictor is None:
            raise ConfigError("This voice has no F0 predictor: convert without predict_f0.")
        normal = normalise_log_f0(log_f0(batch.f0_hz), batch.voiced, mask)
        return f0_from_log(self.f0_predictor(x, normal, mask, speaker)).clamp(min=0.0)


def _flow_network(config: ModelConfig) -> nn.Module:
    """What one coupling of the flow computes its shift with."""
    hidden, speaker = config.hidden_channels, config.speaker_channels
    if config.flow_network == "attention":
        return FlowAttention(
            hidden, config.filter_channels, config.flow_wavenet_layers, config.prior_heads, speaker, config.dropout
        )
    return WaveNet(hidden, _WAVENET_KERNEL, config.flow_wavenet_layers, speaker, depthwise=config.wavenet_depthwise)


def _pitch(config: ModelConfig) -> FourierPitch | BinnedPitch | None:
    """The layer that tells the prior F0; so-vits-svc 4.1 alone puts notes above the range in bin 0."""
    if config.pitch_input == "none":
        return None
    if config.pitch_input == "fourier":
        return FourierPitch(config.hidden_channels)
    return BinnedPitch(config.hidden_channels, overflow=0 if config.pitch_input == "binned_41" else 255)


def _check(config: ModelConfig, shape: VoiceShape) -> None:
    if config.inter_channels % 2:
        raise ConfigError(f"model.inter_channels must be even, got {config.inter_channels}.")
    if config.hidden_channels % config.prior_heads:
        raise ConfigError(
            f"model.prior_heads ({config.prior_heads}) must divide model.hidden_channels ({config.hidden_channels})."
        )
    if config.pitch_input == "none" and (config.predict_f0 or config.decoder != "nsf_hifigan"):
        raise ConfigError("model.pitch_input none needs model.predict_f0 false and model.decoder nsf_hifigan.")
    if config.content_kernel_size % 2 == 0:
        raise ConfigError(f"model.content_kernel_size must be odd, got {config.content_kernel_size}.")
    if shape.content_dim % shape.content_layers:
        raise ConfigError(f"{shape.content_dim} content values are not {shape.content_layers} layers of one size.")
    if shape.speakers < 1:
        raise ConfigError("A voice needs at least one speaker.")
