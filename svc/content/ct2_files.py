"""The list of tensors in a CTranslate2 model.bin, read without its package: names, sizes, small values.

Layout (version 6 of the format, little-endian): version u32, name of the kind of model, revision u32, count u32; then
for each tensor its name, rank u8, sizes u32 each, kind of number u8, bytes u32 and the values; then aliases. A text is
its length with a closing zero, u16, and the bytes. There is nothing in it that could be run.
"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from svc.content.whisper_network import CONTEXT, WhisperShape
from svc.errors import CheckpointError

FILE = "model.bin"
# Earlier versions describe tensors otherwise.
VERSIONS = (4, 5, 6)
SMALL = 8
WHISPER = "WhisperSpec"


@dataclass(frozen=True)
class StoredTensor:
    """Sizes of a tensor, and its raw bytes where they are at most eight."""

    sizes: tuple[int, ...]
    raw: bytes


def read_ct2_whisper(folder: Path) -> WhisperShape:
    """Sizes of the encoder in a CTranslate2 folder of a Whisper.

    Raises CheckpointError, in one sentence, for a folder without model.bin, a file that is damaged or cut short, of
    another version or another kind of model.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise CheckpointError(f"The folder {folder} has no {FILE}: download the model's whole folder.")
    try:
        with path.open("rb") as file:
            kind, tensors = _read(file, path)
    except (struct.error, UnicodeDecodeError):
        raise CheckpointError(f"{path} is damaged, cut short or not a file of CTranslate2: copy it again.") from None
    if kind != WHISPER:
        raise CheckpointError(f"{path} holds a {kind}, where a Whisper is wanted.")
    return _shape(tensors, path)


def _read(file: BinaryIO, path: Path) -> tuple[str, dict[str, StoredTensor]]:
    size = path.stat().st_size
    (version,) = struct.unpack("<I", file.read(4))
    if version not in VERSIONS:
        raise CheckpointError(
            f"{path} is of version {version} or no file of CTranslate2, where versions {VERSIONS[0]} to {VERSIONS[-1]} "
            "are known: convert the model again."
        )
    kind = _text(file)
    _, count = struct.unpack("<II", file.read(8))
    tensors = {}
    for _ in range(count):
        name = _text(file)
        (rank,) = struct.unpack("<B", file.read(1))
        sizes = struct.unpack(f"<{rank}I", file.read(4 * rank))
        _, length = struct.unpack("<BI", file.read(5))
        start = file.tell()
        if start + length > size:
            raise struct.error
        tensors[name] = StoredTensor(sizes, file.read(length) if length <= SMALL else b"")
        file.seek(start + length)
    return kind, tensors


def _text(file: BinaryIO) -> str:
    (length,) = struct.unpack("<H", file.read(2))
    raw = file.read(length)
    if len(raw) != length:
        raise struct.error
    return raw.rstrip(b"\0").decode("utf-8")


def _shape(tensors: dict[str, StoredTensor], path: Path) -> WhisperShape:
    def sizes(name: str, rank: int) -> tuple[int, ...]:
        stored = tensors.get(f"encoder/{name}")
        if stored is None or len(stored.sizes) != rank:
            raise CheckpointError(f"{path} holds no Whisper encoder: it lacks the tensor encoder/{name}.")
        return stored.sizes

    width, mels, kernel = sizes("conv1/weight", 3)
    layers = 1 + max((int(m[1]) for name in tensors if (m := re.match(r"encoder/layer_(\d+)/", name))), default=-1)
    if not 0 < layers <= len(tensors):
        raise CheckpointError(f"{path} holds no Whisper encoder: it has {layers} layers; use a whole file.")
    inner = sizes("layer_0/ffn/linear_0/weight", 2)[0]
    wanted: dict[str, tuple[int, ...]] = {
        f"layer_{i}/self_attention/linear_0/weight": (3 * width, width) for i in range(layers)
    }
    wanted |= {f"layer_{i}/ffn/linear_1/weight": (width, inner) for i in range(layers)}
    wanted |= {"position_encodings/encodings": (CONTEXT, width), "layer_norm/gamma": (width,)}
    for name, expected in wanted.items():
        if (found := sizes(name, len(expected))) != expected:
            raise CheckpointError(f"{path} does not fit: encoder/{name} has sizes {found} instead of {expected}.")
    heads = int.from_bytes(tensors["encoder/num_heads"].raw, "little") if "encoder/num_heads" in tensors else 0
    if kernel != 3 or heads < 1 or width % heads:
        raise CheckpointError(f"{path} does not fit: {width} values in {heads} heads behind kernels of {kernel}.")
    return WhisperShape(mels, width, heads, layers, inner)
