"""MDX-Net files of users: what is no such network, or has no entry, is one sentence."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from svc.audio.signal import Audio
from svc.errors import CheckpointError, MissingExtraError, SvcError, WeightError
from svc.separation.mdx import Mdx

pytest.importorskip("onnxruntime", reason="pip install 'svc-toolkit[separation]'", exc_type=ImportError)

MODEL = "UVR-MDX-NET-tiny.onnx"


@pytest.fixture
def folder(shared: Path, tmp_path: Path) -> Path:
    source = shared / "golden" / "parts" / "mdx_onnx"
    for name in (MODEL, "mdx_model_data.json"):
        shutil.copyfile(source / name, tmp_path / name)
    return tmp_path


def entry(folder: Path, **changes: Any) -> None:
    """The model's entry alone, in a file of its own name."""
    data = json.loads((folder / "mdx_model_data.json").read_text())
    (one,) = data.values()
    (folder / "mdx_model_data.json").unlink()
    (folder / MODEL).with_suffix(".json").write_text(json.dumps({**one, **changes}))


def refused(folder: Path, kind: type[SvcError], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        Mdx(folder=folder)
    assert "\n" not in str(caught.value)


def test_a_model_of_the_accompaniment_leaves_the_vocals(folder: Path) -> None:
    song = Audio(np.random.default_rng(0).uniform(-0.5, 0.5, (2, 30_000)).astype(np.float32), 44_100)
    of_voice = Mdx(folder=folder).separate(song).vocals.samples
    entry(folder, primary_stem="Instrumental")
    of_rest = Mdx(folder=folder).separate(song).vocals.samples
    np.testing.assert_allclose(of_voice + of_rest, song.samples, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mdx_dim_f_set": 2048}, "2048"),
        ({"mdx_dim_t_set": 8}, "256"),
        ({"mdx_n_fft_scale_set": 1000}, "impossible"),
        ({"mdx_n_fft_scale_set": "x"}, "impossible|complete"),
        ({"compensate": -1}, "impossible"),
        ({"compensate": None}, "complete"),
        ({"primary_stem": "Drums"}, "Drums"),
    ],
)
def test_entries_that_do_not_fit(folder: Path, change: dict[str, Any], said: str) -> None:
    entry(folder, **change)
    refused(folder, SvcError, said)


def test_without_an_entry(folder: Path) -> None:
    (folder / "mdx_model_data.json").write_text("{}")
    refused(folder, WeightError, "md5 ca669db6f5ae2f3494870ba0ea862f4f")
    (folder / "mdx_model_data.json").write_text("{")
    refused(folder, CheckpointError, "damaged")


@pytest.mark.parametrize("content", [b"", b"\x80\x04cos\nsystem\n(S'echo'\ntR.", None])
def test_what_is_no_network(folder: Path, content: bytes | None) -> None:
    path = folder / MODEL
    path.write_bytes(path.read_bytes()[:50_000] if content is None else content)
    refused(folder, CheckpointError, "not an .onnx network")


def test_another_network(folder: Path) -> None:
    onnx = pytest.importorskip("onnx")
    a = onnx.helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, [1, 2, 3])
    b = onnx.helper.make_tensor_value_info("b", onnx.TensorProto.FLOAT, [1, 2, 3])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["a"], ["b"])], "g", [a], [b])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])
    model.ir_version = 8
    (folder / MODEL).write_bytes(model.SerializeToString())
    refused(folder, CheckpointError, "not an MDX-Net")


def test_without_onnxruntime(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    refused(folder, MissingExtraError, r"svc-toolkit\[separation\]")
