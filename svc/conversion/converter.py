"""A voice, loaded and ready: vocals in, the same song sung by the voice out."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from svc.audio.signal import Audio
from svc.checkpoint.importers.opening import open_voice
from svc.checkpoint.operations import speaker_between
from svc.checkpoint.voice import SpeakerInfo, Voice
from svc.checkpoint.voice_index import index_beside
from svc.config import ConvertOptions
from svc.conversion.level import at_the_level_of
from svc.conversion.lineup import Lineup
from svc.conversion.lookup import Lookup
from svc.conversion.prompt import PromptSinger, hear_prompt, require_prompts
from svc.conversion.sources import ArraySource, SampleSource
from svc.conversion.stream import ConversionReport, SongStream
from svc.errors import AudioError, ConfigError
from svc.features.extractor import FeatureExtractor
from svc.features.spec import FeatureSpec

Progress = Callable[[float], None]
FULL_SCALE = 0.999


class Converter:
    """Sings with one voice.

    Built from a Voice in memory, or with `Converter.load` from a voice file. Networks are loaded once and reused by
    every conversion; a Converter holds no state of a song, so calls do not influence each other.
    """

    def __init__(self, voice: Voice, device: str = "cpu") -> None:
        self.voice = voice
        self.device = resolve_device(device)
        self.model = voice.build(self.device)
        self.extractor = FeatureExtractor(voice.spec, self.device)
        self.lookup = Lookup(voice, self.device)
        self._other_pitch: dict[str, FeatureExtractor] = {}
        self._last_prompt: tuple[tuple[Any, ...], PromptSinger] | None = None

    @classmethod
    def load(cls, path: Path | str, device: str = "cpu") -> "Converter":
        """A converter of the voice file at `path`, ours or one that can be imported.

        An index NAME.index.safetensors beside the voice NAME is known to it from then on. Raises CheckpointError in
        one sentence if it is not a usable voice.
        """
        made = cls(open_voice(Path(path)), device)
        if index_beside(Path(path)).is_file():
            made.lookup.beside = index_beside(Path(path))
        return made

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything in the voice that decides how it sounds."""
        digest = hashlib.sha256(self.spec.fingerprint().encode())
        digest.update(self.voice.config.model_dump_json().encode())
        known = [(info.name, info.f0_median_hz, info.level_db) for info in self.voice.speakers]
        digest.update(repr(known).encode())
        for name, tensor in sorted(self.voice.state.items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @property
    def spec(self) -> FeatureSpec:
        """The features the voice was trained on."""
        return self.voice.spec

    @property
    def sample_rate(self) -> int:
        """Rate of what `convert` returns, in Hz."""
        return self.voice.spec.sample_rate

    def convert(self, audio: Audio, options: ConvertOptions | None = None, progress: Progress | None = None) -> Audio:
        """The vocals `audio` sung by the voice: mono, at the voice's rate, round(N * rate / audio.sample_rate) samples.

        Same audio, options and device give the same samples. Raises AudioError for audio without a sample,
        CheckpointError for a speaker the voice does not have.
        """
        return self.convert_reported(audio, options, progress)[0]

    def convert_reported(
        self, audio: Audio, options: ConvertOptions | None = None, progress: Progress | None = None
    ) -> tuple[Audio, ConversionReport]:
        """`convert`, and what was done: transposition, joins, gain."""
        samples = self.extractor.samples(audio)
        parts: list[np.ndarray] = []
        report = self.convert_stream(ArraySource(samples), parts.append, options, progress)
        result = np.concatenate(parts)
        peak = float(np.abs(result).max())
        if peak > FULL_SCALE:
            gain = FULL_SCALE / peak
            result = result * np.float32(gain)
            report = replace(report, gain_db=20 * math.log10(gain))
        return Audio(result[None], self.sample_rate), report

    def convert_stream(
        self,
        source: SampleSource,
        write: Callable[[np.ndarray], None],
        options: ConvertOptions | None = None,
        progress: Progress | None = None,
    ) -> ConversionReport:
        """Convert `source`, mono at the voice's rate, into calls of `write` with (n,) float32 samples.

        Exactly `source.length` samples are written; peaks above full scale are left to the caller. Memory does not
        grow with the length.
        """
        options = options or ConvertOptions()
        if source.length == 0:
            raise AudioError("The audio holds no samples: there is nothing to convert.")
        self.require_able(options)
        lineup = self.lookup.lineup(options)
        heard = self._heard(options)
        singer = at_the_level_of(self.voice, heard.info) if heard else self._together(lineup)
        speaker = (lineup.columns[0], singer)
        stream = SongStream(self.model, self.extractor, self._pitch(options), speaker, options, lineup)
        stream.speaker_vector = heard.vector if heard else None
        return stream.run(source, write, progress)

    def require_able(self, options: ConvertOptions) -> None:
        """ConfigError when the options ask for a prompt or a formant shift that this voice cannot follow."""
        if options.formant_semitones != 0 and self.model.formant is None:
            raise ConfigError(
                "This voice cannot shift formants: leave formant_semitones at 0, or use the built-in base voice or one "
                "trained from it."
            )
        if options.prompt is None:
            return
        require_prompts(self.model)
        if options.speaker is not None or options.speaker_curve is not None:
            raise ConfigError("A prompt says who shall sing: leave out speaker and speaker curve, or the prompt.")

    def _heard(self, options: ConvertOptions) -> PromptSinger | None:
        """The singer of the options' prompt; the last one is kept for the next song."""
        if options.prompt is None:
            return None
        try:
            stat = options.prompt.stat()
        except OSError as error:
            raise ConfigError(f"The prompt {options.prompt} cannot be read ({error.strerror or error}).") from error
        key = (options.prompt, stat.st_mtime_ns, stat.st_size, options.pitch_estimator)
        if self._last_prompt is None or self._last_prompt[0] != key:
            self._last_prompt = (key, hear_prompt(options.prompt, self.model, self._pitch(options)))
        return self._last_prompt[1]

    def _together(self, lineup: Lineup) -> SpeakerInfo:
        """The one who sings, or all who do under one name, at the middle of their ranges."""
        infos = [self.voice.speakers[column] for column in lineup.columns]
        return speaker_between([(info, 1.0) for info in infos])

    def _pitch(self, options: ConvertOptions) -> FeatureExtractor:
        """The extractor whose F0 is used: the voice's own, or one for another estimator (kept for the next song)."""
        name = options.pitch_estimator
        if name is None or (name == self.spec.pitch_estimator and not self.spec.pitch_weights):
            return self.extractor
        if name not in self._other_pitch:
            # Whoever names an estimator takes the file of it that is here, whichever the voice was trained with.
            spec = replace(self.spec, pitch_estimator=name, pitch_weights="")
            self._other_pitch[name] = FeatureExtractor(spec, self.device)
        return self._other_pitch[name]


def resolve_device(name: str) -> str:
    """A torch device name; "auto" is CUDA, then Apple's MPS, then the CPU. ConfigError for one that is not here."""
    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind = name.split(":")[0]
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not here.get(kind, False):
        raise ConfigError(f"The device '{name}' is not available here: choose cpu or auto.")
    return name
