"""Content frames of recordings and of prepared datasets, one after the other, for learning and using units."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from svc.audio.reading import find_audio, read_audio
from svc.data.manifest import MANIFEST_NAME, PreparedDataset
from svc.errors import AudioError, ConfigError
from svc.progress import Progress, part
from svc.registry import CONTENT_ENCODERS


@dataclass(frozen=True)
class Hearing:
    """Which content is meant: encoder, layers, normalisation, and the sha256 of the encoder's weights ("" any)."""

    encoder: str
    layers: tuple[tuple[int, float], ...]
    normalisation: str
    weights: str = ""

    @staticmethod
    def of(encoder: str, layer: int | None, normalisation: str) -> "Hearing":
        """With the encoder's recommended layers where `layer` is None; ConfigError for an unknown encoder."""
        kind = CONTENT_ENCODERS.load(encoder)
        layers = kind.default_layers if layer is None else {layer: 1.0}
        pairs = tuple(sorted((int(k), float(v)) for k, v in layers.items()))
        return Hearing(encoder, pairs, normalisation, str(kind.weights_sha256))

    @staticmethod
    def from_facts(facts: dict[str, Any], where: str) -> "Hearing":
        """Back from `to_facts`; ConfigError when something is missing."""
        try:
            layers = tuple((int(k), float(v)) for k, v in facts["layers"])
            return Hearing(str(facts["encoder"]), layers, str(facts["normalisation"]), str(facts["weights"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{where} does not say what its units were learnt on ({error}): learn them again."
            ) from None

    def to_facts(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def require(self, other: "Hearing", what: str) -> None:
        """ConfigError naming what differs unless `other` is the same content."""
        pairs: list[tuple[str, Any, Any]] = [
            ("encoder", self.encoder, other.encoder),
            ("layers", self.layers, other.layers),
            ("normalisation", self.normalisation, other.normalisation),
        ]
        if self.weights and other.weights:
            pairs.append(("weights", self.weights[:12], other.weights[:12]))
        different = [f"{name} {theirs} instead of {mine}" for name, mine, theirs in pairs if mine != theirs]
        if different:
            raise ConfigError(f"{what} holds other content ({', '.join(different)}): use the same for both.")


@dataclass(frozen=True)
class RecordingFrames:
    """Content (T, D) of one recording or slice, and the times (T,) in seconds of its frames.

    `source` is the audio file; None for a slice of a dataset.
    """

    name: str
    values: np.ndarray
    times: np.ndarray
    source: Path | None


@dataclass(frozen=True)
class Recordings:
    """Audio files (with the name of each) and opened datasets, and the content of all of them."""

    files: tuple[tuple[str, Path], ...]
    datasets: tuple[PreparedDataset, ...]
    hearing: Hearing

    @staticmethod
    def find(inputs: Sequence[Path], wanted: Hearing | None, default: Hearing | None = None) -> "Recordings":
        """What `inputs` name: audio files, folders of them, prepared datasets.

        The content is `wanted`; without it that of the datasets, else `default`. Raises AudioError for an input that
        is not there or holds no audio, ConfigError where datasets hold other content than is wanted.
        """
        files: list[tuple[str, Path]] = []
        datasets: list[PreparedDataset] = []
        for path in inputs:
            if (path / MANIFEST_NAME).is_file():
                datasets.append(PreparedDataset.open(path))
            elif path.is_dir():
                found = find_audio(path)
                files += [(file.relative_to(path).with_suffix("").as_posix(), file) for file in found]
            elif path.is_file():
                files.append((path.stem, path))
            else:
                raise AudioError(f"{path} does not exist: name audio files, folders of them or prepared datasets.")
        hearing = wanted
        for dataset in datasets:
            theirs = hearing_of(dataset)
            hearing = theirs if hearing is None else hearing
            hearing.require(theirs, f"The dataset {dataset.directory}")
        hearing = hearing or default
        if hearing is None:
            raise ConfigError("Which encoder the units belong to is not known: say it with --encoder and --layer.")
        return Recordings(tuple(_distinct(files)), tuple(datasets), hearing)

    def frames(self, device: str = "cpu", progress: Progress | None = None) -> Iterator[RecordingFrames]:
        """Every recording in turn; files at the encoder's own frame rate, slices at their dataset's."""
        slices = [(dataset, utterance) for dataset in self.datasets for utterance in dataset.kept]
        total, done = len(slices) + len(self.files), 0
        encoder: Any = self._encoder(device) if self.files else None
        for name, path in self.files:
            heard = encoder.encode(_samples(path, encoder.sample_rate), part(progress, done / total, 1 / total))
            yield RecordingFrames(name, heard.values, heard.times, path)
            done += 1
        for dataset, utterance in slices:
            values = dataset.features(utterance).content
            yield RecordingFrames(utterance.id, values, dataset.spec.frame_times(len(values)), None)
            done += 1
            if progress:
                progress(done / total)

    def _encoder(self, device: str) -> Any:
        kind = CONTENT_ENCODERS.load(self.hearing.encoder)
        here = replace(self.hearing, weights=str(kind.weights_sha256))
        self.hearing.require(here, "The encoder that is here")
        return kind(dict(self.hearing.layers), self.hearing.normalisation, device)


def hearing_of(dataset: PreparedDataset) -> Hearing:
    """The content that a dataset holds."""
    spec = dataset.spec
    return Hearing(spec.content_encoder, spec.content_layers, spec.content_normalisation, spec.content_weights)


def _samples(path: Path, rate: int) -> np.ndarray:
    samples = read_audio(path).mono().resampled(rate).samples[0]
    if not len(samples):
        raise AudioError(f"{path} holds no samples: there is nothing to hear.")
    return samples


def _distinct(files: list[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """Each file once; where two have one name, the later ones get -2, -3 ..."""
    named: list[tuple[str, Path]] = []
    seen: set[Path] = set()
    taken: set[str] = set()
    for name, path in files:
        if path.resolve() in seen:
            continue
        seen.add(path.resolve())
        free, number = name, 1
        while free in taken:
            number += 1
            free = f"{name}-{number}"
        taken.add(free)
        named.append((free, path))
    return named
