"""Reading and running HuBERT files, with small files made here in the names that the original programs use."""

import argparse
import json
import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from svc.content.hubert import FAMILY, ContentVec256L9, ContentVec768L12, HubertSoft
from svc.content.hubert_encoder import CENTRE
from svc.content.hubert_files import read_hubert
from svc.content.hubert_network import HOP
from svc.content.windows import WINDOW, fading_windows
from svc.errors import AudioError, CheckpointError, WeightError
from svc.features.extractor import FeatureExtractor
from svc.features.spec import spec_from_config
from svc.registry import CONTENT_ENCODERS

WIDTH, LAYERS, HEADS, INNER, CHANNELS, FINAL = 128, 3, 2, 24, 8, 6
CFG = {"model": {"encoder_attention_heads": HEADS, "layer_norm_first": False, "activation_fn": "gelu"}}


class Tiny(ContentVec768L12):
    dim, layer_count, default_layers = WIDTH, LAYERS, {LAYERS: 1.0}


class TinyProjected(ContentVec256L9):
    dim, layer_count, default_layers = FINAL, LAYERS, {2: 1.0}


class TinySoft(HubertSoft):
    dim, layer_count, default_layers = FINAL, LAYERS, {LAYERS: 1.0}


def fairseq_state(seed: int = 0, conv_norm: str = "group") -> dict[str, torch.Tensor]:
    """Random weights under fairseq's names."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator) / max(1, size[-1]) ** 0.5

    def pair(name: str, *size: int) -> dict[str, torch.Tensor]:
        return {f"{name}.weight": draw(*size), f"{name}.bias": draw(size[0])}

    def norm(name: str, size: int) -> dict[str, torch.Tensor]:
        return {f"{name}.weight": 1 + 0.3 * draw(size), f"{name}.bias": draw(size)}

    state = {"mask_emb": draw(WIDTH), "label_embs_concat": draw(9, FINAL)}
    for i, kernel in enumerate((10, 3, 3, 3, 3, 2, 2)):
        state[f"feature_extractor.conv_layers.{i}.0.weight"] = draw(CHANNELS, CHANNELS if i else 1, kernel)
        if conv_norm == "layer":
            state |= norm(f"feature_extractor.conv_layers.{i}.2.1", CHANNELS)
    if conv_norm == "group":
        state |= norm("feature_extractor.conv_layers.0.2", CHANNELS)
    state |= norm("layer_norm", CHANNELS) | pair("post_extract_proj", WIDTH, CHANNELS)
    state |= {"encoder.pos_conv.0.bias": draw(WIDTH), "encoder.pos_conv.0.weight_g": 1 + draw(1, 1, 8).abs()}
    state["encoder.pos_conv.0.weight_v"] = draw(WIDTH, WIDTH // 4, 8)
    for i in range(LAYERS):
        for part in ("q", "k", "v", "out"):
            state |= pair(f"encoder.layers.{i}.self_attn.{part}_proj", WIDTH, WIDTH)
        state |= norm(f"encoder.layers.{i}.self_attn_layer_norm", WIDTH)
        state |= pair(f"encoder.layers.{i}.fc1", INNER, WIDTH) | pair(f"encoder.layers.{i}.fc2", WIDTH, INNER)
        state |= norm(f"encoder.layers.{i}.final_layer_norm", WIDTH)
    return state | norm("encoder.layer_norm", WIDTH) | pair("final_proj", FINAL, WIDTH)


def renamed(state: dict[str, torch.Tensor], names: dict[str, str]) -> dict[str, torch.Tensor]:
    out = {}
    for name, value in state.items():
        for old, new in names.items():
            name = name.replace(old, new)
        out[name] = value
    return out


def hugging_face_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    names = {
        "mask_emb": "masked_spec_embed",
        ".2.1.": ".layer_norm.",
        "conv_layers.0.2.": "conv_layers.0.layer_norm.",
        "self_attn_layer_norm": "first_norm",
        "self_attn": "attention",
        "first_norm": "layer_norm",
        "fc1": "feed_forward.intermediate_dense",
        "fc2": "feed_forward.output_dense",
        "post_extract_proj": "feature_projection.projection",
        "encoder.pos_conv.0": "encoder.pos_conv_embed.conv",
    }
    names |= {f"conv_layers.{i}.0.": f"conv_layers.{i}.conv." for i in range(7)}
    out = renamed({k: v for k, v in state.items() if k != "label_embs_concat"}, names)
    return {
        k.replace("layer_norm", "feature_projection.layer_norm", k.startswith("layer_norm")): v for k, v in out.items()
    }


def soft_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    names = {
        "mask_emb": "masked_spec_embed",
        "feature_extractor.conv_layers.0.2": "feature_extractor.norm0",
        "self_attn_layer_norm": "norm1",
        "final_layer_norm": "norm2",
        "encoder.layer_norm": "norm",
        "fc1": "linear1",
        "fc2": "linear2",
        "post_extract_proj": "feature_projection.projection",
        "encoder.pos_conv.0": "positional_embedding.conv",
        "final_proj": "proj",
    }
    names |= {f"feature_extractor.conv_layers.{i}.0": f"feature_extractor.conv{i}" for i in range(7)}
    out = renamed({k: v for k, v in state.items() if k != "label_embs_concat"}, names)
    out = {k.replace("layer_norm", "feature_projection.norm", k.startswith("layer_norm")): v for k, v in out.items()}
    for i in range(LAYERS):
        for kind in ("weight", "bias"):
            parts = [out.pop(f"encoder.layers.{i}.self_attn.{k}_proj.{kind}") for k in "qkv"]
            out[f"encoder.layers.{i}.self_attn.in_proj_{kind}"] = torch.cat(parts)
    return {f"module.{k}": v for k, v in out.items()} | {"module.label_embedding.weight": torch.zeros(100, FINAL)}


def hugging_face_folder(folder: Path, state: dict[str, torch.Tensor], safe: bool = True) -> Path:
    folder.mkdir()
    config = {"num_attention_heads": HEADS, "do_stable_layer_norm": False, "hidden_act": "gelu"}
    (folder / "config.json").write_text(json.dumps(config))
    if safe:
        save_file({k: v.clone() for k, v in state.items()}, folder / "model.safetensors")
    else:
        torch.save(state, folder / "pytorch_model.bin")
    return folder


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def with_head_of(module: str, name: str, monkeypatch: pytest.MonkeyPatch) -> type:
    """A class that is pickled under another program's name."""
    for i in range(1, module.count(".") + 2):
        part = ".".join(module.split(".")[:i])
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    kind = type(name, (), {"__module__": module})
    setattr(sys.modules[module], name, kind)
    return kind


def signal(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * 16_000)) / 16_000
    loud = 0.1 + 0.1 * np.sin(2 * np.pi * 0.7 * t)
    return (loud * np.sin(2 * np.pi * 220 * t) + 0.05 * rng.standard_normal(len(t))).astype(np.float32)


def test_every_container_gives_the_same_frames(tmp_path, monkeypatch):
    state = fairseq_state()
    plain = saved(tmp_path / "cfg.pt", {"args": None, "cfg": CFG, "model": state})
    reference = Tiny(path=plain).encode(signal(1.0)).values
    dictionary = with_head_of("fairseq.data.dictionary", "Dictionary", monkeypatch)
    legacy = {
        "args": argparse.Namespace(encoder_attention_heads=HEADS, layer_norm_first=False, labels="['layer6.km500']"),
        "model": state,
        "task_state": {"dictionaries": [dictionary()]},
        "last_optimizer_state": {"state": {0: {"exp_avg": torch.zeros(5)}}},
    }
    hugging = hugging_face_state(state)
    newer = renamed(
        hugging, {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    )
    prefixed = {f"hubert.{k}": v for k, v in newer.items() if "final_proj" not in k} | {
        "lm_head.weight": torch.zeros(2, 2)
    }
    files = [
        saved(tmp_path / "legacy.pt", legacy),
        saved(
            tmp_path / "s3prl.pt",
            {"task_cfg": {}, "model_cfg": CFG["model"], "model_weight": state, "dictionaries_symbols": [["a"]]},
        ),
        hugging_face_folder(tmp_path / "safetensors", hugging),
        hugging_face_folder(tmp_path / "bin", newer, safe=False),
        hugging_face_folder(tmp_path / "prefixed", prefixed),
    ]
    for file in files:
        np.testing.assert_array_equal(Tiny(path=file).encode(signal(1.0)).values, reference)


def test_half_precision_is_computed_in_float32(tmp_path):
    half = {k: v.half() for k, v in fairseq_state().items()}
    rounded = {k: v.float() for k, v in half.items()}
    first = Tiny(path=saved(tmp_path / "half.pt", {"cfg": CFG, "model": half}))
    second = Tiny(path=saved(tmp_path / "whole.pt", {"cfg": CFG, "model": rounded}))
    np.testing.assert_array_equal(first.encode(signal(0.5)).values, second.encode(signal(0.5)).values)


def test_contentvec_as_trained_loses_the_layers_that_are_told_the_speaker(tmp_path):
    state = fairseq_state()
    extra = {
        f"encoder.layers.{LAYERS}.self_attn_layer_norm.cond.weight": torch.zeros(3),
        f"encoder.layers.{LAYERS}.fc1.weight": torch.zeros(INNER, WIDTH),
        "encoder.cond_layer_norm.weight": torch.zeros(3),
        "layer_proj.weight": torch.zeros(3),
    }
    first = Tiny(path=saved(tmp_path / "trained.pt", {"cfg": CFG, "model": state | extra})).encode(signal(0.5))
    second = Tiny(path=saved(tmp_path / "legacy.pt", {"cfg": CFG, "model": state})).encode(signal(0.5))
    np.testing.assert_array_equal(first.values, second.values)


def test_projection_layers_and_normalisation(tmp_path):
    file = saved(tmp_path / "x.pt", {"cfg": CFG, "model": fairseq_state()})
    network = read_hubert(file).network()
    samples = signal(1.0)
    with torch.inference_mode():
        outputs = network(torch.from_numpy(samples)[None])
        projected = network.final_proj(outputs[2])[0].numpy()
        mixed = (0.25 * outputs[1] + 0.5 * outputs[3])[0].numpy()
    np.testing.assert_allclose(TinyProjected(path=file).encode_original(samples).values, projected, atol=1e-6)
    np.testing.assert_allclose(Tiny({1: 0.25, 3: 0.5}, path=file).encode_original(samples).values, mixed, atol=1e-6)
    values = Tiny(None, "recording", path=file).encode(samples).values
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-3)


def test_frame_times(tmp_path):
    encoder = Tiny(path=saved(tmp_path / "x.pt", {"cfg": CFG, "model": fairseq_state()}))
    for count in (1, 319, 320, 16_000, 16_001):
        frames = encoder.encode(signal(2.0)[:count])
        assert len(frames.times) == count // 320 + 1
        np.testing.assert_allclose(frames.times, np.arange(count // 320 + 1) * 0.02)
    original = encoder.encode_original(signal(1.0))
    np.testing.assert_allclose(original.times, (np.arange(49) * 320 + 200) / 16_000)
    with pytest.raises(AudioError, match="shorter than one"):
        encoder.encode_original(signal(0.02))
    # A frame of `encode` hears what the same frame of the original grid hears, shifted onto sample 320 t.
    moved = encoder.encode_original(np.pad(signal(1.0), (CENTRE, 16_000 // HOP * HOP + 200 - 16_000)))
    np.testing.assert_array_equal(moved.values, encoder.encode(signal(1.0)).values)
    soft = TinySoft(path=saved(tmp_path / "soft.pt", soft_state(fairseq_state())))
    np.testing.assert_allclose(soft.encode_original(signal(1.0)).times, (np.arange(50) + 0.5) * 0.02)


def test_soft_units_are_those_of_the_same_weights_in_the_other_container(tmp_path):
    state = fairseq_state()
    soft = TinySoft(path=saved(tmp_path / "soft.pt", {"hubert": soft_state(state), "step": 1, "loss": 0.1}))
    flat = TinySoft(path=saved(tmp_path / "flat.pt", soft_state(state)))
    other = TinyProjected({LAYERS: 1.0}, path=saved(tmp_path / "x.pt", {"cfg": CFG, "model": state}))
    units = soft.encode_original(signal(1.0)).values
    np.testing.assert_array_equal(units, other.encode_original(np.pad(signal(1.0), 40)).values)
    np.testing.assert_array_equal(units, flat.encode_original(signal(1.0)).values)


@pytest.mark.parametrize("frames", [1, WINDOW - 1, WINDOW, WINDOW + 1, 2500, 2501, 9000])
def test_fading_windows_cover_every_frame_once(frames):
    total = np.zeros(frames)
    for start, weights in fading_windows(frames):
        assert len(weights) <= WINDOW
        total[start : start + len(weights)] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


@pytest.mark.parametrize("conv_norm", ["group", "layer"])
def test_windows_of_a_network_that_looks_near_are_one_pass(tmp_path, conv_norm):
    """With attention silenced nothing but the shared norm statistics and the windows' edges could differ."""
    state = fairseq_state(conv_norm=conv_norm)
    state |= {k: torch.zeros_like(v) for k, v in state.items() if "out_proj" in k}
    encoder = Tiny(path=saved(tmp_path / "x.pt", {"cfg": CFG, "model": state}))
    # Level and pitch change over the recording, so that statistics of a window would be others.
    samples = (signal(75.0) * np.linspace(0.05, 1, 75 * 16_000)).astype(np.float32)
    windowed = encoder.encode_original(samples).values
    with torch.inference_mode():
        whole = encoder.network(torch.from_numpy(samples)[None])[LAYERS][0].numpy()
    assert len(whole) > 2 * WINDOW
    assert np.abs(windowed - whole).max() <= 1e-4 * np.abs(whole).max()


def test_windows_with_attention_stay_close_to_one_pass(tmp_path):
    encoder = Tiny(path=saved(tmp_path / "x.pt", {"cfg": CFG, "model": fairseq_state()}))
    samples = signal(60.0)
    windowed = encoder.encode_original(samples).values
    with torch.inference_mode():
        whole = encoder.network(torch.from_numpy(samples)[None])[LAYERS][0].numpy()
    difference = np.linalg.norm(windowed - whole, axis=1) / np.linalg.norm(whole, axis=1)
    assert difference.mean() < 0.05
    # No jump where windows meet: a seam adds nothing to how much neighbouring frames differ.
    jumps = np.abs(np.diff(windowed - whole, axis=0)).max()
    assert jumps < 0.1 * np.abs(np.diff(whole, axis=0)).max()


class Attack:
    def __init__(self, target: Path) -> None:
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


def containers(folder: Path) -> list[tuple[type, Path, Path, object]]:
    """(encoder, path given to it, file with the tensors, content of that file) of each pickled container."""
    state = fairseq_state()
    bin_state = hugging_face_state(state)
    hugging = hugging_face_folder(folder / "hf", bin_state, safe=False)
    soft = {"hubert": soft_state(state)}
    fairseq = {"cfg": CFG, "model": state}
    s3prl = {"model_cfg": CFG["model"], "model_weight": state}
    return [
        (Tiny, folder / "fairseq.pt", folder / "fairseq.pt", fairseq),
        (Tiny, folder / "s3prl.pt", folder / "s3prl.pt", s3prl),
        (Tiny, hugging, hugging / "pytorch_model.bin", bin_state),
        (TinySoft, folder / "soft.pt", folder / "soft.pt", soft),
    ]


@pytest.mark.parametrize("index", range(4), ids=["fairseq", "s3prl", "folder", "soft"])
def test_files_that_run_code_or_are_cut_short_are_refused(tmp_path, index):
    kind, path, file, content = containers(tmp_path)[index]
    target = tmp_path / "made"
    torch.save(content | {"extra_state": Attack(target)}, file)
    with pytest.raises(CheckpointError, match=rf"{file.name} asks for \w+\.mkdir, which is refused"):
        kind(path=path)
    assert not target.exists()
    torch.save(content, file)
    kind(path=path)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match=rf"{file.name} is damaged, cut short"):
        kind(path=path)


@pytest.mark.parametrize("index", range(4), ids=["fairseq", "s3prl", "folder", "soft"])
def test_missing_extra_and_misshapen_tensors_are_named(tmp_path, index):
    kind, path, file, content = containers(tmp_path)[index]
    state = next((content[k] for k in ("model", "model_weight", "hubert") if k in content), content)
    prefix = "module." if kind is TinySoft else ""
    norm = prefix + {"folder": "encoder.layers.1.final_layer_norm.bias", "soft": "encoder.layers.1.norm2.bias"}.get(
        ["fairseq", "s3prl", "folder", "soft"][index], "encoder.layers.1.final_layer_norm.bias"
    )
    kept = state.pop(norm)
    torch.save(content, file)
    with pytest.raises(CheckpointError, match=rf"{file.name} lacks layers.1.final_norm.bias: "):
        kind(path=path)
    state[norm] = kept[:-1]
    torch.save(content, file)
    with pytest.raises(CheckpointError, match=r"does not fit in layers.1.final_norm.bias \(shape \(127,\) instead"):
        kind(path=path)
    state[norm] = kept
    state[f"{prefix}encoder.layers.0.self_attn.grep_linear.bias"] = torch.zeros(8)
    torch.save(content, file)
    with pytest.raises(CheckpointError, match=r"has layers.0.attention.gate.bias, which do not belong there"):
        kind(path=path)


def test_safetensors_folder_that_is_damaged(tmp_path):
    folder = hugging_face_folder(tmp_path / "hf", hugging_face_state(fairseq_state()))
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config.json is missing or damaged"):
        Tiny(path=folder)
    (folder / "config.json").write_text(config.replace('"gelu"', '"relu"'))
    with pytest.raises(CheckpointError, match="activation 'relu'"):
        Tiny(path=folder)
    (folder / "config.json").write_text(config)
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-100])
    with pytest.raises(CheckpointError, match="cut short"):
        Tiny(path=folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"has no model.safetensors or pytorch_model.bin"):
        Tiny(path=folder)


def test_other_files_say_what_they_are(tmp_path):
    with pytest.raises(CheckpointError, match="holds no HuBERT"):
        Tiny(path=saved(tmp_path / "voice.pth", {"model": {"enc_p.x": torch.zeros(3)}}))
    with pytest.raises(CheckpointError, match="holds a list"):
        Tiny(path=saved(tmp_path / "list.pt", [1, 2]))
    with pytest.raises(CheckpointError, match="how many heads"):
        Tiny(path=saved(tmp_path / "odd.pt", {"model_cfg": {"encoder_attention_heads": 3}, "model": fairseq_state()}))
    many = fairseq_state() | {"encoder.layers.999999999.fc1.weight": torch.zeros(1)}
    with pytest.raises(CheckpointError, match="has 1000000000 layers"):
        Tiny(path=saved(tmp_path / "many.pt", {"cfg": CFG, "model": many}))
    file = saved(tmp_path / "x.pt", {"cfg": CFG, "model": fairseq_state()})
    with pytest.raises(WeightError, match="gives 128 values from 3 layers, where 768 values from 12 layers are wanted"):
        ContentVec768L12(path=file)
    with pytest.raises(WeightError, match="of the kind 'hubert', where 'soft' is wanted"):
        HubertSoft(path=file)
    without = {k: v for k, v in fairseq_state().items() if not k.startswith("final_proj")}
    with pytest.raises(WeightError, match="has no final_proj"):
        TinyProjected(path=saved(tmp_path / "y.pt", {"cfg": CFG, "model": without}))


def test_files_are_found_by_name_then_by_content(tmp_path, monkeypatch):
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path))
    with pytest.raises(WeightError, match=r"needs the file checkpoint_best_legacy_500.pt.*from https://.*put it"):
        _ = Tiny.weights_sha256
    with pytest.raises(WeightError, match=r"needs the file hubert-soft-0d54a1f4.pt"):
        HubertSoft()
    (tmp_path / "notes.txt").write_text("x")
    saved(tmp_path / "other.pt", {"model": {"x": torch.zeros(1)}})
    saved(tmp_path / "hubert_base_ls960.pt", {"cfg": CFG, "model": fairseq_state()})  # a relative of the same shapes
    any_name = saved(tmp_path / "mine.pt", {"cfg": CFG, "model": fairseq_state()})
    assert Tiny.find_weights() == any_name
    first = Tiny.weights_sha256
    assert len(first) == 64 and Tiny().weights_sha256 == first
    second = hugging_face_folder(tmp_path / "a folder", hugging_face_state(fairseq_state(seed=1)))
    with pytest.raises(WeightError, match=r"More than one file .*a folder, mine.pt\): rename"):
        Tiny.find_weights()
    second.rename(tmp_path / "content-vec-best")
    assert Tiny.find_weights() == tmp_path / "content-vec-best"
    assert Tiny.weights_sha256 != first
    assert Tiny(path=any_name).weights_sha256 == first


def test_names_of_files_belong_to_one_encoder():
    for member in FAMILY:
        assert issubclass(CONTENT_ENCODERS.load(member.name), member)
        same = {other.name for other in FAMILY if set(other.file_names) & set(member.file_names)}
        both = {"contentvec768l12", "contentvec256l9"}
        assert same == (both if member.name in both else {member.name})


def test_features_remember_which_file_made_them(tmp_path, monkeypatch):
    from svc.config import FeatureConfig
    from svc.errors import SpecMismatchError

    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path))
    monkeypatch.setattr("svc.content.hubert.ContentVec768L12", Tiny)
    file = saved(tmp_path / "hubert_base.pt", {"cfg": CFG, "model": fairseq_state()})
    spec = spec_from_config(FeatureConfig(content_encoder="contentvec768l12", content_normalisation="none"))
    assert spec.content_weights == Tiny.weights_sha256
    content = FeatureExtractor(spec).content(signal(1.0))
    assert content.shape[1] == WIDTH and np.isfinite(content).all()
    torch.save({"cfg": CFG, "model": fairseq_state(seed=1)}, file)
    with pytest.raises(SpecMismatchError, match="other weights of 'contentvec768l12'"):
        FeatureExtractor(spec).content(signal(1.0))
