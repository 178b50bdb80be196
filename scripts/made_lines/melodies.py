"""From spoken durations and F0 to sung ones: notes, held vowels, glides, vibrato."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FRAME_SECONDS = 0.025
F0_RATE = 80
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 2, 3, 5, 7, 9, 10))
"""Major, minor, pentatonic, dorian, in semitones over the root."""
LOWEST_ROOT_HZ, HIGHEST_ROOT_HZ = 90.0, 370.0
CEILING_HZ = 495.0
"""Above about 500 Hz the engine's voice breaks."""
LONGEST_VOWEL = 32
"""Frames: a vowel held for much longer falls silent in the engine."""


@dataclass(frozen=True)
class Melody:
    """One note per vowel, in semitones over `root_hz`, and how it is sung."""

    root_hz: float
    notes: list[int]
    glide: int
    """Half width of the change between notes, at F0_RATE."""
    vibrato_hz: float
    vibrato_semitones: float
    drift_semitones: float
    phase: float


def melody(vowels: int, rng: random.Random) -> Melody:
    """A random walk over a scale, drawn back to its middle; most steps are small, no note is over CEILING_HZ."""
    root = float(np.exp(rng.uniform(np.log(LOWEST_ROOT_HZ), np.log(HIGHEST_ROOT_HZ))))
    highest = min(12, int(np.floor(12 * np.log2(CEILING_HZ / root))))
    scale = rng.choice(SCALES)
    pitches = [12 * octave + step for octave in (-1, 0, 1) for step in scale if -7 <= 12 * octave + step <= highest]
    middle = sum(pitches) / len(pitches)
    at = pitches.index(0)
    notes = []
    for _ in range(vowels):
        notes.append(pitches[at])
        step = rng.choice((-3, -2, -1, -1, 0, 0, 1, 1, 2, 3)) - round(0.15 * (pitches[at] - middle))
        at = min(len(pitches) - 1, max(0, at + step))
    shape = rng.choice((3, 5, 8)), rng.uniform(4.5, 6.5), rng.uniform(0, 0.6), rng.uniform(0.02, 0.08)
    return Melody(root, notes, *shape, rng.uniform(0, 2 * np.pi))


def sung_durations(spoken: Sequence[int], vowels: Sequence[int], rng: random.Random) -> np.ndarray:
    """Frames per token (n + 2,): vowels at least one, two or three beats, the rest as spoken."""
    beat = rng.uniform(0.16, 0.32)
    frames = np.array(spoken, dtype=np.int64)
    for i in vowels:
        held = round(rng.choice((0.6, 1, 1, 1, 2, 3)) * beat / FRAME_SECONDS)
        frames[i + 1] = min(LONGEST_VOWEL, max(frames[i + 1], held))
    return frames


def sung_f0(tune: Melody, frames: np.ndarray, vowels: Sequence[int], spoken_hz: np.ndarray) -> np.ndarray:
    """F0 in Hz at F0_RATE (2T,): notes where the engine's own F0 is voiced (over 50 Hz), its own values elsewhere.

    A note begins where the vowel before it ends, so that a syllable's consonants are sung on its pitch; vibrato
    starts 0.18 s into a vowel.
    """
    edges = 2 * np.concatenate([[0], np.cumsum(frames)])
    count = len(spoken_hz)
    note, depth = np.zeros(count), np.zeros(count)
    start = 0
    for semitones, i in zip(tune.notes, vowels, strict=True):
        note[start : edges[i + 2]] = semitones
        start = edges[i + 2]
        late = edges[i + 1] + 14
        if edges[i + 2] > late + 8:
            depth[late : edges[i + 2]] = np.minimum(1, np.arange(edges[i + 2] - late) / 16)
    note[start:] = tune.notes[-1] if tune.notes else 0
    window = np.hanning(2 * tune.glide + 3)[1:-1]
    note = np.convolve(np.pad(note, tune.glide, mode="edge"), window / window.sum(), "valid")
    times = np.arange(count) / F0_RATE
    note += tune.vibrato_semitones * depth * np.sin(2 * np.pi * tune.vibrato_hz * times + tune.phase)
    note += tune.drift_semitones * np.sin(2 * np.pi * 0.7 * times + 2 * tune.phase)
    return np.where(spoken_hz > 50, tune.root_hz * 2 ** (note / 12), spoken_hz)
