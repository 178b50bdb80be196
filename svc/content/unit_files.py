"""k-means centres out of the files people have; nothing in a file is run.

A `.km` or `.bin` of fairseq's recipe is a joblib dump of scikit-learn's MiniBatchKMeans: a pickle with the raw values
of each array behind its description. It is read here with classes that store and do nothing, so neither package is
needed. so-vits-svc's `kmeans_*.pt` are torch files with numpy arrays, bshall's hold tensors. What `svc units learn`
writes is a safetensors file with the one tensor `cluster_centers_`, and what it was learnt from in its header.
"""

import json
import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from svc.errors import CheckpointError
from svc.safe_read import StandIn, read_safetensors, read_torch

NUMPY = ("_core", "core")
ARRAY_STAND_INS = (
    *(f"numpy.{name}.multiarray.{function}" for name in NUMPY for function in ("_reconstruct", "scalar")),
    "numpy.ndarray",
    "numpy.dtype",
)
WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
INERT = re.compile(r"sklearn\.[\w.]+|numpy\.random\.[\w.]+")
NUMBERS = re.compile(r"[fiu][1248]|b1")
NEITHER = "is neither a k-means file of joblib nor one of torch"
CENTRES, FACTS, FACTS_VERSION = "cluster_centers_", "svc_units", 1


def read_centres(path: Path) -> dict[str, np.ndarray]:
    """Centres (K, D) float32 by singer; the one name is "" where a file has centres for nobody in particular.

    Raises CheckpointError, in one sentence, for a missing or damaged file, one that would run code, and one without
    `cluster_centers_`.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"There is no file {path}: check the path.")
    whole = _read_whole(path)
    found = _centres(whole, path)
    if found is not None:
        return {"": found}
    if not isinstance(whole, Mapping) or not whole:
        raise CheckpointError(f"{path} has no cluster_centers_: use a k-means file.")
    by_singer = {}
    for name, value in whole.items():
        centres = _centres(value, path)
        if centres is None:
            raise CheckpointError(f"{path} has no cluster_centers_ under '{name}': use a k-means file.")
        by_singer[str(name)] = centres
    return by_singer


def read_facts(path: Path) -> dict[str, Any]:
    """What a file of `write_centres` says of itself (encoder, layers, normalisation ...); empty for any other file.

    Raises CheckpointError for a damaged file.
    """
    if Path(path).suffix != ".safetensors":
        return {}
    from safetensors import safe_open

    try:
        with safe_open(path, "np") as file:
            text = (file.metadata() or {}).get(FACTS)
        facts = json.loads(text) if text else {}
    except Exception:
        raise CheckpointError(f"{path} is damaged, cut short or not a safetensors file: copy it again.") from None
    if facts and (not isinstance(facts, dict) or facts.get("version") != FACTS_VERSION):
        raise CheckpointError(f"{path} was written by another version of this toolkit: update it, or learn again.")
    return facts


def write_centres(path: Path, centres: np.ndarray, facts: Mapping[str, Any]) -> None:
    """Write centres (K, D) and what they were learnt from (plain data) as safetensors, atomically."""
    from safetensors.numpy import save_file

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        header = {FACTS: json.dumps({"version": FACTS_VERSION, **facts}, ensure_ascii=False)}
        save_file({CENTRES: np.ascontiguousarray(centres, dtype=np.float32)}, unfinished, header)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _read_whole(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except Exception:
            raise CheckpointError(
                f"{path} is damaged, cut short or holds objects instead of numbers: copy or write it again."
            ) from None
    return read_torch(path, ARRAY_STAND_INS) if zipfile.is_zipfile(path) else _read_joblib(path)


def _centres(holder: Any, path: Path) -> np.ndarray | None:
    state = vars(holder) if isinstance(holder, StandIn) else holder
    if not isinstance(state, Mapping) or CENTRES not in state:
        return None
    value = state[CENTRES]
    if hasattr(value, "float") and hasattr(value, "numpy"):  # a tensor, of whatever precision
        value = value.detach().float().numpy()
    array = _array(value, path) if isinstance(value, StandIn) else value
    if not isinstance(array, np.ndarray):
        raise CheckpointError(f"The centres in {path} are a {type(array).__name__}, no array: use a k-means file.")
    if array.ndim != 2 or not array.size or array.dtype.kind != "f":
        raise CheckpointError(
            f"The centres in {path} have shape {array.shape}, where (units, values) numbers are wanted."
        )
    if not np.isfinite(array).all():
        raise CheckpointError(f"The centres in {path} are not all finite: learn them again.")
    return np.ascontiguousarray(array, dtype=np.float32)


def _array(stored: StandIn, path: Path) -> np.ndarray:
    """What numpy's own pickle of an array describes."""
    state = vars(stored).get("state")
    if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[4], bytes):
        raise CheckpointError(f"{path} is damaged: the centres are no array.")
    _, shape, kind, fortran, values = state
    return _shaped(values, shape, kind, "F" if fortran else "C", path)


def _shaped(values: bytes, shape: Any, kind: Any, order: str, path: Path) -> np.ndarray:
    if len(values) != _byte_count(shape, kind, path):
        raise CheckpointError(f"{path} is cut short or damaged: an array lacks values.")
    flat = np.frombuffer(values, _dtype(kind, path))
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _byte_count(shape: Any, kind: Any, path: Path) -> int:
    if not isinstance(shape, tuple) or not all(isinstance(size, int) and size >= 0 for size in shape):
        raise CheckpointError(f"{path} is damaged: an array has the shape {shape}.")
    count = _dtype(kind, path).itemsize
    for size in shape:
        count *= size
    return count


def _dtype(kind: Any, path: Path) -> np.dtype:
    """numpy's type from its stored description: numbers only, since objects would be a pickle again."""
    arguments = kind.arguments if isinstance(kind, StandIn) else ()
    state = vars(kind).get("state") if isinstance(kind, StandIn) else None
    name = arguments[0] if arguments else None
    if not isinstance(name, str) or not NUMBERS.fullmatch(name):
        raise CheckpointError(f"{path} holds an array of {name}, where numbers are wanted: use a k-means file.")
    order = state[1] if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "=") else "<"
    return np.dtype(f"{order}{name}")


class _Reader(pickle._Unpickler):  # type: ignore[name-defined, misc]
    """A pickle reader that builds stand-ins only, and takes in the arrays that joblib writes between its steps."""

    stack: list[Any]
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, file: BinaryIO, path: Path) -> None:
        super().__init__(file)
        self.file = file
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in for a class that such files name; CheckpointError for any other."""
        full = f"{module}.{name}"
        if full == WRAPPER or full == "_codecs.encode" or full in ARRAY_STAND_INS or INERT.fullmatch(full):
            return type("StandIn", (StandIn,), {"asked_for": full})
        raise CheckpointError(f"{self.path} asks for {full}, which is refused: use a k-means file.")

    def load_build(self) -> None:
        """Store state; behind an array's description follow its values."""
        super().load_build()  # type: ignore[misc]
        made = self.stack[-1]
        if isinstance(made, StandIn) and made.asked_for == WRAPPER:
            self.stack[-1] = self._values(vars(made))

    dispatch[pickle.BUILD[0]] = load_build

    def _values(self, described: Mapping[str, Any]) -> np.ndarray:
        shape, kind = described.get("shape"), described.get("dtype")
        if described.get("numpy_array_alignment_bytes") is not None:
            padding = self.file.read(1)
            self.file.read(padding[0] if padding else 0)
        wanted = _byte_count(shape, kind, self.path)
        left = self.path.stat().st_size - self.file.tell()
        return _shaped(self.file.read(min(wanted, left)), shape, kind, str(described.get("order")), self.path)


def _read_joblib(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            if file.read(1) != b"\x80":
                raise CheckpointError(f"{path} {NEITHER}, or is compressed: save it again with joblib's compress=0.")
            file.seek(0)
            return _Reader(file, path).load()
    except CheckpointError:
        raise
    except Exception:
        raise CheckpointError(f"{path} is damaged, cut short or {NEITHER}: copy it again.") from None
