"""A run that is interrupted and continued is the run that was not, bit for bit."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from svc.checkpoint.resume import list_states, load_latest, load_state
from svc.checkpoint.voice import load_voice
from svc.config import Config, load_config
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset
from svc.errors import InterruptedBySignal
from svc.training import loop
from svc.training.loop import train_voice
from svc.training.tracking import read_metrics

ROOT = Path(__file__).resolve().parents[2]
TIMES = {"steps_per_second", "data_wait", "seconds"}


def signal_after(step: int, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send this process a signal when a run has made `step` steps."""
    make_step = loop.step_within_memory

    def step_and_signal(run: loop.Run, batch: object) -> dict:
        losses = make_step(run, batch)
        if run.state.step == step:
            signal.raise_signal(number)
        return losses

    monkeypatch.setattr(loop, "step_within_memory", step_and_signal)


def settings(recipe: str, **train: object) -> Config:
    return load_config(ROOT / "configs" / recipe, {"train": {"workers": 2, **train}})


def logged(run: Path) -> list[dict]:
    return [{k: v for k, v in line.items() if k not in TIMES} for line in read_metrics(run / "metrics.jsonl")]


def interrupted_equals_uninterrupted(config: Config, data: Path, folder: Path, stops: tuple[int, int]) -> None:
    """Train once through, and once with SIGINT and SIGTERM at the two steps; compare everything."""
    whole = train_voice(config, data, folder / "whole", device="cpu")
    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    for step, number, resume in ((stops[0], signal.SIGINT, False), (stops[1], signal.SIGTERM, True)):
        with pytest.MonkeyPatch.context() as patch:
            signal_after(step, number, patch)
            with pytest.raises(InterruptedBySignal, match=rf"step {step} of {config.train.max_steps}.*--resume"):
                train_voice(config, data, folder / "parts", resume=resume, device="cpu")
        assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers
        assert load_latest(folder / "parts" / "checkpoints")["step"] == step
    torch.manual_seed(123)  # the random state around a run has no part in it
    parts = train_voice(config, data, folder / "parts", resume=True, device="cpu")
    assert parts.steps == whole.steps == config.train.max_steps
    a, b = load_voice(whole.voice_path).state, load_voice(parts.voice_path).state
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert logged(folder / "parts") == logged(folder / "whole")
    assert len([line for line in logged(folder / "whole") if line["kind"] == "train"]) > 3
    first, second = (load_latest(folder / name / "checkpoints") for name in ("whole", "parts"))
    for part in ("generator", "discriminator"):
        assert all(torch.equal(first[part][name], second[part][name]) for name in first[part])
        moments = first[f"{part}_optimiser"]["state"]
        assert moments
        for key, values in moments.items():
            other = second[f"{part}_optimiser"]["state"][key]
            assert all(torch.equal(values[name], other[name]) for name in values)
    for name, tensor in first["ema"]["weights"].items():
        assert torch.equal(tensor, second["ema"]["weights"][name])


def test_resume_is_bit_exact(tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "data", SyntheticSize(singers=2, recordings=2, slices=3))
    # An epoch has 6 steps here: both stops lie inside one and between two log lines, the second after a validation.
    config = settings(
        "debug.yaml", max_steps=10, log_every=2, validate_every=5, checkpoint_every=4, voice_every=50, batch_size=3
    )
    interrupted_equals_uninterrupted(config, tmp_path / "data", tmp_path, (3, 9))


def test_resume_is_bit_exact_with_all_that_a_base_voice_has(tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "data", SyntheticSize(singers=2, recordings=2, slices=3))
    config = settings(
        "debug.yaml",
        max_steps=8,
        log_every=2,
        validate_every=50,
        checkpoint_every=4,
        voice_every=50,
        batch_size=3,
        shift_augment=0.5,
        prior_mel_every=2,
        losses={"prior_mel": 10.0, "frame_mel": 5.0},
    )
    model = config.model.model_copy(update={"prompt_encoder": True, "formant_input": True})
    config = config.model_copy(update={"model": model})
    interrupted_equals_uninterrupted(config, tmp_path / "data", tmp_path, (3, 7))


@pytest.mark.long
def test_resume_is_bit_exact_with_the_fast_recipe(tmp_path: Path) -> None:
    size = SyntheticSize(recordings=3, slices=4, slice_seconds=4, sample_rate=44_100, hop_length=512, n_fft=2048)
    write_synthetic_dataset(tmp_path / "data", size)
    config = settings(
        "fast.yaml",
        max_steps=6,
        log_every=1,
        validate_every=3,
        validation_clips=1,
        checkpoint_every=4,
        voice_every=50,
        adversarial_start_step=1,
    )
    interrupted_equals_uninterrupted(config, tmp_path / "data", tmp_path, (2, 5))


def test_a_killed_run_leaves_a_loadable_state(tmp_path: Path) -> None:
    """SIGKILL while a state is written at every step: the newest file with a state's name is whole."""
    write_synthetic_dataset(tmp_path / "data", SyntheticSize())
    config = settings("debug.yaml", max_steps=10_000, checkpoint_every=1, log_every=1, validation_clips=0, workers=1)
    program = (
        "import sys; from svc.config import Config; from svc.training.loop import train_voice;"
        "train_voice(Config.model_validate_json(sys.argv[1]), sys.argv[2], sys.argv[3], device='cpu')"
    )
    run = tmp_path / "run"
    command = [sys.executable, "-c", program, config.model_dump_json(), str(tmp_path / "data"), str(run)]
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    try:
        deadline = time.monotonic() + 600
        while len(list_states(run / "checkpoints")) < 2 or list_states(run / "checkpoints")[-1].step < 3:
            assert process.poll() is None, "the run ended by itself"
            assert time.monotonic() < deadline, "the run did not get to step 3"
            time.sleep(0.05)
        while not list((run / "checkpoints").glob(".*.part")) and time.monotonic() < deadline:
            pass  # catch it in the middle of writing
    finally:
        process.kill()
        process.wait()
    states = list_states(run / "checkpoints")
    assert 1 <= len(states) <= 3
    for state in states:
        assert load_state(state)["step"] == state.step
    done = states[-1].step
    finish = config.model_copy(update={"train": config.train.model_copy(update={"max_steps": done + 2})})
    said: list[str] = []
    result = train_voice(finish, tmp_path / "data", run, resume=True, device="cpu", messages=said.append)
    assert result.steps == done + 2
    assert any(f"continuing at step {done}" in sentence for sentence in said)
    steps = [line["step"] for line in read_metrics(run / "metrics.jsonl") if line["kind"] == "train"]
    assert steps == list(range(1, done + 3)), "steps made again are logged once"
