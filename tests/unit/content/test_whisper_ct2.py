"""Whisper out of CTranslate2 folders: sizes are read by ourselves, frames are computed by the optional package."""

import builtins
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoder_files import FILES

from svc.content.ct2_files import read_ct2_whisper
from svc.content.whisper import Whisper
from svc.content.whisper_ct2 import WhisperCt2
from svc.content.whisper_network import CONTEXT, WhisperShape
from svc.errors import CheckpointError, ConfigError, MissingExtraError, WeightError
from svc.registry import CONTENT_ENCODERS

SHAPE = WhisperShape(mels=80, width=16, heads=2, layers=3, inner=24)


def tensors(shape: WhisperShape = SHAPE) -> dict[str, tuple[tuple[int, ...], bytes]]:
    """Name -> (sizes, raw values) of what the reader looks at; values are zeros but for the number of heads."""
    width = shape.width
    sizes: dict[str, tuple[int, ...]] = {
        "conv1/weight": (width, shape.mels, 3),
        "position_encodings/encodings": (CONTEXT, width),
        "layer_norm/gamma": (width,),
    }
    for i in range(shape.layers):
        sizes[f"layer_{i}/self_attention/linear_0/weight"] = (3 * width, width)
        sizes[f"layer_{i}/ffn/linear_0/weight"] = (shape.inner, width)
        sizes[f"layer_{i}/ffn/linear_1/weight"] = (width, shape.inner)
    found = {f"encoder/{name}": (size, bytes(2 * int(np.prod(size)))) for name, size in sizes.items()}
    return found | {"encoder/num_heads": ((), struct.pack("<h", shape.heads))}


def packed(stored: dict[str, tuple[tuple[int, ...], bytes]], kind: str = "WhisperSpec", version: int = 6) -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    out = struct.pack("<I", version) + text(kind) + struct.pack("<II", 3, len(stored))
    for name, (sizes, raw) in stored.items():
        out += text(name) + struct.pack(f"<B{len(sizes)}I", len(sizes), *sizes)
        out += struct.pack("<BI", 4, len(raw)) + raw
    return out + struct.pack("<I", 0)


def folder(path: Path, content: bytes) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "model.bin").write_bytes(content)
    return path


def test_sizes_are_read_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder(tmp_path / "any name", packed(tensors()))
    assert read_ct2_whisper(path) == SHAPE
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path))
    kind = CONTENT_ENCODERS.load("whisper_ct2")
    assert (kind.dim, kind.layer_count, kind.default_layers) == (16, 4, {4: 1.0})
    assert len(kind.weights_sha256) == 64
    with pytest.raises(ConfigError, match=r"gives its last layer only \(4\)"):
        kind({2: 1.0})
    other = folder(tmp_path / "second", packed(tensors()))
    with pytest.raises(WeightError, match=r"More than one.*any name, second.*rename"):
        kind.find_weights()
    other.rename(tmp_path / "whisper-ct2")
    assert kind.find_weights().name == "whisper-ct2"


def test_without_a_folder_or_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path))
    with pytest.raises(WeightError, match="needs a CTranslate2 folder of a Whisper, which does not ship"):
        WhisperCt2()
    folder(tmp_path / "whisper-ct2", packed(tensors()))
    real = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "ctranslate2":
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"needs the package 'ctranslate2'.*\[whisper-ct2\]"):
        WhisperCt2()


def changed(change: str) -> bytes:
    stored = tensors()
    if change == "missing":
        del stored["encoder/layer_1/ffn/linear_1/weight"]
    elif change == "shape":
        stored["encoder/layer_2/self_attention/linear_0/weight"] = ((48, 17), b"")
    elif change == "context":
        stored["encoder/position_encodings/encodings"] = ((1400, 16), b"")
    elif change == "heads":
        stored["encoder/num_heads"] = ((), struct.pack("<h", 3))
    elif change == "no heads":
        del stored["encoder/num_heads"]
    elif change == "huge":
        stored["encoder/layer_999999999/ffn"] = ((1,), b"\0")
    elif change == "empty":
        stored = {}
    elif change == "kind":
        return packed(stored, kind="TransformerSpec")
    elif change == "version":
        return packed(stored, version=3)
    return packed(stored)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("missing", "lacks the tensor encoder/layer_1/ffn/linear_1/weight"),
        ("shape", r"linear_0/weight has sizes \(48, 17\) instead of \(48, 16\)"),
        ("context", r"encodings has sizes \(1400, 16\) instead of \(1500, 16\)"),
        ("heads", "16 values in 3 heads"),
        ("no heads", "16 values in 0 heads"),
        ("huge", "1000000000 layers"),
        ("empty", "lacks the tensor encoder/conv1/weight"),
        ("kind", "holds a TransformerSpec, where a Whisper is wanted"),
        ("version", "is of version 3"),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path: Path, change: str, sentence: str) -> None:
    path = folder(tmp_path / "odd", changed(change))
    with pytest.raises(CheckpointError, match=sentence) as caught:
        WhisperCt2(path=path)
    assert "model.bin" in str(caught.value)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = packed(tensors())[:-4]
    for length in (0, 3, 4, 9, 30, len(whole) // 2, len(whole) - 1):
        path = folder(tmp_path / str(length), whole[:length])
        with pytest.raises(CheckpointError, match=r"model\.bin is damaged, cut short"):
            WhisperCt2(path=path)
    with pytest.raises(CheckpointError, match=r"has no model\.bin"):
        WhisperCt2(path=tmp_path)
    path = folder(tmp_path / "pickle", b"\x80\x04cos\nsystem\n(X\x04\x00\x00\x00echotR.")
    with pytest.raises(CheckpointError, match="no file of CTranslate2"):
        WhisperCt2(path=path)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Whisper, WhisperCt2]:
    """The same weights in OpenAI's file and in a CTranslate2 folder."""
    pytest.importorskip("ctranslate2", reason="needs the optional package ctranslate2 (extra whisper-ct2)")
    where = tmp_path_factory.mktemp("ct2")
    size = FILES.tiny(FILES.WHISPER_BASE)
    torch.save(FILES.whisper(size), where / "tiny.pt")
    return Whisper(path=where / "tiny.pt"), WhisperCt2(path=FILES.write_ct2_folder(where / "folder", size))


@pytest.mark.parametrize("seconds", [0.5, 45.0])
def test_frames_are_those_of_the_same_weights_in_our_network(both: tuple[Whisper, WhisperCt2], seconds: float) -> None:
    samples = (0.1 * np.random.default_rng(0).standard_normal(int(seconds * 16000))).astype(np.float32)
    ours, theirs = both[0].encode(samples), both[1].encode(samples)
    assert theirs.values.shape == (len(samples) // 320 + 1, both[0].dim)
    np.testing.assert_array_equal(ours.times, theirs.times)
    assert np.abs(ours.values - theirs.values).max() <= 5e-5


def test_the_package_refuses_what_it_cannot_open(both: tuple[Whisper, WhisperCt2], tmp_path: Path) -> None:
    path = folder(tmp_path / "headers only", packed(tensors()))
    with pytest.raises(CheckpointError, match=r"CTranslate2 cannot open .*headers only"):
        WhisperCt2(path=path)
