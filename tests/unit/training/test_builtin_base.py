"""Starting from the voice that ships, and what a new singer starts at."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_cases import RECIPES, Sink, base_model, changed

from svc.checkpoint.voice import load_voice
from svc.cli import base_choice
from svc.cli.base_choice import Start, from_builtin, from_own
from svc.cli.options import resolve_config
from svc.config import Config, LossWeights, load_config
from svc.data.manifest import PreparedDataset
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset
from svc.settings import merge
from svc.training import builtin_base
from svc.training.builtin_base import FINE_TUNING, BuiltinBase, find_builtin_base, settings_from, why_not
from svc.training.loop import train_voice
from svc.training.singer_rows import hear_singers
from svc.training.state import build_models
from svc.training.tracking import read_metrics


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BuiltinBase:
    """A voice with all parts of a base, trained for a moment, and its discriminators."""
    folder = tmp_path_factory.mktemp("base")
    write_synthetic_dataset(folder / "data", SyntheticSize(singers=1))
    losses = LossWeights(frame_mel=1.0)
    config = load_config(
        RECIPES / "debug.yaml", {"train": {"max_steps": 2, "validation_clips": 0, "shift_augment": 0.5}}
    )
    config = changed(base_model(config), losses=losses)
    voice = train_voice(config, folder / "data", folder / "run", device="cpu").voice_path
    return BuiltinBase(voice, folder / "run" / "discriminator.safetensors")


@pytest.fixture
def singer(tmp_path: Path) -> PreparedDataset:
    return write_synthetic_dataset(tmp_path / "clara", SyntheticSize(singers=2), seed=7)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Sink:
    sink = Sink()
    monkeypatch.setattr(base_choice, "say", sink)
    return sink


def debug(of_base: dict | None = None) -> Config:
    return resolve_config("debug", None, {"train.max_steps": 2}, of_base)


def test_a_new_singer_starts_at_what_the_prompt_encoder_hears(
    base: BuiltinBase, singer: PreparedDataset, tmp_path: Path
) -> None:
    voice, said = load_voice(base.voice), Sink()
    of_base = settings_from(voice.config, with_discriminator=False)
    config = changed(debug(of_base), max_steps=1, learning_rate=1e-12, validation_clips=0)
    result = train_voice(config, singer.directory, tmp_path / "run", base=base.voice, device="cpu", messages=said)
    assert any("for singer1: they start at what it hears in their recordings" in sentence for sentence in said)
    rows, table = load_voice(result.voice_path).state["speaker.weight"], voice.state["speaker.weight"]
    torch.testing.assert_close(rows[0], table[0])
    model, _ = build_models(config, singer.spec, 2)
    encoder = {k: v for k, v in voice.state.items() if k.startswith("prompt_encoder.")}
    model.load_state_dict(encoder, strict=False)
    hear_singers(model, singer, ["singer1"])
    torch.testing.assert_close(rows[1], model.speaker.weight[1].detach())
    assert (rows[1] - table.mean(0)).abs().max() > 1e-3
    assert model.prompt_encoder is not None and model.prompt_encoder.training


def test_settings_of_the_base_lie_over_recipes_and_under_the_user_s_own(base: BuiltinBase, tmp_path: Path) -> None:
    of_base = settings_from(load_voice(base.voice).config, with_discriminator=True)
    config = debug(of_base)
    assert config.model.prompt_encoder and config.model.formant_input
    assert config.train.learning_rate == FINE_TUNING["learning_rate"]
    assert config.train.adversarial_start_step == 0
    assert config.train.max_steps == 2
    own = tmp_path / "own.yaml"
    own.write_text("train:\n  learning_rate: 0.003\n")
    mine = resolve_config(str(own), None, {}, of_base)
    assert mine.train.learning_rate == 0.003 and mine.train.warmup_steps == FINE_TUNING["warmup_steps"]


def test_training_begins_at_the_base_that_fits(
    base: BuiltinBase, singer: PreparedDataset, said: Sink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(builtin_base, "find_builtin_base", lambda: base)
    config, start = from_builtin(Start(), singer.directory, debug(), debug)
    assert (start.base, start.discriminator) == (base.voice, base.discriminator)
    assert config.model.prompt_encoder and "starts from the built-in base" in said[0]
    result = train_voice(
        config, singer.directory, tmp_path / "run", start.base, device="cpu", base_discriminator=start.discriminator
    )
    voice = load_voice(result.voice_path)
    assert voice.provenance["base"]["scores"]["mel_distance"] == result.metrics["base/mel_distance"]
    lines = [line for line in read_metrics(tmp_path / "run" / "metrics.jsonl") if line["kind"] == "validation"]
    assert lines[0]["step"] == 0 and lines[0]["mel_distance"] == result.metrics["base/mel_distance"]
    assert result.metrics["gain/mel_distance"] >= 0
    # The run goes on with the base's settings, whatever ships by then.
    monkeypatch.setattr(builtin_base, "find_builtin_base", lambda: None)
    again = Start(resume=True)
    config = from_own(again, tmp_path / "run", debug(), debug)
    config, again = from_builtin(again, singer.directory, config, debug)
    assert config.model.prompt_encoder
    longer = changed(config, max_steps=3)
    assert train_voice(longer, singer.directory, tmp_path / "run", resume=True, device="cpu").steps == 3


def test_a_base_that_is_not_there_or_does_not_fit_is_said(
    base: BuiltinBase, singer: PreparedDataset, said: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtin_base, "find_builtin_base", lambda: None)
    assert from_builtin(Start(), singer.directory, debug(), debug) == (debug(), Start())
    assert "ships no base voice" in said[-1]
    monkeypatch.setattr(builtin_base, "find_builtin_base", lambda: base)

    def wider(of_base: dict | None = None) -> Config:
        return debug(merge(of_base or {}, {"model": {"filter_channels": 24}}))

    assert from_builtin(Start(), singer.directory, wider(), wider) == (wider(), Start())
    assert "model.filter_channels is 16 there and 24 here" in said[-1]
    spec = PreparedDataset.open(singer.directory).spec
    voice = load_voice(base.voice)
    fitting = debug(settings_from(voice.config, True))
    assert why_not(voice, fitting, spec) is None
    assert "f0_max_hz" in str(why_not(voice, fitting, replace(spec, f0_max_hz=900.0)))
    judged = changed(debug(), extra_discriminators=("mrd",))
    _, start = from_builtin(Start(), singer.directory, judged, debug)
    assert start.base == base.voice and start.discriminator is None


def test_a_prompt_encoder_that_is_not_taught_stays_as_it_is(
    base: BuiltinBase, singer: PreparedDataset, tmp_path: Path
) -> None:
    config = debug(settings_from(load_voice(base.voice).config, True))
    config = changed(config, validation_clips=0, log_every=1)
    result = train_voice(config, singer.directory, tmp_path / "run", base=base.voice, device="cpu")
    before, after = load_voice(base.voice).state, load_voice(result.voice_path).state
    taught = [name for name in after if name in before and name != "speaker.weight"]
    assert all(torch.equal(before[n], after[n]) for n in taught if n.startswith("prompt_encoder."))
    assert any(not torch.equal(before[n], after[n]) for n in taught)
    assert "frame_head.out.weight" in before and "frame_head.out.weight" not in after
    kinds = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert kinds and all("prompt" not in line for line in kinds)


def test_this_version_s_own_base_is_whole_where_it_ships() -> None:
    found = find_builtin_base()
    if found is not None:
        assert load_voice(found.voice).config.prompt_encoder
