"""What a run writes, says and refuses."""

import threading
from pathlib import Path

import pytest
import torch
import yaml
from training_cases import RECIPES, Sink, changed

from svc.checkpoint.resume import list_states, load_latest
from svc.checkpoint.voice import load_voice
from svc.config import Config, LossWeights, load_config
from svc.data.manifest import PreparedDataset
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset
from svc.errors import CheckpointError, ConfigError, InterruptedBySignal, SpecMismatchError, SvcError
from svc.models.vits import losses
from svc.settings import build
from svc.training import loop
from svc.training.interruption import StopRequest
from svc.training.loop import train_voice
from svc.training.tracking import read_metrics


def test_a_run_writes_what_it_promises(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    config = changed(
        tiny_config.model_copy(update={"model": tiny_config.model.model_copy(update={"prompt_encoder": True})}),
        losses=LossWeights(prior_mel=10.0, frame_mel=1.0),
        validation_clips=2,
        validate_every=2,
        voice_every=1,
        keep_voices=2,
        checkpoint_every=2,
    )
    reports = Sink()
    result = train_voice(config, tiny_data, tmp_path / "run", device="cpu", progress=reports)
    run = tmp_path / "run"
    assert result.voice_path == run / "voice.safetensors"
    assert result.steps == 4
    assert build(Config, yaml.safe_load((run / "config.yaml").read_text()), "config.yaml") == config
    assert [s.step for s in list_states(run / "checkpoints")] == [2, 4]
    names = sorted(p.name for p in (run / "voices").iterdir())
    assert names == ["best.safetensors", "voice_step_00000003.safetensors", "voice_step_00000004.safetensors"]
    for folder in ("step_00000001", "step_00000004", "recordings"):
        assert len(list((run / "samples" / folder).glob("*.wav"))) == 2
    assert list((run / "tensorboard").glob("events.out.tfevents.*"))

    lines = read_metrics(run / "metrics.jsonl")
    weighted = set(LossWeights.model_fields) - {"highs"}  # for runs that have a base
    assert [line["step"] for line in lines if line["kind"] == "train"] == [1, 2, 3, 4]
    for line in lines:
        if line["kind"] == "train":
            assert weighted | {"discriminator", "learning_rate", "steps_per_second", "data_wait"} <= line.keys()
    scored = [line for line in lines if line["kind"] == "validation"]
    assert [line["step"] for line in scored] == [2, 4]
    assert {"mel_distance", "stft_distance"} <= scored[0].keys()

    voice = load_voice(result.voice_path)
    best = min(scored, key=lambda line: line["mel_distance"])
    assert voice.provenance["steps"] == best["step"]
    assert voice.provenance["scores"]["mel_distance"] == best["mel_distance"]
    assert [s.name for s in voice.speakers] == ["singer0", "singer1"]
    levels = PreparedDataset.open(tiny_data).levels_db
    assert [s.level_db for s in voice.speakers] == [levels["singer0"], levels["singer1"]]
    assert all(-60 < s.level_db < 0 for s in voice.speakers)
    assert voice.has_training_parts
    last = load_voice(run / "voices" / "voice_step_00000004.safetensors").state
    averaged = load_latest(run / "checkpoints")["ema"]["weights"]
    assert all(torch.equal(last[name], averaged[name]) for name in last), "exported weights are the averaged ones"

    assert [report[:2] for report in reports] == [(step, 4) for step in (1, 2, 3, 4)]
    assert weighted <= reports[-1][2].keys()
    assert reports[0][3] > 0
    assert reports[-1][4] == 0


def test_training_lowers_the_loss(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    config = changed(tiny_config, max_steps=30, learning_rate=5e-3, log_every=5, volume_augment=False)
    train_voice(config, tiny_data, tmp_path / "run", device="cpu")
    mel = [line["mel"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl")]
    assert mel[-1] < 0.8 * mel[0]


def test_without_held_out_recordings_the_last_step_is_exported(tiny_config: Config, tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "data", SyntheticSize(held_out=False, recordings=1))
    said = Sink()
    config = changed(tiny_config, validation_clips=4, max_steps=2)
    result = train_voice(config, tmp_path / "data", tmp_path / "run", device="cpu", messages=said)
    assert any("No recording is held out" in s for s in said)
    assert load_voice(result.voice_path).provenance["steps"] == 2
    assert not (tmp_path / "run" / "voices" / "best.safetensors").exists()
    assert list((tmp_path / "run" / "samples").rglob("*.wav")), "there is still something to listen to"


def test_a_used_run_folder_is_refused_and_an_empty_one_not_resumed(
    tiny_data: Path, tiny_config: Config, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="no training state"):
        train_voice(tiny_config, tiny_data, tmp_path / "run", resume=True, device="cpu")
    train_voice(changed(tiny_config, max_steps=1), tiny_data, tmp_path / "run", device="cpu")
    before = sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir())
    with pytest.raises(CheckpointError, match=r"already holds.*step 1.*--resume"):
        train_voice(tiny_config, tiny_data, tmp_path / "run", device="cpu")
    assert sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir()) == before


def test_a_damaged_state_is_named_and_the_one_before_continues(
    tiny_data: Path, tiny_config: Config, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train_voice(changed(tiny_config, checkpoint_every=2), tiny_data, run, device="cpu")
    newest = list_states(run / "checkpoints")[-1].path
    newest.write_bytes(newest.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match=rf"{newest.name}.*step 2.*--resume-previous"):
        train_voice(tiny_config, tiny_data, run, resume=True, device="cpu")
    said = Sink()
    result = train_voice(tiny_config, tiny_data, run, resume="previous", device="cpu", messages=said)
    assert any("continuing at step 2" in s for s in said)
    assert result.steps == 4
    assert [line["step"] for line in read_metrics(run / "metrics.jsonl")] == [1, 2, 3, 4]


def test_changed_data_and_settings_are_said(tiny_config: Config, tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "a", SyntheticSize(recordings=2, held_out=False))
    write_synthetic_dataset(tmp_path / "b", SyntheticSize(recordings=3, held_out=False))
    train_voice(changed(tiny_config, max_steps=2), tmp_path / "a", tmp_path / "run", device="cpu")
    said = Sink()
    config = changed(tiny_config, max_steps=5, learning_rate=1e-3)
    train_voice(config, tmp_path / "b", tmp_path / "run", resume=True, device="cpu", messages=said)
    assert any("dataset has changed since step 2: the remaining 3 of 5 steps" in s for s in said)
    assert any("train.max_steps 2 -> 5" in s and "train.learning_rate 0.0002 -> 0.001" in s for s in said)


def test_other_singers_features_or_model_are_refused_on_resume(
    tiny_data: Path, tiny_config: Config, tmp_path: Path
) -> None:
    config = changed(tiny_config, max_steps=1)
    train_voice(config, tiny_data, tmp_path / "run", device="cpu")
    write_synthetic_dataset(tmp_path / "one", SyntheticSize(singers=1))
    with pytest.raises(CheckpointError, match=r"singer0, singer1.*now holds singer0.*--base"):
        train_voice(config, tmp_path / "one", tmp_path / "run", resume=True, device="cpu")
    write_synthetic_dataset(tmp_path / "wide", SyntheticSize(singers=2, content_dim=20))
    with pytest.raises(SpecMismatchError, match="content_dim: 20 instead of 16"):
        train_voice(config, tmp_path / "wide", tmp_path / "run", resume=True, device="cpu")
    other = config.model_copy(update={"model": config.model.model_copy(update={"filter_channels": 24})})
    with pytest.raises(CheckpointError, match=r"another model \(model.filter_channels\)"):
        train_voice(other, tiny_data, tmp_path / "run", resume=True, device="cpu")


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_state(
    tiny_data: Path, tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real = losses.mel_loss

    def breaking(*args: object) -> torch.Tensor:
        calls.append(1)
        return real(*args) * (float("nan") if len(calls) > 3 else 1.0)

    monkeypatch.setattr(losses, "mel_loss", breaking)
    config = changed(tiny_config, max_steps=20, checkpoint_every=1, log_every=5)
    with pytest.raises(SvcError, match=r"at step 3 .*mel.*The state of step 3 is kept") as error:
        train_voice(config, tiny_data, tmp_path / "run", device="cpu")
    assert "kl" not in str(error.value).split("numbers:")[1].split(".")[0]
    kept = load_latest(tmp_path / "run" / "checkpoints")
    assert kept["step"] == 3
    assert all(t.isfinite().all() for t in kept["generator"].values())


def test_running_out_of_memory_splits_the_batch(
    tiny_data: Path, tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    real = loop.train_step

    def limited(state: object, batch: object) -> dict:
        largest = -(-len(batch.lengths) // state.splits)
        sizes.append(largest)
        if largest > 1:
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: 9 bytes"
            )
        return real(state, batch)

    monkeypatch.setattr(loop, "train_step", limited)
    said = Sink()
    config = changed(tiny_config, batch_size=4, max_steps=2, accumulate=1)
    train_voice(config, tiny_data, tmp_path / "run", device="cpu", messages=said)
    assert sizes == [4, 2, 1, 1]
    assert [s for s in said if "Memory ran out" in s] == [
        "Memory ran out at step 0: from now on 2 slices at a time, 2 times per step; the batch stays 4.",
        "Memory ran out at step 0: from now on 1 slices at a time, 4 times per step; the batch stays 4.",
    ]
    assert load_latest(tmp_path / "run" / "checkpoints")["splits"] == 4


def test_memory_too_small_for_one_slice_is_an_error(
    tiny_data: Path, tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> dict:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")

    monkeypatch.setattr(loop, "train_step", full)
    with pytest.raises(SvcError, match=r"with 1 slices at a time: lower train\.batch_size"):
        train_voice(tiny_config, tiny_data, tmp_path / "run", device="cpu")


def test_other_runtime_errors_are_not_swallowed(
    tiny_data: Path, tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> dict:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(loop, "train_step", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        train_voice(tiny_config, tiny_data, tmp_path / "run", device="cpu")


def test_time_limit_ends_a_run_in_order(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    said = Sink()
    config = changed(tiny_config, max_steps=100_000, max_minutes=0.02)
    result = train_voice(config, tiny_data, tmp_path / "run", device="cpu", messages=said)
    assert 0 < result.steps < 100_000
    assert result.voice_path.exists()
    assert any("minutes of this call are over" in s for s in said)
    assert load_latest(tmp_path / "run" / "checkpoints")["step"] == result.steps


def test_another_thread_can_stop_a_run(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    stop, caught = StopRequest(), []

    class StopAtTwo:
        def update(self, step: int, *_: object) -> None:
            if step == 2:
                stop.request()

    def work() -> None:
        try:
            train_voice(tiny_config, tiny_data, tmp_path / "run", device="cpu", progress=StopAtTwo(), stop=stop)
        except InterruptedBySignal as error:
            caught.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(caught) == 1
    assert "Stopped at step 2 of 4" in caught[0]
    assert (tmp_path / "run" / "voices" / "voice_step_00000002.safetensors").exists()


def test_a_finished_run_can_be_resumed_and_lengthened(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    config = changed(tiny_config, max_steps=2)
    train_voice(config, tiny_data, tmp_path / "run", device="cpu")
    assert train_voice(config, tiny_data, tmp_path / "run", resume=True, device="cpu").steps == 2
    assert train_voice(changed(config, max_steps=3), tiny_data, tmp_path / "run", resume=True, device="cpu").steps == 3


def test_the_callers_random_numbers_are_left_alone(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train_voice(changed(tiny_config, max_steps=1), tiny_data, tmp_path / "run", device="cpu")
    assert torch.equal(torch.rand(3), expected)


def test_compile_off_cuda_is_said(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    said = Sink()
    config = changed(tiny_config, compile=True, max_steps=1)
    train_voice(config, tiny_data, tmp_path / "run", device="cpu", messages=said)
    assert any("train.compile is for CUDA" in s for s in said)


def test_unusable_devices_and_folders_are_said(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Unknown device 'tpu'"):
        train_voice(tiny_config, tiny_data, tmp_path / "run", device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="'cuda' is not available"):
            train_voice(tiny_config, tiny_data, tmp_path / "run", device="cuda")
        with pytest.raises(ConfigError, match="fp16 needs a CUDA device"):
            train_voice(changed(tiny_config, precision="fp16"), tiny_data, tmp_path / "run", device="cpu")
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        train_voice(tiny_config, tiny_data, tmp_path / "file", device="cpu")


def test_every_shipped_recipe_fits_its_own_checks() -> None:
    found = sorted(RECIPES.glob("*.yaml"))
    assert {p.stem for p in found} >= {"fast", "quality", "debug"}
    for path in found:
        config = load_config(path)
        assert config.train.segment_frames <= config.train.slice_frames, path
        assert path.read_text().startswith("# Use when:")


def test_bf16_trains_too(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    said = Sink()
    config = changed(tiny_config, precision="bf16", losses=LossWeights(), max_steps=2)
    train_voice(config, tiny_data, tmp_path / "run", device="cpu", messages=said)
    assert any("in bf16" in s for s in said)
    state = load_latest(tmp_path / "run" / "checkpoints")
    assert all(t.dtype == torch.float32 for t in state["generator"].values() if t.is_floating_point())


def test_prepared_dataset_fingerprint_is_in_the_voice(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    result = train_voice(changed(tiny_config, max_steps=1), tiny_data, tmp_path / "run", device="cpu")
    provenance = load_voice(result.voice_path).provenance
    assert provenance["dataset"] == PreparedDataset.open(tiny_data).fingerprint()
