"""Weight files by name: embedded ones ship in svc/assets, others lie in pretrain/; both are checked by hash."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from svc.errors import WeightError
from svc.paths import ASSETS, pretrain_dir


@dataclass(frozen=True)
class WeightFile:
    """One weight file: where it lies, what it must hash to, what it is for and under which licence."""

    name: str
    sha256: str
    bytes: int
    licence: str
    purpose: str

    def path(self) -> Path:
        """Where the file lies: embedded, else in pretrain/. WeightError when it is missing or damaged."""
        for folder in (ASSETS, pretrain_dir()):
            candidate = folder / self.name
            if candidate.is_file():
                _verify(candidate, self)
                return candidate
        raise WeightError(
            f"The weight file '{self.name}' ({self.purpose}) is missing: reinstall the toolkit, or put it into {pretrain_dir()}/."
        )


_verified: set[tuple[str, int, int]] = set()


def _verify(path: Path, weight: WeightFile) -> None:
    stat = path.stat()
    key = (str(path), stat.st_mtime_ns, stat.st_size)
    if key in _verified:
        return
    if sha256_of(path) != weight.sha256:
        raise WeightError(f"{path} is damaged or another file than expected (sha256 differs): reinstall it.")
    _verified.add(key)


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
