"""From prepared recordings to utterances, singers, split and report."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from svc.config import PrepareConfig
from svc.data import doctor
from svc.data.bandwidth import expected_edge
from svc.data.manifest import SpeakerStats, StoredRecording, Utterance
from svc.data.recording import RecordingResult
from svc.data.sources import SourceFile, utterance_id
from svc.data.splitting import split_by_recording
from svc.features.spec import FeatureSpec
from svc.features.store import FeatureStore

# A singer's recordings count as made alike where so many end early, and so much of what is used does.
ALIKE_RECORDINGS, ALIKE_SHARE = 3, 0.8


@dataclass
class Assembly:
    """Everything the manifest and the report need."""

    utterances: list[Utterance] = field(default_factory=list)
    recordings: dict[str, StoredRecording] = field(default_factory=dict)
    speakers: list[str] = field(default_factory=list)
    speaker_stats: dict[str, SpeakerStats] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def first_reason(self) -> str:
        """Why the first recording was not used; for the error when none is."""
        for recording in self.report["recordings"]:
            if recording["error"]:
                return f"{recording['name']}: {recording['error']}"
            for found in (f for s in recording["slices"] for f in s["findings"] if f["drop"]):
                return f"{recording['name']}: {found['reason']}"
        return "there is no sound in them"


def assemble(
    sources: list[SourceFile],
    hashes: dict[str, str],
    results: dict[str, RecordingResult],
    store: FeatureStore,
    config: PrepareConfig,
) -> Assembly:
    """Judge every slice, leave out duplicates, split, and collect the report."""
    spec = store.spec
    made = Assembly()
    rows: list[dict[str, Any]] = []
    original = _duplicates(sources, hashes, results, store)
    for source in sources:
        result = results[hashes[source.name]]
        row = _row(source, result)
        rows.append(row)
        if source.name in original:
            first, exact = original[source.name]
            how = "is the same file as" if exact else "is the same performance as"
            row["error"] = f"{how} {first}: remove one of the two"
            row["code"] = "duplicate"
            continue
        if result.error or result.stored is None:
            continue
        made.recordings[result.sha256] = result.stored
        for index, (start, samples) in enumerate(result.slices):
            measures = result.slice_measures[index]
            findings = doctor.judge_slice(measures, result.measures)
            dropped = any(f.drop for f in findings) and not config.keep_flagged
            identity = utterance_id(source.name, result.sha256, start)
            row["slices"].append(_slice_row(identity, start, spec, measures, findings, dropped))
            if dropped:
                continue
            made.utterances.append(
                Utterance(
                    id=identity,
                    speaker=source.speaker,
                    recording=source.name,
                    recording_sha256=result.sha256,
                    start=start,
                    samples=samples,
                    frames=spec.frames(samples),
                    split="train",
                    f0_low_hz=measures["f0_low_hz"],
                    f0_median_hz=measures["f0_median_hz"],
                    f0_high_hz=measures["f0_high_hz"],
                    flags=tuple(f.code for f in findings),
                    bandwidth_hz=result.measures["bandwidth_hz"],
                )
            )
    edges: dict[str, float] = {}
    for name in dict.fromkeys(u.speaker for u in made.utterances):
        edges |= _expected_edges([u for u in made.utterances if u.speaker == name], made, store)
    made.utterances = [replace(u, bandwidth_hz=edges.get(u.recording_sha256, u.bandwidth_hz)) for u in made.utterances]
    for row in rows:
        row["bandwidth_hz"] = edges.get(row["sha256"], row["bandwidth_hz"])
    split = split_by_recording(made.utterances, config.validation_fraction)
    made.utterances = split.utterances
    _singers(made, sources, store)
    made.report = {
        "singers": [_singer_row(made, name, sources, rows) for name in dict.fromkeys(s.speaker for s in sources)],
        "warnings": made.warnings,
        "notes": split.notes,
        "recordings": rows,
    }
    return made


def _expected_edges(utterances: list[Utterance], made: Assembly, store: FeatureStore) -> dict[str, float]:
    """Edges in Hz of a singer's recordings that seem to have none, by sha256, where nearly all others end early."""
    rate = store.spec.sample_rate
    narrow = {u.recording_sha256: u.bandwidth_hz for u in utterances if u.bandwidth_hz < rate / 2}
    share = sum(u.samples for u in utterances if u.recording_sha256 in narrow) / sum(u.samples for u in utterances)
    if len(narrow) < ALIKE_RECORDINGS or share < ALIKE_SHARE:
        return {}
    expected, found = sorted(set(narrow.values())), {}
    for sha256 in {u.recording_sha256 for u in utterances} - set(narrow):
        recording = made.recordings[sha256]
        stored = np.load(store.directory / recording.audio, mmap_mode="r", allow_pickle=False)
        edge = expected_edge(stored.astype(np.float32) * np.float32(recording.audio_scale), rate, expected)
        if edge is not None:
            found[sha256] = edge
    return found


def _duplicates(
    sources: list[SourceFile], hashes: dict[str, str], results: dict[str, RecordingResult], store: FeatureStore
) -> dict[str, tuple[str, bool]]:
    """Name of each duplicate -> (name of the first of its kind, whether the content is equal)."""
    out: dict[str, tuple[str, bool]] = {}
    first: dict[str, str] = {}
    for source in sources:
        sha256 = hashes[source.name]
        if sha256 in first:
            out[source.name] = (first[sha256], True)
        else:
            first[sha256] = source.name
    usable = [s for s in sources if s.name not in out and results[hashes[s.name]].stored is not None]
    measures = [results[hashes[s.name]] for s in usable]
    near = doctor.near_duplicates(
        [r.measures["fingerprint"] for r in measures],
        [r.seconds for r in measures],
        lambda index: _for_comparing(measures[index], store),
    )
    for index, earlier in near.items():
        out[usable[index].name] = (usable[earlier].name, False)
    return out


def _for_comparing(result: RecordingResult, store: FeatureStore) -> np.ndarray:
    """The beginning of a stored recording at the low rate that duplicates are compared at."""
    from svc.audio.resampling import resample

    assert result.stored is not None
    stored = np.load(store.directory / result.stored.audio, mmap_mode="r", allow_pickle=False)
    start = stored[: doctor.COMPARE_SECONDS * store.spec.sample_rate].astype(np.float32)
    return resample(start, store.spec.sample_rate, doctor.COMPARE_RATE)


def _row(source: SourceFile, result: RecordingResult) -> dict[str, Any]:
    measures = result.measures
    return {
        "name": source.name,
        "singer": source.speaker,
        "sha256": result.sha256,
        "seconds": round(result.seconds, 2),
        "snr_db": measures.get("snr_db"),
        "bandwidth_hz": measures.get("bandwidth_hz"),
        "quick_decays_per_second": measures.get("quick_decays_per_second"),
        "error": result.error,
        "code": ("unusable" if measures else "unreadable") if result.error else None,
        "slices": [],
    }


def _slice_row(
    identity: str,
    start: int,
    spec: FeatureSpec,
    measures: dict[str, Any],
    findings: list[doctor.Finding],
    dropped: bool,
) -> dict[str, Any]:
    return {
        "id": identity,
        "start_seconds": round(start / spec.sample_rate, 2),
        "verdict": "drop" if dropped else "keep",
        "findings": [{"code": f.code, "drop": f.drop, "reason": f.reason, "advice": f.advice} for f in findings],
        **measures,
    }


def _singers(made: Assembly, sources: list[SourceFile], store: FeatureStore) -> None:
    """Names, minutes and F0 range of each singer with anything usable; warnings for the others and the short."""
    for name in dict.fromkeys(s.speaker for s in sources):
        own = [u for u in made.utterances if u.speaker == name]
        if not own:
            made.warnings.append(f"{name}: no usable recording, so this singer is left out of the dataset.")
            continue
        seconds = sum(u.samples for u in own) / store.spec.sample_rate
        if seconds < doctor.LITTLE_SECONDS:
            made.warnings.append(
                f"{name}: only {seconds:.0f} s are usable; a voice needs at least {doctor.LITTLE_SECONDS:.0f} s and "
                "gets good from 10 minutes on: add recordings."
            )
        low, median, high = _f0_range(made, name, store)
        made.speakers.append(name)
        made.speaker_stats[name] = SpeakerStats(name, round(seconds / 60, 3), low, median, high)


def _f0_range(made: Assembly, speaker: str, store: FeatureStore) -> tuple[float, float, float]:
    """The 5th, 50th and 95th percentile of F0 over all voiced frames of a singer's slices, in Hz; zeros without any."""
    hop = store.spec.hop_length
    curves: dict[str, np.ndarray] = {}
    voiced = []
    for u in (u for u in made.utterances if u.speaker == speaker):
        if u.recording_sha256 not in curves:
            path = store.directory / made.recordings[u.recording_sha256].pitch
            curves = {u.recording_sha256: np.load(path, mmap_mode="r", allow_pickle=False)}
        f0_hz = curves[u.recording_sha256][u.start // hop : u.start // hop + u.frames]
        voiced.append(f0_hz[f0_hz > 0])
    together = np.concatenate(voiced)
    if not len(together):
        return 0.0, 0.0, 0.0
    low, median, high = np.percentile(together, [5, 50, 95]).round(2).tolist()
    return low, median, high


def _singer_row(made: Assembly, name: str, sources: list[SourceFile], rows: list[dict[str, Any]]) -> dict[str, Any]:
    own = [u for u in made.utterances if u.speaker == name]
    all_slices = [s for row in rows if row["singer"] == name for s in row["slices"]]
    stats = made.speaker_stats.get(name)
    return {
        "name": name,
        "recordings": sum(s.speaker == name for s in sources),
        "unused_recordings": sum(row["singer"] == name and row["error"] is not None for row in rows),
        "minutes": stats.minutes if stats else 0.0,
        "slices": len(own),
        "dropped_slices": sum(s["verdict"] == "drop" for s in all_slices),
        "validation_slices": sum(u.split == "validation" for u in own),
        "f0_hz": [stats.f0_low_hz, stats.f0_median_hz, stats.f0_high_hz] if stats else None,
    }
