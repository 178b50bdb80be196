"""The voices a user can choose: the own library, those of the server's runs/ folder, and the base voice that ships.

Only the header of a voice file is read here, so that lists are quick and load no tensor library.
"""

import hashlib
import json
import os
import secrets
import shutil
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from svc.errors import CheckpointError
from svc.interface.disk import read_json, write_json
from svc.interface.files import clean_words
from svc.paths import runs_dir
from svc.weights import BASE_VOICE

HEADER_LIMIT = 50_000_000
METADATA_KEY = "svc_voice"
OWN, SERVER = "own-", "server-"
# The base voice that ships: it sings by the voices it knows, and by a prompt as anyone.
BUILTIN, BUILTIN_LABEL = "builtin", "base"


@dataclass(frozen=True)
class VoiceEntry:
    """One voice.

    id: "own-...", "server-..." or "builtin". speakers: dicts as SpeakerInfo. preset: plain data of the ConvertOptions
    fields that the user wants with this voice.
    """

    id: str
    label: str
    path: Path
    speakers: list[dict[str, Any]]
    sample_rate: int
    made: float
    size: int
    note: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)
    preset: dict[str, Any] = field(default_factory=dict)

    @property
    def own(self) -> bool:
        """Whether it is the user's, who may change and delete it."""
        return self.id.startswith(OWN)


def voice_header(path: Path) -> dict[str, Any]:
    """The description in a voice file, without its weights. CheckpointError for what is no voice of ours."""
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > HEADER_LIMIT:
                raise ValueError("header too long")
            metadata = json.loads(file.read(length)).get("__metadata__", {})
        header = json.loads(metadata[METADATA_KEY])
        return {**header, "speakers": list(header["speakers"]), "spec": dict(header["spec"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError) as error:
        raise CheckpointError("This is not a voice file: choose the voice.safetensors of a training.") from error


def add_voice(home: Path, source: Path, label: str) -> str:
    """Copy the voice file at `source` into the user's library; its id. CheckpointError for what is no voice."""
    voice_header(source)
    name = secrets.token_hex(12)
    folder = home / "voices" / name
    folder.mkdir(parents=True)
    part = folder / ".part"
    shutil.copyfile(source, part)
    os.replace(part, folder / "voice.safetensors")
    write_json(folder / "voice.json", {"label": clean_words(label), "made": time.time(), "preset": {}})
    return OWN + name


def list_voices(home: Path) -> list[VoiceEntry]:
    """The user's own voices, the newest first, then the server's, then the base voice."""
    own = [entry for path in (home / "voices").glob("*/voice.json") if (entry := _own(path.parent)) is not None]
    server = [
        entry
        for path in sorted(runs_dir().glob("*/voice.safetensors"))
        if (entry := _entry(f"{SERVER}{path.parent.name}", path.parent.name, path, {})) is not None
    ]
    return sorted(own, key=lambda entry: -entry.made) + server + _builtin()


def find_voice(home: Path, voice_id: str | None) -> VoiceEntry:
    """The voice of that id, as `list_voices` names it; CheckpointError when the user has none such."""
    for entry in list_voices(home):
        if entry.id == voice_id:
            if voice_id == BUILTIN:
                BASE_VOICE.path()  # WeightError for a damaged file
            return entry
    raise CheckpointError("Choose a voice first: train one, or add a voice file in the tab of voices.")


def change_voice(home: Path, voice_id: str, **changes: Any) -> None:
    """Give an own voice another label or preset (plain data of ConvertOptions fields)."""
    entry = find_voice(home, voice_id)
    if not entry.own:
        raise CheckpointError("This voice belongs to the server: copy it into your library first.")
    note = entry.path.parent / "voice.json"
    write_json(note, {**read_json(note, {}), **changes})


def remove_voice(home: Path, voice_id: str) -> None:
    """Delete an own voice."""
    entry = find_voice(home, voice_id)
    if not entry.own:
        raise CheckpointError("This voice belongs to the server and is not deleted from here.")
    sample = sample_of(home, entry)
    if sample is not None:
        sample.unlink()
    shutil.rmtree(entry.path.parent)


def own_folder(home: Path, voice_id: str) -> Path:
    """The folder of an own voice; CheckpointError for any other id."""
    entry = find_voice(home, voice_id)
    if not entry.own:
        raise CheckpointError("This voice belongs to the server: copy it into your library first.")
    return entry.path.parent


def sample_name(entry: VoiceEntry) -> str:
    """What the sample of a voice is called: another one for another version of its file."""
    return hashlib.sha256(f"{entry.id} {entry.path.stat().st_mtime_ns}".encode()).hexdigest()[:32]


def sample_of(home: Path, entry: VoiceEntry) -> Path | None:
    """The sample that was made of a voice, if one was."""
    path = home / "samples" / f"{sample_name(entry)}.flac"
    return path if path.is_file() else None


def _own(folder: Path) -> VoiceEntry | None:
    note = read_json(folder / "voice.json", {})
    return _entry(OWN + folder.name, str(note.get("label", folder.name)), folder / "voice.safetensors", note)


def _builtin() -> list[VoiceEntry]:
    path = BASE_VOICE.find()
    entry = _entry(BUILTIN, BUILTIN_LABEL, path, {}) if path else None
    return [entry] if entry else []


def _entry(voice_id: str, label: str, path: Path, note: dict[str, Any]) -> VoiceEntry | None:
    """None for a file that is no voice: one bad file does not hide the others."""
    try:
        header, status = voice_header(path), path.stat()
    except (CheckpointError, OSError):
        return None
    return VoiceEntry(
        id=voice_id,
        label=label,
        path=path,
        speakers=header["speakers"],
        sample_rate=int(header["spec"].get("sample_rate", 0)),
        made=float(note.get("made", status.st_mtime)),
        size=status.st_size,
        note=str(header.get("note", "")),
        provenance=dict(header.get("provenance") or {}),
        preset=dict(note.get("preset") or {}),
    )
