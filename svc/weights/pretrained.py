"""Files in pretrain/: found by content, whatever they are called; unknown hashes are pinned on first use.

`pretrain/weights.json` keeps both: the pinned hashes, and the hash of each file as last read, so that a file is read
once for each change.
"""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from svc.errors import WeightError
from svc.paths import pretrain_dir
from svc.weights.entry import RemoteFile, WeightEntry
from svc.weights.hashing import sha256_of

LEDGER, FORMAT = "weights.json", 1
_LOG = logging.getLogger(__name__)


class Ledger:
    """What is remembered of the files in one pretrain folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = pretrain_dir() if folder is None else folder
        self._path = self.folder / LEDGER
        self._pinned: dict[str, dict[str, Any]] = {}
        self._seen: dict[str, dict[str, Any]] = {}
        if self._path.is_file():
            self._read()

    def _read(self) -> None:
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            if data["format"] != FORMAT:
                raise WeightError(
                    f"{self._path} was written by another version of this toolkit: update the toolkit, or delete it."
                )
            self._pinned = {
                str(k): {"sha256": str(v["sha256"]), "bytes": int(v["bytes"])} for k, v in data["pinned"].items()
            }
            self._seen = {
                str(k): {"sha256": str(v["sha256"]), "bytes": int(v["bytes"]), "mtime_ns": int(v["mtime_ns"])}
                for k, v in data["seen"].items()
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            raise WeightError(
                f"{self._path} is damaged: delete it, and the files beside it are pinned anew when they are used."
            ) from None

    def _write(self) -> None:
        self._seen = {key: seen for key, seen in self._seen.items() if (self.folder / key).is_file()}
        text = json.dumps({"format": FORMAT, "pinned": self._pinned, "seen": self._seen}, indent=1, sort_keys=True)
        temporary = self._path.with_name(f"{LEDGER}.{os.getpid()}.part")
        try:
            temporary.write_text(text + "\n", encoding="utf-8", newline="\n")
            os.replace(temporary, self._path)
        except OSError as error:
            _LOG.warning("Cannot write %s (%s): hashes are not kept.", self._path, error)

    def expected(self, file: RemoteFile) -> tuple[str, int]:
        """(sha256 or its first digits, bytes) that `file` must have; "" and 0 where nothing is known yet."""
        pin = self._pinned.get(file.path)
        if pin is None:
            return file.sha256, file.bytes
        return pin["sha256"], pin["bytes"]

    def is_pinned(self, file: RemoteFile) -> bool:
        """Whether the hash of `file` was fixed at its first use."""
        return file.path in self._pinned

    def pin(self, file: RemoteFile, path: Path) -> None:
        """Fix the hash of `file` to that of `path`, unless the whole hash is known."""
        if len(file.sha256) < 64 and not self.is_pinned(file):
            self._pinned[file.path] = {"sha256": self.hash_of(path), "bytes": path.stat().st_size}
            self._write()

    def hash_of(self, path: Path) -> str:
        """sha256 of a file in the folder, read again only when its size or time has changed."""
        key, stat = path.relative_to(self.folder).as_posix(), path.stat()
        seen = self._seen.get(key)
        if seen and (seen["bytes"], seen["mtime_ns"]) == (stat.st_size, stat.st_mtime_ns):
            return str(seen["sha256"])
        sha256 = sha256_of(path)
        self._seen[key] = {"sha256": sha256, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        self._write()
        return sha256

    def forget(self) -> None:
        """Forget the hashes that were read, so that `hash_of` reads every file again; pins stay."""
        self._seen = {}

    def find(self, file: RemoteFile, distinctive: bool = True) -> Path | None:
        """Where `file` lies in the folder, or None.

        By content where a hash is known or pinned; where only its first digits are, among files of the same ending.
        Else at its own place, or anywhere under its name when that is `distinctive`, that is, when no other file is
        called so.
        """
        sha256, size = self.expected(file)
        own = self.folder / file.path
        if not sha256:
            if own.is_file():
                return own
            same = (path for path in self._files() if path.name == file.name)
            return next(same, None) if distinctive else None
        candidates = [own] if own.is_file() else []
        # The place first, then the name: reading a file of gigabytes is slow.
        candidates += sorted((p for p in self._files() if p != own), key=lambda p: (p.name != file.name, str(p)))
        if len(sha256) < 64:
            # A few digits are no identity on their own.
            candidates = [path for path in candidates if path.suffix == own.suffix]
        fitting = (path for path in candidates if not size or path.stat().st_size == size)
        return next((path for path in fitting if self.hash_of(path).startswith(sha256)), None)

    def mismatch(self, file: RemoteFile) -> str:
        """What is wrong with the file that lies where `file` belongs but has another hash; "" where none lies."""
        own = self.folder / file.path
        if not own.is_file():
            return ""
        if self.is_pinned(file):
            return (
                f"{own} is another file than when it was first used: put that one back, or delete {self._path} if the "
                "new one is meant."
            )
        return f"{own} is damaged or another file (its sha256 differs): move it away, then get it again."

    def _files(self) -> Iterator[Path]:
        if not self.folder.is_dir():
            return
        for path in sorted(self.folder.rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(self.folder).parts)
            if path.is_file() and not hidden and path.name != LEDGER and path.suffix not in {".part", ".md"}:
                yield path


def by_hand(entry: WeightEntry, file: RemoteFile | None = None) -> str:
    """What a user can do without a download, as the end of a sentence."""
    what = file.name if file is not None else "the file"
    source = f" from {entry.origin}" if entry.origin else ""
    return f"get {what}{source} and put it into {pretrain_dir()}/."
