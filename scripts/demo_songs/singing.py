"""A phrase of the score -> sung audio at its exact place in the song.

1. Kokoro says the phrase at its own speed, but on the melody's notes (a few semitones under them where the voice is
   high: above about 400 Hz it breaks). Its long vowels are moderate: holding one phoneme for a second makes the model
   fall silent, so holding is left to step 2.
2. WORLD takes the phrase apart. Vowels are stretched so that each starts on its note, consonants keep their length,
   and the voice is put together again on the score's exact F0: glides of about 70 ms, late vibrato on long notes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from demo_songs.kokoro import FRAME_SECONDS, SAMPLE_RATE, Kokoro
from demo_songs.score import STRESS, VOWELS, Note, Syllable

VOICED = set("bdɡvzðmnŋlɹwjʤʒɾ")
DIPHTHONGS = set("AIOWY")
VOWEL_FRAMES = (6, 12)
"""Shortest and longest vowel that Kokoro is asked for, in frames of 25 ms."""
CONSONANT_FRAMES = 5
PERIOD_MS = 5.0
PERIOD = PERIOD_MS / 1000
FFT_SIZE = 1024
VOWEL_NOISE = np.interp(
    np.arange(FFT_SIZE // 2 + 1) * SAMPLE_RATE / FFT_SIZE, [0, 1000, 4000, 8000, 12000], [0.02, 0.1, 0.4, 0.8, 0.95]
)
"""Most aperiodicity (amplitude) a vowel may have by frequency: a sung vowel is not whispered."""


@dataclass
class Spoken:
    """A phrase said by Kokoro: where each phone starts (seconds, one more edge at the end), and the audio."""

    samples: np.ndarray
    edges: np.ndarray
    asked_hz: np.ndarray
    """F0 per 12.5 ms; 0 outside the phrase."""


@dataclass
class Text:
    """The phones of a phrase and which syllable each belongs to: onset, vowel, coda or gap."""

    phones: str
    role: list[tuple[int, str]]

    def places(self, syllable: int, name: str) -> list[int]:
        """Indices of the phones with this role."""
        return [i for i, r in enumerate(self.role) if r == (syllable, name)]


def text_of(syllables: list[Syllable]) -> Text:
    """All phones of a phrase in a row, words separated by spaces."""
    text = Text("", [])
    for k, s in enumerate(syllables):
        parts = [(" ", "gap")] if s.word_start and k else []
        for phones, name in (*parts, (s.onset, "onset"), (s.vowel, "vowel"), (s.coda, "coda")):
            text.phones += phones
            text.role += [(k, name)] * len(phones)
    return text


def speak(engine: Kokoro, syllables: list[Syllable], voice: str, shift_semitones: float, cache: Path) -> Spoken:
    """Step 1. `shift_semitones` moves the notes that Kokoro is asked for; the result is kept in `cache`."""
    text = text_of(syllables)
    tokens, style = engine.tokens(text.phones), engine.style(voice, len(text.phones))
    frames = engine.durations(tokens, style).copy()
    for i, c in enumerate(text.phones, start=1):
        if c in VOWELS:
            frames[i] = np.clip(frames[i], *VOWEL_FRAMES)
        elif c not in STRESS and c != " ":
            frames[i] = min(frames[i], CONSONANT_FRAMES)
    predicted, energy, features = engine.prosody(tokens, style, frames)
    bounds = np.concatenate([[0], np.cumsum(frames)])
    curve = np.full(len(predicted), float(syllables[-1].notes[-1].midi))
    for k in reversed(range(len(syllables))):
        curve[: 2 * bounds[text.places(k, "vowel")[-1] + 2]] = np.mean([n.midi for n in syllables[k].notes])
    window = np.hanning(9)[1:-1]
    curve = np.convolve(np.pad(curve, 3, mode="edge"), window / window.sum(), "valid") + shift_semitones
    sounding = np.zeros(len(predicted), bool)
    sounding[2 * bounds[1] - 2 : 2 * bounds[-2] + 4] = True
    asked = np.where(sounding, 440 * 2 ** ((curve - 69) / 12), np.clip(predicted, 0, 10))
    key = hashlib.sha256(f"{text.phones}|{voice}".encode() + frames.tobytes() + asked.tobytes()).hexdigest()[:16]
    kept = cache / f"{key}.npy"
    if not kept.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        np.save(kept, engine.decode(features, asked, energy, style))
    return Spoken(np.load(kept).astype(np.float64), bounds[1:-1] * FRAME_SECONDS, np.where(sounding, asked, 0))


def lay_out(syllables: list[Syllable], text: Text, edges: np.ndarray) -> np.ndarray:
    """When each phone edge is sung, in seconds of the song: vowels start on their notes and take up what is left."""
    length = np.diff(edges)
    sung = np.zeros(len(text.phones))
    starts = [s.notes[0].start for s in syllables] + [syllables[-1].notes[-1].end]
    for k in range(len(syllables)):
        span = starts[k + 1] - starts[k]
        after = text.places(k, "coda") + text.places(k + 1, "gap") + text.places(k + 1, "onset")
        vowel = text.places(k, "vowel")
        squeeze = min(1.0, 0.5 * span / max(float(length[after].sum()), 1e-9))
        sung[after] = length[after] * squeeze
        room = span - float(sung[after].sum())
        sung[vowel] = length[vowel] * room / float(length[vowel].sum())
    lead = text.places(0, "onset")
    sung[lead] = length[lead]
    first = starts[0] - float(sung[lead].sum())
    return first + np.concatenate([[0], np.cumsum(sung)])


def loud_part(samples: np.ndarray, start: float, end: float) -> tuple[float, float]:
    """The part of a spoken vowel within 6 dB of its loudest moment: only this is held, a dying tail would be noise."""
    times = np.arange(start, end, PERIOD)
    half = int(0.015 * SAMPLE_RATE)
    centres = (times * SAMPLE_RATE).astype(int)
    power = np.array([np.mean(samples[max(0, c - half) : c + half] ** 2) for c in centres])
    loud = times[power >= 0.25 * power.max()]
    return float(loud[0]), float(loud[-1])


def time_map(text: Text, spoken: Spoken, sung: np.ndarray, syllables: int) -> tuple[np.ndarray, np.ndarray]:
    """Knots (sung time, spoken time): a vowel's loud middle is stretched, its ends and a diphthong's glide are not."""
    at, source = list(sung), list(spoken.edges)
    for k in range(syllables):
        vowel = text.places(k, "vowel")
        a, b = spoken.edges[vowel[0]], spoken.edges[vowel[-1] + 1]
        start, end = sung[vowel[0]], sung[vowel[-1] + 1]
        first, last = loud_part(spoken.samples, a, b)
        tail = 0.5 if text.phones[vowel[-1]] in DIPHTHONGS else 0.25
        hold_from = np.clip(a + 0.3 * (b - a), first, last)
        hold_to = np.clip(b - tail * (b - a), hold_from, last)
        if k == syllables - 1 and not text.places(k, "coda"):
            b = source[-1] = last
        if end - start <= (hold_from - a) + (b - hold_to) + 0.02:
            continue
        for i in vowel[1:]:
            at.remove(sung[i])
            source.remove(spoken.edges[i])
        at += [start + hold_from - a, end - (b - hold_to)]
        source += [hold_from, hold_to]
    order = np.argsort(at, kind="stable")
    return np.array(at)[order], np.maximum.accumulate(np.array(source)[order])


def pitch_curve(times: np.ndarray, notes: list[Note], rng: np.random.Generator) -> np.ndarray:
    """Fractional midi note at each time: glides, a scoop into the first note, late vibrato, a little drift."""
    curve = np.full(len(times), float(notes[0].midi))
    for note in notes:
        curve[times >= note.start - 0.025] = note.midi
    window = np.hanning(17)[1:-1]
    curve = np.convolve(np.pad(curve, 7, mode="edge"), window / window.sum(), "valid")
    since = times - notes[0].start
    curve -= 0.6 * np.exp(-np.maximum(since, 0) / 0.035) * (since < 0.25)
    for note in notes:
        if note.end - note.start < 0.55:
            continue
        local = times - note.start
        depth = np.clip((local - 0.3) / 0.3, 0, 1) * np.clip((note.end - times) / 0.1, 0, 1)
        curve += 0.28 * depth * np.sin(2 * np.pi * rng.uniform(5.2, 5.7) * np.maximum(local - 0.3, 0))
    drift = np.convolve(rng.standard_normal(len(times) + 80), np.hanning(81), "valid")[: len(times)]
    return curve + 0.03 * drift / (np.std(drift) + 1e-9)


def _voiced_phones(text: Text) -> np.ndarray:
    sounds = [c in VOICED or c in VOWELS or c in STRESS for c in text.phones]
    for i, c in enumerate(text.phones):
        if c == " ":
            sounds[i] = sounds[i - 1] and sounds[i + 1]
    return np.array(sounds)


def _level(envelope: np.ndarray, vowel_of: np.ndarray) -> np.ndarray:
    """Log-power gain per frame: a held vowel keeps its loudness; consonants follow the vowels around them."""
    power = np.log(envelope[:, :256].mean(axis=1) + 1e-12)
    inside = vowel_of >= 0
    goal = np.median(power[inside])
    frames, gains = [], []
    for k in range(vowel_of.max() + 1):
        own = np.flatnonzero(vowel_of == k)
        frames.append(own.mean())
        gains.append(np.clip(0.75 * (goal - np.percentile(power[own], 75)), -2.5, 2.5))
    gain = np.interp(np.arange(len(envelope)), frames, gains)
    gain[inside] = np.clip(0.85 * (goal - power[inside]), -2.5, 5.0)
    window = np.hanning(15)[1:-1]
    return np.convolve(np.pad(gain, 6, mode="edge"), window / window.sum(), "valid")


def sing_phrase(spoken: Spoken, syllables: list[Syllable], rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Step 2 -> samples at 24 kHz and the time in the song of the first one."""
    import pyworld

    text = text_of(syllables)
    sung = lay_out(syllables, text, spoken.edges)
    at, source = time_map(text, spoken, sung, len(syllables))
    start = sung[0] - 0.05
    times = start + PERIOD * np.arange(int((sung[-1] + 0.15 - start) / PERIOD))
    read = np.interp(times, at, source)
    read += np.minimum(times - at[0], 0) + np.maximum(times - at[-1], 0)

    axis = np.arange(int(len(spoken.samples) / SAMPLE_RATE / PERIOD)) * PERIOD
    half = np.minimum((axis / 0.0125).astype(int), len(spoken.asked_hz) - 1)
    known = spoken.asked_hz[half]
    envelope = pyworld.cheaptrick(spoken.samples, known, axis, SAMPLE_RATE, fft_size=FFT_SIZE)
    noise = pyworld.d4c(spoken.samples, known, axis, SAMPLE_RATE, fft_size=FFT_SIZE)
    where = np.clip(read / PERIOD, 0, len(axis) - 1.001)
    low, part = where.astype(int), (where % 1)[:, None]
    envelope = np.exp((1 - part) * np.log(envelope[low] + 1e-16) + part * np.log(envelope[low + 1] + 1e-16))
    noise = (1 - part) * noise[low] + part * noise[low + 1]

    phone = np.clip(np.searchsorted(sung, times, side="right") - 1, 0, len(text.phones) - 1)
    voiced = _voiced_phones(text)[phone] & (times >= sung[0]) & (times < sung[-1] + 0.02)
    vowel_of = np.array([text.role[i][0] if text.role[i][1] == "vowel" else -1 for i in phone])
    envelope *= np.exp(_level(envelope, vowel_of))[:, None]
    noise[vowel_of >= 0] = np.minimum(noise[vowel_of >= 0], VOWEL_NOISE)
    notes = [n for s in syllables for n in s.notes]
    f0_hz = np.where(voiced, 440 * 2 ** ((pitch_curve(times, notes, rng) - 69) / 12), 0.0)
    out = pyworld.synthesize(f0_hz, np.ascontiguousarray(envelope), np.ascontiguousarray(noise), SAMPLE_RATE, PERIOD_MS)
    clock = start + np.arange(len(out)) / SAMPLE_RATE
    return out * np.clip((sung[-1] + 0.06 - clock) / 0.12, 0, 1) * np.clip((clock - start) / 0.02, 0, 1), start


def sing_song(
    engine: Kokoro, phrases: list[list[Syllable]], voice: tuple[str, float], seconds: float, cache: Path
) -> np.ndarray:
    """-> (round(24000 * seconds),) the dry voice of the whole song. `voice`: name, semitones for `speak`."""
    rng = np.random.default_rng(1)
    out = np.zeros(round(SAMPLE_RATE * seconds))
    for syllables in phrases:
        samples, start = sing_phrase(speak(engine, syllables, voice[0], voice[1], cache), syllables, rng)
        at = round(SAMPLE_RATE * start)
        out[at : at + len(samples)] += samples[: len(out) - at]
    return out
