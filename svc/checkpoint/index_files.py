"""Index and cluster files of RVC and so-vits-svc, read without the programs that wrote them.

RVC writes a faiss index (``added_IVF6_Flat_nprobe_1_NAME_v2.index``): plain binary numbers, read here field by field,
every length checked against the file before anything is allocated. so-vits-svc writes k-means centres
(``kmeans_10000.pt``), a torch file of arrays, and a pickle of faiss objects (``feature_and_index.pkl``), which is
never opened.
"""

import os
import struct
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from svc.errors import CheckpointError
from svc.safe_read import read_torch

LARGEST_DIM = 16_384
LARGEST_CELLS = 10_000_000
SEARCHED_BYTES = 1 << 20
_FLAT, _IVF_FLAT = b"IxF2", b"IwFl"
_METRIC_L2 = 1
_HASH_MAP = 2
_AGAIN = "copy it again, or build one from the recordings with  svc index"


@dataclass(frozen=True)
class FaissIndex:
    """Vectors of a faiss index.

    vectors (N, D) float32 in the order of their ids. For an index with cells (IVF), cell_centres (K, D) float32,
    cell_of (N,) int32 gives each vector's cell, and a search looks into the `probes` nearest cells only; for a flat
    one cell_centres is None.
    """

    vectors: np.ndarray
    cell_centres: np.ndarray | None = None
    cell_of: np.ndarray | None = None
    probes: int = 1


def is_faiss(start: bytes) -> bool:
    """Whether a file that begins with these bytes is an index of faiss, of whatever kind."""
    return start[:2] in (b"Ix", b"Iw", b"Iv", b"IB")


def read_faiss(path: Path) -> FaissIndex:
    """The vectors of a Flat or IVF,Flat index with squared Euclidean distance.

    Raises CheckpointError in one sentence for other kinds, and for a file that is cut short, damaged or promises more
    than it holds.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            reader = _Reader(path, file, os.fstat(file.fileno()).st_size)
            kind = reader.take(4)
            index = _ivf(reader) if kind == _IVF_FLAT else FaissIndex(_flat(reader, kind))
    except OSError as error:
        raise CheckpointError(f"Cannot read the index {path}: {error.strerror or error}.") from error
    if len(index.vectors) == 0:
        raise CheckpointError(f"The index {path} holds no vectors: {_AGAIN}.")
    if not np.isfinite(index.vectors).all():
        raise CheckpointError(f"The index {path} holds values that are not finite: {_AGAIN}.")
    return index


class _Reader:
    """Little-endian fields of one file, in order; never asks for more than is left."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path, self.file, self.left = path, file, size

    def take(self, count: int) -> bytes:
        self._spend(count)
        return self.file.read(count)

    def number(self, form: str) -> int:
        (value,) = struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))
        return int(value)

    def array(self, kind: str, count: int) -> np.ndarray:
        dtype = np.dtype(kind)
        self._spend(count * dtype.itemsize)
        return np.fromfile(self.file, dtype, count)

    def _spend(self, count: int) -> None:
        if count < 0 or count > self.left:
            raise CheckpointError(f"The index {self.path} is cut short or damaged: {_AGAIN}.")
        self.left -= count

    def refuse(self, what: str) -> CheckpointError:
        return CheckpointError(f"The index {self.path} {what}: {_AGAIN}.")


def _header(reader: _Reader) -> tuple[int, int]:
    """Dimension and number of vectors that every faiss index begins with."""
    dim, total = reader.number("i"), reader.number("q")
    reader.take(16)
    reader.take(1)
    metric = reader.number("i")
    if not 1 <= dim <= LARGEST_DIM or total < 0:
        raise reader.refuse(f"says it holds {total} vectors of {dim} values, which cannot be")
    if metric != _METRIC_L2:
        raise reader.refuse("does not measure Euclidean distance, so it is no index of voice content")
    return dim, total


def _flat(reader: _Reader, kind: bytes) -> np.ndarray:
    """Vectors (N, D) of a flat index whose four letters have been read."""
    if kind != _FLAT:
        shown = kind.decode("ascii", "replace") if kind.isalnum() else "unknown"
        raise reader.refuse(f"is of the kind '{shown}', not Flat or IVF,Flat as voices have them")
    dim, total = _header(reader)
    values = reader.number("Q")
    if values != dim * total:
        raise reader.refuse(f"says it holds {total} vectors of {dim} values but stores {values} values")
    return reader.array("<f4", values).reshape(total, dim)


def _ivf(reader: _Reader) -> FaissIndex:
    dim, total = _header(reader)
    cells, probes = reader.number("Q"), reader.number("Q")
    if not 1 <= cells <= LARGEST_CELLS or probes < 1:
        raise reader.refuse(f"says it has {cells} cells and searches {probes}, which cannot be")
    centres = _flat(reader, reader.take(4))
    if centres.shape != (cells, dim):
        raise reader.refuse(f"has {centres.shape[0]} cell centres of {centres.shape[1]} values for {cells} of {dim}")
    _skip_direct_map(reader)
    sizes = _list_sizes(reader, cells, 4 * dim)
    if int(sizes.sum()) != total:
        raise reader.refuse(f"says it holds {total} vectors but its cells have {int(sizes.sum())}")
    # Before room is made for them: 4 bytes for each value and 8 for each id must really be there.
    if total * (4 * dim + 8) > reader.left:
        raise reader.refuse("is cut short or damaged")
    vectors, ids = np.empty((total, dim), dtype=np.float32), np.empty(total, dtype=np.int64)
    cell_of = np.repeat(np.arange(cells, dtype=np.int32), sizes)
    start = 0
    for size in sizes.tolist():
        vectors[start : start + size] = reader.array("<f4", size * dim).reshape(size, dim)
        ids[start : start + size] = reader.array("<i8", size)
        start += size
    order = np.argsort(ids, kind="stable")
    if not np.array_equal(ids[order], np.arange(total)):
        raise reader.refuse("does not number its vectors from 0 without gaps")
    return FaissIndex(vectors[order], centres, cell_of[order], min(probes, cells))


def _skip_direct_map(reader: _Reader) -> None:
    """Pass over the table from ids to places, which the lists themselves tell."""
    kind = reader.number("B")
    reader.take(8 * reader.number("Q"))
    if kind == _HASH_MAP:
        reader.take(16 * reader.number("Q"))


def _list_sizes(reader: _Reader, cells: int, code_size: int) -> np.ndarray:
    """How many vectors each cell has, (cells,) int64; all are given, or pairs of cell and size for full cells."""
    if reader.take(4) != b"ilar" or (reader.number("Q"), reader.number("Q")) != (cells, code_size):
        raise reader.refuse("keeps its vectors in a form that voices do not have")
    form, count = reader.take(4), reader.number("Q")
    if form == b"full" and count == cells:
        sizes = reader.array("<i8", cells)
    elif form == b"sprs" and count % 2 == 0 and count <= 2 * cells:
        pairs = reader.array("<i8", count).reshape(-1, 2)
        if len(pairs) and (pairs[:, 0].min() < 0 or pairs[:, 0].max() >= cells):
            raise reader.refuse("names cells that it does not have")
        sizes = np.zeros(cells, dtype=np.int64)
        sizes[pairs[:, 0]] = pairs[:, 1]
    else:
        raise reader.refuse("is cut short or damaged")
    # One cell cannot have more than the file has bytes; so the sum cannot overflow either.
    if (sizes < 0).any() or (sizes > reader.left).any():
        raise reader.refuse("has cells of impossible sizes")
    return sizes


def is_clusters(path: Path) -> bool:
    """Whether the zip that torch.save wrote to `path` names cluster centres; its pickle is searched, not read."""
    try:
        with zipfile.ZipFile(path) as file:
            pickles = [name for name in file.namelist() if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                return False
            with file.open(pickles[0]) as start:
                return b"cluster_centers_" in start.read(SEARCHED_BYTES)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError):
        return False


def read_clusters(path: Path) -> dict[str, np.ndarray]:
    """K-means centres of so-vits-svc's cluster file: speaker -> (K, D) float32.

    Raises CheckpointError for a damaged file, one that asks for anything but plain arrays, or one without centres.
    """
    path = Path(path)
    with warnings.catch_warnings():
        # Arrays are pickled in a newer protocol than torch's own objects, of which its reader warns.
        warnings.filterwarnings("ignore", message="Detected pickle protocol")
        file = read_torch(path, allow=_array_parts())
    centres: dict[str, np.ndarray] = {}
    for name, entry in file.items() if isinstance(file, dict) else ():
        values = entry.get("cluster_centers_") if isinstance(entry, dict) else None
        if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind != "f" or not values.size:
            break
        if not np.isfinite(values).all():
            raise CheckpointError(f"{path} holds cluster centres that are not finite: {_AGAIN}.")
        centres[str(name)] = np.array(values, dtype=np.float32)
    else:
        if centres:
            return centres
    raise CheckpointError(
        f"{path} holds no cluster centres of so-vits-svc: choose the kmeans_*.pt of the voice, or build clusters from "
        "the recordings with  svc index."
    )


def _array_parts() -> list[Any]:
    """What an array of floats in a torch file asks for, under the names of numpy 1 and 2."""
    # Numpy keeps it in a private module whose name differs between versions, but names it in its own pickles.
    reconstruct = np.zeros(1).__reduce__()[0]
    return [
        (reconstruct, "numpy._core.multiarray._reconstruct"),
        (reconstruct, "numpy.core.multiarray._reconstruct"),
        np.ndarray,
        np.dtype,
        type(np.dtype(np.float32)),
        type(np.dtype(np.float64)),
    ]
