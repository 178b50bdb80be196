"""Training further from voices and discriminators of so-vits-svc and RVC."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from foreign_voices import TINY, TINY_RVC, Sizes, discriminator_state, rvc_file, rvc_state, write_sovits
from training_cases import Sink, changed

import svc.data.synthetic as synthetic
from svc.checkpoint.importers.opening import import_voice
from svc.checkpoint.voice import Voice, load_voice, save_voice
from svc.config import Config
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset
from svc.errors import CheckpointError
from svc.models.vits.voice_model import ModelInput
from svc.training.adoption import adopt, adopt_discriminators, open_base
from svc.training.loop import train_voice
from svc.training.state import DiscriminatorSet, build_models
from svc.training.warm_start import load_discriminator, start_from_voice

SMALL = replace(TINY, volume=True, bins=513, rates=(8, 8, 4), kernels=(16, 16, 8), rate=16_000, content=256)
SMALL_RVC = replace(TINY_RVC, bins=513, rates=(10, 4, 2, 2, 2), kernels=(16, 16, 4, 4, 4), rate=32_000)


def write_rvc(folder: Path, sizes: Sizes, training: bool) -> Path:
    state = rvc_state(sizes, training=True)
    file = {"model": state, "iteration": 1, "optimizer": {}, "learning_rate": 1e-4} if training else rvc_file(sizes)
    torch.save(file, folder / "f0G32k.pth")
    return folder / "f0G32k.pth"


def sing(model: torch.nn.Module, voice: Voice) -> torch.Tensor:
    frames = 5
    content = torch.randn(1, voice.spec.content_dim, frames, generator=torch.Generator().manual_seed(0))
    rows = torch.full((1, frames), 200.0), torch.ones(1, frames), torch.full((1, frames), -20.0)
    batch = ModelInput(content, *rows, torch.tensor([frames]), torch.tensor([0]))
    with torch.no_grad():
        return model.eval().infer(batch, None, torch.zeros(1))


@pytest.mark.parametrize("kind", ["so-vits-svc", "RVC", "RVC exported"])
def test_a_foreign_voice_is_trained_further(
    kind: str, tmp_path: Path, tiny_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "so-vits-svc":
        path = write_sovits(tmp_path, SMALL)
    else:
        path = write_rvc(tmp_path, SMALL_RVC, training=kind == "RVC")
    voice = import_voice(path)
    monkeypatch.setattr(synthetic, "synthetic_spec", lambda size: voice.spec)
    write_synthetic_dataset(tmp_path / "data", SyntheticSize(slice_seconds=0.6))
    config = adopt(changed(tiny_config, max_steps=2), open_base(path))
    assert config.model == voice.config and config.train.max_steps == 2

    said = Sink()
    model, _ = build_models(config, voice.spec, 1)
    provenance = start_from_voice(model, path, voice.spec, [voice.speakers[0].name], said)
    state = model.state_dict()
    assert provenance["file"] == path.name
    assert all(torch.equal(state[name], value) for name, value in voice.state.items() if name != "speaker.weight")
    assert torch.equal(state["speaker.weight"][0], voice.state["speaker.weight"][0])
    torch.testing.assert_close(sing(model, voice), sing(voice.build(), voice), atol=1e-5, rtol=0)
    assert any("posterior encoder" in sentence for sentence in said) == (kind == "RVC exported")

    messages = Sink()
    result = train_voice(config, tmp_path / "data", tmp_path / "run", base=path, device="cpu", messages=messages)
    trained = load_voice(result.voice_path)
    assert result.steps == 2 and trained.provenance["base"]["file"] == path.name
    assert all(torch.isfinite(value).all() for value in trained.state.values())
    moved = trained.state["prior.proj.weight"] - voice.state["prior.proj.weight"]
    assert 0 < moved.abs().max() < 0.1
    assert [speaker.name for speaker in trained.speakers] == ["singer0"]


def test_a_base_without_speakers_starts_a_table(tmp_path: Path, tiny_config: Config) -> None:
    path = write_sovits(tmp_path, SMALL, without="emb_g.")
    base = open_base(path)
    model, _ = build_models(adopt(tiny_config, base), base.spec, 2)
    start_from_voice(model, path, base.spec, ["anna", "bert"], Sink())
    assert model.speaker.weight.shape == (2, SMALL.speaker)
    assert model.speaker.weight.detach().std() > 0.3


def test_an_imported_voice_in_our_file_decides_too(tmp_path: Path, tiny_config: Config) -> None:
    voice = import_voice(write_sovits(tmp_path, SMALL))
    save_voice(tmp_path / "voice.safetensors", voice)
    config = adopt(tiny_config, open_base(tmp_path / "voice.safetensors"))
    assert config.model == voice.config
    features = config.features
    assert (features.content_encoder, features.content_alignment) == ("contentvec256l9", "nearest")
    assert (features.loudness_window, features.content_layers) == ("hop_start", {"9": 1.0})
    assert (features.sample_rate, features.hop_length, features.n_fft) == (16_000, 256, 1024)
    own = Voice(tiny_config.model, voice.spec, voice.speakers, {}, {"steps": 3})
    assert adopt(tiny_config, own) is tiny_config


@pytest.mark.parametrize(
    ("periods", "name"),
    [
        ((2, 3, 5, 7, 11), "mpd_msd"),
        ((2, 3, 5, 7, 11, 17), "mpd_msd_rvc_v1"),
        ((2, 3, 5, 7, 11, 17, 23, 37), "mpd_msd_rvc_v2"),
    ],
)
def test_foreign_discriminators(tmp_path: Path, tiny_config: Config, periods: tuple[int, ...], name: str) -> None:
    state, path = discriminator_state(periods), tmp_path / "D_0.pth"
    torch.save({"model": state, "iteration": 0, "optimizer": {}, "learning_rate": 1e-4}, path)
    config = adopt_discriminators(tiny_config, path)
    assert config.train.discriminator == name and config.train.extra_discriminators == ()
    ours = DiscriminatorSet((name,))
    load_discriminator(path, ours)
    loaded = ours.members[name].state_dict()
    assert len(loaded) == len(state)
    key = f"discriminators.{len(periods)}.convs.3"
    assert torch.equal(loaded[f"{key}.parametrizations.weight.original1"], state[f"{key}.weight_v"])
    if name == "mpd_msd":
        with pytest.raises(
            CheckpointError, match=r"is of mpd_msd, the settings ask for light: set train\.discriminator"
        ):
            load_discriminator(path, DiscriminatorSet(("light",)))
        state.pop("discriminators.2.conv_post.bias")
        torch.save(state, path)
        with pytest.raises(CheckpointError, match=r"lacks discriminators\.2\.conv_post\.bias"):
            load_discriminator(path, ours)


def test_files_that_hold_no_discriminators(tmp_path: Path, tiny_config: Config) -> None:
    path = write_sovits(tmp_path, SMALL)
    with pytest.raises(CheckpointError, match="holds no discriminators"):
        adopt_discriminators(tiny_config, path)
    torch.save({"discriminators.0.x": torch.zeros(1)}, tmp_path / "D.pth")
    with pytest.raises(CheckpointError, match="holds 1 discriminators"):
        adopt_discriminators(tiny_config, tmp_path / "D.pth")
