"""Whisper files of OpenAI and Hugging Face, read into one network; nothing in a file is run, see svc/safe_read.py."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from svc.content.hubert_files import weight_file
from svc.content.whisper_network import WhisperNetwork, WhisperShape
from svc.errors import CheckpointError
from svc.safe_read import check_keys, read_safetensors, read_torch

RENAMED = {
    "embed_positions.weight": "positional_embedding",
    "layers.": "blocks.",
    ".self_attn.q_proj.": ".attn.query.",
    ".self_attn.k_proj.": ".attn.key.",
    ".self_attn.v_proj.": ".attn.value.",
    ".self_attn.out_proj.": ".attn.out.",
    ".self_attn_layer_norm.": ".attn_ln.",
    ".fc1.": ".mlp.0.",
    ".fc2.": ".mlp.2.",
    ".final_layer_norm.": ".mlp_ln.",
}


@dataclass(frozen=True)
class WhisperWeights:
    """One file read: its encoder's sizes and its tensors under OpenAI's names, as they lie in the file."""

    path: Path
    shape: WhisperShape
    state: dict[str, Tensor]

    def network(self, device: str = "cpu") -> WhisperNetwork:
        """The encoder in float32 for inference on `device`."""
        with torch.device("meta"):
            network = WhisperNetwork(self.shape)
        network = network.to_empty(device=device)
        network.load_state_dict(self.state)
        return network.eval().requires_grad_(False)


def read_whisper(path: Path) -> WhisperWeights:
    """Weights of OpenAI's `.pt` or of a Hugging Face folder; the decoder in them is passed over.

    Raises CheckpointError, in one sentence, for a damaged file, one that would run code, and one whose encoder is
    not exactly Whisper's.
    """
    path = Path(path)
    file = weight_file(path)
    whole = read_safetensors(file) if file.suffix == ".safetensors" else read_torch(file)
    if path.is_dir():
        heads = _folder_settings(path).get("encoder_attention_heads")
        named = _from_folder(_mapping(whole, file))
    else:
        whole = _mapping(whole, file)
        heads = _mapping(whole.get("dims"), file).get("n_audio_head")
        named = _encoder_of(_mapping(whole.get("model_state_dict"), file))
    shape = _shape(named, heads, file)
    with torch.device("meta"):
        wanted = {name: tuple(value.shape) for name, value in WhisperNetwork(shape).state_dict().items()}
    check_keys(named, wanted, str(file))
    return WhisperWeights(path, shape, named)


def _mapping(value: Any, file: Path) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise CheckpointError(
            f"{file} is no Whisper file: it lacks 'dims' and 'model_state_dict', or the folder around it; use OpenAI's "
            ".pt or the whole folder of Hugging Face."
        )
    return value


def _folder_settings(path: Path) -> Mapping[str, Any]:
    try:
        settings = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise CheckpointError(f"The folder {path} has no readable config.json: download the whole folder.") from None
    if not isinstance(settings, dict) or settings.get("model_type") != "whisper":
        raise CheckpointError(f"The folder {path} holds no Whisper: its config.json does not say so.")
    return settings


def _encoder_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """The encoder's tensors without its prefix; what is neither encoder nor decoder keeps its name."""
    return {
        str(name).removeprefix("encoder."): value
        for name, value in state.items()
        if not str(name).startswith("decoder.")
    }


def _from_folder(state: Mapping[str, Any]) -> dict[str, Any]:
    named = {}
    plain = {name.removeprefix("model."): value for name, value in state.items() if not name.startswith("proj_out.")}
    for name, value in _encoder_of(plain).items():
        for theirs, ours in RENAMED.items():
            name = name.replace(theirs, ours)
        named[re.sub(r"^layer_norm\.", "ln_post.", name)] = value
    return named


def _shape(named: Mapping[str, Any], heads: Any, file: Path) -> WhisperShape:
    """Sizes out of the tensors' shapes; only heads are not seen there."""

    def size(name: str, axis: int) -> int:
        value = named.get(name)
        if not isinstance(value, Tensor) or value.ndim <= axis:
            raise CheckpointError(f"{file} holds no Whisper encoder: it lacks the tensor {name}.")
        return value.shape[axis]

    width = size("conv1.weight", 0)
    layers = 1 + max((int(m[1]) for name in named if (m := re.match(r"blocks\.(\d+)\.", name))), default=-1)
    if not 0 < layers <= len(named):
        raise CheckpointError(f"{file} holds no Whisper encoder: it has {layers} layers; use a whole file.")
    if not isinstance(heads, int) or heads < 1 or width % heads:
        raise CheckpointError(
            f"{file} does not tell how many heads its {width} values are divided into ({heads}): download it again."
        )
    return WhisperShape(size("conv1.weight", 1), width, heads, layers, size("blocks.0.mlp.0.weight", 0))
