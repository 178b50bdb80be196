"""Sounds of a singer to look content up in: an index file beside the voice, or one of RVC or so-vits-svc.

Our own file is safetensors with one JSON string under "svc_index" in its metadata::

    {"format_version": 1, "content": {...}, "probes": [...], "singers": ["anna", ...], "provenance": {...},
     "sha256": "..."}

and for singer i the tensors ``i.vectors`` (N, D), ``i.clusters`` (K, D), and for cells taken over from a faiss index
``i.cell_centres`` (C, D) and ``i.cell_of`` (N,). "content" ties it to the content encoder it was made with.
"""

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from svc.checkpoint.index_files import FaissIndex, is_clusters, is_faiss, read_clusters, read_faiss
from svc.errors import CheckpointError, SpecMismatchError
from svc.features.spec import FeatureSpec

FORMAT_VERSION = 1
METADATA_KEY = "svc_index"
ENDING = ".index.safetensors"
CONTENT_FIELDS = (
    "content_encoder",
    "content_layers",
    "content_layers_mode",
    "content_normalisation",
    "content_dim",
    "content_weights",
)
ANY_SINGER = ""
LARGEST_HEADER = 100_000_000
_AGAIN = "copy it again, or build it from the recordings with  svc index"


@dataclass(frozen=True)
class SingerSounds:
    """One singer's content: frames to find neighbours among, and centres of their clusters; either may be missing."""

    frames: FaissIndex | None = None
    clusters: np.ndarray | None = None


@dataclass(frozen=True)
class VoiceIndex:
    """What an index file holds.

    singers maps a name to sounds; a file of another program that names nobody has them under "". content tells the
    encoder (the fields of FeatureSpec in CONTENT_FIELDS), None where the file does not say.
    """

    dim: int
    singers: dict[str, SingerSounds]
    content: dict[str, Any] | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    def require(self, spec: FeatureSpec, where: str) -> None:
        """SpecMismatchError in one sentence unless the index is of the content that `spec` measures."""
        if self.dim != spec.content_dim:
            raise SpecMismatchError(
                f"The index {where} has {self.dim} values per frame but the voice's content encoder "
                f"{spec.content_encoder} gives {spec.content_dim}: use the index that belongs to this voice, or build "
                "it with  svc index."
            )
        mine = content_of(spec)
        theirs = self.content or mine
        different = [name for name in CONTENT_FIELDS if theirs[name] != mine[name]]
        # Imported voices do not say which copy of the encoder's file they were trained on.
        if not (theirs["content_weights"] and mine["content_weights"]):
            different = [name for name in different if name != "content_weights"]
        if different:
            parts = ", ".join(f"{name}: {theirs[name]} instead of {mine[name]}" for name in different)
            raise SpecMismatchError(
                f"The index {where} was made with another content encoder than the voice ({parts}): build it again "
                "with  svc index --voice VOICE."
            )

    def sounds(self, singer: str, singers: list[str], where: str) -> SingerSounds:
        """The sounds to use for `singer` of a voice that has `singers`.

        The ones under that name; else those of a file that names nobody, or one person whom the voice does not know
        under that name. CheckpointError where only other singers of the voice are in the file.
        """
        if singer in self.singers:
            return self.singers[singer]
        if ANY_SINGER in self.singers:
            return self.singers[ANY_SINGER]
        if len(self.singers) == 1 and not set(self.singers) & set(singers):
            return next(iter(self.singers.values()))
        raise CheckpointError(
            f"The index {where} holds no sounds of '{singer}', only of {', '.join(self.singers)}: choose one of them "
            "as the speaker, or build the index again with  svc index."
        )


def content_of(spec: FeatureSpec) -> dict[str, Any]:
    """The fields of `spec` that decide what a content frame is, as plain data."""
    plain = spec.to_dict()
    return {name: plain.get(name, getattr(spec, name)) for name in CONTENT_FIELDS}


def index_beside(voice_path: Path) -> Path:
    """Where the index of the voice file at `voice_path` lies: NAME.index.safetensors beside NAME.safetensors."""
    return voice_path.with_name(voice_path.stem + ENDING)


def voice_beside(path: Path) -> Path | None:
    """The voice file beside which the index at `path` lies, where a conversion finds it by itself; None if none."""
    voice = path.with_name(path.name.removesuffix(ENDING) + ".safetensors")
    return voice if path.name.endswith(ENDING) and voice.is_file() else None


def is_index(path: Path) -> bool:
    """Whether `open_index` is the one to read the file at `path`: told by what it holds, nothing in it is run."""
    try:
        with open(path, "rb") as file:
            start = file.read(16)
            if start[8:9] == b"{":
                header = file.read(min(int.from_bytes(start[:8], "little"), LARGEST_HEADER))
                return f'"{METADATA_KEY}"'.encode() in start[8:] + header
        if start[:4] == b"PK\x03\x04":
            return is_clusters(path)
    except OSError:
        return False
    # so-vits-svc's pickled index, which is refused with what to do instead.
    return is_faiss(start) or (start[:1] == b"\x80" and path.suffix.lower() == ".pkl")


def open_index(path: Path) -> VoiceIndex:
    """The index in the file at `path`: ours, a faiss index (RVC), or k-means clusters (so-vits-svc).

    Told by its first bytes, never by its name; nothing in it is run. Raises CheckpointError in one sentence.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            start = file.read(16)
    except OSError as error:
        raise CheckpointError(f"Cannot read the index {path}: {error.strerror or error}.") from error
    if start[8:9] == b"{":
        return load_index(path)
    if is_faiss(start):
        frames = read_faiss(path)
        return VoiceIndex(frames.vectors.shape[1], {ANY_SINGER: SingerSounds(frames)})
    if start[:4] == b"PK\x03\x04":
        return _clusters(path)
    if start[:1] == b"\x80":
        raise CheckpointError(
            f"{path} is a pickle such as the feature_and_index.pkl of so-vits-svc, which could run a program when "
            "opened, so it is not opened: build the index from the singer's recordings with  svc index RECORDINGS "
            "--voice VOICE."
        )
    raise CheckpointError(
        f"{path} is no index this program knows: give an .index of RVC, a kmeans_*.pt of so-vits-svc, or what  "
        "svc index  writes."
    )


def adopt_index(path: Path, spec: FeatureSpec, voice_path: Path) -> Path:
    """Keep the index of another program in the file at `path` as ours beside the voice at `voice_path`.

    The copy is tied to the encoder of `spec`, the voice's, which the original does not name. Returns where it lies;
    raises CheckpointError and SpecMismatchError as `open_index` and `VoiceIndex.require` do.
    """
    index = open_index(path)
    index.require(spec, str(path))
    target = index_beside(voice_path)
    kept = index.provenance or {"imported_from": Path(path).name}
    save_index(target, VoiceIndex(index.dim, index.singers, index.content or content_of(spec), kept))
    return target


def _clusters(path: Path) -> VoiceIndex:
    centres = read_clusters(path)
    widths = {values.shape[1] for values in centres.values()}
    if len(widths) > 1:
        raise CheckpointError(f"{path} has clusters of {sorted(widths)} values per frame in one file: {_AGAIN}.")
    return VoiceIndex(widths.pop(), {name: SingerSounds(None, values) for name, values in centres.items()})


def save_index(path: Path, index: VoiceIndex) -> None:
    """Write `index` to `path` as our own file, whole or not at all; CheckpointError when it cannot be written."""
    from safetensors.numpy import save

    tensors: dict[str, np.ndarray] = {}
    for number, sounds in enumerate(index.singers.values()):
        parts: dict[str, np.ndarray | None] = {"clusters": sounds.clusters}
        if sounds.frames is not None:
            parts |= {name: getattr(sounds.frames, name) for name in ("vectors", "cell_centres", "cell_of")}
        tensors |= {f"{number}.{name}": _stored(v) for name, v in parts.items() if v is not None}
    header: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "content": index.content,
        "dim": index.dim,
        "probes": [sounds.frames.probes if sounds.frames else 1 for sounds in index.singers.values()],
        "singers": list(index.singers),
        "provenance": index.provenance,
    }
    header["sha256"] = _digest(header, tensors)
    data = save(tensors, metadata={METADATA_KEY: json.dumps(header)})
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(data)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"Cannot write the index {path}: {error.strerror or error}; free space or choose another folder."
        ) from error


def _stored(values: np.ndarray) -> np.ndarray:
    """Halves where they say the same, as frames of a prepared dataset do, which keeps them so."""
    if values.dtype == np.float32 and np.abs(values).max(initial=0.0) < np.finfo(np.float16).max:
        halves = values.astype(np.float16)
        if np.array_equal(halves.astype(np.float32), values):
            return np.ascontiguousarray(halves)
    return np.ascontiguousarray(values)


def load_index(path: Path) -> VoiceIndex:
    """The index that `save_index` wrote to `path`, checked whole.

    Raises CheckpointError for a file that is no index, is damaged or comes from a newer version.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    try:
        with safe_open(str(path), framework="numpy") as file:
            text = (file.metadata() or {}).get(METADATA_KEY)
            # Copied out of the mapped file, which may be replaced while the index is in use.
            tensors = {key: np.array(file.get_tensor(key)) for key in file.keys()} if text else {}  # noqa: SIM118
        header = json.loads(text) if text else None
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"The index {path} is damaged or incomplete: {_AGAIN}.") from error
    if header is None:
        raise CheckpointError(f"{path} is no index but other weights: give the file that  svc index  wrote.")
    version = header.get("format_version") if isinstance(header, dict) else None
    if type(version) is int and version > FORMAT_VERSION:
        raise CheckpointError(f"The index {path} was made by a newer version of the toolkit: update the toolkit.")
    if version != FORMAT_VERSION or header.pop("sha256", None) != _digest(header, tensors):
        raise CheckpointError(f"The index {path} is damaged (its checksum does not match): {_AGAIN}.")
    try:
        return _index(header, tensors)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(f"The index {path} lacks parts or they do not fit ({error}): {_AGAIN}.") from error


def _index(header: dict[str, Any], tensors: dict[str, np.ndarray]) -> VoiceIndex:
    """From checked plain data; ValueError and the like where parts do not fit."""
    dim, content = int(header["dim"]), header["content"]
    if content is not None and set(content) != set(CONTENT_FIELDS):
        raise ValueError("the description of its content encoder")
    singers = {}
    for number, name in enumerate(header["singers"]):
        vectors, clusters = tensors.get(f"{number}.vectors"), tensors.get(f"{number}.clusters")
        centres, cell_of = tensors.get(f"{number}.cell_centres"), tensors.get(f"{number}.cell_of")
        for table in (vectors, clusters, centres):
            if table is not None and (table.ndim != 2 or table.shape[1] != dim or not np.isfinite(table).all()):
                raise ValueError(f"a table of shape {table.shape}")
        frames = None
        if vectors is not None:
            if centres is not None and (
                cell_of is None
                or cell_of.shape != vectors.shape[:1]
                or not 0 <= cell_of.min() <= cell_of.max() < len(centres)
            ):
                raise ValueError("the cells of its vectors")
            frames = FaissIndex(
                vectors.astype(np.float32),
                None if centres is None else centres.astype(np.float32),
                None if centres is None else cell_of,
                max(1, int(header["probes"][number])),
            )
        singers[str(name)] = SingerSounds(frames, None if clusters is None else clusters.astype(np.float32))
    return VoiceIndex(dim, singers, content, dict(header["provenance"]))


def _digest(header: dict[str, Any], tensors: dict[str, np.ndarray]) -> str:
    """sha256 in hex of the description and all tables."""
    total = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for key in sorted(tensors):
        value = np.ascontiguousarray(tensors[key])
        total.update(f"\n{key} {value.dtype} {list(value.shape)}\n".encode())
        total.update(value.reshape(-1).view(np.uint8).data)
    return total.hexdigest()
