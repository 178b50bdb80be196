"""Write a content encoder's weight file with random weights, in the container and under the names of its program.

    python scripts/random_encoder_files.py wavlm_large FOLDER [--tiny]

For measuring speed and memory of an encoder, and for tests, where the real file cannot be had. The shape is the
published one; --tiny keeps its number of layers and its kinds of tensors but few values. Such a file hears nothing.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

KERNELS = (10, 3, 3, 3, 3, 2, 2)
WHISPER_CONTEXT = 1500


@dataclass(frozen=True)
class Size:
    """Sizes of a network of the HuBERT family, whose norms come first where `large`."""

    width: int = 768
    heads: int = 12
    inner: int = 3072
    layers: int = 12
    channels: int = 512
    kernel: int = 128
    groups: int = 16
    final: int = 256
    large: bool = False
    positions: int = 3002
    mels: int = 80


BASE = Size()
LARGE = Size(1024, 16, 4096, 24, large=True)
SPEECHLM_BASE = Size(heads=8)
# Mean widths of what is left of each layer of DPHuBERT-sp0.75 (23.6 M parameters) are not published: a quarter.
PRUNED = Size(heads=3, inner=768, channels=256)
WHISPER_BASE = Size(512, 8, 2048, 6)


def tiny(size: Size) -> Size:
    """The same layers with few values."""
    return Size(64, 2 if size is PRUNED else 4, 24, size.layers, 16, 16, 4, 12, size.large, 102)


class Draw:
    """Random tensors that keep activations at the scale of 1."""

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, *sizes: int, scale: float | None = None) -> Tensor:
        """Normal values of deviation `scale`, by default one over the root of what is summed."""
        fan = max(1, torch.Size(sizes[1:]).numel())
        return torch.randn(sizes, generator=self.generator) * (fan**-0.5 if scale is None else scale)

    def linear(self, name: str, out: int, into: int) -> dict[str, Tensor]:
        return {f"{name}.weight": self(out, into), f"{name}.bias": self(out, scale=0.1)}

    def norm(self, name: str, size: int) -> dict[str, Tensor]:
        return {f"{name}.weight": 1 + self(size, scale=0.1), f"{name}.bias": self(size, scale=0.1)}


def fairseq_layers(draw: Draw, prefix: str, count: int, size: Size) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for i in range(count):
        layer = f"{prefix}.{i}"
        for part in ("k", "v", "q", "out"):
            state |= draw.linear(f"{layer}.self_attn.{part}_proj", size.width, size.width)
        state |= draw.norm(f"{layer}.self_attn_layer_norm", size.width)
        state |= draw.linear(f"{layer}.fc1", size.inner, size.width) | draw.linear(
            f"{layer}.fc2", size.width, size.inner
        )
        state |= draw.norm(f"{layer}.final_layer_norm", size.width)
    return state


def fairseq_front(draw: Draw, size: Size) -> dict[str, Tensor]:
    """Everything of HuBERT but the transformer's layers."""
    state = {"mask_emb": draw(size.width, scale=1.0)}
    for i, kernel in enumerate(KERNELS):
        before = size.channels if i else 1
        state[f"feature_extractor.conv_layers.{i}.0.weight"] = draw(size.channels, before, kernel) * 1.5
        if size.large:
            state |= draw.norm(f"feature_extractor.conv_layers.{i}.2.1", size.channels)
    if not size.large:
        state |= draw.norm("feature_extractor.conv_layers.0.2", size.channels)
    state |= draw.norm("layer_norm", size.channels)
    state |= draw.linear("post_extract_proj", size.width, size.channels)
    state["encoder.pos_conv.0.bias"] = draw(size.width, scale=0.1)
    direction = draw(size.width, size.width // size.groups, size.kernel)
    state["encoder.pos_conv.0.weight_g"] = direction.norm(dim=(0, 1), keepdim=True)
    state["encoder.pos_conv.0.weight_v"] = direction
    return state | draw.norm("encoder.layer_norm", size.width)


def hubert(size: Size) -> dict[str, Any]:
    """A fairseq checkpoint."""
    draw = Draw()
    state = fairseq_front(draw, size) | fairseq_layers(draw, "encoder.layers", size.layers, size)
    state |= draw.linear("final_proj", size.final, size.width) | {"label_embs_concat": draw(504, size.final)}
    model = {"encoder_attention_heads": size.heads, "layer_norm_first": size.large, "activation_fn": "gelu"}
    cfg = {"model": model, "task": {"normalize": size.large}}
    return {"args": None, "cfg": cfg, "model": state, "task_state": {}, "last_optimizer_state": None}


def soft(labels: int) -> Callable[[Size], dict[str, Any]]:
    """hubert-soft v0.2 (100 labels) or discrete HuBERT (504)."""
    renames = (
        ("mask_emb", "masked_spec_embed"),
        ("feature_extractor.conv_layers.0.2.", "feature_extractor.norm0."),
        ("self_attn_layer_norm", "norm1"),
        ("final_layer_norm", "norm2"),
        ("encoder.layer_norm", "norm"),
        ("fc1", "linear1"),
        ("fc2", "linear2"),
        ("post_extract_proj", "feature_projection.projection"),
        ("encoder.pos_conv.0", "positional_embedding.conv"),
        ("final_proj", "proj"),
        *((f"feature_extractor.conv_layers.{i}.0.", f"feature_extractor.conv{i}.") for i in range(7)),
    )

    def write(size: Size) -> dict[str, Any]:
        plain = hubert(size)["model"]
        del plain["label_embs_concat"]
        state = {}
        for name, value in plain.items():
            name = "feature_projection.norm" + name[len("layer_norm") :] if name.startswith("layer_norm") else name
            for theirs, ours in renames:
                name = name.replace(theirs, ours)
            state[name] = value
        for i in range(size.layers):
            for kind in ("weight", "bias"):
                parts = [state.pop(f"encoder.layers.{i}.self_attn.{k}_proj.{kind}") for k in "qkv"]
                state[f"encoder.layers.{i}.self_attn.in_proj_{kind}"] = torch.cat(parts)
        state["label_embedding.weight"] = Draw(1)(labels, size.final)
        return {"hubert": {f"module.{name}": value for name, value in state.items()}}

    return write


def wavlm(size: Size) -> dict[str, Any]:
    draw = Draw()
    state = fairseq_front(draw, size) | fairseq_layers(draw, "encoder.layers", size.layers, size)
    state["encoder.layers.0.self_attn.relative_attention_bias.weight"] = draw(320, size.heads, scale=0.5)
    for i in range(size.layers):
        attention = f"encoder.layers.{i}.self_attn"
        state |= draw.linear(f"{attention}.grep_linear", 8, size.width // size.heads)
        state[f"{attention}.grep_a"] = 1 + draw(1, size.heads, 1, 1, scale=0.3)
    cfg = {
        "encoder_attention_heads": size.heads,
        "layer_norm_first": size.large,
        "activation_fn": "gelu",
        "normalize": size.large,
        "relative_position_embedding": True,
        "num_buckets": 320,
        "max_distance": 800,
        "gru_rel_pos": True,
    }
    return {"cfg": cfg, "model": state}


def speechlm(size: Size) -> dict[str, Any]:
    draw, half, head = Draw(), size.layers // 2, size.width // size.heads
    state = fairseq_front(draw, size) | fairseq_layers(draw, "encoder.layers", half, size)
    state |= fairseq_layers(draw, "unit_encoder.layers", half, size) | {"unit_encoder.version": torch.full((1,), 3.0)}
    for stack in ("encoder", "unit_encoder"):
        state[f"{stack}.pos_emb.pe_k.weight"] = draw(320, head, scale=0.3)
        for i in range(half):
            state |= draw.norm(f"{stack}.layers.{i}.norm_k", head)
    state["unit_encoder.embed_positions.weight"] = draw(size.positions, size.width, scale=0.3)
    state |= draw.norm("unit_encoder.layernorm_embedding", size.width)
    if size.large:
        state |= draw.norm("unit_encoder.layer_norm", size.width)
    for i in range(2):
        state |= draw.linear(f"final_proj_list.{i}", size.final, size.width)
    text = {
        "no_scale_embedding": True,
        "max_source_positions": size.positions - 2,
        "encoder": {"attention_heads": size.heads, "normalize_before": size.large, "learned_pos": True},
    }
    model = {"encoder_attention_heads": size.heads, "layer_norm_first": size.large, "text_transformer": text}
    return {"cfg": {"model": model, "task": {"normalize": size.large}}, "model": state}


def pruned(gated: bool) -> Callable[[Size], dict[str, Any]]:
    """DPHuBERT or DPWavLM under torchaudio's names, every layer cut alike."""
    renames = (
        ("self_attn_layer_norm", "layer_norm"),
        ("self_attn.", "attention."),
        ("fc1", "feed_forward.intermediate_dense"),
        ("fc2", "feed_forward.output_dense"),
        ("encoder.layers", "encoder.transformer.layers"),
        ("encoder.layer_norm", "encoder.transformer.layer_norm"),
        ("encoder.pos_conv.0", "encoder.transformer.pos_conv_embed.conv"),
        ("post_extract_proj", "encoder.feature_projection.projection"),
        ("conv_layers.0.2.", "conv_layers.0.layer_norm."),
        *((f"conv_layers.{i}.0.", f"conv_layers.{i}.conv.") for i in range(7)),
    )

    def write(size: Size) -> dict[str, Any]:
        total = 12 if size.width % 12 == 0 else 4
        head = size.width // total
        draw = Draw()
        plain = fairseq_front(draw, size) | fairseq_layers(draw, "encoder.layers", size.layers, size)
        del plain["mask_emb"]
        state = {}
        for name, value in plain.items():
            name = f"encoder.feature_projection.{name}" if name.startswith("layer_norm") else name
            for theirs, ours in renames:
                name = name.replace(theirs, ours)
            if ".attention." in name:
                rows = size.heads * head
                value = (value[:, :rows] if value.ndim == 2 else value) if "out_proj" in name else value[:rows]
            state[name] = value.clone()
        state["feature_extractor.dummy_weight"] = torch.ones(size.channels)
        config: dict[str, Any] = {
            "encoder_use_attention": [True] * size.layers,
            "encoder_use_feed_forward": [True] * size.layers,
            "encoder_layer_norm_first": False,
            "normalize_waveform": False,
        }
        if gated:
            layers = "encoder.transformer.layers"
            state[f"{layers}.0.attention.rel_attn_embed.weight"] = draw(320, total, scale=0.5)
            for i in range(size.layers):
                state |= draw.linear(f"{layers}.{i}.attention.gru_rel_pos_linear", 8, head)
                state[f"{layers}.{i}.attention.gru_rel_pos_const"] = 1 + draw(1, total, 1, 1, scale=0.3)
            config |= {
                "encoder_total_num_heads": [total] * size.layers,
                "encoder_remaining_heads": [list(range(size.heads))] * size.layers,
                "encoder_max_distance": 800,
            }
        else:
            config |= {"encoder_head_dim": head, "encoder_num_heads": [size.heads] * size.layers}
        return {"state_dict": state, "config": config, "distill_linear_projs": {}}

    return write


def whisper(size: Size) -> dict[str, Any]:
    """OpenAI's file without its decoder."""
    draw, width = Draw(), size.width
    state = {"positional_embedding": draw(WHISPER_CONTEXT, width, scale=0.3)}
    for i, into in ((1, size.mels), (2, width)):
        state |= {f"conv{i}.weight": draw(width, into, 3), f"conv{i}.bias": draw(width, scale=0.1)}
    for i in range(size.layers):
        block = f"blocks.{i}"
        for part in ("query", "key", "value", "out"):
            state |= draw.linear(f"{block}.attn.{part}", width, width)
        del state[f"{block}.attn.key.bias"]
        state |= draw.norm(f"{block}.attn_ln", width) | draw.norm(f"{block}.mlp_ln", width)
        state |= draw.linear(f"{block}.mlp.0", size.inner, width) | draw.linear(f"{block}.mlp.2", width, size.inner)
    state |= draw.norm("ln_post", width)
    dims = {"n_mels": size.mels, "n_audio_head": size.heads, "n_audio_layer": size.layers, "n_audio_state": width}
    return {"dims": dims, "model_state_dict": {f"encoder.{name}": value for name, value in state.items()}}


FILES: dict[str, tuple[str, Callable[[Size], dict[str, Any]], Size]] = {
    "contentvec768l12": ("checkpoint_best_legacy_500.pt", hubert, BASE),
    "contentvec256l9": ("checkpoint_best_legacy_500.pt", hubert, BASE),
    "hubert_soft": ("hubert-soft-35d9f29f.pt", soft(100), BASE),
    "hubert_discrete": ("hubert-discrete-96b248c5.pt", soft(504), BASE),
    "hubert_discrete_centres": ("hubert-discrete-96b248c5.pt", soft(504), BASE),
    "hubert_base": ("hubert_base_ls960.pt", hubert, BASE),
    "hubert_large": ("hubert_large_ll60k.pt", hubert, LARGE),
    "chinese_hubert_base": ("chinese-hubert-base-fairseq-ckpt.pt", hubert, BASE),
    "chinese_hubert_large": ("chinese-hubert-large-fairseq-ckpt.pt", hubert, LARGE),
    "dphubert": ("DPHuBERT-sp0.75.pth", pruned(gated=False), PRUNED),
    "wavlm_base": ("WavLM-Base.pt", wavlm, BASE),
    "wavlm_base_plus": ("WavLM-Base+.pt", wavlm, BASE),
    "wavlm_large": ("WavLM-Large.pt", wavlm, LARGE),
    "dpwavlm": ("DPWavLM-sp0.75.pth", pruned(gated=True), PRUNED),
    "speechlm_base": ("speechlm_h_base_librispeech_clean.pt", speechlm, SPEECHLM_BASE),
    "speechlm_large": ("speechlm_p_large_60kh_clean.pt", speechlm, LARGE),
    "whisper": ("whisper.pt", whisper, WHISPER_BASE),
}
UNITS = 100


def write_encoder_file(name: str, folder: Path, small: bool = False) -> Path:
    """The file of content encoder `name` in `folder`, `small` or of the published shape; its path.

    The discrete encoders get their k-means file beside it.
    """
    file, make, size = FILES[name]
    size = tiny(size) if small else size
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(make(size), folder / file)
    if name.startswith("hubert_discrete"):
        centres = {
            "n_features_in_": size.width,
            "_n_threads": 4,
            "cluster_centers_": Draw(2)(UNITS, size.width, scale=1.0),
        }
        torch.save(centres, folder / "kmeans100-50f36a95.pt")
    return folder / file


def write_ct2_folder(folder: Path, size: Size = WHISPER_BASE, quantization: str | None = None) -> Path:
    """The weights of `whisper(size)` as a CTranslate2 folder; needs the package ctranslate2."""
    import numpy as np
    from ctranslate2.specs import WhisperSpec

    state = {name.removeprefix("encoder."): value.numpy() for name, value in whisper(size)["model_state_dict"].items()}
    spec = WhisperSpec(size.layers, size.heads, 1, size.heads)

    def linear(target: Any, name: str) -> None:
        target.weight, target.bias = state[f"{name}.weight"], state[f"{name}.bias"]

    def norm(target: Any, name: str) -> None:
        target.gamma, target.beta = state[f"{name}.weight"], state[f"{name}.bias"]

    linear(spec.encoder.conv1, "conv1")
    linear(spec.encoder.conv2, "conv2")
    spec.encoder.position_encodings.encodings = state["positional_embedding"]
    norm(spec.encoder.layer_norm, "ln_post")
    for i, layer in enumerate(spec.encoder.layer):
        block, zeros = f"blocks.{i}", np.zeros(size.width, np.float32)
        joint = layer.self_attention.linear[0]
        joint.weight = np.concatenate([state[f"{block}.attn.{part}.weight"] for part in ("query", "key", "value")])
        joint.bias = np.concatenate([state[f"{block}.attn.query.bias"], zeros, state[f"{block}.attn.value.bias"]])
        linear(layer.self_attention.linear[1], f"{block}.attn.out")
        norm(layer.self_attention.layer_norm, f"{block}.attn_ln")
        linear(layer.ffn.linear_0, f"{block}.mlp.0")
        linear(layer.ffn.linear_1, f"{block}.mlp.2")
        norm(layer.ffn.layer_norm, f"{block}.mlp_ln")
    _ct2_decoder(spec.decoder, size)
    spec.register_vocabulary([f"<{i}>" for i in range(8)])
    spec.config.suppress_ids, spec.config.suppress_ids_begin, spec.config.lang_ids = [], [], []
    spec.config.alignment_heads = [[0, 0]]
    spec.validate()
    spec.optimize(quantization=quantization)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    return folder


def _ct2_decoder(decoder: Any, size: Size) -> None:
    """A decoder of one layer and eight words, which the package wants to find."""
    import numpy as np

    def zeros(*sizes: int) -> Any:
        return np.zeros(sizes, np.float32)

    width = size.width
    decoder.embeddings.weight = zeros(8, width)
    decoder.position_encodings.encodings = zeros(16, width)
    decoder.projection.weight = zeros(8, width)
    norms = [decoder.layer_norm]
    for layer in decoder.layer:
        for target, rows in ((layer.self_attention.linear[0], 3), (layer.self_attention.linear[1], 1)):
            target.weight, target.bias = zeros(rows * width, width), zeros(rows * width)
        for target, rows in zip(layer.attention.linear, (1, 2, 1)):
            target.weight, target.bias = zeros(rows * width, width), zeros(rows * width)
        layer.ffn.linear_0.weight, layer.ffn.linear_0.bias = zeros(size.inner, width), zeros(size.inner)
        layer.ffn.linear_1.weight, layer.ffn.linear_1.bias = zeros(width, size.inner), zeros(width)
        norms += [layer.self_attention.layer_norm, layer.attention.layer_norm, layer.ffn.layer_norm]
    for norm in norms:
        norm.gamma, norm.beta = zeros(width) + 1, zeros(width)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=[*FILES, "whisper_ct2"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    if arguments.name == "whisper_ct2":
        size = tiny(WHISPER_BASE) if arguments.tiny else WHISPER_BASE
        print(write_ct2_folder(arguments.folder / "whisper-ct2", size))
    else:
        print(json.dumps(str(write_encoder_file(arguments.name, arguments.folder, arguments.tiny))))


if __name__ == "__main__":
    main()
