"""The prepared dataset: a manifest of slices over stored recordings, read with cheap random access."""

import hashlib
import json
import math
import os
import re
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from svc.audio.loudness import sounding_level_db
from svc.errors import DatasetError, SpecMismatchError
from svc.features.spec import Features, FeatureSpec

MANIFEST_VERSION = 1
MANIFEST_NAME = "manifest.json"
# Paths in a manifest come from a file that may have been shared: only our own generated names are followed.
_SAFE_FILE = re.compile(r"^store/[0-9a-f]{2,32}/[a-z]+-[0-9a-f]{4,32}\.npy$")


@dataclass(frozen=True)
class Utterance:
    """One slice of a recording.

    `start` and `samples` in samples at `spec.sample_rate` from the beginning of the recording; `start` is a multiple
    of the hop, so frames [start / hop, start / hop + frames) of the recording are this slice's.
    `recording` is the path below the raw folder (for display only). `split` is "train" or "validation".
    F0 figures are the 5th, 50th and 95th percentile of voiced frames in Hz, 0 if none is voiced.
    `flags` are the doctor's findings that did not make it drop the slice. `bandwidth_hz` is the highest frequency that
    the recording reaches, half the rate if it has no edge below.
    """

    id: str
    speaker: str
    recording: str
    recording_sha256: str
    start: int
    samples: int
    frames: int
    split: str
    f0_low_hz: float
    f0_median_hz: float
    f0_high_hz: float
    flags: tuple[str, ...] = ()
    bandwidth_hz: float = math.inf


@dataclass(frozen=True)
class SpeakerStats:
    """A singer's usable minutes, and F0 percentiles (5, 50, 95) in Hz over voiced frames."""

    name: str
    minutes: float
    f0_low_hz: float
    f0_median_hz: float
    f0_high_hz: float


@dataclass(frozen=True)
class StoredRecording:
    """Files of one recording below the dataset folder. audio int16, times `audio_scale` is the sample value."""

    audio: str
    audio_scale: float
    content: str
    pitch: str
    loudness: str

    def below(self, directory: Path) -> "StoredRecording":
        """The same files by their whole paths, for a dataset that lies elsewhere."""
        place = directory.resolve()
        audio, content, pitch, loudness = (
            str(place / name) for name in (self.audio, self.content, self.pitch, self.loudness)
        )
        return StoredRecording(audio, self.audio_scale, content, pitch, loudness)


@dataclass(frozen=True)
class PreparedDataset:
    """A prepared dataset folder, opened. Holds no open files, so it can be sent to data loading processes."""

    directory: Path
    spec: FeatureSpec
    speakers: list[str]
    utterances: list[Utterance]
    recordings: dict[str, StoredRecording]
    speaker_stats: dict[str, SpeakerStats]
    prepare: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    excluded: frozenset[str] = frozenset()

    @staticmethod
    def open(directory: Path | str) -> "PreparedDataset":
        """Read `directory`/manifest.json.

        Raises DatasetError when it is missing, damaged, of another version, or names files that are not there;
        SpecMismatchError for an unknown feature specification.
        """
        directory = Path(directory)
        dataset = _from_plain(directory, _read(directory / MANIFEST_NAME))
        for stored in dataset.recordings.values():
            for name in (stored.audio, stored.content, stored.pitch, stored.loudness):
                if not _SAFE_FILE.match(name):
                    raise DatasetError(f"{directory / MANIFEST_NAME} names the file {name!r}, which is not part of it.")
                if not (directory / name).is_file():
                    raise DatasetError(f"{directory / name} is missing: run  svc prepare  again to restore it.")
        return dataset

    def save(self) -> Path:
        """Write the manifest atomically; its path."""
        nyquist = self.spec.sample_rate / 2
        data = {
            "version": MANIFEST_VERSION,
            "spec": self.spec.to_dict(),
            "prepare": self.prepare,
            "speakers": self.speakers,
            "speaker_stats": [asdict(s) for s in self.speaker_stats.values()],
            "warnings": self.warnings,
            "excluded": sorted(self.excluded),
            "recordings": {key: asdict(value) for key, value in self.recordings.items()},
            "utterances": [asdict(u) | {"bandwidth_hz": min(u.bandwidth_hz, nyquist)} for u in self.utterances],
        }
        path = self.directory / MANIFEST_NAME
        write_text(path, json.dumps(data, ensure_ascii=False, indent=1))
        return path

    def split(self, name: str) -> list[Utterance]:
        """The utterances of "train" or "validation" that a person did not exclude, in manifest order."""
        return [u for u in self.kept if u.split == name]

    @property
    def kept(self) -> list[Utterance]:
        """The utterances that a person did not exclude (see `svc.data.selection`)."""
        return [u for u in self.utterances if u.id not in self.excluded]

    def audio(self, utterance: Utterance, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Samples [start, stop) of the slice, float32 (n,) at `spec.sample_rate`; only these are read."""
        stored = self._stored(utterance)
        stop = utterance.samples if stop is None else min(stop, utterance.samples)
        samples = self._load(stored.audio)[utterance.start + start : utterance.start + stop]
        return samples.astype(np.float32) * np.float32(stored.audio_scale)

    def features(self, utterance: Utterance, start_frame: int = 0, stop_frame: int | None = None) -> Features:
        """Frames [start_frame, stop_frame) of the slice; only these are read."""
        stored = self._stored(utterance)
        first = utterance.start // self.spec.hop_length
        stop_frame = utterance.frames if stop_frame is None else min(stop_frame, utterance.frames)
        part = slice(first + start_frame, first + stop_frame)
        f0_hz = self.f0_hz(utterance)[start_frame:stop_frame]
        return Features(
            content=self._load(stored.content)[part].astype(np.float32),
            f0_hz=f0_hz,
            voiced=f0_hz > 0,
            loudness_db=self.loudness_db(utterance)[start_frame:stop_frame],
            spec=self.spec,
        )

    def f0_hz(self, utterance: Utterance) -> np.ndarray:
        """F0 of the slice in Hz, float32 (frames,), 0 where unvoiced."""
        return self._frames(self._stored(utterance).pitch, utterance)

    def loudness_db(self, utterance: Utterance) -> np.ndarray:
        """Loudness of the slice in dB of full scale, float32 (frames,)."""
        return self._frames(self._stored(utterance).loudness, utterance)

    @cached_property
    def levels_db(self) -> dict[str, float | None]:
        """How loud each singer's training recordings usually are, in dB of full scale; None where they are silent."""
        heard: dict[str, list[np.ndarray]] = {name: [] for name in self.speakers}
        for u in self.split("train"):
            heard[u.speaker].append(self.loudness_db(u))
        levels = {name: sounding_level_db(np.concatenate(parts)) if parts else None for name, parts in heard.items()}
        return {name: None if level is None else round(level, 1) for name, level in levels.items()}

    def joined(self, other: "PreparedDataset") -> "PreparedDataset":
        """This dataset with the utterances of `other` behind its own, its singers behind its own ones.

        A singer of `other` whose name is taken gets another. Not to be saved: its files lie in both folders. Raises
        SpecMismatchError for other features.
        """
        self.spec.require(other.spec, f"The dataset {other.directory}")
        names = {
            name: name if name not in self.speakers else f"{name} ({other.directory.name})" for name in other.speakers
        }
        recordings = {key: stored.below(other.directory) for key, stored in other.recordings.items()}
        utterances = [
            replace(u, speaker=names[u.speaker]) for u in other.kept if u.recording_sha256 not in self.recordings
        ]
        stats = {names[s.name]: replace(s, name=names[s.name]) for s in other.speaker_stats.values()}
        return replace(
            self,
            speakers=[*self.speakers, *names.values()],
            utterances=[*self.utterances, *utterances],
            recordings={**recordings, **self.recordings},
            speaker_stats={**self.speaker_stats, **stats},
        )

    def fingerprint(self) -> str:
        """Short hash of the spec and of every slice in use with its split; changes when the training data changes."""
        digest = hashlib.sha256(self.spec.fingerprint().encode())
        for u in sorted(self.kept, key=lambda u: u.id):
            digest.update(
                f"{u.id} {u.speaker} {u.recording_sha256} {u.start} {u.samples} {u.split}\n".encode("utf-8", "replace")
            )
        return digest.hexdigest()[:16]

    def _stored(self, utterance: Utterance) -> StoredRecording:
        return self.recordings[utterance.recording_sha256]

    def _frames(self, name: str, utterance: Utterance) -> np.ndarray:
        """The slice's values of a stored curve, float32 (frames,)."""
        first = utterance.start // self.spec.hop_length
        return np.array(self._load(name)[first : first + utterance.frames], dtype=np.float32)

    def _load(self, name: str) -> np.ndarray:
        path = self.directory / name
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DatasetError(
                f"{path} cannot be read ({error}): delete it and run  svc prepare  again to restore it."
            ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically (UTF-8, newlines as given)."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(text.encode("utf-8", "replace"))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(
            f"{path.parent} is not a prepared dataset ({path.name} is missing): run  svc prepare SINGER_DIR "
            f"--output {path.parent}  first."
        ) from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read ({error}): run  svc prepare  again.") from error
    if not isinstance(data, dict) or data.get("version") != MANIFEST_VERSION:
        version = data.get("version") if isinstance(data, dict) else None
        raise DatasetError(
            f"{path} has version {version}, this program reads {MANIFEST_VERSION}: update the toolkit, or run  "
            "svc prepare  again."
        )
    return data


def _from_plain(directory: Path, data: dict[str, Any]) -> PreparedDataset:
    try:
        spec = FeatureSpec.from_dict(data["spec"])
        # Manifests of before bandwidths were measured.
        default = {"bandwidth_hz": spec.sample_rate / 2}
        return PreparedDataset(
            directory=directory,
            spec=spec,
            speakers=list(data["speakers"]),
            utterances=[Utterance(**{**default, **u, "flags": tuple(u["flags"])}) for u in data["utterances"]],
            recordings={key: StoredRecording(**value) for key, value in data["recordings"].items()},
            speaker_stats={s["name"]: SpeakerStats(**s) for s in data["speaker_stats"]},
            prepare=data["prepare"],
            warnings=list(data["warnings"]),
            excluded=frozenset(data.get("excluded", ())),
        )
    except SpecMismatchError:
        raise
    except (KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{directory / MANIFEST_NAME} is damaged ({error}): run  svc prepare  again to write it anew."
        ) from error
