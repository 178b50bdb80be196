"""Index files of faiss and cluster files of so-vits-svc: whole, hostile, and cut short anywhere."""

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from svc.checkpoint.index_files import read_clusters, read_faiss
from svc.errors import CheckpointError

DIM, TOTAL = 3, 7
SIZES = [4, 0, 3]
VECTORS = np.random.default_rng(0).standard_normal((TOTAL, DIM)).astype("<f4")
CENTRES = np.random.default_rng(1).standard_normal((len(SIZES), DIM)).astype("<f4")
IDS = np.array([6, 0, 2, 4, 1, 5, 3])


def header(dim: int = DIM, total: int = TOTAL, metric: int = 1) -> bytes:
    return struct.pack("<iqqq?i", dim, total, 1 << 20, 1 << 20, True, metric)


def flat(vectors: np.ndarray, kind: bytes = b"IxF2", values: int | None = None, **changes: int) -> bytes:
    start = header(**{"dim": vectors.shape[1], "total": len(vectors), **changes})
    return kind + start + struct.pack("<Q", vectors.size if values is None else values) + vectors.tobytes()


def lists(ids: np.ndarray = IDS) -> bytes:
    out, at = b"", 0
    for size in SIZES:
        out += VECTORS[ids[at : at + size]].tobytes() + ids[at : at + size].astype("<i8").tobytes()
        at += size
    return out


def sizes(full: bool = True, values: list[int] = SIZES) -> bytes:
    if full:
        return b"full" + struct.pack(f"<Q{len(values)}Q", len(values), *values)
    pairs = [x for i, size in enumerate(values) if size for x in (i, size)]
    return b"sprs" + struct.pack(f"<Q{len(pairs)}Q", len(pairs), *pairs)


def ivf(
    head: bytes | None = None, cells: int = 3, probes: int = 2, middle: bytes | None = None, body: bytes | None = None
) -> bytes:
    start = b"IwFl" + (header() if head is None else head) + struct.pack("<QQ", cells, probes) + flat(CENTRES)
    start += struct.pack("<BQ", 0, 0) + b"ilar" + struct.pack("<QQ", 3, 4 * DIM)
    return start + (sizes() if middle is None else middle) + (lists() if body is None else body)


def put(folder: Path, data: bytes) -> Path:
    path = folder / "x.index"
    path.write_bytes(data)
    return path


def test_flat(tmp_path: Path) -> None:
    index = read_faiss(put(tmp_path, flat(VECTORS)))
    np.testing.assert_array_equal(index.vectors, VECTORS)
    assert index.cell_centres is None


@pytest.mark.parametrize("full", [True, False])
def test_cells_of_both_forms(tmp_path: Path, full: bool) -> None:
    index = read_faiss(put(tmp_path, ivf(middle=sizes(full))))
    np.testing.assert_array_equal(index.vectors, VECTORS)
    np.testing.assert_array_equal(index.cell_centres, CENTRES)
    np.testing.assert_array_equal(index.cell_of[IDS], np.repeat([0, 1, 2], SIZES))
    assert index.probes == 2


def test_a_table_of_places_is_passed_over(tmp_path: Path) -> None:
    plain = ivf()
    at = plain.index(b"ilar") - 9
    for kind, tail in ((1, b""), (2, struct.pack("<Q", 1) + bytes(16))):
        data = plain[:at] + struct.pack("<BQ", kind, 2) + bytes(16) + tail + plain[at + 9 :]
        np.testing.assert_array_equal(read_faiss(put(tmp_path, data)).vectors, VECTORS)


@pytest.mark.parametrize("whole", [flat(VECTORS), ivf()], ids=["flat", "ivf"])
def test_cut_short_anywhere(tmp_path: Path, whole: bytes) -> None:
    for length in range(len(whole)):
        with pytest.raises(CheckpointError):
            read_faiss(put(tmp_path, whole[:length]))


HUGE = 1 << 60


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (flat(VECTORS, kind=b"IxFI"), "kind 'IxFI'"),
        (flat(VECTORS, kind=b"IxM2"), "kind 'IxM2'"),
        (flat(VECTORS, metric=0), "Euclidean"),
        (flat(VECTORS, dim=0), "7 vectors of 0 values"),
        (flat(VECTORS, dim=-3), "7 vectors of -3 values"),
        (flat(VECTORS, dim=1 << 30), "values, which cannot be"),
        (flat(VECTORS, total=-1), "-1 vectors"),
        (flat(VECTORS, values=HUGE), "but stores"),
        (flat(VECTORS, total=HUGE // DIM, values=HUGE // DIM * DIM), "cut short"),
        (flat(VECTORS[:0]), "holds no vectors"),
        (flat(VECTORS * np.float32(np.nan)), "not finite"),
        (ivf(cells=HUGE), "cells and searches"),
        (ivf(cells=4), "3 cell centres of 3 values for 4 of 3"),
        (ivf(probes=0), "searches 0"),
        (ivf(head=header(total=8)), "8 vectors but its cells have 7"),
        (ivf(head=header(dim=4)), "3 cell centres of 3 values for 3 of 4"),
        (ivf(head=header(total=HUGE), middle=sizes(values=[HUGE, 0, 0])), "impossible sizes"),
        (ivf(middle=sizes(values=[2**64 - 1, 5, 3])), "impossible sizes"),
        (ivf(middle=b"full" + struct.pack("<Q", HUGE)), "cut short or damaged"),
        (ivf(middle=b"sprs" + struct.pack("<QQQ", 2, 9, 7)), "names cells"),
        (ivf(body=lists(np.array([0, 0, 2, 4, 1, 5, 3]))), "does not number"),
    ],
)
def test_impossible_files(tmp_path: Path, data: bytes, said: str) -> None:
    path = put(tmp_path, data)
    with pytest.raises(CheckpointError, match=said) as caught:
        read_faiss(path)
    assert str(path) in str(caught.value) and "svc index" in str(caught.value)


def test_random_damage_never_gets_out_as_another_error(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    whole = np.frombuffer(ivf(), dtype=np.uint8)
    for _ in range(300):
        data = whole.copy()
        data[random.integers(0, 140, 3)] = random.integers(0, 256, 3)
        try:
            read_faiss(put(tmp_path, data.tobytes()))
        except CheckpointError:
            continue


def test_the_same_as_faiss(tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss", reason="the optional package faiss-cpu is not installed")
    data = np.random.default_rng(2).standard_normal((500, 16)).astype(np.float32)
    for factory in ("Flat", "IVF7,Flat"):
        made = faiss.index_factory(16, factory)
        made.train(data)
        made.add(data)
        if factory != "Flat":
            made.nprobe = 3
        faiss.write_index(made, str(tmp_path / "f.index"))
        index = read_faiss(tmp_path / "f.index")
        np.testing.assert_array_equal(index.vectors, data)
        from svc.conversion.retrieval import FrameSearch

        queries = np.random.default_rng(3).standard_normal((40, 16)).astype(np.float32)
        distances, ids = made.search(queries, 8)
        found = FrameSearch(index).nearest(torch.from_numpy(queries))
        np.testing.assert_array_equal(found.ids.numpy(), ids)
        np.testing.assert_allclose(found.distances.numpy(), distances, rtol=1e-5)


def clusters(values: object) -> dict:
    return {"anna": {"n_features_in_": 4, "_n_threads": 2, "cluster_centers_": values}}


def test_clusters_of_two_number_formats(tmp_path: Path) -> None:
    for dtype in (np.float32, np.float64):
        torch.save(clusters(np.ones((5, 4), dtype=dtype)), tmp_path / "k.pt")
        (values,) = read_clusters(tmp_path / "k.pt").values()
        assert values.dtype == np.float32 and values.shape == (5, 4)


@pytest.mark.parametrize(
    "file",
    [
        {},
        [],
        {"anna": 1},
        {"anna": {}},
        clusters([1.0, 2.0]),
        clusters(np.ones(4, dtype=np.float32)),
        clusters(np.ones((0, 4), dtype=np.float32)),
        clusters(np.full((2, 4), np.nan, dtype=np.float32)),
        clusters(torch.ones(2, 4)),
    ],
    ids=range(9),
)
def test_files_without_clusters(tmp_path: Path, file: object) -> None:
    torch.save(file, tmp_path / "k.pt")
    with pytest.raises(CheckpointError, match=r"k\.pt"):
        read_clusters(tmp_path / "k.pt")


class Runs:
    """A pickle that writes a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.path,))


def test_nothing_in_a_cluster_file_is_run(tmp_path: Path) -> None:
    torch.save(clusters(Runs(tmp_path / "ran")), tmp_path / "k.pt")
    with pytest.raises(CheckpointError):
        read_clusters(tmp_path / "k.pt")
    (tmp_path / "raw.pt").write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    with pytest.raises(CheckpointError):
        read_clusters(tmp_path / "raw.pt")
    objects = np.empty((2, 2), dtype=object)
    objects[0, 0] = Runs(tmp_path / "ran")
    torch.save(clusters(objects), tmp_path / "k.pt")
    with pytest.raises(CheckpointError):
        read_clusters(tmp_path / "k.pt")
    assert not (tmp_path / "ran").exists()
