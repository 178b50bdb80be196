"""One song through the voice, piece by piece, with memory that does not grow with its length.

The song is cut into windows (`windows.plan_cuts`). A piece is a run of windows of about two minutes: its features
are measured once, with context on both sides; each of its windows is synthesised with context of its own, treated
beside its source (`blending`), and joined to the one before. A song of up to two minutes is one piece, so its features
are those that preparing would measure; with content normalisation "recording" a piece counts as a recording.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from svc.config import ConvertOptions
from svc.conversion import blending, melody, windows
from svc.conversion.level import level_shift_db, shifted_levels
from svc.conversion.lineup import Lineup
from svc.conversion.noise import PositionNoise
from svc.conversion.sources import SampleSource
from svc.features.extractor import FeatureExtractor
from svc.features.spec import Features

Progress = Callable[[float], None]
PIECE_SECONDS = 120.0
PIECE_CONTEXT_SECONDS = 5.0
"""Content frames depend on at most this much to each side."""
ROUND_FRAMES = 64
SHORTEST_SECONDS = 0.5
"""Shorter songs are measured with silence after them: encoder and estimator windows need something to look at."""


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion did.

    samples, joins: length and cut positions in samples at the voice's rate; join_correlations: likeness of the two
    windows at each join, 0..1; source_f0_median_hz: of voiced frames, 0 if there are none or it was not asked for;
    gain_db: gain that was needed to stay under full scale, 0 or less; level_shift_db: how much louder the voice heard
    the song than it is.
    """

    speaker: str
    transpose_semitones: float
    source_f0_median_hz: float
    samples: int
    joins: tuple[int, ...] = ()
    join_correlations: tuple[float, ...] = ()
    gain_db: float = 0.0
    level_shift_db: float = 0.0


@dataclass
class Piece:
    """Features of frames [first, last), enough for every window in it and its context."""

    first: int
    last: int
    features: Features
    cuts: list[int] = field(default_factory=list)


class SongStream:
    """One conversion in progress.

    Args:
        model: a VoiceModel in evaluation mode on `device`.
        extractor: the voice's features; `pitch` is the extractor whose F0 is used (another one when the options name
            another estimator).
        speaker_id, speaker: index and SpeakerInfo of who shall sing.
        options: all settings of the conversion.
        lineup: a speaker curve and retrieval, where the options ask for them.
    """

    def __init__(
        self,
        model: Any,
        extractor: FeatureExtractor,
        pitch: FeatureExtractor,
        speaker: tuple[int, Any],
        options: ConvertOptions,
        lineup: Lineup | None = None,
    ) -> None:
        self.model, self.extractor, self.pitch = model, extractor, pitch
        self.lineup = lineup
        self.speaker_id, self.speaker = speaker
        self.speaker_vector: Any = None  # (1, G), where a prompt says who sings
        self.options = options
        self.spec = extractor.spec
        self.written = melody.WrittenMelody(options.f0_file) if options.f0_file else None
        self.noise = PositionNoise(options.seed)
        self.context = max(1, round(options.context_seconds * self.spec.frame_rate))

    def run(
        self, source: SampleSource, write: Callable[[np.ndarray], None], progress: Progress | None = None
    ) -> ConversionReport:
        """Convert `source` (mono, at the voice's rate) and `write` exactly as many float32 samples."""
        rate, hop = self.spec.sample_rate, self.spec.hop_length
        found = windows.survey(source, rate, hop)
        self.found, self.source = found, source
        self.silence_db = blending.silence_level(found.level_db)
        self.level_shift_db = level_shift_db(found.level_db, self.speaker.level_db) if self.options.match_level else 0.0
        transpose, median = self._transpose()
        cuts = windows.plan_cuts(found, round(self.options.window_seconds * self.spec.frame_rate))
        joiner = windows.WindowJoiner(_limited(write, source.length))
        fades = [0, *(self._fade(cut) for cut in cuts[1:-1]), 0]
        phase, done = 0.0, 0
        for piece in self._pieces(cuts):
            f0_hz = melody.edit_pitch(piece.features.f0_hz, transpose, self.options)
            for start, stop in zip(piece.cuts[:-1], piece.cuts[1:]):
                low, high = self._with_context(start, stop)
                audio, phase = self._window(piece, f0_hz, (low, start, stop, high), phase)
                joiner.add(audio, low * hop, stop * hop, (fades[done], fades[done + 1]))
                done += 1
                if progress:
                    progress(stop / found.frames)
        return ConversionReport(
            speaker=self.speaker.name,
            transpose_semitones=transpose,
            source_f0_median_hz=median,
            samples=source.length,
            joins=tuple(cut * hop for cut in cuts[1:-1]),
            join_correlations=tuple(joiner.correlations),
            level_shift_db=self.level_shift_db,
        )

    def _with_context(self, start: int, stop: int) -> tuple[int, int]:
        """Frames to synthesise for a window: context on both sides, as much more as makes the length a round number.

        A song then asks the network for a handful of lengths, and libraries that prepare kernels for each length they
        meet do not fill the memory with them.
        """
        low, high = max(0, start - self.context), min(self.found.frames, stop + self.context)
        high = min(self.found.frames, high + -(high - low) % ROUND_FRAMES)
        return max(0, low - -(high - low) % ROUND_FRAMES), high

    def _transpose(self) -> tuple[float, float]:
        """Semitones to transpose by, and the source's median F0 where it had to be known."""
        if not isinstance(self.options.transpose, str):
            return float(self.options.transpose), 0.0
        choose = melody.semitone_transpose if self.options.transpose == "nearest" else melody.octave_transpose
        voiced = [np.zeros(0, dtype=np.float32)]
        for first, last in melody.excerpts(self.found, self.spec):
            f0_hz = self._f0(self._read(first, last), first)
            voiced.append(f0_hz[f0_hz > 0])
        together = np.concatenate(voiced)
        median = float(np.median(together)) if len(together) else 0.0
        return choose(median, float(self.speaker.f0_median_hz)), median

    def _f0(self, samples: np.ndarray, first: int) -> np.ndarray:
        """F0 (T,) of `samples`, which begin at frame `first`: measured, or what the options' file says."""
        if self.written is None:
            return self.pitch.pitch(samples)
        frames = self.spec.frames(len(samples))
        return self.written.f0_hz(self.spec.frame_times(first + frames)[first:])

    def _fade(self, cut: int) -> int:
        seconds = windows.SHORT_FADE_SECONDS if windows.is_quiet_cut(self.found, cut) else windows.LONG_FADE_SECONDS
        return 2 * round(seconds * self.spec.sample_rate / 2)

    def _pieces(self, cuts: list[int]) -> Iterator[Piece]:
        limit = round(PIECE_SECONDS * self.spec.frame_rate)
        margin = round(PIECE_CONTEXT_SECONDS * self.spec.frame_rate) + self.context + ROUND_FRAMES
        begin = 0
        while begin < len(cuts) - 1:
            end = begin + 1
            while end < len(cuts) - 1 and cuts[end + 1] - cuts[begin] <= limit:
                end += 1
            first, last = max(0, cuts[begin] - margin), min(self.found.frames, cuts[end] + margin)
            yield Piece(first, last, self._features(first, last), cuts[begin : end + 1])
            begin = end

    def _read(self, first: int, last: int) -> np.ndarray:
        """Samples of frames [first, last), with silence after the song's end up to the last whole frame."""
        hop = self.spec.hop_length
        samples = self.source.read(first * hop, last * hop)
        return np.pad(samples, (0, (last - first) * hop - len(samples)))

    def _features(self, first: int, last: int) -> Features:
        samples = self._read(first, last)
        needed = round(SHORTEST_SECONDS * self.spec.sample_rate)
        samples = np.pad(samples, (0, max(0, needed - len(samples))))
        f0_hz = self._f0(samples, first)
        content, loudness = self.extractor.content(samples), self.extractor.loudness(samples)
        features = Features(content, f0_hz, f0_hz > 0, loudness, self.spec).cut(0, last - first)
        if self.lineup is None:
            return features
        content = self.lineup.content(features.content, features.voiced, self._times(first, features.frames))
        return replace(features, content=content)

    def _times(self, first: int, frames: int) -> np.ndarray:
        """Seconds in the song of `frames` frames from frame `first` on."""
        return (first + np.arange(frames) + 0.5) / self.spec.frame_rate

    def _singer(self, first: int, frames: int) -> np.ndarray:
        """What tells the model who sings: a number (1,), or weights (1, speakers, frames)."""
        weights = self.lineup.speaker_weights(self._times(first, frames)) if self.lineup else None
        return np.array([self.speaker_id]) if weights is None else weights[None]

    def _window(
        self, piece: Piece, f0_hz: np.ndarray, frames: tuple[int, int, int, int], phase: float
    ) -> tuple[np.ndarray, float]:
        """Audio of frames [low, high) and the source's phase at `stop`, given that at `start`."""
        low, start, stop, high = frames
        hop = self.spec.hop_length
        source = self._read(low, high)
        if self.found.level_db[low:high].max() < self.silence_db - blending.SILENCE_RANGE_DB:
            return self._with_pauses(source, np.zeros_like(source)), phase
        inside = slice(low - piece.first, high - piece.first)
        features = replace(piece.features.cut(inside.start, inside.stop), f0_hz=f0_hz[inside])
        result, phase = self._synthesise(features, low, start - low, stop - low, phase)
        return self._blend(source, result, piece.features.voiced[inside], low, hop), phase

    def _blend(self, source: np.ndarray, result: np.ndarray, voiced: np.ndarray, low: int, hop: int) -> np.ndarray:
        options, rate = self.options, self.spec.sample_rate
        if options.match_loudness > 0:
            result = result * blending.loudness_gain(source, result, rate, hop, options.match_loudness)
        if options.protect > 0:
            low_band = self.found.low_band_db[low : low + len(voiced)]
            weight = options.protect * blending.noise_like(source, voiced, low_band, hop, self.silence_db)
            result = blending.keep_noises(source, result, weight, hop)
        return self._with_pauses(source, result)

    def _with_pauses(self, source: np.ndarray, result: np.ndarray) -> np.ndarray:
        kept = blending.keep_room_tone(source, result, self.spec.hop_length, self.silence_db)
        return kept.astype(np.float32)

    def _synthesise(
        self, features: Features, first_frame: int, start: int, stop: int, phase: float
    ) -> tuple[np.ndarray, float]:
        """Run the model on one window.

        `features` carry the asked F0; `start` and `stop` are the window's own frames inside them, and `phase` is the
        source's phase before frame `start`. Returns (T * hop,) samples and the phase before frame `stop`.
        """
        import torch

        from svc.models.vits.voice_model import ModelInput
        from svc.pitch.editing import fill_unvoiced

        device = self.extractor.device

        def row(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None].to(device)

        frames, scale = features.frames, self.options.noise_scale
        filled = fill_unvoiced(features.f0_hz, self.model.config.unvoiced_f0)
        batch = ModelInput(
            content=row(features.content.T),
            f0_hz=row(filled),
            voiced=row(features.voiced),
            loudness_db=row(shifted_levels(features.loudness_db, self.level_shift_db)),
            lengths=torch.tensor([frames], device=device),
            speaker_id=torch.from_numpy(self._singer(first_frame, frames)).to(device),
            spectrogram=None,
            speaker_vector=self.speaker_vector,
            shift_semitones=torch.tensor([self.options.formant_semitones], device=device),
        )
        channels = self.model.config.inter_channels
        noise = row(self.noise.latent(first_frame, frames, channels) * scale) if scale > 0 else None
        hop = self.spec.hop_length
        source_noise = row(self.noise.source(first_frame * hop, frames * hop))
        with torch.inference_mode():
            z, sung_hz = self.model.infer_latent(batch, noise, self.options.predict_f0)
            asked = sung_hz[0].float().cpu().numpy()
            phases = melody.phase_starts(asked, hop, self.spec.sample_rate, start, phase)
            first = torch.tensor([phases[0]], dtype=torch.float32, device=device)
            audio = self.model.decode(z, sung_hz, batch.voiced, self.model.speaker_vector(batch), first, source_noise)
        heard_louder = np.float32(10.0 ** (self.level_shift_db / 20.0))
        return audio[0, 0].float().cpu().numpy() / heard_louder, float(phases[stop])


def _limited(write: Callable[[np.ndarray], None], length: int) -> Callable[[np.ndarray], None]:
    """`write`, stopping after `length` samples: the last frame reaches past the song's end."""
    left = length

    def inner(samples: np.ndarray) -> None:
        nonlocal left
        part = samples[:left]
        left -= len(part)
        if len(part):
            write(part)

    return inner
