"""How well the averaged voice sings held-out recordings, through the same path as a conversion.

Every clip is sung again by its own singer from its content, F0, voicing and loudness alone (the prior path)
and compared with the recording. The mel distance chooses the best step; the rest is for reading, the speaker
cosine in particular is never used to choose.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from svc.audio.spectrogram import MelSettings, linear_spectrogram, log_mel
from svc.config import ConvertOptions
from svc.data.dataset import Batch, Sample, collate, filled_f0
from svc.data.manifest import PreparedDataset, Utterance
from svc.errors import SvcError
from svc.models.vits.losses import bands_inside
from svc.registry import PITCH_ESTIMATORS, SPEAKER_ENCODERS
from svc.training.inputs import model_input
from svc.training.progress import MessageSink
from svc.training.state import TrainState
from svc.training.tracking import Tracker, comparison_figure

CLIP_SECONDS = 8.0
STFT_RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))  # window, hop
SPEAKER_ENCODER = "resemblyzer"
NOISE_SCALE = float(ConvertOptions.model_fields["noise_scale"].default)


@dataclass(frozen=True)
class Clip:
    """One held-out stretch: its name, its features and audio as a batch of one, its real F0 (T,), 0 if unvoiced."""

    name: str
    batch: Batch
    f0_hz: np.ndarray


def choose_clips(utterances: Sequence[Utterance], count: int) -> list[Utterance]:
    """`count` slices that take turns over singers and their recordings, the same ones every time."""
    queues: dict[tuple[str, str], list[Utterance]] = {}
    for utterance in utterances:
        queues.setdefault((utterance.speaker, utterance.recording_sha256), []).append(utterance)
    by_singer: dict[str, list[list[Utterance]]] = {}
    for (speaker, _), queue in sorted(queues.items()):
        by_singer.setdefault(speaker, []).append(queue)
    # Position (slice, recording, singer): first slices of first recordings of all singers come first.
    ranked = [
        (i, r, s, utterance)
        for s, (_, recordings) in enumerate(sorted(by_singer.items()))
        for r, queue in enumerate(recordings)
        for i, utterance in enumerate(queue)
    ]
    ranked.sort(key=lambda item: item[:3])
    return [item[3] for item in ranked[:count]]


def read_clip(prepared: PreparedDataset, utterance: Utterance, unvoiced_f0: str) -> Clip:
    """The first `CLIP_SECONDS` of an utterance; `unvoiced_f0` is the model's rule for F0 in unvoiced frames."""
    spec = prepared.spec
    frames = min(utterance.frames, int(CLIP_SECONDS * spec.frame_rate))
    whole = prepared.features(utterance)
    part = whole.cut(0, frames)
    audio = np.zeros(frames * spec.hop_length, np.float32)
    read = prepared.audio(utterance, 0, frames * spec.hop_length)
    audio[: len(read)] = read
    sample = Sample(
        torch.from_numpy(np.array(part.content, np.float32)),
        torch.from_numpy(filled_f0(whole, unvoiced_f0)[:frames].copy()),
        torch.from_numpy(np.array(part.voiced, np.float32)),
        torch.from_numpy(np.array(part.loudness_db, np.float32)),
        torch.from_numpy(audio),
        prepared.speakers.index(utterance.speaker),
        min(utterance.bandwidth_hz, spec.sample_rate / 2),
    )
    name = re.sub(r"[^\w.-]+", "_", f"{utterance.speaker}_{utterance.id}")
    return Clip(name, collate([sample]), np.array(part.f0_hz, np.float32))


class Validator:
    """Scores a state on held-out clips, and makes the samples a person listens to."""

    def __init__(
        self, prepared: PreparedDataset, count: int, messages: MessageSink, unvoiced_f0: str = "filled"
    ) -> None:
        self.spec = prepared.spec
        held_out = prepared.split("validation")
        self.clips = [read_clip(prepared, u, unvoiced_f0) for u in choose_clips(held_out, count)]
        training = prepared.split("train")
        # Without held-out recordings there is nothing to score, but still something to listen to.
        few = choose_clips(training, min(2, count))
        self.samples = self.clips or [read_clip(prepared, u, unvoiced_f0) for u in few]
        self.messages = messages
        self._speaker_encoder: Any = None
        self._speaker_encoder_missing = False

    @property
    def usable(self) -> bool:
        """Whether there are held-out clips to score."""
        return bool(self.clips)

    def validate(self, state: TrainState, tracker: Tracker) -> dict[str, float]:
        """Mean scores over all clips by name; the first clip's audio and picture go to the tracker."""
        scores: dict[str, list[float]] = {}
        with state.ema.applied(), torch.random.fork_rng(devices=[]):
            for i, clip in enumerate(self.clips):
                sung = sing(state, clip)
                found, f0_hz = self._score(clip, sung)
                for name, value in found.items():
                    scores.setdefault(name, []).append(value)
                if i == 0:
                    self._show(state, tracker, clip, sung, f0_hz)
        return {name: float(np.mean(values)) for name, values in scores.items()}

    def write_samples(self, state: TrainState, tracker: Tracker, most: int = 4) -> None:
        """The averaged voice singing some clips, as samples/step_<step>/; the originals as samples/recordings/."""
        rate = self.spec.sample_rate
        with state.ema.applied():
            for clip in self.samples[:most]:
                sung = sing(state, clip).numpy()
                tracker.sample(f"step_{state.step:08d}", clip.name, sung, rate)
                tracker.sample("recordings", clip.name, clip.batch.audio[0].numpy(), rate)
                tracker.audio(state.step, f"{clip.name}/sung", sung, rate)

    def _score(self, clip: Clip, sung: Tensor) -> tuple[dict[str, float], np.ndarray]:
        real = clip.batch.audio[0]
        found = {
            "mel_distance": mel_distance(real, sung, self.mel_settings, float(clip.batch.bandwidth_hz[0])),
            "stft_distance": stft_distance(real, sung),
        }
        f0_hz = self._track(sung.numpy(), len(clip.f0_hz))
        cents = f0_error_cents(clip.f0_hz, f0_hz)
        if cents is not None:
            found["f0_error_cents"] = cents
        cosine = self._speaker_cosine(real.numpy(), sung.numpy())
        if cosine is not None:
            found["speaker_cosine"] = cosine
        return found, f0_hz

    @property
    def mel_settings(self) -> MelSettings:
        """The spec's log-mel spectrogram."""
        spec = self.spec
        return MelSettings(
            spec.sample_rate, spec.n_fft, spec.hop_length, spec.n_mels, spec.mel_fmin_hz, spec.mel_fmax_hz
        )

    def _track(self, samples: np.ndarray, frames: int) -> np.ndarray:
        """F0 (T,) by an estimator other than the one the model is conditioned on."""
        spec = self.spec
        name = "harvest" if spec.pitch_estimator != "harvest" else "fcpe"
        estimator = PITCH_ESTIMATORS.create(name, spec.f0_min_hz, spec.f0_max_hz, "cpu")
        return estimator.estimate(samples, spec.sample_rate, spec.frame_times(frames)).f0_hz

    def _speaker_cosine(self, real: np.ndarray, sung: np.ndarray) -> float | None:
        if self._speaker_encoder_missing:
            return None
        try:
            if self._speaker_encoder is None:
                self._speaker_encoder = SPEAKER_ENCODERS.create(SPEAKER_ENCODER)
            a, b = (np.asarray(self._speaker_encoder.embed(x, self.spec.sample_rate)) for x in (real, sung))
        except (SvcError, ImportError, OSError) as error:
            self._speaker_encoder_missing = True
            self.messages(f"Validation goes without the speaker cosine: {error}")
            return None
        return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9))

    def _show(self, state: TrainState, tracker: Tracker, clip: Clip, sung: Tensor, f0_hz: np.ndarray) -> None:
        if not tracker.active:
            return
        rate = self.spec.sample_rate
        tracker.audio(state.step, f"{clip.name}/sung", sung.numpy(), rate)
        tracker.audio(state.step, f"{clip.name}/recording", clip.batch.audio[0].numpy(), rate)
        settings = self.mel_settings
        spectra = {
            "recording": log_mel(clip.batch.audio, settings)[0].numpy(),
            "sung": log_mel(sung[None], settings)[0].numpy(),
        }
        curves = {"asked for": clip.f0_hz, "sung": f0_hz}
        picture = comparison_figure(spectra, curves, self.spec.frame_rate, float(np.log(settings.floor)))
        tracker.picture(state.step, clip.name, picture)


def sing(state: TrainState, clip: Clip) -> Tensor:
    """The present weights' rendering (N,) of a clip on the CPU, from its features alone, with fixed noise."""
    model = state.model
    batch = clip.batch.to(state.device)
    frames = batch.content.shape[2]
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(1, model.config.inter_channels, frames, generator=random) * NOISE_SCALE
    source_noise = torch.randn(1, frames * state.spec.hop_length, generator=random)
    phase = torch.zeros(1, device=state.device)
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            audio = model.infer(model_input(batch), noise.to(state.device), phase, source_noise.to(state.device))
    finally:
        model.train(training)
    return audio[0, 0].float().cpu()


def mel_distance(real: Tensor, sung: Tensor, settings: MelSettings, bandwidth_hz: float = math.inf) -> float:
    """Mean absolute difference of natural-log mel spectrograms of audio (N,), in nepers, within the bandwidth."""
    distance = (log_mel(real[None], settings) - log_mel(sung[None], settings)).abs()
    counts = bands_inside(settings, torch.tensor([bandwidth_hz]))[0, :, 0] > 0
    return float(distance[:, counts].mean())


def stft_distance(real: Tensor, sung: Tensor) -> float:
    """Spectral convergence plus log-magnitude distance, mean over three resolutions (Yamamoto et al. 2020)."""
    total = 0.0
    for window, hop in STFT_RESOLUTIONS:
        a, b = (linear_spectrogram(x[None], window, hop) for x in (real, sung))
        convergence = torch.linalg.norm(a - b) / torch.linalg.norm(a).clamp(min=1e-6)
        total += float(convergence + (a.log() - b.log()).abs().mean())
    return total / len(STFT_RESOLUTIONS)


def f0_error_cents(wanted_hz: np.ndarray, sung_hz: np.ndarray) -> float | None:
    """Median absolute F0 error in cents over frames voiced in both; None where there are fewer than 5."""
    both = (wanted_hz > 0) & (sung_hz > 0)
    if both.sum() < 5:
        return None
    return float(np.median(np.abs(1200.0 * np.log2(sung_hz[both] / wanted_hz[both]))))
