"""Make the demo songs of `svc/assets/demo`: two singers by Kokoro-82M, a band by fluidsynth. Run: see README.md there.

    python scripts/make_demo_songs.py [--kokoro FOLDER] [--soundfont FILE] [--output svc/assets/demo] [--only NAME]

Needs the packages onnx, onnxruntime, pyworld, soundfile, soxr, pyloudnorm, scipy, the program fluidsynth and a
General MIDI soundfont (Debian: `apt-get install fluidsynth fluid-soundfont-gm`). Kokoro comes from the package index.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import soundfile
from demo_songs import backing, mixing, singing
from demo_songs.kokoro import SAMPLE_RATE as VOICE_RATE
from demo_songs.kokoro import Kokoro, fetch
from demo_songs.score import Note, Song, timed_phrases
from demo_songs.songs import SONGS

VOICES = {"aria": ("af_heart", -4.0), "bram": ("am_michael", 0.0)}
"""Kokoro's voice, and how far under the melody it is asked to speak."""
SOURCE_SINGER = "bram"
TAIL_SECONDS = 1.0


def pitch_error(voice: np.ndarray, notes: list[Note]) -> tuple[float, float]:
    """Harvest on the dry voice inside the notes -> median |cents| to the score, share of frames within 50 cents."""
    import pyworld

    f0_hz, times = pyworld.harvest(voice, VOICE_RATE, f0_floor=70, f0_ceil=900, frame_period=5.0)
    errors: list[float] = []
    for note in notes:
        inside = (times >= note.start + 0.08) & (times < note.end - 0.05) & (f0_hz > 0)
        errors += list(1200 * np.log2(f0_hz[inside] / 440) - 100 * (note.midi - 69))
    size = np.abs(np.array(errors))
    return float(np.median(size)), float((size < 50).mean())


def make(song: Song, engine: Kokoro, arguments: argparse.Namespace) -> dict:
    """Write one song and return its entry in scores.json."""
    phrases, _ = timed_phrases(song)
    bars = len(song.chords.split("|"))
    seconds = bars * song.beats_per_bar * song.beat_seconds + TAIL_SECONDS
    voice = singing.sing_song(engine, phrases, VOICES[song.singer], seconds, arguments.kokoro / "phrases")
    notes = [n for phrase in phrases for s in phrase for n in s.notes]
    cents, share = pitch_error(voice, notes)
    mixed = mixing.mix(voice, backing.play(song, arguments.soundfont, mixing.SAMPLE_RATE, seconds))
    path = arguments.output / song.singer / f"{song.name}.ogg"
    mixing.write_vorbis(path, mixed)
    decoded, _ = soundfile.read(path, always_2d=True)
    peak = mixing.true_peak_db(decoded.T)
    print(
        f"{song.name}: {seconds:.1f} s, {path.stat().st_size / 1e6:.2f} MB, dry voice {cents:.1f} cents from the "
        f"score, {share:.3f} within 50 cents, true peak {peak:.1f} dB"
    )
    if arguments.dry:
        arguments.dry.mkdir(parents=True, exist_ok=True)
        soundfile.write(arguments.dry / f"{song.name}.wav", voice / np.abs(voice).max() * 0.8, VOICE_RATE)
    return {
        "name": song.name,
        "file": f"{song.singer}/{song.name}.ogg",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "singer": song.singer,
        "role": "source" if song.singer == SOURCE_SINGER else "target",
        "title": song.title,
        "origin": song.origin,
        "tempo_bpm": round(60 / song.beat_seconds, 3),
        "beats_per_bar": song.beats_per_bar,
        "sample_rate": mixing.SAMPLE_RATE,
        "frames": mixed.shape[1],
        "seconds": mixed.shape[1] / mixing.SAMPLE_RATE,
        "transpose_semitones": song.convert_transpose_semitones,
        "words": [phrase.text for phrase in song.phrases],
        "dry_voice_cents": round(cents, 1),
        "notes": [[round(n.start, 4), round(n.end, 4), n.midi] for n in notes],
    }


def main() -> None:
    here = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kokoro", type=Path, default=Path(os.environ.get("KOKORO_DIR", "kokoro")))
    parser.add_argument("--soundfont", type=Path, default=Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"))
    parser.add_argument("--output", type=Path, default=here / "svc" / "assets" / "demo")
    parser.add_argument("--only", help="name of one song; the others keep their entries in scores.json")
    parser.add_argument("--dry", type=Path, help="also write the dry voices here, to listen to")
    arguments = parser.parse_args()
    fetch(arguments.kokoro)
    engine = Kokoro(arguments.kokoro)
    index = arguments.output / "scores.json"
    known = {e["name"]: e for e in json.loads(index.read_text("utf-8"))["songs"]} if index.is_file() else {}
    for song in SONGS:
        if arguments.only in (None, song.name):
            known[song.name] = make(song, engine, arguments)
    entries = [known[s.name] for s in SONGS if s.name in known]
    lines = json.dumps({"format": 1, "songs": entries}, ensure_ascii=False, indent=1)
    index.with_suffix(".json.part").write_text(lines + "\n", encoding="utf-8")
    os.replace(index.with_suffix(".json.part"), index)


if __name__ == "__main__":
    main()
