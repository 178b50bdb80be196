"""Scores as text, and the times they ask for.

A phrase has one item of `notes` and one syllable of `phones` for each other:

- notes: `A4/2` is A4 for two beats, `B4/.5+G4/.5` is one syllable over two notes, `r/1` is a rest (no syllable)
- phones: IPA in Kokoro's alphabet (A I O W Y are the diphthongs of day, my, go, now, boy); words are separated by
  spaces, syllables of one word by `-`
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

VOWELS = set("aiueoɑɐɒæɔəɛɜɪʊʌAIOWY")
STRESS = set("ˈˌ")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NOTE = re.compile(r"([A-G])([#b]?)(\d)$")


def midi_of(name: str) -> int:
    """`F#4` -> 66."""
    match = _NOTE.match(name)
    if match is None:
        raise ValueError(f"{name!r} is not a note name")
    step, accidental, octave = match.groups()
    return 12 * (int(octave) + 1) + _STEPS[step] + {"": 0, "#": 1, "b": -1}[accidental]


@dataclass(frozen=True)
class Phrase:
    """One breath: words to print, their sounds, their notes."""

    text: str
    phones: str
    notes: str


@dataclass(frozen=True)
class Song:
    """A song as written down; `shift_semitones` moves tune and chords to the singer's range."""

    name: str
    singer: str
    title: str
    origin: str
    beats_per_bar: int
    beat_seconds: float
    shift_semitones: int
    intro_bars: int
    pickup_beats: float
    phrases: tuple[Phrase, ...]
    chords: str
    style: str
    convert_transpose_semitones: int = 0


@dataclass(frozen=True)
class Note:
    """One sung note in seconds of the song; a syllable over several notes is several of these."""

    start: float
    end: float
    midi: int


@dataclass
class Syllable:
    """Sounds before, in and after the vowel, and the notes the vowel is sung on."""

    onset: str
    vowel: str
    coda: str
    word_start: bool
    notes: list[Note] = field(default_factory=list)


def split_syllable(phones: str, word_start: bool) -> Syllable:
    """`swˈit` -> onset `sw`, vowel `ˈi`, coda `t`."""
    places = [k for k, c in enumerate(phones) if c in VOWELS]
    if not places:
        raise ValueError(f"syllable {phones!r} has no vowel")
    first, last = places[0], places[0] + 1
    if first and phones[first - 1] in STRESS:
        first -= 1
    return Syllable(phones[:first], phones[first:last], phones[last:], word_start)


def syllables_of(phrase: Phrase) -> list[Syllable]:
    """The phrase's syllables in order, without notes."""
    out = []
    for word in phrase.phones.split():
        for k, part in enumerate(word.split("-")):
            out.append(split_syllable(part, word_start=k == 0))
    return out


BREATH_SECONDS = 0.30


def timed_phrases(song: Song) -> tuple[list[list[Syllable]], float]:
    """Every phrase with its notes in seconds, and the beat (from the file's start) at which the last one ends."""
    beat = song.intro_bars * song.beats_per_bar - song.pickup_beats
    phrases: list[list[Syllable]] = []
    for phrase in song.phrases:
        syllables = syllables_of(phrase)
        k = 0
        for item in phrase.notes.split():
            parts = [(name, float(beats)) for name, beats in (p.split("/") for p in item.split("+"))]
            if parts[0][0] == "r":
                beat += parts[0][1]
                continue
            if k >= len(syllables):
                raise ValueError(f"{song.name}: more notes than syllables in {phrase.text!r}")
            for name, beats in parts:
                start, end = beat * song.beat_seconds, (beat + beats) * song.beat_seconds
                syllables[k].notes.append(Note(start, end, midi_of(name) + song.shift_semitones))
                beat += beats
            k += 1
        if k != len(syllables):
            raise ValueError(f"{song.name}: {len(syllables)} syllables but {k} notes in {phrase.text!r}")
        phrases.append(syllables)
    for this, following in pairwise(phrases):
        last = this[-1].notes[-1]
        end = min(last.end, following[0].notes[0].start - BREATH_SECONDS)
        this[-1].notes[-1] = Note(last.start, end, last.midi)
    return phrases, beat
