"""Pieces for random bands: chords, bass, solo lines and drums as MIDI, played by fluidsynth and a soundfont."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from demo_songs.backing import DRUMS, Score, render

RATE = 44_100
# General MIDI programs by role. Choirs and voice-like synths (52 to 54, 85, 91) are left out: they are neither
# backing nor voice. Solo instruments that hold a note with vibrato are what separators take for a voice, so they are
# played often.
SOLO = (40, 40, 41, 42, 56, 56, 57, 58, 59, 60, 64, 65, 66, 67, 68, 71, 73, 73, 74, 75, 79, 80, 81, 22, 29, 30, 26, 11)
CHORDS = (
    0,
    0,
    1,
    2,
    4,
    5,
    6,
    7,
    16,
    17,
    18,
    19,
    21,
    24,
    25,
    26,
    27,
    28,
    29,
    30,
    46,
    48,
    48,
    49,
    50,
    51,
    61,
    62,
    88,
    89,
)
BELLS = (8, 9, 10, 11, 12, 13, 14, 15, 45, 46, 47, 98, 108)
BASSES = (32, 33, 34, 35, 36, 38, 39, 43, 58)
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 2, 3, 5, 7, 8, 11))
PROGRESSIONS = ((0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 0, 4), (5, 3, 0, 4), (0, 6, 5, 4), (1, 4, 0, 0), (0, 0, 3, 4))
KITS = (0, 0, 8, 16, 24, 25, 32, 40)


@dataclass(frozen=True)
class Key:
    """Where a piece stands: MIDI number of the tonic, scale in semitones, chord roots as degrees, bars."""

    tonic: int
    scale: tuple[int, ...]
    progression: tuple[int, ...]
    bars: int

    def degree(self, step: int) -> int:
        """The MIDI number `step` scale degrees above the tonic."""
        return self.tonic + self.scale[step % 7] + 12 * (step // 7)


def compose(seed: int, seconds: float) -> tuple[bytes, float]:
    """A MIDI file of at least `seconds` and its seconds per beat; equal for equal arguments."""
    rng = np.random.default_rng(seed)
    beat_seconds = 60 / rng.uniform(66, 168)
    bars = int(np.ceil(seconds / beat_seconds / 4)) + 1
    key = Key(
        48 + int(rng.integers(12)),
        SCALES[rng.integers(len(SCALES))],
        PROGRESSIONS[rng.integers(len(PROGRESSIONS))],
        bars,
    )
    score = Score()
    parts = ["solo"] if rng.random() < 0.15 else [p for p, share in PART_SHARES.items() if rng.random() < share]
    for channel, part in enumerate(parts or ["chords"]):
        _PARTS[part](score, channel, key, rng)
    return score.to_bytes(beat_seconds), beat_seconds


def _open(score: Score, channel: int, programs: tuple[int, ...], rng: np.random.Generator) -> int:
    program = int(programs[rng.integers(len(programs))])
    score.setup(channel, program, int(rng.integers(24, 104)), int(rng.integers(70, 112)))
    return program


def _chords(score: Score, channel: int, key: Key, rng: np.random.Generator) -> None:
    """Held, struck on beats, or broken, in close position."""
    _open(score, channel, CHORDS, rng)
    style, velocity = rng.integers(3), int(rng.integers(50, 100))
    for bar in range(key.bars):
        root = key.progression[bar % len(key.progression)]
        tones = sorted(52 + (key.degree(root + step) - 52) % 12 for step in (0, 2, 4, 6)[: 3 + int(rng.random() < 0.3)])
        if style == 0:
            for tone in tones:
                score.note(channel, tone, bar * 4, 3.95, velocity)
        elif style == 1:
            for beat in range(4):
                for tone in tones:
                    score.note(
                        channel, tone, bar * 4 + beat, rng.uniform(0.3, 0.9), velocity + int(rng.integers(-9, 10))
                    )
        else:
            for half in range(8):
                score.note(channel, tones[half % len(tones)], bar * 4 + half / 2, 1.0, velocity)


def _line(score: Score, channel: int, key: Key, rng: np.random.Generator, programs: tuple[int, ...], low: int) -> None:
    """A melody that walks over the scale, with rests; bent and with modulation where the instrument holds notes."""
    _open(score, channel, programs, rng)
    score.events.append((0, -1, bytes([0xB0 | channel, 1, int(rng.integers(0, 80))])))
    step, time, pace = int(rng.integers(7)), 0.0, float(rng.choice([0.5, 1.0, 1.0, 2.0]))
    while time < key.bars * 4:
        length = pace * float(rng.choice([0.5, 1.0, 1.0, 1.5, 2.0]))
        if rng.random() < 0.85:
            step = int(np.clip(step + rng.integers(-3, 4), -3, 12))
            pitch = key.degree(step) + low
            score.note(
                channel, int(np.clip(pitch, 30, 100)), time, length * rng.uniform(0.7, 1.0), int(rng.integers(64, 116))
            )
        time += length


def _solo(score: Score, channel: int, key: Key, rng: np.random.Generator) -> None:
    _line(score, channel, key, rng, SOLO, 12 if rng.random() < 0.7 else 0)


def _bells(score: Score, channel: int, key: Key, rng: np.random.Generator) -> None:
    _line(score, channel, key, rng, BELLS, 24)


def _strings(score: Score, channel: int, key: Key, rng: np.random.Generator) -> None:
    _line(score, channel, key, rng, (48, 49, 44, 45, 40, 41), 12)


def _bass(score: Score, channel: int, key: Key, rng: np.random.Generator) -> None:
    _open(score, channel, BASSES, rng)
    busy = rng.random() < 0.5
    for bar in range(key.bars):
        root = key.progression[bar % len(key.progression)]
        for beat in np.arange(0, 4, 0.5 if busy else 2):
            tone = key.degree(root + (4 if rng.random() < 0.25 else 0)) - 12
            score.note(
                channel, 28 + (tone - 28) % 24, bar * 4 + float(beat), 0.45 if busy else 1.9, int(rng.integers(70, 110))
            )


def _drums(score: Score, channel: int, key: Key, rng: np.random.Generator) -> None:
    """A pattern of sixteenths that stays, with changes in one bar of four."""
    score.setup(DRUMS, int(KITS[rng.integers(len(KITS))]), 64, int(rng.integers(70, 118)))
    odds = {36: 0.25, 38: 0.12, 42: 0.55, 46: 0.06, 49: 0.02, 45: 0.03, 54: 0.08, 39: 0.04}
    pattern = {drum: rng.random(16) < odd for drum, odd in odds.items()}
    pattern[36][0] = pattern[38][4] = pattern[38][12] = True
    for bar in range(key.bars):
        for drum, hits in pattern.items():
            now = rng.permutation(hits) if bar % 4 == 3 and drum not in (36, 38) else hits
            for sixteenth in np.flatnonzero(now):
                score.note(DRUMS, drum, bar * 4 + sixteenth / 4, 0.2, int(rng.integers(50, 118)))


PART_SHARES = {"chords": 0.8, "bass": 0.65, "solo": 0.5, "bells": 0.2, "strings": 0.3, "drums": 0.6}
_PARTS = {"chords": _chords, "bass": _bass, "solo": _solo, "bells": _bells, "strings": _strings, "drums": _drums}


def play(seed: int, soundfont: Path, seconds: float) -> np.ndarray:
    """The piece of this seed, (2, n) float32 at 44.1 kHz, n for `seconds`, peak 0.5."""
    played = render(compose(seed, seconds)[0], soundfont, RATE, gain=0.4)
    samples = played[: round(seconds * RATE)].T.astype(np.float32)
    return np.ascontiguousarray(samples / max(2 * float(np.abs(samples).max()), 1e-6))
