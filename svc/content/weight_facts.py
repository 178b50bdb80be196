"""Facts about the weight file of an encoder that the encoder's class has too: read from the file in pretrain/."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from svc.content.hubert_files import weight_file
from svc.weights import sha256_of

_hashes: dict[tuple[str, int, int], str] = {}


def identity(path: Path) -> tuple[str, int, int]:
    """What changes when a file does: its place, time and size."""
    stat = path.stat()
    return str(path.resolve()), stat.st_mtime_ns, stat.st_size


def hash_of(path: Path) -> str:
    """sha256 of a file, read again only after a change."""
    key = identity(path)
    if key not in _hashes:
        _hashes[key] = sha256_of(path)
    return _hashes[key]


class FileHash:
    """sha256 of the weight file: of the loaded one on an encoder, of the one in pretrain/ on its class.

    Reading it raises WeightError without such a file. `file_in` finds the file with the tensors at an encoder's path.
    """

    def __init__(self, file_in: Callable[[Path], Path] = weight_file) -> None:
        self.file_in = file_in

    def __get__(self, instance: Any, owner: Any) -> str:
        return hash_of(self.file_in(instance.path if instance is not None else owner.find_weights()))
