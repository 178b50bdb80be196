"""Weight files of F0 estimators that users put into pretrain/ themselves: found by name or by what they hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from svc.errors import CheckpointError, WeightError
from svc.paths import pretrain_dir

ENDINGS = (".pt", ".pth", ".ckpt", ".bin")
# Contents read so far: a folder of large files is looked through once.
_KNOWN: dict[tuple[str, int, int, str], bool] = {}


def find_weights(names: tuple[str, ...], fits: Callable[[Any], bool], purpose: str) -> Path:
    """The file in pretrain/ called one of `names`, else the first one, by name, whose content `fits`.

    A file of the right name and another content is passed over when one that fits lies beside it. Raises WeightError,
    which says what to put where, when there is none.
    """
    folder = pretrain_dir()
    named = [folder / name for name in names if (folder / name).is_file()]
    others = sorted(
        path for path in (folder.rglob("*") if folder.is_dir() else ()) if path.suffix in ENDINGS and path.is_file()
    )
    for path in [*named, *others]:
        if _fits(path, fits, purpose):
            return path
    if named:
        return named[0]
    raise WeightError(
        f"The weights of {purpose} are not here and may not be shipped: put your {names[0]} into {folder}/, "
        "or choose another pitch estimator."
    )


def _fits(path: Path, fits: Callable[[Any], bool], purpose: str) -> bool:
    from svc.safe_read import read_torch

    stat = path.stat()
    key = (str(path.resolve()), stat.st_mtime_ns, stat.st_size, purpose)
    if key not in _KNOWN:
        try:
            _KNOWN[key] = fits(read_torch(path))
        except CheckpointError:
            _KNOWN[key] = False
    return _KNOWN[key]
