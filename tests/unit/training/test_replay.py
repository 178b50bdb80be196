"""Lines of the base beside a singer's recordings: how many, whose, and that they leave no trace in the voice."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_cases import sung, write
from training_cases import Sink, changed

from svc.checkpoint.voice import load_voice
from svc.config import Config, TrainConfig
from svc.data.dataset import DrawSampler
from svc.data.manifest import PreparedDataset
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset
from svc.errors import DatasetError, SpecMismatchError
from svc.features.spec import config_from_spec, spec_from_config
from svc.training import replay
from svc.training import setup as opening
from svc.training.loop import train_voice


@pytest.fixture
def lines(tmp_path: Path) -> PreparedDataset:
    """Lines of three singers, one of whom is called like the singer of the tiny data."""
    return write_synthetic_dataset(tmp_path / "lines", SyntheticSize(singers=3, slice_seconds=1.0, held_out=False), 7)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
def test_every_epoch_holds_the_share_of_lines(share: float) -> None:
    train = TrainConfig(batch_size=4, slice_frames=50, segment_frames=10, replay_share=share)
    sampler = DrawSampler([500] * 8 + [500] * 30, train, replayed_from=8)
    first, second = ([d for batch in sampler.epoch(n) for d in batch] for n in (0, 1))
    for draws in (first, second):
        replayed = sum(d.utterance >= 8 for d in draws) / len(draws)
        assert replayed == pytest.approx(share, abs=0.03)
        assert len(set(draws)) == len(draws)
    assert {d[1:] for d in first if d.utterance >= 8} != {d[1:] for d in second if d.utterance >= 8}


def test_few_lines_are_visited_again_with_other_crops() -> None:
    train = TrainConfig(batch_size=4, slice_frames=50, segment_frames=10, replay_share=0.5)
    draws = [d for batch in DrawSampler([500] * 8 + [100], train, replayed_from=8).epoch(0) for d in batch]
    assert sum(d.utterance == 8 for d in draws) == pytest.approx(len(draws) / 2, abs=4)
    assert len(set(draws)) == len(draws)


def test_without_a_share_no_line_is_drawn_and_the_order_is_that_of_the_dataset_alone() -> None:
    train = TrainConfig(batch_size=4, slice_frames=50, segment_frames=10)
    alone, beside = DrawSampler([500] * 8, train), DrawSampler([500] * 10, train, replayed_from=8)
    assert alone.epoch(3) == beside.epoch(3)


def test_joined_datasets_give_the_files_of_both(tiny_data: Path, lines: PreparedDataset) -> None:
    own = PreparedDataset.open(tiny_data)
    both = own.joined(lines)
    assert both.utterances[: len(own.utterances)] == own.utterances
    assert both.speakers == ["singer0", "singer1", "singer0 (lines)", "singer1 (lines)", "singer2"]
    last = both.utterances[-1]
    np.testing.assert_array_equal(both.audio(last), lines.audio(lines.utterances[-1]))
    np.testing.assert_array_equal(both.features(last).content, lines.features(lines.utterances[-1]).content)
    assert both.speaker_stats["singer0 (lines)"].name == "singer0 (lines)"
    with pytest.raises(SpecMismatchError):
        own.joined(write_synthetic_dataset(lines.directory / "other", SyntheticSize(content_dim=8)))


def test_a_voice_knows_nothing_of_the_singers_of_the_lines(
    tiny_data: Path, tiny_config: Config, lines: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "replay_lines", lambda spec, messages: lines)
    said = Sink()
    config = changed(tiny_config, replay_share=0.5, max_steps=2, checkpoint_every=1, validation_clips=2)
    done = train_voice(config, tiny_data, tmp_path / "run", device="cpu", messages=said)
    assert any("8 slices of singer0, singer1 and 18 lines of the base" in sentence for sentence in said)
    voice = load_voice(done.voice_path)
    assert [speaker.name for speaker in voice.speakers] == ["singer0", "singer1"]
    assert voice.state["speaker.weight"].shape[0] == 2
    again = train_voice(changed(config, max_steps=3), tiny_data, tmp_path / "run", device="cpu", resume=True)
    assert again.steps == 3
    # And it is a base like any other.
    train_voice(changed(tiny_config, max_steps=1), tiny_data, tmp_path / "next", base=done.voice_path, device="cpu")


def test_lines_are_prepared_once_with_the_features_of_the_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SVC_RUNS_DIR", str(tmp_path / "runs"))
    write(tmp_path / "raw" / "mia" / "one.wav", sung(3.0))
    monkeypatch.setattr(replay, "asset", lambda name: tmp_path / "raw")
    spec = spec_from_config(Config().features.model_copy(update={"hop_length": 441, "pitch_estimator": "dio"}))
    assert spec_from_config(config_from_spec(spec)) == spec
    said = Sink()
    made = replay.replay_lines(spec, said)
    assert made.spec == spec and made.speakers == ["mia"] and made.split("validation") == []
    before = {path: path.stat().st_mtime_ns for path in made.directory.rglob("*.npy")}
    assert replay.replay_lines(spec, said).utterances == made.utterances
    assert {path: path.stat().st_mtime_ns for path in made.directory.rglob("*.npy")} == before
    assert len(said) == 1
    shutil.rmtree(tmp_path / "raw")
    with pytest.raises(DatasetError, match="replay_share 0"):
        replay.replay_lines(spec, said)


def test_the_lines_that_ship_are_whole() -> None:
    """Enough of them, of many singers, each readable and of the length its card says in all."""
    from svc.audio.reading import find_audio, probe
    from svc.paths import asset

    files = find_audio(asset(replay.LINES))
    assert len({path.parent.name for path in files}) == 72
    assert sum(probe(path).seconds for path in files) == pytest.approx(600, abs=10)
    assert asset("base_lines.md").is_file()
