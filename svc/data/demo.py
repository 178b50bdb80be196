"""The demo songs that ship with the package, and their scores (see `svc/assets/demo/README.md`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from svc.errors import DatasetError
from svc.paths import ASSETS

FORMAT = 1


@dataclass(frozen=True)
class ScoreNote:
    """One sung note: seconds from the start of the file, midi number (69 = A4 = 440 Hz)."""

    start: float
    end: float
    midi: int

    @property
    def f0_hz(self) -> float:
        """The note's frequency in equal temperament."""
        return 440.0 * 2.0 ** ((self.midi - 69) / 12)


@dataclass(frozen=True)
class Score:
    """What is sung in a demo song. `transpose_semitones` brings it into the other demo singer's range."""

    name: str
    path: Path
    singer: str
    title: str
    tempo_bpm: float
    sample_rate: int
    frames: int
    transpose_semitones: int
    words: tuple[str, ...]
    notes: tuple[ScoreNote, ...]

    @property
    def seconds(self) -> float:
        """Length of the file."""
        return self.frames / self.sample_rate


def demo_songs_dir() -> Path:
    """The folder of all demo songs: one folder per singer, `scores.json`, `README.md`."""
    return ASSETS / "demo"


def demo_singer() -> Path:
    """Folder of the target singer's raw songs (voice and band mixed), to train on."""
    return demo_songs_dir() / _singer_of("target")


def demo_song() -> Path:
    """The other singer's song (voice and band mixed), to convert."""
    return demo_songs_dir() / next(str(e["file"]) for e in _entries() if e["role"] == "source")


def demo_scores() -> list[Score]:
    """The scores of all demo songs, in the order of `scores.json`."""
    return [_score(entry) for entry in _entries()]


def load_score(name: str) -> Score:
    """The score of one demo song by its name (the file name without ending).

    Raises:
        DatasetError: there is no demo song of this name.
    """
    for entry in _entries():
        if entry["name"] == name:
            return _score(entry)
    names = ", ".join(str(e["name"]) for e in _entries())
    raise DatasetError(f"There is no demo song '{name}': use one of {names}.")


def _entries() -> list[dict]:
    path = demo_songs_dir() / "scores.json"
    if not path.is_file():
        raise DatasetError(f"The demo songs are missing ({path} is not there): install the package again.")
    data = json.loads(path.read_text(encoding="utf-8"))
    if data.get("format") != FORMAT:
        raise DatasetError(f"{path} has format {data.get('format')}, this version reads {FORMAT}: install it again.")
    return data["songs"]


def _singer_of(role: str) -> str:
    return next(str(e["singer"]) for e in _entries() if e["role"] == role)


def _score(entry: dict) -> Score:
    return Score(
        name=entry["name"],
        path=demo_songs_dir() / entry["file"],
        singer=entry["singer"],
        title=entry["title"],
        tempo_bpm=entry["tempo_bpm"],
        sample_rate=entry["sample_rate"],
        frames=entry["frames"],
        transpose_semitones=entry["transpose_semitones"],
        words=tuple(entry["words"]),
        notes=tuple(ScoreNote(float(a), float(b), int(m)) for a, b, m in entry["notes"]),
    )
