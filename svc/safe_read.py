"""Reading tensor files of strangers: nothing a file holds is ever run.

A `.pt` file is a pickle, and a pickle can ask for any function. Here torch's restricted reader is used, which builds
tensors and plain containers only; classes that old training programs left in their files are met by inert stand-ins.
"""

import pickle
import re
import threading
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svc.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

NAMED_AT_MOST = 4
# torch keeps its list of allowed classes per process.
_LOCK = threading.Lock()


class StandIn:
    """What stands where a file names a class of another program: keeps arguments and state, runs nothing."""

    asked_for = ""
    arguments: tuple[Any, ...]

    def __new__(cls, *arguments: Any, **_: Any) -> "StandIn":
        """Keep the arguments; keywords are dropped."""
        made = super().__new__(cls)
        made.__dict__["arguments"] = arguments
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update({str(name): value for name, value in state.items()})
        else:
            self.__dict__["state"] = state

    def __repr__(self) -> str:
        return f"<stand-in for {self.asked_for}>"


def read_torch(path: Path, stand_ins: Sequence[str] = (), allow: Sequence[Any] = ()) -> Any:
    """What `torch.save` wrote to `path`, on the CPU.

    Args:
        path: a zip or an old-style file of torch.save.
        stand_ins: full names of classes ("fairseq.data.dictionary.Dictionary") met by a StandIn, which has the
            state the file gives as its attributes.
        allow: classes that are safe to build, such as fractions.Fraction.

    Tensors of a zip file are mapped from it, so that parts that are not used cost no memory: copy what is kept.
    Raises CheckpointError for a missing or damaged file, and for one that asks for anything else.
    """
    import torch

    path = Path(path)
    _require_file(path)
    stood_in = [(type("StandIn", (StandIn,), {"asked_for": name}), name) for name in stand_ins]
    try:
        with _LOCK, torch.serialization.safe_globals([*stood_in, *allow]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refusal(path, str(error))) from None
    except Exception as error:
        if "TorchScript" in str(error):
            raise CheckpointError(
                f"{path} is a TorchScript program, which is refused: use a file that holds weights only."
            ) from None
        raise CheckpointError(
            f"{path} is damaged, cut short or not a file of torch: download or copy it again."
        ) from None


def read_safetensors(path: Path) -> "dict[str, Tensor]":
    """Tensors of a safetensors file by name; CheckpointError for a missing or damaged file."""
    from safetensors.torch import load_file

    path = Path(path)
    _require_file(path)
    try:
        return load_file(path)
    except Exception:
        raise CheckpointError(
            f"{path} is damaged, cut short or not a safetensors file: download or copy it again."
        ) from None


def check_keys(state: Any, wanted: Mapping[str, tuple[int, ...]], where: str) -> None:
    """CheckpointError unless `state` holds tensors of exactly the names and shapes of `wanted`.

    `where` names the file, and what of it is meant, at the start of the sentence.
    """
    import torch

    if not isinstance(state, Mapping):
        raise CheckpointError(f"{where} holds a {type(state).__name__} where named tensors were expected.")
    faults = []
    if missing := [name for name in wanted if name not in state]:
        faults.append(f"lacks {_listed(missing)}")
    if extra := [str(name) for name in state if name not in wanted]:
        faults.append(f"has {_listed(extra)}, which do not belong there")
    wrong = []
    for name, shape in wanted.items():
        value = state.get(name)
        if name in state and not isinstance(value, torch.Tensor):
            wrong.append(f"{name} (a {type(value).__name__} instead of a tensor)")
        elif isinstance(value, torch.Tensor) and tuple(value.shape) != tuple(shape):
            wrong.append(f"{name} (shape {tuple(value.shape)} instead of {tuple(shape)})")
    if wrong:
        faults.append(f"does not fit in {_listed(wrong)}")
    if faults:
        raise CheckpointError(f"{where} {' and '.join(faults)}: use the file this was made for.")


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(f"There is no file {path}: check the path.")


def _refusal(path: Path, reason: str) -> str:
    """One sentence for the reason torch's restricted reader gives for stopping."""
    asked = re.search(r"GLOBAL `?([\w.]+)`?", reason) or re.search(
        r"(?:to load|to call|function) ([\w.]+\.\w+)", reason
    )
    if asked:
        return f"{path} asks for {asked[1]}, which is refused: use a file that holds weights only."
    return f"{path} is damaged, cut short or not a file of torch: download or copy it again."


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
