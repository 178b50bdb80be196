"""What content frames keep and what they leak: one row per encoder and form, printed as a markdown table.

    python benchmarks/content_quality.py [--weights FILE.safetensors] [--shared ../shared] [--cache FOLDER]
        [--only WORD ...] [--voice VOICE [--languages de zh made ja he]]

Rows: log-mel; the Moonshine encoder as published, where scripts/recipes/moonshine_weights.py has put it into pretrain/,
and the one that ships, as the toolkit gives it; with --weights a candidate in the layout of
svc/assets/moonshine_singing.safetensors; Whisper base where $SVC_JUDGES/whisper is there and can be read. --only keeps
rows whose name holds one of the words. All rows hear the same audio; frames are every 24 ms, Whisper's every 20 ms,
and Whisper hears about five clips in each of its 30 seconds, a second apart. What networks say is kept in --cache.

singer   accuracy of a small recurrent probe (content_metrics/singer_probe.py) that names the singer of a clip: 19
         RAVDESS singers, six emotions, two sentences, trained on take 1, tested on take 2, mean of three seeds;
         frames from the first to the last within 35 dB of the loudest. Chance is 0.05.
R2       of log F0 by ridge regression from single voiced frames, five-fold. RAVDESS: by recording, 48 takes of 12
         singers, as benchmarks/content_leak.py does with 6. There words and melody go together, so it is not 0 for a
         perfect encoder. Made: sung lines of the made stock, whose melody is drawn at random, by line, F0 as asked;
         "within" without each recording's mean.
AUC      how often takes of one sentence by two singers are nearer (DTW over cosine distance) than of two sentences;
         the same 48 takes.
timbres  mean cosine between the same frame of a made line in two timbres, the mean of all frames removed.
phones   share of frames whose phone a linear classifier on single frames tells on unseen lines, mean over the seven
         languages of the made stock (one classifier for all).
NIT      phone purity of 100 k-means units learnt on the same 72 s of Japanese singing (nit_song070).

The second table has phones per language: "linear" as above, and phone purity of 100 units per language. From the made
stock come up to 8 lines in three timbres and 16 in one per language. With --voice a third table says how well the
words of each language survive conversion, see content_metrics/words.py. Nothing here trains or chooses an encoder.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from content_metrics.forms import Cache, Form, delivered, log_mel_forms, moonshine_forms, shipped, whisper_forms
from content_metrics.measures import phone_probe, pitch_r2, timbre_agreement, unit_purity
from content_metrics.recordings import Load, MadeLine, Recording, Stretches, made_lines, nit_song, ravdess
from content_metrics.singer_probe import singer_accuracy
from content_metrics.words import LANGUAGES, language_words

from svc.evaluation.judges import judges_dir
from svc.evaluation.line_auc import line_auc
from svc.paths import shared_dir

EMOTIONS = ("01", "02", "03", "04", "05", "06")
PARALLEL, SINGLE = 8, 16
TEST_EVERY = 4


@dataclass
class Corpus:
    """Everything that is heard. A RAVDESS name is 03-02-EMOTION-INTENSITY-SENTENCE-TAKE-SINGER."""

    clips: list[Recording]
    made: list[MadeLine]
    nit: list[tuple[Recording, Stretches]]

    @classmethod
    def load(cls, audio: Path, load: Load) -> "Corpus":
        clips = [load(path) for path in ravdess(audio, EMOTIONS, ("01", "02"))]
        return cls(clips, made_lines(audio, PARALLEL, SINGLE, load), nit_song(audio, load))

    @property
    def recordings(self) -> list[Recording]:
        return [*self.clips, *(r for line in self.made for r in line.recordings), *(r for r, _ in self.nit)]

    def __str__(self) -> str:
        made = sum(len(line.recordings) for line in self.made)
        minutes = sum(len(r.samples) for r in self.recordings) / 16_000 / 60
        return (
            f"{len(self.clips)} RAVDESS clips, {made} files of {len(self.made)} made lines, "
            f"{len(self.nit)} of nit_song070: {minutes:.0f} minutes"
        )


def measure(form: Form, cache: Cache, corpus: Corpus) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """All figures of one row, and phones per language as {"linear": {...}, "purity": {...}}."""
    cache.hear(form.network, corpus.recordings)
    made = [[cache.frames(form, r) for r in line.recordings] for line in corpus.made]
    phones = [line.phones(form.hop, len(frames[0])) for line, frames in zip(corpus.made, made, strict=True)]
    figures = {"singer": singer_leak(form, cache, corpus.clips)}
    figures |= sung_takes(form, cache, corpus.clips)
    figures |= made_pitch(form, corpus.made, made)
    several = [k for k, frames in enumerate(made) if len(frames) > 1]
    spoken = [np.array([p is not None for p in row]) for row in phones]
    figures["timbres"] = timbre_agreement([made[k] for k in several], [spoken[k] for k in several])
    languages = made_phones(corpus.made, made, phones)
    figures["phones"] = float(np.mean(list(languages["linear"].values())))
    nit = [cache.frames(form, recording) for recording, _ in corpus.nit]
    labels = [row.at(form.hop / 16_000, len(v)) for v, (_, row) in zip(nit, corpus.nit, strict=True)]
    figures["NIT"] = unit_purity(nit, labels)
    return figures, languages


def singer_leak(form: Form, cache: Cache, clips: list[Recording]) -> float:
    names = sorted({singer_of(clip) for clip in clips})
    sides: dict[str, tuple[list[np.ndarray], list[int]]] = {"01": ([], []), "02": ([], [])}
    for clip in clips:
        active = np.flatnonzero(clip.active(form.hop))
        frames, singers = sides[clip.name.split("-")[5]]
        frames.append(cache.frames(form, clip)[active[0] : active[-1] + 1])
        singers.append(names.index(singer_of(clip)))
    return singer_accuracy(*sides["01"], *sides["02"])


def singer_of(clip: Recording) -> str:
    return clip.name.split("-")[6]


def sung_takes(form: Form, cache: Cache, clips: list[Recording], singers: int = 12) -> dict[str, float]:
    """R2 of log F0 and line AUC over take 1 of two emotions."""
    few = sorted({singer_of(clip) for clip in clips})[:singers]
    named = [(clip, clip.name.split("-")) for clip in clips if singer_of(clip) in few]
    takes = [clip for clip, part in named if part[5] == "01" and part[2] in ("01", "04")]
    frames = [cache.frames(form, take) for take in takes]
    active = [take.active(form.hop) for take in takes]
    f0 = [take.f0(form.hop) * mask for take, mask in zip(takes, active, strict=True)]
    heard = [values[mask] for values, mask in zip(frames, active, strict=True)]
    lines = [take.name.split("-")[4] for take in takes]
    auc = line_auc(heard, lines=lines, singers=[singer_of(take) for take in takes])
    return {"R2 RAVDESS": pitch_r2(frames, f0), "AUC": auc}


def made_pitch(form: Form, lines: list[MadeLine], made: list[list[np.ndarray]]) -> dict[str, float]:
    frames, f0, groups = [], [], []
    for k, (line, timbres) in enumerate(zip(lines, made, strict=True)):
        if line.sung:
            frames += timbres
            f0 += [line.f0(form.hop, len(values)) for values in timbres]
            groups += [k] * len(timbres)
    return {
        "R2 made": pitch_r2(frames, f0, groups=groups),
        "R2 made, within": pitch_r2(frames, f0, within=True, groups=groups),
    }


def made_phones(
    lines: list[MadeLine], made: list[list[np.ndarray]], phones: list[list[str | None]]
) -> dict[str, dict[str, float]]:
    """Phones per language. Of every language each TEST_EVERY-th line is unseen by the linear classifier."""
    frames, labels, test, kinds = [], [], [], []
    seen: dict[str, int] = {}
    for line, timbres, row in zip(lines, made, phones, strict=True):
        place = seen[line.language] = seen.get(line.language, -1) + 1
        frames += timbres
        labels += [row] * len(timbres)
        test += [place % TEST_EVERY == TEST_EVERY - 1] * len(timbres)
        kinds += [line.language] * len(timbres)
    purity = {}
    for language in sorted(seen):
        own = [i for i, kind in enumerate(kinds) if kind == language]
        purity[language] = unit_purity([frames[i] for i in own], [labels[i] for i in own])
    return {"linear": phone_probe(frames, labels, test, kinds), "purity": purity}


def forms(weights: Path | None, only: list[str]) -> list[Form]:
    rows = log_mel_forms()
    if (path := delivered()) is not None:
        rows += moonshine_forms(path, "Moonshine", published=True)
    rows += moonshine_forms(shipped(), "shipped", published=False)
    if weights is not None:
        rows += moonshine_forms(weights, weights.stem, published=False)
    if not only or any(word.lower() in "whisper base" for word in only):
        rows += whisper_forms(judges_dir() / "whisper")
    return [row for row in rows if not only or any(word.lower() in row.name.lower() for word in only)]


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--weights", type=Path, help="a candidate in the layout of svc/assets/moonshine_singing.safetensors"
    )
    parser.add_argument("--shared", type=Path, default=shared_dir(), help="reference folder")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "svc-content-quality")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="rows whose name holds one of these")
    parser.add_argument("--voice", type=Path, help="also: words that survive conversion to this voice")
    parser.add_argument("--languages", nargs="+", choices=LANGUAGES, default=list(LANGUAGES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    rows = forms(arguments.weights, arguments.only)
    if rows:
        cache = Cache(arguments.cache)
        corpus = Corpus.load(arguments.shared / "audio", cache.load)
        print(corpus, flush=True)
        report(rows, cache, corpus)
    if arguments.voice is not None:
        words = language_words(arguments.voice, arguments.shared / "audio", arguments.languages)
        print("\n" + table(["language", "clips", "error of", "source", "converted"], words))
    print(f"\n{time.perf_counter() - started:.0f} s")


def report(rows: list[Form], cache: Cache, corpus: Corpus) -> None:
    first, second = [], []
    for form in rows:
        started, cpu = time.perf_counter(), time.process_time()
        figures, languages = measure(form, cache, corpus)
        first.append([form.name, *(f"{value:.3f}" for value in figures.values())])
        second += [
            [f"{form.name}: {kind}", *(f"{value:.2f}" for value in values.values())]
            for kind, values in languages.items()
        ]
        heads = ["form", *figures], ["form", *languages["purity"]]
        spent = f"{time.perf_counter() - started:.0f} s, {time.process_time() - cpu:.0f} CPU s"
        print(
            "  ".join(f"{name} {value:.3f}" for name, value in figures.items()), form.name, spent, sep="  ", flush=True
        )
    print("\n" + table(heads[0], first) + "\n\n" + table(heads[1], second))


if __name__ == "__main__":
    main()
