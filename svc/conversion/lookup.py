"""From conversion options to a lineup: which index file is meant, whether it fits, who sings when."""

import hashlib
from pathlib import Path

from svc.checkpoint.voice import Voice
from svc.checkpoint.voice_index import SingerSounds, VoiceIndex, open_index
from svc.config import ConvertOptions
from svc.conversion.lineup import Lineup, SpeakerCurve, read_speaker_curve
from svc.conversion.retrieval import MixedRetrieval, Retrieval
from svc.errors import CheckpointError, ConfigError


class Lookup:
    """Opens the files that options name for one voice; an index is read once and kept until the file changes.

    beside: the index that lies beside the voice file, used where the options name none.
    """

    def __init__(self, voice: Voice, device: str = "cpu", beside: Path | None = None) -> None:
        self.voice, self.device, self.beside = voice, device, beside
        self._kept: tuple[tuple[str, int, int], VoiceIndex] | None = None
        self._made: tuple[tuple[object, ...], MixedRetrieval] | None = None

    def lineup(self, options: ConvertOptions) -> Lineup:
        """Who sings, and the retrieval to use.

        Raises ConfigError for a ratio without an index, an index without a ratio, or a curve that is not understood;
        CheckpointError for an unknown speaker or an index that cannot be used.
        """
        names = [speaker.name for speaker in self.voice.speakers]
        curve = self._curve(options)
        columns = (
            (self.voice.speaker_index(options.speaker),)
            if curve is None
            else tuple(self.voice.speaker_index(name) for name in curve.speakers)
        )
        return Lineup(columns, len(names), curve, self._retrieval(columns, options))

    def index_path(self, options: ConvertOptions) -> Path | None:
        """The index file that the options use, None when both ratios are 0; raises as `lineup` does."""
        if options.retrieval_ratio == 0 and options.cluster_ratio == 0:
            if options.index is not None:
                raise ConfigError(
                    f"The index {options.index} would not be used, since retrieval_ratio and cluster_ratio are 0: "
                    "set one of them above 0."
                )
            return None
        path = self.beside if options.index is None else Path(options.index)
        if path is None:
            name = "retrieval_ratio" if options.retrieval_ratio else "cluster_ratio"
            raise ConfigError(
                f"The setting {name} needs an index and there is none beside the voice: build one with  svc index "
                "RECORDINGS --voice VOICE,  or name one as index."
            )
        return path

    def index(self, path: Path) -> VoiceIndex:
        """The index at `path`, checked against the voice's content encoder."""
        try:
            state = path.stat()
        except OSError as error:
            raise CheckpointError(f"Cannot read the index {path}: {error.strerror or error}.") from error
        stamp = (str(path), state.st_size, state.st_mtime_ns)
        if self._kept is None or self._kept[0] != stamp:
            self._kept = None  # two large ones need not be in memory at once
            self._kept = (stamp, open_index(path))
        index = self._kept[1]
        index.require(self.voice.spec, str(path))
        return index

    def fingerprint(self, options: ConvertOptions) -> list[str]:
        """Hashes of the files beside the voice that decide how a conversion with these options sounds."""
        named = [self.index_path(options), Path(options.speaker_curve) if options.speaker_curve else None]
        return [_sha256(path) if path else "" for path in named]

    def note(self, options: ConvertOptions) -> str:
        """One line on the index that is used, or that lies there unused; empty when there is none."""
        path = self.index_path(options)
        if path is not None:
            where = " beside the voice" if path == self.beside else ""
            singers = ", ".join(_described(name, sounds) for name, sounds in self.index(path).singers.items())
            return f"Using the index {path}{where} ({singers})."
        if self.beside is not None:
            return f"The index {self.beside} beside the voice is not used: set --retrieval-ratio or --cluster-ratio."
        return ""

    def _curve(self, options: ConvertOptions) -> SpeakerCurve | None:
        if options.speaker_curve is None:
            return None
        if options.speaker is not None:
            raise ConfigError("A speaker and a speaker curve contradict each other: leave one of them out.")
        return read_speaker_curve(Path(options.speaker_curve))

    def _retrieval(self, columns: tuple[int, ...], options: ConvertOptions) -> MixedRetrieval | None:
        """What mixes the content for the speakers of these numbers; the last one is kept for the next song."""
        path = self.index_path(options)
        if path is None:
            return None
        index = self.index(path)
        assert self._kept is not None
        ratios = (options.retrieval_ratio, options.cluster_ratio, options.retrieval_unvoiced)
        key = (self._kept[0], columns, ratios)
        if self._made is None or self._made[0] != key:
            names = [speaker.name for speaker in self.voice.speakers]
            parts = [self._part(index.sounds(names[i], names, str(path)), options, path) for i in columns]
            self._made = (key, MixedRetrieval(parts))
        return self._made[1]

    def _part(self, sounds: SingerSounds, options: ConvertOptions, path: Path) -> Retrieval:
        if options.retrieval_ratio > 0 and sounds.frames is None:
            raise CheckpointError(
                f"The index {path} holds clusters only: set cluster_ratio instead of retrieval_ratio."
            )
        if options.cluster_ratio > 0 and sounds.clusters is None:
            raise CheckpointError(
                f"The index {path} holds no clusters: set retrieval_ratio instead of cluster_ratio, or build both with "
                "svc index."
            )
        ratios = options.retrieval_ratio, options.cluster_ratio
        return Retrieval(sounds, *ratios, unvoiced=options.retrieval_unvoiced, device=self.device)


def _described(name: str, sounds: SingerSounds) -> str:
    parts = [f"{len(sounds.frames.vectors)} frames"] if sounds.frames else []
    parts += [f"{len(sounds.clusters)} clusters"] if sounds.clusters is not None else []
    return f"{name}: {' and '.join(parts)}".removeprefix(": ")


def _sha256(path: Path) -> str:
    total = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror or error}.") from error
    return total.hexdigest()
