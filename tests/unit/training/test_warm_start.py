"""Starting from a base voice and base discriminators."""

import shutil
from pathlib import Path

import pytest
import torch
from training_cases import Sink, changed

from svc.checkpoint.voice import load_voice, save_voice
from svc.config import Config
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset
from svc.errors import CheckpointError, ConfigError, SpecMismatchError
from svc.training.loop import train_voice
from svc.training.state import DiscriminatorSet, build_models
from svc.training.warm_start import load_discriminator, save_discriminator, start_from_voice


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A voice of the singers singer0 and singer1, trained for a moment."""
    from training_cases import RECIPES

    from svc.config import load_config

    folder = tmp_path_factory.mktemp("base")
    write_synthetic_dataset(folder / "data", SyntheticSize(singers=2))
    off = {"adversarial": 0, "feature_matching": 0}
    config = load_config(RECIPES / "debug.yaml", {"train": {"max_steps": 2, "validation_clips": 0, "losses": off}})
    return train_voice(config, folder / "data", folder / "run", device="cpu").voice_path


def test_weights_are_taken_over_and_new_singers_named(base: Path, tiny_config: Config) -> None:
    voice = load_voice(base)
    model, _ = build_models(tiny_config, voice.spec, 2)
    said = Sink()
    provenance = start_from_voice(model, base, voice.spec, ["singer1", "clara"], said)
    state = model.state_dict()
    assert all(torch.equal(state[name], t) for name, t in voice.state.items() if name != "speaker.weight")
    assert torch.equal(state["speaker.weight"][0], voice.state["speaker.weight"][1])
    torch.testing.assert_close(state["speaker.weight"][1], voice.state["speaker.weight"].mean(0))
    assert len(said) == 1
    assert "clara" in said[0] and "singer0, singer1" in said[0]
    assert provenance["file"] == base.name
    assert len(provenance["sha256"]) == 64


def test_a_run_starts_from_the_base_and_says_so_in_the_voice(base: Path, tiny_config: Config, tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "data", SyntheticSize(singers=1))
    config = changed(tiny_config, max_steps=1, learning_rate=1e-9)
    result = train_voice(config, tmp_path / "data", tmp_path / "run", base=base, device="cpu")
    voice, before = load_voice(result.voice_path), load_voice(base)
    for name, tensor in voice.state.items():
        if name != "speaker.weight":
            torch.testing.assert_close(tensor, before.state[name], atol=1e-6, rtol=1e-5)
    assert voice.provenance["base"]["file"] == "voice.safetensors"


def test_parts_that_are_held_keep_the_base_s_weights(base: Path, tiny_config: Config, tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "data", SyntheticSize(singers=1))
    config = changed(tiny_config, max_steps=1, learning_rate=1e-2, held_parts=("content_input", "prior"))
    voice = load_voice(train_voice(config, tmp_path / "data", tmp_path / "run", base=base, device="cpu").voice_path)
    before = load_voice(base).state
    changes = {name: not torch.equal(t, before[name]) for name, t in voice.state.items() if name != "speaker.weight"}
    held = [name for name in changes if name.startswith(("content_input.", "prior."))]
    assert held and not any(changes[name] for name in held)
    assert any(changed for name, changed in changes.items() if name.startswith("decoder."))


def test_holding_parts_without_a_base_is_refused(tiny_config: Config, tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "data", SyntheticSize(singers=1))
    with pytest.raises(ConfigError, match="held_parts"):
        train_voice(changed(tiny_config, held_parts=("prior",)), tmp_path / "data", tmp_path / "run", device="cpu")


def test_another_model_is_refused_by_the_names_of_its_settings(base: Path, tiny_config: Config) -> None:
    config = tiny_config.model_copy(update={"model": tiny_config.model.model_copy(update={"filter_channels": 24})})
    spec = load_voice(base).spec
    model, _ = build_models(config, spec, 2)
    with pytest.raises(CheckpointError, match=r"model\.filter_channels is 16 there and 24 here"):
        start_from_voice(model, base, spec, ["a", "b"], Sink())


def test_other_features_are_refused(base: Path, tiny_config: Config, tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "data", SyntheticSize(content_dim=20))
    with pytest.raises(SpecMismatchError, match=r"base voice .*content_dim: 16 instead of 20"):
        train_voice(tiny_config, tmp_path / "data", tmp_path / "run", base=base, device="cpu")
    assert not (tmp_path / "run").exists(), "nothing is left behind"


def test_a_base_without_training_parts_is_refused(base: Path, tiny_config: Config, tmp_path: Path) -> None:
    voice = load_voice(base)
    save_voice(tmp_path / "small.safetensors", voice, training_parts=False)
    model, _ = build_models(tiny_config, voice.spec, 2)
    with pytest.raises(CheckpointError, match="saved with its training parts"):
        start_from_voice(model, tmp_path / "small.safetensors", voice.spec, ["a", "b"], Sink())


def test_discriminators_are_exported_and_taken_over(base: Path, tmp_path: Path) -> None:
    exported = base.parent / "discriminator.safetensors"
    assert exported.exists()
    light = DiscriminatorSet(("light",))
    load_discriminator(exported, light)
    save_discriminator(tmp_path / "again.safetensors", light, 3)
    other = DiscriminatorSet(("light",))
    load_discriminator(tmp_path / "again.safetensors", other)
    assert all(torch.equal(t, other.state_dict()[name]) for name, t in light.state_dict().items())


def test_foreign_discriminators_are_refused(base: Path, tmp_path: Path) -> None:
    exported = base.parent / "discriminator.safetensors"
    with pytest.raises(CheckpointError, match="is of light, the settings ask for light, mrd"):
        load_discriminator(exported, DiscriminatorSet(("light", "mrd")))
    with pytest.raises(CheckpointError, match="not a discriminator file"):
        load_discriminator(base, DiscriminatorSet(("light",)))
    shutil.copy(exported, tmp_path / "cut")
    (tmp_path / "cut").write_bytes(exported.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_discriminator(tmp_path / "cut", DiscriminatorSet(("light",)))
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_discriminator(tmp_path / "missing", DiscriminatorSet(("light",)))
