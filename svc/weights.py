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

    def find(self) -> Path | None:
        """Where a file of this name lies, embedded or in pretrain/, unchecked; None when there is none."""
        candidates = (folder / self.name for folder in (ASSETS, pretrain_dir()))
        return next((path for path in candidates if path.is_file()), None)

    def path(self) -> Path:
        """Where the file lies: embedded, else in pretrain/. WeightError when it is missing or damaged."""
        found = self.find()
        if found is None:
            raise WeightError(
                f"The weight file '{self.name}' ({self.purpose}) is missing: reinstall the toolkit, or put it into "
                f"{pretrain_dir()}/."
            )
        _verify(found, self)
        return found


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


MOONSHINE_TINY = WeightFile(
    name="moonshine_tiny.safetensors",
    sha256="49c86f54dc61c9a45bdb3d6f12e5db4f0a51373b0f86f6a097a8c8d99db5129a",
    bytes=15_764_476,
    licence="MIT",
    purpose="content encoder 'moonshine'",
)
SPLEETER = WeightFile(
    name="spleeter.safetensors",
    sha256="31d21bd07551a97bfb456bb2f00d441b9dec1e4e1bca122c3331e23ca9234f9d",
    bytes=21_542_288,
    licence="MIT",
    purpose="separation of vocals and accompaniment with Spleeter",
)
RESEMBLYZER = WeightFile(
    name="resemblyzer.safetensors",
    sha256="95bbe2e57091242e473d047a93ea00ffe66584dc51c87383fc664afa641a6fb1",
    bytes=2_848_504,
    licence="Apache-2.0",
    purpose="speaker encoder 'resemblyzer'",
)


def embedded_weights() -> tuple[WeightFile, ...]:
    """Every weight file that ships with the package."""
    return (MOONSHINE_TINY, SPLEETER, RESEMBLYZER)
