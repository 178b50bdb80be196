"""Chords -> a small band as a standard MIDI file -> audio by fluidsynth and a General MIDI soundfont."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from demo_songs.score import Song, midi_of

TICKS = 480
DRUMS = 9

# channel, General MIDI program, pan 0..127, volume 0..127
BANDS = {
    "hymn": {"keys": (0, 0, 44, 84), "pad": (1, 48, 84, 58), "bass": (2, 32, 60, 84)},
    "ballad": {"keys": (0, 24, 40, 100), "pad": (1, 42, 90, 54), "bass": (2, 32, 66, 84)},
    "band": {"keys": (0, 0, 38, 84), "pad": (1, 16, 92, 36), "bass": (2, 33, 62, 84)},
    "country": {"keys": (0, 25, 36, 100), "pad": (1, 21, 92, 40), "bass": (2, 32, 62, 90)},
}
_DRUM_STYLES = {"band": True, "country": True}


def chord_tones(name: str, shift_semitones: int) -> tuple[int, list[int]]:
    """`Dm` -> bass note and a close triad around middle C, moved by `shift_semitones`."""
    minor = name.endswith("m")
    root = (midi_of(name.removesuffix("m") + "4") + shift_semitones) % 12
    triad = [root, root + (3 if minor else 4), root + 7]
    bass = 36 + root if root >= 4 else 48 + root
    return bass - 12 * (bass > 47), sorted(54 + (t - 54) % 12 for t in triad)


class Score:
    """Events of a MIDI file, in beats."""

    def __init__(self) -> None:
        self.events: list[tuple[int, int, bytes]] = []

    def note(self, channel: int, key: int, start: float, beats: float, velocity: int) -> None:
        """One note; an end comes before a start at the same tick."""
        a, b = round(start * TICKS), round((start + beats) * TICKS)
        self.events += [(a, 1, bytes([0x90 | channel, key, velocity])), (b, 0, bytes([0x80 | channel, key, 0]))]

    def setup(self, channel: int, program: int, pan: int, volume: int) -> None:
        """Instrument, place and level of a channel."""
        for k, message in enumerate(([0xC0, program], [0xB0, 10, pan], [0xB0, 7, volume], [0xB0, 91, 30])):
            self.events.append((0, -9 + k, bytes([message[0] | channel, *message[1:]])))

    def to_bytes(self, beat_seconds: float) -> bytes:
        """A format-0 file."""
        track = b"\x00\xff\x51\x03" + round(beat_seconds * 1e6).to_bytes(3, "big")
        now = 0
        for tick, _, message in sorted(self.events):
            track += _variable_length(tick - now) + message
            now = tick
        track += b"\x00\xff\x2f\x00"
        return b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS) + b"MTrk" + struct.pack(">I", len(track)) + track


def _variable_length(value: int) -> bytes:
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(0x80 | value & 0x7F)
    return bytes(reversed(out))


def compose(song: Song) -> Score:
    """The band's notes for the whole song; the last bar is one held chord."""
    score, rng = Score(), np.random.default_rng(7)
    band = BANDS[song.style]
    for channel, program, pan, volume in band.values():
        score.setup(channel, program, pan, volume)
    keys, pad, bass = (band[k][0] for k in ("keys", "pad", "bass"))
    bars, n = song.chords.split("|"), song.beats_per_bar
    for k, bar in enumerate(bars):
        names = bar.split(":")
        for j, name in enumerate(names):
            start, length = k * n + j * n / len(names), n / len(names)
            low, triad = chord_tones(name, song.shift_semitones)
            if k == len(bars) - 1:
                for spread, key in enumerate((low, *triad)):
                    score.note(keys, key, start + 0.04 * spread, length, 72)
                continue
            for key in triad:
                score.note(pad, key, start, length * 0.98, 60)
            score.note(bass, low, start, min(length, 2) * 0.95, 84 + int(rng.integers(-4, 5)))
            if n == 4 and length == 4:
                score.note(bass, low + 7 if low + 7 < 50 else low - 5, start + 2, 1.9, 78)
            _comp(score, keys, song.style, triad, start, length, rng)
        if song.style in _DRUM_STYLES and k < len(bars) - 1:
            _drum_bar(score, k * n, rng)
    return score


def _comp(
    score: Score, channel: int, style: str, triad: list[int], start: float, length: float, rng: np.random.Generator
) -> None:
    """Chords of one harmony: broken for slow songs, on the beat or after it for the others."""
    velocity = 66
    if style in ("hymn", "ballad"):
        pattern = [0, 1, 2, 3, 2, 1] if style == "ballad" else [0, 2, 1, 3, 2, 1]
        tones = [*triad, triad[0] + 12]
        for i in range(int(length * 2)):
            key = tones[pattern[i % 6]]
            score.note(channel, key, start + i / 2, 1.0, velocity + int(rng.integers(-8, 9)))
        return
    for i in range(int(length)):
        late = 0.5 if style == "country" and i % 2 else 0.0
        for key in triad:
            score.note(channel, key, start + i, 0.8, velocity + (8 if i % 2 else 0) + int(rng.integers(-6, 7)))
        if late:
            score.note(channel, triad[-1], start + i + late, 0.4, velocity - 14)


def _drum_bar(score: Score, start: int, rng: np.random.Generator) -> None:
    for beat in range(4):
        score.note(DRUMS, 36 if beat % 2 == 0 else 38, start + beat, 0.2, 62 if beat % 2 == 0 else 46)
        for half in (0.0, 0.5):
            score.note(DRUMS, 42, start + beat + half, 0.1, 40 + int(rng.integers(-6, 7)) - int(20 * half))


def play(song: Song, soundfont: Path, sample_rate: int, seconds: float) -> np.ndarray:
    """-> (2, N) float64, `seconds` long."""
    samples = render(compose(song).to_bytes(song.beat_seconds), soundfont, sample_rate, gain=0.5)
    out = np.zeros((2, round(seconds * sample_rate)))
    length = min(out.shape[1], len(samples))
    out[:, :length] = samples[:length].T
    return out


def render(midi: bytes, soundfont: Path, sample_rate: int, gain: float) -> np.ndarray:
    """A MIDI file as fluidsynth plays it: (N, 2) float64."""
    with tempfile.TemporaryDirectory() as scratch:
        score, wav = Path(scratch) / "band.mid", Path(scratch) / "band.wav"
        score.write_bytes(midi)
        command = ["fluidsynth", "-q", "-ni", "-g", str(gain), "-r", str(sample_rate), "-T", "wav", "-O", "float"]
        subprocess.run([*command, "-F", str(wav), str(soundfont), str(score)], check=True)
        samples, rate = soundfile.read(wav, always_2d=True)
    assert rate == sample_rate
    return samples
