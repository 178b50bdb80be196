"""Reading and running Whisper files, with small random files made here in the originals' containers."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from svc.content.whisper import Whisper
from svc.content.whisper_files import RENAMED, read_whisper
from svc.content.whisper_network import CLIP, HOP, WhisperNetwork, WhisperShape
from svc.errors import AudioError, CheckpointError, ConfigError, WeightError
from svc.features.spec import spec_from_config
from svc.registry import CONTENT_ENCODERS

SHAPE = WhisperShape(mels=80, width=16, heads=2, layers=3, inner=24)


def openai(shape: WhisperShape = SHAPE) -> dict:
    """What torch.save is given: the encoder and a decoder's tensor, float16."""
    torch.manual_seed(0)
    state = {f"encoder.{k}": torch.randn_like(v) * 0.2 for k, v in WhisperNetwork(shape).state_dict().items()}
    state["decoder.token_embedding.weight"] = torch.randn(8, shape.width)
    dims = {"n_mels": shape.mels, "n_audio_head": shape.heads, "n_audio_layer": shape.layers}
    return {"dims": dims, "model_state_dict": {k: v.half() for k, v in state.items()}}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whisper") / "tiny.pt"
    torch.save(openai(), path)
    return path


@pytest.fixture
def pretrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path))
    return tmp_path


def noise(seconds: float, seed: int = 1) -> np.ndarray:
    t = np.arange(int(seconds * 16000)) / 16000
    level = 0.1 + 0.1 * np.sin(2 * np.pi * 0.7 * t)
    return (level * np.random.default_rng(seed).standard_normal(len(t))).astype(np.float32)


def write_folder(folder: Path, prefix: str = "model.") -> Path:
    """The same weights under the names of Hugging Face."""
    folder.mkdir(parents=True)
    state = {}
    for name, value in openai()["model_state_dict"].items():
        name = name.replace("ln_post.", "layer_norm.")
        for theirs, ours in RENAMED.items():
            name = name.replace(ours, theirs)
        state[prefix + name] = value.contiguous()
    state["proj_out.weight"] = torch.zeros(2, 2)
    save_file(state, folder / "model.safetensors")
    settings = {"model_type": "whisper", "encoder_attention_heads": SHAPE.heads}
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def test_sizes_are_the_files(file: Path) -> None:
    encoder = Whisper(path=file)
    assert (encoder.dim, encoder.layer_count, encoder.default_layers) == (16, 4, {4: 1.0})
    assert read_whisper(file).shape == SHAPE
    assert len(encoder.weights_sha256) == 64


def test_both_containers_give_the_same_frames(file: Path, tmp_path: Path) -> None:
    samples = noise(0.5)
    expected = Whisper(path=file).encode(samples).values
    for number, prefix in enumerate(("model.", "")):
        folder = write_folder(tmp_path / str(number), prefix)
        np.testing.assert_array_equal(Whisper(path=folder).encode(samples).values, expected)


def test_layers_are_mixed_by_weight(file: Path) -> None:
    samples = noise(0.4)
    first, third = (Whisper({layer: 1.0}, path=file).encode(samples).values for layer in (1, 3))
    mixed = Whisper({1: 0.25, 3: -2.0}, path=file).encode(samples).values
    np.testing.assert_allclose(mixed, 0.25 * first - 2 * third, atol=1e-5)
    with pytest.raises(ConfigError, match="no layer 5"):
        Whisper({5: 1.0}, path=file)


def test_recording_normalisation(file: Path) -> None:
    values = Whisper(normalisation="recording", path=file).encode(noise(2.0)).values
    np.testing.assert_allclose(values.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(values.std(0), 1, atol=1e-2)


@pytest.mark.parametrize("length", [1, 319, 320, 16000, CLIP - 1])
def test_up_to_30_s_is_one_pass(file: Path, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Whisper(path=file)
    passes = []
    forward = encoder.network.forward
    monkeypatch.setattr(encoder.network, "forward", lambda *a: passes.append(1) or forward(*a))
    frames = encoder.encode(noise(30.0)[:length])
    assert len(passes) == 1
    assert len(frames.values) == len(frames.times) == length // HOP + 1


def test_what_lies_beyond_30_s_is_heard_and_windows_fade(file: Path) -> None:
    samples = noise(45.0)
    encoder = Whisper(path=file)
    seen: list[float] = []
    frames = encoder.encode(samples, seen.append)
    assert len(frames.values) == len(samples) // HOP + 1
    assert seen == sorted(seen) and seen[-1] == 1.0
    louder = samples.copy()
    louder[42 * 16000 : 43 * 16000] *= 0.3
    changed = np.abs(encoder.encode(louder).values - frames.values).max(axis=1)
    assert changed[42 * 50 + 5 : 43 * 50 - 5].min() > 1e-4
    assert changed[: 20 * 50].max() == 0
    steps = np.abs(np.diff(frames.values, axis=0)).max(axis=1)
    usual = np.quantile(steps, 0.99)
    assert steps[20 * 50 : 30 * 50].max() < 2.5 * usual


def test_a_file_by_hand_is_found_by_content(pretrain: Path) -> None:
    with pytest.raises(WeightError, match=r"does not ship.*openai/whisper"):
        CONTENT_ENCODERS.create("whisper")
    with pytest.raises(WeightError, match="does not ship"):
        _ = CONTENT_ENCODERS.load("whisper").dim
    torch.save({"model": {"weight": torch.zeros(3)}}, pretrain / "other.pt")
    torch.save(openai(), pretrain / "any name.pt")
    assert CONTENT_ENCODERS.load("whisper").dim == 16
    encoder = CONTENT_ENCODERS.create("whisper")
    assert encoder.path.name == "any name.pt"
    write_folder(pretrain / "folder")
    with pytest.raises(WeightError, match=r"More than one.*any name\.pt, folder.*rename"):
        CONTENT_ENCODERS.create("whisper")
    (pretrain / "folder").rename(pretrain / "whisper")
    assert CONTENT_ENCODERS.create("whisper").path.name == "whisper"


def test_the_feature_spec_takes_the_sizes_of_the_file(pretrain: Path) -> None:
    from svc.config import FeatureConfig

    torch.save(openai(), pretrain / "medium.pt")
    spec = spec_from_config(FeatureConfig(content_encoder="whisper"))
    assert spec.content_dim == 16
    assert dict(spec.content_layers) == {4: 1.0}


class Command:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.marker),)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    torch.save(openai() | {"extra": Command(marker)}, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match=r"bad\.pt asks for .*mkdir, which is refused"):
        Whisper(path=tmp_path / "bad.pt")
    assert not marker.exists()


def faulty(change: str) -> dict:
    whole = openai()
    state = whole["model_state_dict"]
    if change == "missing":
        del state["encoder.blocks.1.attn.key.weight"]
    elif change == "extra":
        state["encoder.blocks.1.attn.key.bias"] = torch.zeros(16)
    elif change == "shape":
        state["encoder.ln_post.weight"] = torch.zeros(15)
    elif change == "context":
        state["encoder.positional_embedding"] = torch.zeros(1400, 16)
    elif change == "number":
        state["encoder.conv1.weight"] = 3
    elif change == "heads":
        whole["dims"]["n_audio_head"] = 3
    elif change == "huge":
        state["encoder.blocks.999999999.attn_ln.weight"] = torch.zeros(16)
    elif change == "dims":
        del whole["dims"]
    return whole


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("missing", r"lacks blocks\.1\.attn\.key\.weight"),
        ("extra", r"has blocks\.1\.attn\.key\.bias"),
        ("shape", r"ln_post\.weight \(shape \(15,\) instead of \(16,\)\)"),
        ("context", r"positional_embedding \(shape \(1400, 16\)"),
        ("number", r"lacks the tensor conv1\.weight"),
        ("heads", "does not tell how many heads"),
        ("huge", "1000000000 layers"),
        ("dims", "lacks 'dims'"),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path: Path, change: str, sentence: str) -> None:
    path = tmp_path / "odd.pt"
    torch.save(faulty(change), path)
    with pytest.raises(CheckpointError, match=sentence) as caught:
        Whisper(path=path)
    assert "odd.pt" in str(caught.value)


def test_damaged_files_and_folders(tmp_path: Path, file: Path) -> None:
    cut = tmp_path / "cut.pt"
    cut.write_bytes(file.read_bytes()[:4000])
    with pytest.raises(CheckpointError, match=r"cut\.pt is damaged"):
        Whisper(path=cut)
    with pytest.raises(CheckpointError, match="There is no file"):
        Whisper(path=tmp_path / "none.pt")
    folder = write_folder(tmp_path / "folder")
    (folder / "config.json").write_text('{"model_type": "hubert"}', encoding="utf-8")
    with pytest.raises(CheckpointError, match="holds no Whisper"):
        Whisper(path=folder)
    (folder / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"no readable config\.json"):
        Whisper(path=folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"has no model\.safetensors"):
        Whisper(path=folder)


def test_bad_samples(file: Path) -> None:
    encoder = Whisper(path=file)
    for samples in (np.zeros(0), np.zeros((2, 5)), np.array([np.nan])):
        with pytest.raises(AudioError):
            encoder.encode(samples.astype(np.float32))
