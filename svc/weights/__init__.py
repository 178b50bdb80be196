"""Weight files by name: embedded ones ship in svc/assets, others lie in pretrain/; both are checked by hash.

`catalogue` knows the files that do not ship, `getting` brings them, `pretrained` finds them by content.
"""

from dataclasses import dataclass
from pathlib import Path

from svc.errors import ConfigError, WeightError
from svc.paths import ASSETS, pretrain_dir
from svc.weights.catalogue import catalogue, entry_of, is_distinctive
from svc.weights.entry import RemoteFile, WeightEntry
from svc.weights.hashing import sha256_of
from svc.weights.pretrained import Ledger, by_hand

__all__ = [
    "BASE_DISCRIMINATOR",
    "BASE_VOICE",
    "MOONSHINE",
    "REFINER",
    "RESEMBLYZER",
    "SPLEETER",
    "RemoteFile",
    "WeightEntry",
    "WeightFile",
    "catalogue",
    "embedded_weights",
    "entry_of",
    "find_weight",
    "hash_of",
    "sha256_of",
    "weight_path",
]


@dataclass(frozen=True)
class WeightFile:
    """One weight file: where it lies, what it must hash to, what it is for and under which licence."""

    name: str
    sha256: str
    bytes: int
    licence: str
    purpose: str

    def find(self) -> Path | None:
        """Where it lies: embedded or in pretrain/ under its name, unchecked, else in pretrain/ by content; or None."""
        candidates = (folder / self.name for folder in (ASSETS, pretrain_dir()))
        named = next((path for path in candidates if path.is_file()), None)
        return named or Ledger().find(RemoteFile(self.name, (), self.sha256, self.bytes))

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


MOONSHINE = WeightFile(
    name="moonshine_singing.safetensors",
    sha256="8ac3730f91c4eb498e550a0766d24da73256cfb8385f566d0da1bcc9145b6a1e",
    bytes=15_764_348,
    licence="MIT",
    purpose="content encoder 'moonshine', tuned to hear less of who sings",
)
SPLEETER = WeightFile(
    name="spleeter.safetensors",
    sha256="31d21bd07551a97bfb456bb2f00d441b9dec1e4e1bca122c3331e23ca9234f9d",
    bytes=21_542_288,
    licence="MIT",
    purpose="separation of vocals and accompaniment with Spleeter",
)
REFINER = WeightFile(
    name="refiner.safetensors",
    sha256="bb11d10f0d52128eb54cf03fd47dbe26088405dff7062372f8f5bdb45f617fa5",
    bytes=3_286_988,
    licence="MIT",
    purpose="second stage of the separation, gives back what Spleeter misses of a voice",
)
RESEMBLYZER = WeightFile(
    name="resemblyzer.safetensors",
    sha256="95bbe2e57091242e473d047a93ea00ffe66584dc51c87383fc664afa641a6fb1",
    bytes=2_848_504,
    licence="Apache-2.0",
    purpose="speaker encoder 'resemblyzer'",
)

BASE_VOICE = WeightFile(
    name="base_voice.safetensors",
    sha256="4a285378166fa8897361a7db90f9c4924070bbd6d8c12e29cb7804c2f6f468dd",
    bytes=28_916_038,
    licence="MIT",
    purpose="base voice that trainings and prompts start from",
)
BASE_DISCRIMINATOR = WeightFile(
    name="base_discriminator.safetensors",
    sha256="63ea0cb630c8a4b0bab782e0038acb7b8ef7f215150822c9023611bc912a7a60",
    bytes=3_353_880,
    licence="MIT",
    purpose="discriminators of the base voice, for trainings",
)


def embedded_weights() -> tuple[WeightFile, ...]:
    """Every weight file that ships with the package."""
    return (MOONSHINE, SPLEETER, REFINER, RESEMBLYZER, BASE_VOICE, BASE_DISCRIMINATOR)


def find_weight(name: str, file_name: str = "") -> Path | None:
    """Where a file of the catalogue entry `name` lies in pretrain/, or None; the first one without `file_name`.

    ConfigError when there is no such entry or file.
    """
    file = _file_of(entry_of(name), file_name)
    return Ledger().find(file, is_distinctive(file))


def weight_path(name: str, file_name: str = "") -> Path:
    """As `find_weight`, for use: pins a hash that is not known. WeightError that says how to get a missing file."""
    entry = entry_of(name)
    file, ledger = _file_of(entry, file_name), Ledger()
    path = ledger.find(file, is_distinctive(file))
    if path is not None:
        ledger.pin(file, path)
        return path
    if problem := ledger.mismatch(file):
        raise WeightError(problem)
    how = f"run  svc weights get {name}  or " if file.sources else ""
    raise WeightError(f"{file.name} ({entry.purpose}) is not in {pretrain_dir()}/: {how}{by_hand(entry, file)}")


def hash_of(path: Path) -> str:
    """sha256 of a file; one in pretrain/ is read only once for each change."""
    ledger = Ledger()
    inside = path.resolve().is_relative_to(ledger.folder.resolve())
    return (
        ledger.hash_of(ledger.folder / path.resolve().relative_to(ledger.folder.resolve()))
        if inside
        else sha256_of(path)
    )


def _file_of(entry: WeightEntry, file_name: str) -> RemoteFile:
    for file in entry.files:
        if not file_name or file.name == file_name:
            return file
    raise ConfigError(f"'{entry.name}' has no file called '{file_name}': give the path of your own file instead.")
