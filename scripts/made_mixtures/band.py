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
PADS = (48, 49, 50, 51, 88, 89, 90, 92, 93, 94, 95, 16, 18, 21, 61, 62, 63)
ARPEGGIOS = (80, 81, 82, 83, 84, 86, 87, 90, 5, 4, 11, 24, 25, 26, 27, 45, 46, 104, 107)
GUITARS = (29, 30, 30, 29, 27, 28)
ORCHESTRA = (40, 41, 42, 43, 44, 45, 48, 49, 56, 57, 58, 60, 61, 68, 69, 70, 71, 73)


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


def compose(seed: int, seconds: float, wide: bool = False) -> tuple[bytes, float]:
    """A MIDI file of at least `seconds` and its seconds per beat; equal for equal arguments.

    `wide` bands have more to choose from: distorted guitars, pads, arpeggios and orchestras as well.
    """
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
    shares = WIDE_PART_SHARES if wide else PART_SHARES
    parts = ["solo"] if rng.random() < 0.15 else [p for p, share in shares.items() if rng.random() < share]
    for channel, part in enumerate(parts or ["chords"]):
        _PARTS[part](score, channel + (channel >= DRUMS), key, rng)
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


def _pad(score: Score, channel: int, key: Key, rng: np.random.Generator) -> None:
    """Chords held over one or two bars in wide position."""
    _open(score, channel, PADS, rng)
    bars, velocity = int(rng.integers(1, 3)), int(rng.integers(45, 95))
    for bar in range(0, key.bars, bars):
        root = key.progression[bar % len(key.progression)]
        for step, octave in ((0, 0), (4, 0), (2, 12), (6, 12))[: 3 + int(rng.random() < 0.3)]:
            score.note(channel, 40 + (key.degree(root + step) - 40) % 12 + octave, bar * 4, bars * 4 - 0.05, velocity)


def _power(score: Score, channel: int, key: Key, rng: np.random.Generator) -> None:
    """Fifths of an electric guitar in eighths or sixteenths, some muted, or let ring."""
    _open(score, channel, GUITARS, rng)
    pace = float(rng.choice([0.5, 0.5, 0.25, 2.0]))
    accents = rng.random(int(4 / pace)) < 0.4
    for bar in range(key.bars):
        low = 40 + (key.degree(key.progression[bar % len(key.progression)]) - 40) % 12
        for k, accent in enumerate(accents):
            length = pace * (0.95 if accent or pace > 1 else 0.4)
            for tone in (low, low + 7, low + 12):
                score.note(channel, tone, bar * 4 + k * pace, length, int(rng.integers(70, 90)) + 20 * int(accent))


def _arpeggio(score: Score, channel: int, key: Key, rng: np.random.Generator) -> None:
    """Broken chords over two octaves in a figure that stays."""
    _open(score, channel, ARPEGGIOS, rng)
    pace = float(rng.choice([0.25, 0.5, 1 / 3]))
    figure = rng.integers(0, 6, round(4 / pace))
    low, length = int(rng.choice([48, 55, 60, 67])), pace * rng.uniform(0.4, 1.6)
    for bar in range(key.bars):
        root = key.progression[bar % len(key.progression)]
        tones = sorted(low + (key.degree(root + step) - low) % 12 for step in (0, 2, 4))
        for k, tone in enumerate(figure):
            pitch = tones[tone % 3] + 12 * int(tone // 3)
            score.note(channel, pitch, bar * 4 + k * pace, length, int(rng.integers(55, 105)))


def _orchestra(score: Score, channel: int, key: Key, rng: np.random.Generator) -> None:
    """One desk of an orchestra: chord tones in a rhythm that stays, short or tied."""
    _open(score, channel, ORCHESTRA, rng)
    pace, short = float(rng.choice([0.5, 1.0, 2.0])), rng.random() < 0.4
    played = rng.random(int(4 / pace)) < 0.75
    low = int(rng.choice([43, 50, 55, 62, 69]))
    for bar in range(key.bars):
        root = key.progression[bar % len(key.progression)]
        for k in np.flatnonzero(played):
            tone = low + (key.degree(root + int(rng.choice([0, 2, 4, 4, 1]))) - low) % 12
            length = pace * (0.3 if short else 1.0)
            score.note(channel, tone, bar * 4 + float(k) * pace, length, int(rng.integers(50, 112)))


PART_SHARES = {"chords": 0.8, "bass": 0.65, "solo": 0.5, "bells": 0.2, "strings": 0.3, "drums": 0.6}
WIDE_PART_SHARES = PART_SHARES | {"solo": 0.35, "chords": 0.5, "drums": 0.65, "pad": 0.35, "power": 0.35}
WIDE_PART_SHARES |= {"power_again": 0.2, "arpeggio": 0.35, "arpeggio_again": 0.15}
WIDE_PART_SHARES |= {"orchestra": 0.3, "orchestra_again": 0.25, "orchestra_third": 0.15}
_PARTS = {"chords": _chords, "bass": _bass, "solo": _solo, "bells": _bells, "strings": _strings, "drums": _drums}
_PARTS |= {"pad": _pad, "power": _power, "power_again": _power, "arpeggio": _arpeggio, "arpeggio_again": _arpeggio}
_PARTS |= {"orchestra": _orchestra, "orchestra_again": _orchestra, "orchestra_third": _orchestra}


def play(seed: int, soundfont: Path, seconds: float, wide: bool = False) -> np.ndarray:
    """The piece of this seed, (2, n) float32 at 44.1 kHz, n for `seconds`, peak 0.5; `wide` as for `compose`."""
    played = render(compose(seed, seconds, wide)[0], soundfont, RATE, gain=0.4)
    samples = played[: round(seconds * RATE)].T.astype(np.float32)
    return np.ascontiguousarray(samples / max(2 * float(np.abs(samples).max()), 1e-6))
