"""What is left of a song's vocals where nobody sings, before and after svc/conversion/residue.py.

    python benchmarks/residue.py [--method refined] [--shared ../shared]

Songs whose singing is known in time: lithium by its vocal stem (within 35 dB of its loud parts), two songs with lyrics
in UltraStar files. Counted in tenths of a second: residue is what can be heard (within 57 dB of the loud vocals, where
a conversion's silence begins) and lies half a second or more from all singing; lost are sung ones, quieter than 50 dB
below the loud ones not counted, that would stay in the song unconverted.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from svc.audio.reading import read_audio
from svc.audio.signal import Audio
from svc.conversion.residue import HOLD_STEPS, PresenceMeter
from svc.conversion.steps import STEP_SECONDS, StepCutter
from svc.paths import shared_dir
from svc.registry import DEFAULT_SEPARATOR, SEPARATORS

HEARD_DB, COUNTED_DB, STEM_DB = 57.0, 50.0, 35.0
LITHIUM_SECONDS = 180.0


def levels(samples: np.ndarray, rate: int) -> np.ndarray:
    """Level in dB every tenth of a second of (C, N) samples."""
    energy = np.square(StepCutter(rate, len(samples)).cut(samples)).mean(axis=(0, 2))
    return 10.0 * np.log10(energy + 1e-12)


def sung_by_lyrics(path: Path, steps: int) -> np.ndarray:
    """Where an UltraStar file has syllables: bool (steps,)."""
    heads = {"#BPM": 0.0, "#GAP": 0.0}
    sung = np.zeros(steps, dtype=bool)
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name in heads:
            heads[name] = float(value.replace(",", "."))
        elif line[:1] in (":", "*", "F"):
            begin, length = (int(word) for word in line.split()[1:3])
            beat = 15.0 / heads["#BPM"]
            first = heads["#GAP"] / 1000.0 + begin * beat
            sung[max(0, int(first / STEP_SECONDS)) : int((first + length * beat) / STEP_SECONDS) + 1] = True
    return sung


def songs(folder: Path) -> Iterator[tuple[str, Audio, np.ndarray]]:
    """Name, song and where it is sung."""
    stems = [read_audio(folder / "everything_is_free" / "lithium" / f"{n}.ogg") for n in ("vocals", "accompaniment")]
    rate = stems[0].sample_rate
    vocals, rest = (stem.samples[:, : round(LITHIUM_SECONDS * rate)] for stem in stems)
    loud = levels(vocals, rate)
    yield "lithium", Audio(vocals + rest, rate), loud > np.percentile(loud, 95) - STEM_DB
    for lyrics in sorted((folder / "ultrastar").glob("*/song.txt")):
        audio = read_audio(next(lyrics.parent.glob("audio.*")))
        steps = len(levels(audio.samples, audio.sample_rate))
        yield lyrics.parent.name, audio, sung_by_lyrics(lyrics, steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default=DEFAULT_SEPARATOR)
    parser.add_argument("--shared", type=Path, default=shared_dir())
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    separator = SEPARATORS.create(arguments.method)
    print("| song | residue, s | after | sung, s | of it left unsung, s |\n|---|---|---|---|---|")
    for name, song, sung in songs(arguments.shared / "audio" / "songs"):
        stems = separator.separate(song)
        meter = PresenceMeter(song.sample_rate)
        meter.add(stems.vocals.samples, stems.accompaniment.samples)
        level = levels(stems.vocals.samples, song.sample_rate)
        kept = meter.presence().gains[: len(level)] == 1.0
        below = level - np.percentile(level, 95)
        far = np.convolve(sung, np.ones(2 * HOLD_STEPS + 1), mode="same") < 0.5
        residue, lost = far & (below > -HEARD_DB), sung & (below > -COUNTED_DB) & ~kept
        counts = (residue.sum(), (residue & kept).sum(), sung.sum(), lost.sum())
        print(f"| {name} | " + " | ".join(f"{STEP_SECONDS * int(n):.1f}" for n in counts) + " |", flush=True)


if __name__ == "__main__":
    main()
