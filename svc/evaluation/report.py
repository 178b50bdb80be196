"""How good conversions are: one table from pairs of source and result, with what it can be compared with."""

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from svc.audio.signal import Audio
from svc.errors import AudioError
from svc.evaluation import spectral_metrics as spectral
from svc.evaluation.judges import Judges, Words, plain_words, word_error_rate
from svc.evaluation.pitch_metrics import at_judge_rate, compare_f0, copy_synthesis, track_f0

Progress = Callable[[float], None]
FORMAT_VERSION = 1


class SpeakerEmbedder(Protocol):
    """Anything that turns a voice into a vector, such as a SpeakerEncoder."""

    def embed(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Vector of mono samples (N,)."""
        ...


@dataclass(frozen=True)
class EvaluationPair:
    """One conversion.

    source, converted: vocals; transpose_semitones: what was requested; text: the known words; parallel: the target
    singer's own take of the same line; joins_seconds: where windows were joined.
    """

    source: Audio
    converted: Audio
    transpose_semitones: float = 0.0
    text: str | None = None
    parallel: Audio | None = None
    name: str = ""
    joins_seconds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Target:
    """The target singer: clips that make the centroid, and other clips that show how near she is to it herself."""

    centroid_clips: Sequence[Audio]
    held_out_clips: Sequence[Audio] = ()


class SpeakerScale:
    """Cosines to the centroid of a singer's clips, by one embedding."""

    def __init__(self, embed: Callable[[np.ndarray], np.ndarray], clips: Sequence[Audio]) -> None:
        self._embed = embed
        mean = np.mean([self._vector(clip) for clip in clips], axis=0)
        self.centroid = mean / np.linalg.norm(mean)

    def cosine(self, audio: Audio) -> float:
        """Cosine of one recording to the centroid, -1..1."""
        return float(self._vector(audio) @ self.centroid)

    def _vector(self, audio: Audio) -> np.ndarray:
        vector = np.asarray(self._embed(_heard(audio)), dtype=np.float64)
        return vector / np.linalg.norm(vector)


def evaluate_pairs(
    pairs: Sequence[EvaluationPair],
    target: Target | None = None,
    speaker_encoder: SpeakerEmbedder | None = None,
    judges: Judges | None = None,
    language: str = "en",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score conversions; everything is measured on 16 kHz mono unless it is about the waveform itself.

    Returns plain data: "clips" (one dict per pair), "converted" and "source" (means), "floor" (the pitch scores of a
    WORLD copy-synthesis of the same sources in the same run), "herself" (cosines of held-out target clips), "closure"
    (how much of the way from source to herself each speaker cosine went) and "missing" (judge -> why it has no figure).
    Figures that do not exist are left out, never zero. Raises AudioError when there are no pairs.
    """
    if not pairs:
        raise AudioError("There is nothing to evaluate: give at least one source and its conversion.")
    judges = judges or Judges()
    missing = dict(judges.missing)
    scales = _scales(target, speaker_encoder, judges, missing)
    clips = []
    for index, pair in enumerate(pairs):
        clips.append(_score(pair, scales, judges, language))
        if progress:
            progress((index + 1) / len(pairs))
    held_out = target.held_out_clips if target else ()
    herself = {name: _mean([scale.cosine(clip) for clip in held_out]) for name, scale in scales.items() if held_out}
    means = {part: _means([clip[part] for clip in clips]) for part in ("converted", "source", "floor")}
    return {
        "format_version": FORMAT_VERSION,
        "clips": clips,
        **means,
        "herself": herself,
        "closure": _closure(means, herself),
        "missing": missing,
    }


def _scales(
    target: Target | None, speaker_encoder: SpeakerEmbedder | None, judges: Judges, missing: dict[str, str]
) -> dict[str, SpeakerScale]:
    if target is None or not target.centroid_clips:
        missing["speaker"] = "no clips of the target singer were given"
        return {}
    scales = {}
    if speaker_encoder is not None:
        name = getattr(speaker_encoder, "name", "speaker")
        scales[name] = SpeakerScale(lambda x: speaker_encoder.embed(x, spectral.JUDGE_RATE), target.centroid_clips)
    if judges.verifier is not None:
        scales[judges.verifier.name] = SpeakerScale(judges.verifier.embed, target.centroid_clips)
    return scales


def _score(pair: EvaluationPair, scales: dict[str, SpeakerScale], judges: Judges, language: str) -> dict[str, Any]:
    source, converted = (_heard(audio) for audio in (pair.source, pair.converted))
    rate = spectral.JUDGE_RATE
    asked = track_f0(source, rate)
    copy = track_f0(copy_synthesis(pair.source.mono().samples[0], pair.source.sample_rate), pair.source.sample_rate)
    out: dict[str, Any] = {
        "name": pair.name,
        "transpose_semitones": pair.transpose_semitones,
        "converted": asdict(compare_f0(asked, track_f0(converted, rate), pair.transpose_semitones)),
        "source": {},
        "floor": asdict(compare_f0(asked, copy)),
    }
    for side, heard, audio in (("source", source, pair.source), ("converted", converted, pair.converted)):
        scores = out[side]
        scores.update({f"speaker_{name}": scale.cosine(audio) for name, scale in scales.items()})
        if judges.naturalness is not None:
            scores["mos"] = judges.naturalness.score(heard)
        if pair.parallel is not None:
            scores["mcd"] = spectral.mel_cepstral_distance(heard, _heard(pair.parallel), rate)
        samples = audio.mono().samples[0]
        scores["hf_ratio"] = spectral.high_frequency_ratio(samples, audio.sample_rate)
        scores["clip_ratio"] = spectral.clip_ratio(audio.samples)
    if judges.words is not None:
        _score_words(out, (source, converted), pair.text, judges.words, language)
    out["converted"].update(_waveform(pair))
    return _plain(out)


def _score_words(
    out: dict[str, Any], heard: tuple[np.ndarray, np.ndarray], text: str | None, words: Words, language: str
) -> None:
    """Word error against the known text, else against what is heard in the source."""
    in_source, in_result = (words.words(samples, language) for samples in heard)
    reference = plain_words(text) if text else in_source
    out["source"]["wer"] = word_error_rate(in_source, reference)
    out["converted"]["wer"] = word_error_rate(in_result, reference)
    out["heard"] = {"source": " ".join(in_source), "converted": " ".join(in_result)}


def _waveform(pair: EvaluationPair) -> dict[str, float]:
    """What is compared sample by sample, at the result's rate."""
    rate = pair.converted.sample_rate
    expected = round(pair.source.length * rate / pair.source.sample_rate)
    source = pair.source.mono().resampled(rate).samples[0]
    result = pair.converted.mono().samples[0]
    scores = {
        "length_equal": float(pair.converted.length == expected),
        "silence_leak_db": spectral.silence_leak_db(source, result, rate),
    }
    if pair.joins_seconds:
        joins = np.round(np.array(pair.joins_seconds) * rate).astype(np.int64)
        scores["click_excess"] = spectral.click_excess(source, result, rate, joins)
    return scores


def _heard(audio: Audio) -> np.ndarray:
    return at_judge_rate(audio.mono().samples[0], audio.sample_rate).astype(np.float32)


def _mean(values: list[float]) -> float:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _means(rows: list[dict[str, Any]]) -> dict[str, float]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: mean for name in names if math.isfinite(mean := _mean([row[name] for row in rows if name in row]))}


def _closure(means: dict[str, dict[str, float]], herself: dict[str, float]) -> dict[str, float]:
    """(converted - source) / (herself - source) of each speaker cosine."""
    out = {}
    for name, own in herself.items():
        start, end = means["source"][f"speaker_{name}"], means["converted"][f"speaker_{name}"]
        if own != start:
            out[name] = (end - start) / (own - start)
    return out


def _plain(data: Any) -> Any:
    """Numbers for JSON: what is not finite becomes None."""
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items()}
    if isinstance(data, float | np.floating):
        return float(data) if math.isfinite(data) else None
    return data


LABELS = {
    "f0_cents_median": "F0 error, median cents",
    "rpa50": "frames within 50 cents",
    "octave": "octave errors",
    "vuv_error": "voicing errors",
    "wer": "word error rate",
    "mos": "naturalness (DistilMOS, 1-5)",
    "mcd": "mel-cepstral distance, dB",
    "hf_ratio": "energy above 8 kHz",
    "clip_ratio": "clipped samples",
    "length_equal": "length exact",
    "silence_leak_db": "level in the source's silence, dB",
    "click_excess": "clicks at joins (over 1 is a click)",
}


def markdown_table(report: dict[str, Any]) -> str:
    """The means of `evaluate_pairs` as a Markdown table, and what is missing below it."""
    columns = ("source", "converted", "floor")
    names = list(dict.fromkeys(name for column in columns for name in report[column]))
    order = [*(n for n in names if n.startswith("speaker_")), *(n for n in LABELS if n in names)]
    lines = [
        f"{len(report['clips'])} clips",
        "",
        "| figure | source | converted | WORLD copy-synthesis | herself | way from source to herself |",
        "|---|---|---|---|---|---|",
    ]
    for name in order:
        speaker = name.removeprefix("speaker_") if name.startswith("speaker_") else ""
        label = f"speaker cosine ({speaker})" if speaker else LABELS[name]
        cells = [_cell(report[column].get(name)) for column in columns]
        cells += [_cell(report[part].get(speaker)) if speaker else "" for part in ("herself", "closure")]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    if report["missing"]:
        lines += ["", "Not measured:", *(f"- {name}: {why}" for name, why in report["missing"].items())]
    return "\n".join(lines) + "\n"


def write_report(report: dict[str, Any], path: Path | str) -> None:
    """Write the report as JSON to `path` and as Markdown beside it (`.md`), both atomically."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
    for target, content in ((path, text), (path.with_suffix(".md"), markdown_table(report))):
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        temporary.write_text(content, encoding="utf-8")
        os.replace(temporary, target)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
