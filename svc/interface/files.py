"""Files of the page's users. Nothing outside allowed folders is ever read, and no name becomes a path."""

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from svc.errors import AudioError, ConfigError, SvcError
from svc.interface.disk import read_json, write_json

ID_LENGTH = 24
LABEL_LENGTH = 120
SLUG_LENGTH = 60


class FileRefused(SvcError):
    """A path, name or file that the page does not take."""


def resolve_allowed(path: str | os.PathLike[str], roots: Iterable[Path]) -> Path:
    """The real path of `path` if it exists and lies under one of `roots`, links followed; else FileRefused.

    A relative path is looked for in each root. The sentence is the same for what does not exist and for what may not
    be read, so that nobody can explore the machine with it.
    """
    text = os.fspath(path)
    refusal = FileRefused(f"'{text[:LABEL_LENGTH]}' is not in a folder that this page may read: choose another one.")
    if not text.strip() or "\0" in text:
        raise refusal
    for root in roots:
        base = Path(root).resolve()
        try:
            real = (base / text).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            continue
        if real.is_relative_to(base):
            return real
    raise refusal


def clean_label(name: str) -> str:
    """A file name as people see it: the last part, printable characters only, of bounded length."""
    return clean_words(name.replace("\\", "/").rsplit("/", 1)[-1])


def clean_words(name: str) -> str:
    """A name that a person typed, slashes and all, to be shown and never to be a path: printable, of bounded length."""
    shown = "".join(c for c in name if c.isprintable()).strip()
    return shown[:LABEL_LENGTH] or "unnamed"


def slug(name: str) -> str:
    """A folder name made of a label: letters, digits, space, dash and underscore; "singer" if nothing is left."""
    kept = "".join(c if c.isalnum() or c in " -_" else "_" for c in name).strip(" _")
    return kept[:SLUG_LENGTH].strip() or "singer"


def fresh_place(cache: Path, label: str, ending: str) -> Path:
    """A path in a new folder of `cache`, whose name nobody can guess, for what the browser gets as `label`."""
    folder = cache.resolve() / secrets.token_urlsafe(24)
    folder.mkdir(parents=True)
    return folder / f"{Path(clean_label(label)).stem}{ending}"


@dataclass(frozen=True)
class StoredFile:
    """One file of a user. label: the name it came with. seconds: its length, if it is sound."""

    id: str
    label: str
    kind: str
    size: int
    seconds: float | None
    made: float
    path: Path


class UserFiles:
    """The uploads of one user: home/files/<id>/data.<ending> with a note beside it."""

    def __init__(self, home: Path, cache: Path, limit_mb: int) -> None:
        self.folder = home / "files"
        self._cache = cache
        self._limit_mb = limit_mb

    def add_audio(self, upload: str | os.PathLike[str] | None, label: str = "") -> StoredFile:
        """Take a song, or a video with sound, that was uploaded; its content decides what it is.

        `upload` is the path gradio gives a handler. FileRefused for anything that is not an upload or too large,
        AudioError in one sentence that names the file as the user does for what is not sound.
        """
        from svc.audio.reading import probe

        source, label = self._arrived(upload, label)
        try:
            info = probe(source)
        except AudioError as error:
            raise AudioError(str(error).replace(str(source), f"'{label}'").replace(source.name, label)) from error
        return self._keep(source, label, "audio", info.container, info.seconds)

    def add(self, upload: str | os.PathLike[str] | None, kind: str, ending: str, label: str = "") -> StoredFile:
        """Take an upload whose content the caller has checked or is about to check (see `arrived`)."""
        source, label = self._arrived(upload, label)
        return self._keep(source, label, kind, ending, None)

    def add_table(self, upload: str | os.PathLike[str] | None, kind: str, read: Callable[[Path], object]) -> StoredFile:
        """Take a CSV file once `read` has understood it; what `read` raises names the file as the user does."""
        path = self.arrived(upload)
        try:
            read(path)
        except (AudioError, ConfigError) as error:
            raise type(error)(str(error).replace(str(path), f"'{path.name}'")) from None
        return self.add(path, kind, "csv")

    def arrived(self, upload: str | os.PathLike[str] | None) -> Path:
        """The path of an upload, to look into it before it is taken."""
        return self._arrived(upload, "")[0]

    def _arrived(self, upload: str | os.PathLike[str] | None, label: str) -> tuple[Path, str]:
        if not upload:
            raise FileRefused("There is no file yet: add one first.")
        source = resolve_allowed(upload, [self._cache])
        label = clean_label(label or source.name)
        if not source.is_file():
            raise FileRefused(f"'{label}' is not a file: add a file.")
        if source.stat().st_size > self._limit_mb * 1_000_000:
            raise FileRefused(f"'{label}' is larger than {self._limit_mb} MB, the limit of this page.")
        return source, label

    def _keep(self, source: Path, label: str, kind: str, ending: str, seconds: float | None) -> StoredFile:
        made = StoredFile(
            secrets.token_hex(ID_LENGTH // 2), label, kind, source.stat().st_size, seconds, time.time(), Path()
        )
        folder = self.folder / made.id
        folder.mkdir(parents=True)
        target = folder / f"data.{slug(ending)}"
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
        note = {**asdict(made), "path": target.name}
        write_json(folder / "file.json", note)
        return StoredFile(**{**note, "path": target})

    def get(self, file_id: str) -> StoredFile:
        """One file; FileRefused when the user has none of that id."""
        if len(file_id) == ID_LENGTH and file_id.isalnum():
            folder = self.folder / file_id
            note = read_json(folder / "file.json")
            if isinstance(note, dict) and (folder / Path(note["path"]).name).is_file():
                return StoredFile(**{**note, "path": folder / Path(note["path"]).name})
        raise FileRefused("That file is no longer there: add it again.")

    def listing(self, kind: str = "") -> list[StoredFile]:
        """All files, or those of one kind, the newest first."""
        found = [self.get(note.parent.name) for note in self.folder.glob("*/file.json")]
        return sorted((f for f in found if not kind or f.kind == kind), key=lambda f: -f.made)

    def remove(self, file_id: str) -> None:
        """Delete one file."""
        shutil.rmtree(self.get(file_id).path.parent)


def usage_bytes(folders: Sequence[Path]) -> int:
    """Bytes that all files under `folders` take."""
    return sum(p.stat().st_size for folder in folders for p in folder.rglob("*") if p.is_file())
