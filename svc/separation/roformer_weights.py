"""Reading RoFormer models: a `.ckpt` of weights and the `.yaml` it was trained with (Music-Source-Separation-Training).

The yaml names sizes and how to cut songs; it writes tuples as `!!python/tuple`, the one tag allowed here besides
plain data. What the weights' own shapes say (bands, heads, mask layers) is read from them, the rest must fit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from svc.errors import CheckpointError, WeightError
from svc.safe_read import check_keys, read_torch
from svc.separation.model_files import Stem, stem_of
from svc.separation.roformer_network import RoformerNetwork, RoformerShape, consecutive_bands, mel_bands

WRAPPERS = ("state_dict", "model_state_dict", "model", "state", "ema")
MAX_SIZE = 1 << 24  # no length in a yaml is larger


@dataclass(frozen=True)
class Settings:
    """How songs are cut, at which rate, and which of the network's stems (`stem`) is what (`vocals` or the rest).

    `vocals` says that the stem is what is wanted: the vocals, or the lead, or the dry sound, as the model is made for.
    """

    sample_rate: int
    chunk: int
    step: int
    batch: int
    stem: int
    vocals: bool


def read_model(path: Path) -> tuple[RoformerNetwork, Settings]:
    """The network of a `.ckpt`, in 32 bits and evaluation mode, and its settings from the `.yaml` beside it.

    Raises CheckpointError or WeightError with what is wrong: damaged or unsafe file, no yaml, weights that do not
    fit, a model that does not separate vocals.
    """
    yaml_path = find_yaml(path)
    config = read_yaml(yaml_path)
    state = _state(read_torch(path), path)
    try:
        shape = _shape(state, config["model"], yaml_path)
        settings = _settings(config, shape, path, yaml_path)
    except KeyError as error:
        where = path if "." in str(error) else yaml_path
        raise CheckpointError(
            f"{where} is not of a BS- or Mel-band RoFormer (it lacks {error}): use the .ckpt and .yaml of one model."
        ) from None
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise CheckpointError(
            f"{path} and {yaml_path} do not describe a RoFormer ({error}): use the .ckpt and .yaml of one model."
        ) from None
    network = _network(shape, path)
    check_keys(state, {k: tuple(v.shape) for k, v in network.state_dict().items()}, str(path))
    network.load_state_dict(state)
    return network.float().eval().requires_grad_(False), settings


def find_yaml(path: Path) -> Path:
    """The yaml of a checkpoint: of the same name, else the only one in its folder. WeightError without one."""
    for ending in (".yaml", ".yml"):
        for name in (path.stem, f"config_{path.stem}"):
            if path.with_name(name + ending).is_file():
                return path.with_name(name + ending)
    others = sorted([*path.parent.glob("*.yaml"), *path.parent.glob("*.yml")])
    if len(others) == 1:
        return others[0]
    raise WeightError(f"{path} needs the .yaml it was trained with: put it beside it as {path.stem}.yaml.")


def read_yaml(path: Path) -> dict[str, Any]:
    """Plain data and tuples of a yaml file; CheckpointError for anything else."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def as_tuple(loader: Any, node: Any) -> tuple[Any, ...]:
        return tuple(loader.construct_sequence(node))

    Loader.add_constructor("tag:yaml.org,2002:python/tuple", as_tuple)
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)
    except (yaml.YAMLError, UnicodeDecodeError, OSError, RecursionError, ValueError) as error:
        problem = getattr(error, "problem", None) or type(error).__name__
        raise CheckpointError(f"{path} cannot be read safely ({problem}): download it again.") from None
    if not isinstance(data, dict) or not all(isinstance(data.get(part), dict) for part in ("audio", "model")):
        raise CheckpointError(f"{path} is not the yaml of a separation model: it must have 'audio' and 'model'.")
    return data


def _state(data: Any, path: Path) -> dict[str, Any]:
    """The named tensors, out of whatever wrapper and prefix a trainer put around them."""
    for name in WRAPPERS:
        if isinstance(data, Mapping) and isinstance(data.get(name), Mapping):
            data = data[name]
            break
    if not isinstance(data, Mapping) or not data:
        raise CheckpointError(f"{path} holds no named tensors: use the .ckpt of a RoFormer model.")
    state = {str(name): value for name, value in data.items()}
    for prefix in ("module.", "model.", "_orig_mod."):
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _shape(state: Mapping[str, Any], model: Mapping[str, Any], yaml_path: Path) -> RoformerShape:
    """Sizes from the weights where they show them, else from the yaml."""
    if int(model.get("linear_transformer_depth") or 0):
        raise CheckpointError(f"{yaml_path} asks for linear attention, which is not supported: use another model.")
    channels = 2 if model.get("stereo") else 1
    n_fft = _size(model.get("stft_n_fft", 2048), "stft_n_fft")
    widths = [
        state[f"band_split.to_features.{band}.0.gamma"].shape[0] // (2 * channels)
        for band in range(_count(state, "band_split.to_features."))
    ]
    final_norm = "final_norm.gamma" in state
    if final_norm:
        bands = consecutive_bands(widths)
    else:
        bands = mel_bands(_size(model.get("sample_rate", 44_100), "sample_rate"), n_fft, len(widths) or 1)
    if final_norm and sum(widths) != n_fft // 2 + 1:
        raise ValueError(f"bands of {sum(widths)} bins for a spectrum of {n_fft // 2 + 1}")
    first = "layers.0.0.layers.0.0."
    heads = state[f"{first}to_gates.weight"].shape[0]
    mask = "mask_estimators.0.to_freqs.0.0."
    mask_layers = sorted({int(name[len(mask) :].split(".")[0]) for name in state if name.startswith(mask)})
    return RoformerShape(
        dim=state["band_split.to_features.0.1.weight"].shape[0],
        depth=_count(state, "layers."),
        time_depth=_count(state, "layers.0.0.layers."),
        freq_depth=_count(state, "layers.0.1.layers."),
        heads=heads,
        dim_head=state[f"{first}to_qkv.weight"].shape[0] // (3 * heads),
        channels=channels,
        stems=_count(state, "mask_estimators."),
        bands=bands,
        final_norm=final_norm,
        mask_hidden=tuple(state[f"{mask}{layer}.weight"].shape[0] for layer in mask_layers[:-1]),
        n_fft=n_fft,
        hop_length=_size(model.get("stft_hop_length", 512), "stft_hop_length"),
        win_length=_size(model.get("stft_win_length", n_fft), "stft_win_length"),
        normalized=bool(model.get("stft_normalized", False)),
        skip_connection=bool(model.get("skip_connection", False)),
        zero_dc=bool(model.get("zero_dc", True)),
    )


def _settings(config: Mapping[str, Any], shape: RoformerShape, path: Path, yaml_path: Path) -> Settings:
    """How to cut songs. Entries of the `inference` section win over `audio`, as in the original."""
    audio, inference = config["audio"], config.get("inference") or {}
    chunk = _size(inference.get("chunk_size", audio.get("chunk_size")), "chunk_size")
    overlap = _size(inference.get("num_overlap", 2), "num_overlap")
    instruments, stem = _stems(config)
    if len(instruments) != shape.stems:
        raise WeightError(
            f"{yaml_path} names {len(instruments)} stems and its weights have {shape.stems}: "
            "use the .ckpt and .yaml of one model."
        )
    if overlap > chunk or chunk <= shape.n_fft:
        raise ValueError(f"chunk_size {chunk} is too short")
    return Settings(
        sample_rate=_size(audio.get("sample_rate", 44_100), "sample_rate"),
        chunk=chunk,
        step=chunk // overlap,
        batch=_size(inference.get("batch_size", 1), "batch_size"),
        stem=stem,
        vocals=stem_of(instruments[stem], path).kept,
    )


def main_stem(path: Path) -> tuple[int, Stem]:
    """Number of the stem that is read from the model `path`, and what it is, by its yaml; WeightError without one."""
    instruments, stem = _stems(read_yaml(find_yaml(path)))
    return stem, stem_of(instruments[stem], path)


def _stems(config: Mapping[str, Any]) -> tuple[list[str], int]:
    """Names of the stems that the weights give, and the number of the one to read."""
    training = config.get("training") or {}
    target = training.get("target_instrument")
    instruments = [str(target)] if target else [str(name) for name in training.get("instruments") or ["vocals"]]
    named = [name.strip().lower() for name in instruments]
    return instruments, named.index("vocals") if "vocals" in named else 0


def _network(shape: RoformerShape, path: Path) -> RoformerNetwork:
    if min(shape.dim, shape.depth, shape.time_depth, shape.freq_depth, shape.dim_head, shape.stems) < 1:
        raise CheckpointError(f"{path} holds no complete RoFormer: use the .ckpt of one model.")
    if shape.dim_head % 2 or shape.win_length > shape.n_fft or shape.hop_length > shape.win_length:
        raise CheckpointError(f"{path} and its yaml do not fit together: use the .ckpt and .yaml of one model.")
    return RoformerNetwork(shape)


def _count(state: Mapping[str, Any], prefix: str) -> int:
    """How many numbered modules there are under `prefix`."""
    return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})


def _size(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_SIZE:
        raise ValueError(f"{name} is {value!r}")
    return value
