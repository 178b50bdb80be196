"""Which words survive conversion, language by language, heard by Whisper base (a judge: it only measures).

de    the last 40 files of kerstin, spoken German, known text
ja    the two phrases of nit_song070, sung, no text
zh    opensinger clips, sung Mandarin, no text
made  Mandarin lines made with the voices that no training ever heard, from --held-out of
      scripts/recipes/made_singing.py in the folder $SVC_HELD_OUT_LINES, known text
he    the first 10 s of the last 20 files of pockettorah_trope, chanted Hebrew, no text

Error is the edit distance over the length of the reference: words for German and Hebrew, characters for Mandarin and
Japanese. The reference is the text where it is known, and else what Whisper hears in the source.
"""

import csv
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import soxr

from svc.audio.reading import read_audio
from svc.audio.signal import Audio
from svc.config import ConvertOptions
from svc.conversion.converter import Converter
from svc.evaluation.judges import edit_distance, load_judges, plain_words

RATE = 16_000
LANGUAGES = ("de", "ja", "zh", "made", "he")
BY_CHARACTER = {"ja", "zh"}
Convert = Callable[[Audio], Audio]


class Listener(Protocol):
    """What is wanted of a judge of words: svc.evaluation.judges.Words."""

    def words(self, samples: np.ndarray, language: str = "en") -> list[str]:
        """Words in mono samples (N,) at 16 kHz."""


@dataclass(frozen=True)
class Clip:
    """Audio in a language; `text` is None where nobody wrote it down."""

    audio: Audio
    language: str
    text: str | None = None


@dataclass(frozen=True)
class WordErrors:
    """Summed edit distance over summed reference length: of source and converted against `reference`."""

    clips: int
    reference: str
    source: float
    converted: float


def word_errors(clips: Iterable[Clip], convert: Convert, listener: Listener) -> WordErrors:
    """How well the words of `clips` (one language, all with text or all without) survive `convert`."""
    wrong, total, count, known = np.zeros(2), 0, 0, True
    for clip in clips:
        heard = [
            units(listener.words(mono(a), clip.language), clip.language) for a in (clip.audio, convert(clip.audio))
        ]
        known = clip.text is not None
        reference = heard[0] if clip.text is None else units(plain_words(clip.text), clip.language)
        wrong += [edit_distance(reference, row) for row in heard]
        total, count = total + len(reference), count + 1
    share = wrong / total if total else np.full(2, np.nan)
    return WordErrors(count, "text" if known else "source as heard", float(share[0]), float(share[1]))


def units(words: list[str], language: str) -> list[str]:
    """What is counted: words, or characters of languages written without blanks."""
    return list("".join(words)) if language in BY_CHARACTER else words


def mono(audio: Audio) -> np.ndarray:
    """(N,) float32 at 16 kHz."""
    return soxr.resample(audio.samples.mean(axis=0), audio.sample_rate, RATE).astype(np.float32)


def clips_of(name: str, audio: Path) -> list[Clip]:
    """The clips of one of LANGUAGES below the reference folder's audio/; SystemExit names what is missing."""
    found = {"de": german, "ja": japanese, "zh": mandarin, "made": held_out, "he": hebrew}[name](audio)
    if not found:
        raise SystemExit(f"No recordings for '{name}' in {audio}: fetch the reference audio.")
    return found


def german(audio: Path) -> list[Clip]:
    folder = audio / "speech/kerstin"
    with open(folder / "metadata.csv", encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.reader(handle, delimiter="|", quoting=csv.QUOTE_NONE) if row]
    files = {path.stem: path for path in folder.rglob("*") if path.suffix in (".ogg", ".flac", ".wav", ".opus")}
    texts = {Path(row[0]).stem: row[-1] for row in rows}
    chosen = sorted(name for name in files if name in texts)[-40:]
    return [Clip(read_audio(files[name]), "de", texts[name]) for name in chosen]


def japanese(audio: Path) -> list[Clip]:
    return [Clip(read_audio(path), "ja") for path in sorted((audio / "singing/nit_song070").glob("*.flac"))]


def mandarin(audio: Path) -> list[Clip]:
    return [Clip(read_audio(path), "zh") for path in sorted((audio / "singing/small").glob("opensinger_*"))]


def held_out(audio: Path) -> list[Clip]:
    folder = Path(os.environ.get("SVC_HELD_OUT_LINES", audio / "made/held_out"))
    index = folder / "index.jsonl"
    if not index.is_file():
        raise SystemExit(f"{index} is missing: make it with scripts/recipes/made_singing.py --held-out --languages zh.")
    rows = [json.loads(row) for row in index.read_text(encoding="utf-8").splitlines()]
    return [Clip(read_audio(folder / r["files"][0]), "zh", r["text"]) for r in rows if r["lang"] == "zh"]


def hebrew(audio: Path) -> list[Clip]:
    songs = [read_audio(path) for path in sorted((audio / "singing/pockettorah_trope").glob("*.ogg"))[-20:]]
    return [Clip(song.cut(0, min(song.length, 10 * song.sample_rate)), "he") for song in songs]


def language_words(voice: Path, audio: Path, languages: Iterable[str], device: str = "cpu") -> list[list[str]]:
    """Table rows: language, clips, reference, error of source and of converted; each line in the nearest octave."""
    judges = load_judges()
    if judges.words is None:
        raise SystemExit(f"Words cannot be heard: {judges.missing['whisper']}")
    converter = Converter.load(voice, device)
    options = ConvertOptions(transpose="auto", separate="none")
    rows = []
    for name in languages:
        score = word_errors(clips_of(name, audio), lambda source: converter.convert(source, options), judges.words)
        rows.append([name, str(score.clips), score.reference, f"{score.source:.2f}", f"{score.converted:.2f}"])
        print(*rows[-1], sep=" | ", flush=True)
    return rows
