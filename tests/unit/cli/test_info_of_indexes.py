"""`svc info` on indexes of ours, of RVC, and on clusters of so-vits-svc."""

import json
import pickle
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_cases import Cli

from svc.checkpoint.index_files import FaissIndex
from svc.checkpoint.voice_index import SingerSounds, VoiceIndex, content_of, is_index, save_index
from svc.data.synthetic import SyntheticSize, synthetic_spec

SPEC = synthetic_spec(SyntheticSize(content_dim=4))


def ours(path: Path) -> Path:
    frames = FaissIndex(np.ones((20, 4), np.float32))
    singers = {"anna": SingerSounds(frames, np.zeros((3, 4), np.float32)), "bert": SingerSounds(frames)}
    save_index(path, VoiceIndex(4, singers, content_of(SPEC), {"dataset": "lines"}))
    return path


def faiss(path: Path, count: int = 5, dim: int = 768) -> Path:
    head = b"IxF2" + struct.pack("<iqqqBi", dim, count, 1 << 20, 1 << 20, 1, 1)
    path.write_bytes(head + struct.pack("<Q", count * dim) + np.ones((count, dim), "<f4").tobytes())
    return path


def clusters(path: Path, dim: int = 256) -> Path:
    entry = {"n_features_in_": dim, "_n_threads": 2, "cluster_centers_": np.ones((7, dim), np.float32)}
    torch.save({"anna": entry, "bert": entry}, path)
    return path


def told(cli: Cli, path: Path) -> dict:
    done = cli("info", path, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_ours(cli: Cli, tmp_path: Path) -> None:
    path = ours(tmp_path / "v.index.safetensors")
    facts = told(cli, path)
    assert (facts["kind"], facts["made_by"], facts["values_per_vector"]) == ("index", "this toolkit", 4)
    assert facts["singers"] == [
        {"name": "anna", "vectors": 20, "cells": 0, "clusters": 3},
        {"name": "bert", "vectors": 20, "cells": 0, "clusters": 0},
    ]
    assert facts["content_encoder"].startswith(SPEC.content_encoder + ", layer")
    assert facts["use"].endswith(f"--index {path} --retrieval-ratio 0.5 --cluster-ratio 0.5")
    voice = tmp_path / "v.safetensors"
    voice.touch()
    assert told(cli, path)["use"] == (
        f"svc convert SONG --voice {voice} --output DIR --retrieval-ratio 0.5 --cluster-ratio 0.5"
    )
    assert "name anna, vectors 20" in cli("info", path).out


def test_of_rvc(cli: Cli, tmp_path: Path) -> None:
    facts = told(cli, faiss(tmp_path / "added it.index"))
    assert facts["made_by"] == "RVC (faiss)"
    assert facts["singers"] == [{"name": "(not in the file)", "vectors": 5, "cells": 0, "clusters": 0}]
    assert "contentvec768l12" in facts["content_encoder"] and "contentvec256l9" not in facts["content_encoder"]
    assert "added it.index' --retrieval-ratio" in facts["use"] and "cluster" not in facts["use"]


def test_of_sovits(cli: Cli, tmp_path: Path) -> None:
    facts = told(cli, clusters(tmp_path / "kmeans_10000.pt"))
    assert facts["made_by"] == "so-vits-svc (k-means)"
    assert facts["singers"][1] == {"name": "bert", "vectors": 0, "cells": 0, "clusters": 7}
    assert "contentvec256l9, hubert_soft" in facts["content_encoder"]
    assert facts["use"].endswith("kmeans_10000.pt --cluster-ratio 0.5")


@pytest.mark.parametrize(
    ("name", "vectors", "clusters"),
    [("rvc_index/added_IVF6_Flat_nprobe_1_gold_v2.index", True, False), ("kmeans/kmeans_10000.pt", False, True)],
)
def test_files_of_the_programs(
    cli: Cli, shared: Path, tmp_path: Path, name: str, vectors: bool, clusters: bool
) -> None:
    path = shared / "golden" / "voices" / name
    if not path.is_file():
        pytest.skip(f"reference file {path} is not here")
    renamed = tmp_path / "any.bin"  # told by what it holds
    shutil.copyfile(path, renamed)
    (singer, *_) = told(cli, renamed)["singers"]
    assert (singer["vectors"] > 0, singer["clusters"] > 0) == (vectors, clusters)


def test_damage_and_pickles_are_one_sentence(cli: Cli, tmp_path: Path) -> None:
    whole = faiss(tmp_path / "a.index").read_bytes()
    (tmp_path / "a.index").write_bytes(whole[:-9])
    (tmp_path / "feature_and_index.pkl").write_bytes(pickle.dumps({0: "faiss"}))
    index = ours(tmp_path / "v.index.safetensors")
    index.write_bytes(index.read_bytes()[:-5])
    for name, said in (
        ("a.index", "cut short"),
        ("feature_and_index.pkl", "svc index RECORDINGS --voice VOICE"),
        ("v.index.safetensors", "damaged"),
    ):
        done = cli("info", tmp_path / name)
        assert done.code == 1 and said in done.err and len(done.sentences) == 1


def test_other_files_are_no_indexes(tmp_path: Path) -> None:
    torch.save({"model": {"pre.weight": torch.zeros(2)}}, tmp_path / "G.pth")
    (tmp_path / "broken.pt").write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "empty.index").touch()
    assert not any(is_index(path) for path in [*tmp_path.iterdir(), tmp_path / "none.index"])
