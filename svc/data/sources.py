"""Finding the recordings of one or several singers in a folder."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from svc.errors import AudioError, DatasetError
from svc.weights import sha256_of


@dataclass(frozen=True)
class SourceFile:
    """A recording to prepare. `name` is its path below the raw folder with forward slashes, for display and ids."""

    path: Path
    name: str
    speaker: str


def find_sources(raw_dir: Path, out_dir: Path | None = None) -> list[SourceFile]:
    """All recordings under `raw_dir`, sorted by name, without those under `out_dir`.

    One file is one singer named after it. A folder with recordings directly in it is one singer, named after the
    folder, with everything below it; otherwise each folder in it that holds recordings is a singer.
    Raises DatasetError when there is nothing.
    """
    from svc.audio.reading import find_audio

    raw_dir = Path(raw_dir)
    if raw_dir.is_file():
        return [SourceFile(raw_dir, raw_dir.name, raw_dir.stem)]
    try:
        files = find_audio(raw_dir)
    except AudioError as error:
        raise DatasetError(str(error)) from error
    if out_dir is not None:
        inside = out_dir.resolve()
        files = [f for f in files if inside not in f.resolve().parents]
        if not files:
            raise DatasetError(f"There is no audio in {raw_dir} outside the output folder {out_dir}.")
    single = any(f.parent == raw_dir for f in files)
    folder_name = raw_dir.resolve().name or "singer"
    out = []
    for file in files:
        relative = file.relative_to(raw_dir)
        out.append(SourceFile(file, relative.as_posix(), folder_name if single else relative.parts[0]))
    return out


def hash_file(path: Path) -> str:
    """sha256 of a file's content; DatasetError when it cannot be read."""
    try:
        return sha256_of(path)
    except OSError as error:
        raise DatasetError(f"Cannot read {path}: {error.strerror or error}. Check its permissions.") from error


def utterance_id(name: str, recording_sha256: str, start: int) -> str:
    """Id of a slice (16 hex digits), the same on every run and machine."""
    text = f"{name}\n{recording_sha256}\n{start}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:16]
