"""One recording on its way into a dataset: separate, resample, measure, slice; every stage is stored and reused."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from svc.config import PrepareConfig
from svc.data import doctor
from svc.data.manifest import StoredRecording
from svc.data.measures import flat_tops
from svc.errors import AudioError
from svc.features.extractor import FeatureExtractor
from svc.features.spec import FeatureSpec
from svc.features.store import FeatureStore

Progress = Callable[[float], None]

BLOCK_SECONDS = 1
SLICER_VERSION = 1


@dataclass(frozen=True)
class RecordingResult:
    """What became of one recording; plain data, so that it can cross processes.

    `error` is set when nothing of it can be used; then `stored` is None and `slices` is empty. Slices are
    (start, samples) at the spec's rate, with the doctor's measures of each.
    """

    sha256: str
    seconds: float = 0.0
    stored: StoredRecording | None = None
    slices: list[tuple[int, int]] = field(default_factory=list)
    slice_measures: list[dict[str, Any]] = field(default_factory=list)
    measures: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


class RecordingPreparer:
    """Prepares recordings one after the other, with the networks loaded once."""

    def __init__(self, out_dir: Path, spec: FeatureSpec, config: PrepareConfig, device: str = "cpu") -> None:
        self.spec = spec
        self.config = config
        self.device = device
        self.store = FeatureStore(out_dir, spec, source_name(config))
        self.extractor = FeatureExtractor(spec, device)
        self._separator: Any = None

    def run(self, path: Path, sha256: str, progress: Progress | None = None) -> RecordingResult:
        """Bring every stage of one recording up to date; the stages that are there already are not done again.

        A file that cannot be used comes back with `error`. OSError (disk full, read-only) is passed on.
        """
        try:
            return self._run(path, sha256, progress or (lambda value: None))
        except AudioError as error:
            return RecordingResult(sha256, error=str(error))

    def _run(self, path: Path, sha256: str, report: Progress) -> RecordingResult:
        facts = self._audio(path, sha256, lambda value: report(0.3 * value))
        seconds = facts["samples"] / self.spec.sample_rate
        reason = doctor.unusable_recording(seconds, facts["peak"])
        if reason:
            return RecordingResult(sha256, seconds, measures=facts, error=reason)
        audio_path = self.store.directory / facts["file"]
        stages = _Stages(self, sha256, audio_path, facts)
        loudness = stages.get("loudness")
        pitch = stages.get("pitch", lambda value: report(0.3 + 0.25 * value))
        slices = stages.slices(pitch)
        if not slices:
            return RecordingResult(sha256, seconds, measures=facts, error=doctor.NOTHING_HEARD)
        stages.get("content", lambda value: report(0.55 + 0.4 * value))
        measured = stages.measures(pitch, loudness, slices)
        report(1.0)
        stored = StoredRecording(
            audio=facts["file"],
            audio_scale=facts["scale"],
            content=self.store.name(self.store.path(sha256, "content")),
            pitch=self.store.name(self.store.path(sha256, "pitch")),
            loudness=self.store.name(self.store.path(sha256, "loudness")),
        )
        return RecordingResult(sha256, seconds, stored, slices, measured["slices"], facts | measured["recording"])

    def _audio(self, path: Path, sha256: str, progress: Progress) -> dict[str, Any]:
        """The stored mono audio at the spec's rate: its file, scale, samples, peak and clipped tenths of seconds."""
        facts = self.store.load_json(sha256, "audio")
        if facts and _holds(self.store.directory / facts["file"], facts["samples"]):
            return facts
        rate = self.spec.sample_rate
        if self.config.separate == "none":
            samples, clipped = _read_mono(path, rate, progress)
            facts = self._save_audio(sha256, "audio", samples)
        else:
            separated, own_rate, separated_facts = self._separated(path, sha256, progress)
            clipped = []
            if own_rate == rate:
                facts = dict(separated_facts)
            else:
                from svc.audio.resampling import resample

                facts = self._save_audio(sha256, "audio", resample(separated, own_rate, rate))
        facts["clipped"] = clipped
        self.store.save_json(sha256, "audio", facts)
        return facts

    def _separated(self, path: Path, sha256: str, progress: Progress) -> tuple[np.ndarray, int, dict[str, Any]]:
        """Mono vocals (N,) at the recording's own rate, and the facts of their file."""
        facts = self.store.load_json(sha256, "separated")
        stored = self.store.load(sha256, "separated") if facts else None
        if facts and stored is not None and len(stored) == facts["samples"]:
            return stored.astype(np.float32) * np.float32(facts["scale"]), facts["rate"], facts
        vocals, rate = self._separate(path, progress)
        facts = self._save_audio(sha256, "separated", vocals) | {"rate": rate}
        self.store.save_json(sha256, "separated", facts)
        return vocals, rate, facts

    def _separate(self, path: Path, progress: Progress) -> tuple[np.ndarray, int]:
        from svc.audio.reading import AudioReader
        from svc.separation.choosing import create_separator
        from svc.separation.separator import Source

        if self._separator is None:
            self._separator = create_separator(self.config.separate, self.config.separate_model, self.device)
        with AudioReader(path) as reader:
            info = reader.info
            growing = _Growing(info.frames)

            def blocks() -> Iterator[np.ndarray]:
                return reader.blocks(BLOCK_SECONDS * info.sample_rate)

            def keep(vocals: np.ndarray, accompaniment: np.ndarray) -> None:
                growing.add(vocals.mean(axis=0))

            source = Source(info.sample_rate, info.channels, info.frames, blocks)
            self._separator.separate_stream(source, keep, progress)
        return growing.array(), info.sample_rate

    def _save_audio(self, sha256: str, stage: str, samples: np.ndarray) -> dict[str, Any]:
        """Store samples as 16 bit scaled to their own peak: a quiet recording keeps its resolution."""
        peak = float(np.abs(samples).max(initial=0.0))
        scale = (peak or 1.0) / 32767
        path = self.store.save(sha256, stage, np.round(samples * np.float32(1 / scale)).astype(np.int16))
        return {"file": self.store.name(path), "scale": scale, "samples": len(samples), "peak": peak}


class _Stages:
    """The stages after the audio; samples are read from disk only when some stage is missing."""

    def __init__(self, owner: RecordingPreparer, sha256: str, audio_path: Path, facts: dict[str, Any]) -> None:
        self.owner, self.sha256, self.audio_path, self.facts = owner, sha256, audio_path, facts
        self.frames = owner.spec.frames(facts["samples"])
        self._samples: np.ndarray | None = None

    @property
    def samples(self) -> np.ndarray:
        """Mono (N,) float32 as training will hear it: features are measured after the rounding to 16 bit."""
        if self._samples is None:
            stored = np.load(self.audio_path, mmap_mode="r", allow_pickle=False)
            self._samples = stored.astype(np.float32) * np.float32(self.facts["scale"])
        return self._samples

    def get(self, stage: str, progress: Progress | None = None) -> np.ndarray:
        """The array of "loudness", "pitch" or "content", measured if it is not stored yet."""
        store, extractor = self.owner.store, self.owner.extractor
        array = store.load(self.sha256, stage)
        if array is not None and len(array) == self.frames:
            return array
        if stage == "loudness":
            array = extractor.loudness(self.samples)
        elif stage == "pitch":
            array = extractor.pitch(self.samples, progress)
        else:
            array = extractor.content(self.samples, progress).astype(np.float16)
        store.save(self.sha256, stage, array)
        return array

    def slices(self, f0_hz: np.ndarray) -> list[tuple[int, int]]:
        """(start, samples) of each slice, starting on frames."""
        store, spec, config = self.owner.store, self.owner.spec, self.owner.config
        settings = {
            "slicer": [config.slicer, SLICER_VERSION, config.slice_min_seconds, config.slice_max_seconds],
            "pitch": store.key("pitch"),
        }
        data = store.load_json(self.sha256, "slices", settings)
        if data is None:
            ranges = _slicer(config, spec).ranges(self.samples, spec.sample_rate, f0_hz > 0, spec.frame_rate)
            data = {"ranges": on_frames(ranges, self.facts["samples"], spec.hop_length)}
            store.save_json(self.sha256, "slices", data, settings)
        return [(int(start), int(samples)) for start, samples in data["ranges"]]

    def measures(self, f0_hz: np.ndarray, loudness_db: np.ndarray, slices: list[tuple[int, int]]) -> dict[str, Any]:
        """The doctor's measures: {"recording": {...}, "slices": [{...}, ...]}."""
        store = self.owner.store
        settings = {
            "doctor": doctor.MEASURES_VERSION,
            "pitch": store.key("pitch"),
            "loudness": store.key("loudness"),
            "slices": slices,
        }
        data = store.load_json(self.sha256, "measures", settings)
        if data is None:
            data = doctor.measure(self.samples, f0_hz, loudness_db, slices, self.facts["clipped"], self.owner.spec)
            store.save_json(self.sha256, "measures", data, settings)
        return data


class _Growing:
    """A float32 array that blocks are appended to without keeping two copies."""

    def __init__(self, expected: int) -> None:
        # A header may claim any length; only what is really read grows beyond this.
        self._array = np.empty(min(max(expected, 1 << 16), 1 << 30), dtype=np.float32)
        self._length = 0

    def add(self, block: np.ndarray) -> None:
        stop = self._length + len(block)
        if stop > len(self._array):
            self._array.resize(max(stop, len(self._array) * 3 // 2), refcheck=False)
        self._array[self._length : stop] = block
        self._length = stop

    def array(self) -> np.ndarray:
        return self._array[: self._length]


def source_name(config: PrepareConfig) -> str:
    """What decides the vocals taken out of a recording: the method, and its weights if it has any.

    Raises ConfigError and WeightError as `svc.separation.choosing.choose` does.
    """
    from svc.separation.choosing import choose

    return choose(config.separate, config.separate_model).identity()


def on_frames(ranges: list[tuple[int, int]], length: int, hop_length: int) -> list[tuple[int, int]]:
    """Ranges [start, stop) in samples as (start, samples), moved to the nearest frame borders; the end stays."""
    out = []
    for start, stop in ranges:
        first = round(start / hop_length) * hop_length
        last = length if length - stop < hop_length else round(stop / hop_length) * hop_length
        if last > first:
            out.append((first, last - first))
    return out


def _slicer(config: PrepareConfig, spec: FeatureSpec) -> Any:
    from svc.registry import SLICERS

    # Moving cuts to frame borders may change a slice by one frame; the limits allow for it where they can.
    frame = spec.hop_length / spec.sample_rate
    low, high = config.slice_min_seconds, config.slice_max_seconds
    if high - low > 0.1 + 2 * frame:
        low, high = low + frame, high - frame
    return SLICERS.create(config.slicer, low, high)


def _holds(path: Path, samples: int) -> bool:
    from svc.features.store import load_array

    array = load_array(path)
    return array is not None and array.shape == (samples,)


def _read_mono(path: Path, rate: int, progress: Progress) -> tuple[np.ndarray, list[int]]:
    """Mono float32 (N,) at `rate`, and the clipped samples in each tenth of a second of the file."""
    from svc.audio.reading import AudioReader
    from svc.audio.resampling import StreamResampler

    with AudioReader(path) as reader:
        info = reader.info
        resampler = StreamResampler(info.sample_rate, rate, 1)
        growing = _Growing(round(info.frames * rate / info.sample_rate) + rate)
        clipped: list[int] = []
        taken = 0
        for block in reader.blocks(BLOCK_SECONDS * info.sample_rate):
            growing.add(resampler.process(block.mean(axis=0, keepdims=True, dtype=np.float32))[0])
            clipped.extend(flat_tops(block, info.sample_rate).tolist())
            taken += block.shape[1]
            if info.frames:
                progress(min(1.0, taken / info.frames))
        growing.add(resampler.process(np.zeros((1, 0), dtype=np.float32), last=True)[0])
    return growing.array(), clipped if any(clipped) else []
