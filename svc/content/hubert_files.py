"""Every container that weights of the HuBERT family come in, read into one network.

The structure is read from the shapes of the tensors; a file's own settings are asked only for what shapes cannot
tell (heads, and whether norms come first). Nothing in a file is run, see svc/safe_read.py.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from svc.content.hubert_names import DROPPED, own_name
from svc.content.hubert_network import KERNELS, STRIDES, UNUSED_POSITIONS, HubertNetwork, HubertShape
from svc.errors import CheckpointError
from svc.safe_read import StandIn, check_keys, read_safetensors, read_torch

STAND_INS = ("fairseq.data.dictionary.Dictionary", "argparse.Namespace")
FOLDER_FILES = ("model.safetensors", "pytorch_model.bin")
PREFIXES = ("module.", "w2v_encoder.w2v_model.", "hubert.", "wavlm.")
# hubert-soft was trained on 100 labels; its discrete relative keeps the 504 of HuBERT (500 units, 4 symbols).
SOFT_LABELS = 100
# Windows need some frames to fade over.
FEWEST_POSITIONS = 32
WEIGHT_NORMS = (
    ("positional.weight_g", "positional.weight_v"),
    ("positional.parametrizations.weight.original0", "positional.parametrizations.weight.original1"),
)


@dataclass(frozen=True)
class HubertWeights:
    """One file read.

    `family` is "hubert", "soft", "discrete", "dphubert", "wavlm", "dpwavlm" or "speechlm". `level_floor`: what is
    added to the variance of the waveform when it is brought to mean 0 and variance 1, as the file's program does
    before the network; None where it leaves the waveform alone.
    """

    path: Path
    family: str
    shape: HubertShape
    state: dict[str, Tensor]
    level_floor: float | None = None

    def network(self, device: str = "cpu") -> HubertNetwork:
        """The network in float32 for inference on `device`."""
        with torch.device("meta"):
            network = HubertNetwork(self.shape)
        network = network.to_empty(device=device)
        network.load_state_dict(self.state)
        return network.eval().requires_grad_(False)


def weight_file(path: Path) -> Path:
    """The file with the tensors: `path` itself, or the one inside a Hugging Face folder; CheckpointError if none."""
    if not path.is_dir():
        return path
    for name in FOLDER_FILES:
        if (path / name).is_file():
            return path / name
    raise CheckpointError(f"The folder {path} has no {' or '.join(FOLDER_FILES)}: download the model's whole folder.")


def read_hubert(path: Path) -> HubertWeights:
    """Weights of a fairseq, S3PRL, hubert-soft, DPHuBERT, WavLM or SpeechLM file, or of a Hugging Face folder.

    Raises CheckpointError, in one sentence, for a damaged file, one that would run code, and one whose tensors are
    not exactly those of such a network.
    """
    path = Path(path)
    file = weight_file(path)
    whole = read_safetensors(file) if file.suffix == ".safetensors" else read_torch(file, STAND_INS)
    if not isinstance(whole, Mapping):
        raise CheckpointError(f"{file} holds a {type(whole).__name__}, not named weights: it is no HuBERT file.")
    settings = _folder_settings(path) if path.is_dir() else _file_settings(whole)
    state = _tensors(whole, file)
    named = _renamed(state, file)
    shape = _shape(named, settings, file)
    with torch.device("meta"):
        wanted = {name: tuple(value.shape) for name, value in HubertNetwork(shape).state_dict().items()}
    check_keys(named, wanted, str(file))
    floor = _folder_level_floor(path, shape) if path.is_dir() else _file_level_floor(whole)
    family = _family(state, shape, "encoder_use_attention" in settings)
    return HubertWeights(path, family, shape, {name: value.float() for name, value in named.items()}, floor)


def _family(state: Mapping[str, Tensor], shape: HubertShape, pruned: bool) -> str:
    """Which of the relatives a file is, see HubertWeights."""
    if shape.farthest:
        return "dpwavlm" if pruned else "wavlm"
    if shape.shared_layers:
        return "speechlm"
    if pruned:
        return "dphubert"
    if "positional_embedding.conv.bias" not in state:
        return "hubert"
    labels = state.get("label_embedding.weight")
    return "soft" if labels is None or labels.shape[:1] == (SOFT_LABELS,) else "discrete"


def _file_level_floor(whole: Mapping[str, Any]) -> float | None:
    """Whether the waveform is to be normalised, as `cfg` says: WavLM itself, the others under task."""
    cfg, config = (value if isinstance(value, Mapping) else {} for value in (whole.get("cfg"), whole.get("config")))
    task = cfg.get("task")
    places = (cfg, task if isinstance(task, Mapping) else {}, {"normalize": config.get("normalize_waveform")})
    # torch's layer_norm, which all of these programs use for it, adds this much.
    return 1e-5 if any(place.get("normalize") is True for place in places) else None


def _folder_level_floor(folder: Path, shape: HubertShape) -> float | None:
    """The same of a Hugging Face folder, whose programs add less; a folder without the setting goes by its norms."""
    try:
        told = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
        wanted = bool(told["do_normalize"])
    except FileNotFoundError:
        wanted = shape.conv_norm == "layer"
    except (OSError, ValueError, KeyError, TypeError):
        raise CheckpointError(
            f"{folder / 'preprocessor_config.json'} is damaged: download the model's whole folder."
        ) from None
    return 1e-7 if wanted else None


def _tensors(whole: Mapping[str, Any], file: Path) -> dict[str, Tensor]:
    """The weights out of their container, without prefixes and without layers that only training needs."""
    for key in ("model", "model_weight", "hubert", "state_dict"):
        if isinstance(whole.get(key), Mapping):
            whole = whole[key]
            break
    state = {str(name): value for name, value in whole.items()}
    for prefix in PREFIXES:
        if any(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    if not any(name.startswith("feature_extractor.conv") for name in state):
        raise CheckpointError(f"{file} holds no HuBERT: none of its weights begins with feature_extractor.conv.")
    if faulty := [name for name, value in state.items() if not isinstance(value, Tensor)]:
        raise CheckpointError(f"{file} holds something else than a tensor under {faulty[0]}: download it again.")
    if any(name.startswith("encoder.cond_layer_norm.") for name in state):
        # ContentVec as trained has layers behind the content that are told the speaker; their norms have no weight.
        plain = {
            m[1] for name in state if (m := re.match(r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.weight$", name))
        }
        state = {
            name: value
            for name, value in state.items()
            if not (m := re.match(r"encoder\.layers\.(\d+)\.", name)) or m[1] in plain
        }
    return state


def _file_settings(whole: Mapping[str, Any]) -> dict[str, Any]:
    """The model settings that a single file brings; empty where it brings none."""
    for source in (whole.get("cfg"), whole.get("model_cfg"), whole.get("config"), whole.get("args")):
        if isinstance(source, StandIn):
            source = vars(source)
        if isinstance(source, Mapping):
            inner = source.get("model")
            inner = vars(inner) if isinstance(inner, StandIn) else inner
            return dict(inner if isinstance(inner, Mapping) else source)
    return {}


def _folder_settings(folder: Path) -> dict[str, Any]:
    """config.json of a Hugging Face folder under the names that fairseq uses."""
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        settings = {
            "encoder_attention_heads": config["num_attention_heads"],
            "layer_norm_first": config.get("do_stable_layer_norm", False),
            "activation_fn": config.get("hidden_act", "gelu"),
            "max_distance": config.get("max_bucket_distance", 800),
        }
        strides, eps = config.get("conv_stride", STRIDES), config.get("layer_norm_eps", 1e-5)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(f"{file} is missing or damaged: download the model's whole folder.") from None
    if not isinstance(strides, (list, tuple)) or tuple(strides) != STRIDES or eps != 1e-5:
        raise CheckpointError(
            f"{file} asks for conv_stride {strides} and layer_norm_eps {eps}, where {list(STRIDES)} and 1e-05 are "
            "known: use a HuBERT with 20 ms frames."
        )
    return settings


def _renamed(state: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """Weights under the names of HubertNetwork; names that nothing is known about stay as they are."""
    named: dict[str, Tensor] = {}
    for name, value in state.items():
        if DROPPED.match(name):
            continue
        for target, part in _parts(own_name(name), value):
            if target in named:
                raise CheckpointError(f"{file} has two tensors for {name}: download it again.")
            named[target] = part
    for first, second in WEIGHT_NORMS:
        if first in named and second in named:
            gain, direction = named.pop(first).float(), named.pop(second).float()
            if direction.ndim != 3 or gain.shape != (1, 1, direction.shape[2]):
                raise CheckpointError(
                    f"{file} does not fit: its weight norm of the positions has shapes {tuple(gain.shape)} and "
                    f"{tuple(direction.shape)}."
                )
            named["positional.weight"] = direction * (gain / direction.norm(dim=(0, 1), keepdim=True))
    return named


def _parts(name: str, value: Tensor) -> list[tuple[str, Tensor]]:
    """torch's joint projection of query, key and value as three; anything else as it is."""
    joint = re.match(r"(layers\.\d+\.)self_attn\.in_proj_(weight|bias)$", name)
    if joint and value.ndim and value.shape[0] % 3 == 0:
        return [(f"{joint[1]}attention.{k}.{joint[2]}", part) for k, part in zip("qkv", value.chunk(3))]
    return [(name, value)]


def _shape(named: Mapping[str, Tensor], settings: Mapping[str, Any], file: Path) -> HubertShape:
    """The network that these tensors are of."""

    def size(name: str, axis: int) -> int:
        if name not in named:
            raise CheckpointError(f"{file} lacks {name}: use a complete HuBERT file.")
        if named[name].ndim <= axis:
            raise CheckpointError(f"{file} does not fit: {name} has shape {tuple(named[name].shape)}.")
        return named[name].shape[axis]

    kernels = tuple(size(f"convs.{i}.weight", 2) for i in range(len(KERNELS)))
    if kernels != KERNELS or f"convs.{len(KERNELS)}.weight" in named:
        raise CheckpointError(
            f"{file} has convolutions of lengths {list(kernels)}, where {list(KERNELS)} are known: use a HuBERT with "
            "20 ms frames."
        )
    if (activation := settings.get("activation_fn", "gelu")) != "gelu":
        raise CheckpointError(f"{file} asks for the activation '{activation}', where only gelu is known.")
    conv_norm = "layer" if "conv_norms.1.weight" in named else "group"
    width, group_width = size("norm.weight", 0), size("positional.weight", 1)
    speech, shared = _count(named, "layers"), _count(named, "shared.layers")
    count = speech + shared
    if speech < 1 or not count < len(named) or not group_width or width % group_width:
        raise CheckpointError(f"{file} does not fit: it has {count} layers of {width} values.")
    heads, head_width = _heads(named, settings, (speech, shared), width, file)
    pre_norm = bool(settings.get("layer_norm_first", settings.get("encoder_layer_norm_first", conv_norm == "layer")))
    return HubertShape(
        channels=tuple(size(f"convs.{i}.weight", 0) for i in range(len(KERNELS))),
        conv_norm=conv_norm,
        conv_bias="convs.0.bias" in named,
        width=width,
        heads=heads,
        head_width=head_width,
        inner=tuple(
            named[name].shape[0] if (name := f"{layer}.wide.bias") in named and named[name].ndim else 0
            for layer in _layer_names(speech, shared)
        ),
        position_kernel=size("positional.weight", 2),
        position_groups=width // group_width,
        pre_norm=pre_norm,
        projected="projection.weight" in named,
        channel_scale="channel_scale" in named,
        final_width=size("final_proj.weight", 0) if "final_proj.weight" in named else 0,
        **(_distances(named, settings, heads, width, file) if "relative.table.weight" in named else {}),
        **(_second_stack(named, settings, pre_norm, shared, file) if "shared.positions.weight" in named else {}),
    )


def _count(named: Mapping[str, Tensor], stack: str) -> int:
    pattern = re.compile(re.escape(stack) + r"\.(\d+)\.")
    return 1 + max((int(found[1]) for name in named if (found := pattern.match(name))), default=-1)


def _layer_names(speech: int, shared: int) -> list[str]:
    return [f"layers.{i}" for i in range(speech)] + [f"shared.layers.{i}" for i in range(shared)]


def _distances(
    named: Mapping[str, Tensor], settings: Mapping[str, Any], heads: tuple[int, ...], width: int, file: Path
) -> dict[str, Any]:
    """HubertShape's fields about relative positions: WavLM's table has a column per head, SpeechLM's norms keys."""
    table = named["relative.table.weight"]
    if table.ndim != 2 or table.shape[0] < 8 or table.shape[0] % 4:
        raise CheckpointError(f"{file} does not fit: its table of distances has shape {tuple(table.shape)}.")
    rows, columns = table.shape
    if "layers.0.attention.position_norm.weight" in named:
        return {"distance_rows": rows}
    # The class default of WavLM's program, which its files overrule.
    farthest = settings.get("max_distance", settings.get("encoder_max_distance", 1280))
    if not isinstance(farthest, int) or farthest <= rows // 4 or not columns or width % columns:
        raise CheckpointError(
            f"{file} does not fit: it has {rows} distances of {columns} heads up to {farthest} frames."
        )
    kept = settings.get("encoder_remaining_heads")
    if kept is None:
        kept = [list(range(columns))] * len(heads)
    if not isinstance(kept, (list, tuple)) or [_kept_count(row, columns) for row in kept] != list(heads):
        raise CheckpointError(f"{file} does not fit: its list of remaining heads disagrees with its weights.")
    return {
        "distance_rows": rows,
        "farthest": farthest,
        "table_heads": columns,
        "kept_heads": tuple(tuple(row) for row in kept),
    }


def _kept_count(row: Any, columns: int) -> int:
    """How many different heads a list names; -1 for anything else."""
    fits = isinstance(row, (list, tuple)) and all(isinstance(head, int) and 0 <= head < columns for head in row)
    return len(row) if fits and len(set(row)) == len(row) else -1


def _second_stack(
    named: Mapping[str, Tensor], settings: Mapping[str, Any], pre_norm: bool, shared: int, file: Path
) -> dict[str, Any]:
    """HubertShape's fields about SpeechLM's second transformer; what we have no code for is refused."""
    text = settings.get("text_transformer")
    text = text if isinstance(text, Mapping) else {}
    encoder = text.get("encoder")
    encoder = encoder if isinstance(encoder, Mapping) else {}
    same = {
        "attention_heads": settings.get("encoder_attention_heads"),
        "normalize_before": pre_norm,
        "learned_pos": True,
    }
    faults = [f"{name} {encoder[name]}" for name, value in same.items() if name in encoder and encoder[name] != value]
    if not text.get("no_scale_embedding", True):
        faults.append("no_scale_embedding False")
    rows = named["shared.positions.weight"].shape[0] if named["shared.positions.weight"].ndim else 0
    if faults or shared < 1 or rows < UNUSED_POSITIONS + FEWEST_POSITIONS:
        told = ", ".join(faults) or f"{shared} layers, {rows} positions"
        raise CheckpointError(
            f"{file} has a second transformer that is not known ({told}): use a SpeechLM as its authors released it."
        )
    return {"shared_layers": shared, "positions": rows}


def _heads(
    named: Mapping[str, Tensor], settings: Mapping[str, Any], layers: tuple[int, int], width: int, file: Path
) -> tuple[tuple[int, ...], int]:
    """Heads of each layer, 0 without attention, and the width of a head."""
    head_width = settings.get("encoder_head_dim")
    if head_width is None:
        heads = settings.get("encoder_attention_heads", width // 64 if width % 64 == 0 else None)
        if isinstance(totals := settings.get("encoder_total_num_heads"), (list, tuple)) and totals:
            heads = totals[0] if len(set(totals)) == 1 else None
        if not isinstance(heads, int) or heads < 1 or width % heads:
            raise CheckpointError(
                f"{file} does not tell how many heads its {width} values are divided into ({heads}): use a file with "
                "its settings."
            )
        head_width = width // heads
    if not isinstance(head_width, int) or head_width < 1:
        raise CheckpointError(f"{file} asks for heads of {head_width} values: download it again.")
    rows = [named.get(f"{layer}.attention.q.bias") for layer in _layer_names(*layers)]
    counts = tuple(0 if row is None or not row.ndim else row.shape[0] // head_width for row in rows)
    if "encoder_use_attention" not in settings:
        # Only pruned files may lack a step: elsewhere a missing tensor is named as missing.
        counts = (width // head_width,) * len(rows)
    return counts, head_width
