"""Training a voice, from top to bottom: setup -> fit -> validate -> export.

    train_voice(config, "prepared/anna", "runs/anna")

A step is one update of the weights; it sees `train.batch_size * train.accumulate` slices per process.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import svc
from svc.checkpoint.resume import save_state
from svc.checkpoint.voice import SpeakerInfo, Voice, save_voice
from svc.config import Config
from svc.data.dataset import Batch, make_loader
from svc.errors import InterruptedBySignal, SvcError
from svc.progress import some
from svc.training.continuation import describe
from svc.training.cores import Cores
from svc.training.devices import (
    as_text,
    is_out_of_memory,
    memory_gb,
    release_memory,
    training_switches,
)
from svc.training.gain import describe_gain
from svc.training.interruption import StopRequest
from svc.training.progress import Clock, MessageSink, NoProgress, TrainProgress, ignore
from svc.training.run_folder import RunFolder
from svc.training.setup import Run, setup
from svc.training.steps import train_step
from svc.training.warm_start import SPEAKER_TABLE, save_discriminator


@dataclass(frozen=True)
class TrainResult:
    """What a finished run leaves: the voice file, the number of steps, and the last losses and scores by name."""

    voice_path: Path
    steps: int
    metrics: dict[str, float]


def train_voice(
    config: Config,
    dataset_dir: Path | str,
    run_dir: Path | str,
    base: Path | str | None = None,
    resume: bool | str = False,
    device: str = "auto",
    *,
    base_discriminator: Path | str | None = None,
    progress: TrainProgress | None = None,
    messages: MessageSink = ignore,
    stop: StopRequest | None = None,
) -> TrainResult:
    """Train a voice on a prepared dataset; all its singers become speakers of one voice.

    Args:
        config: the settings; `config.train` and `config.model` are used, features come from the dataset.
        dataset_dir: folder written by `prepare_dataset`.
        run_dir: where everything is written; must not hold training states unless `resume`.
        base: voice file to start from instead of random weights; `base_discriminator` likewise.
        resume: True continues from the newest training state, "previous" from the one before it.
        device: "auto", "cpu", "cuda", "cuda:<number>" or "mps".
        progress: receives losses and speed every `train.log_every` steps.
        messages: receives sentences for the user.
        stop: request an end from another thread with `stop.request()`.

    The voice is the best by validation where recordings are held out, else that of the last step.
    `train.max_minutes` counts this invocation only. Raises InterruptedBySignal after saving on Ctrl-C,
    SIGTERM or `stop`; SvcError's children for everything a user can mend.
    """
    resume = "latest" if resume is True else resume
    run = setup(config, Path(dataset_dir), RunFolder(Path(run_dir)), base, base_discriminator, resume, device, messages)
    run.progress = NoProgress() if progress is None else progress
    stopping = StopRequest() if stop is None else stop
    with run.tracker, stopping as request, training_switches(run.state.device) as cores:
        fit(run, request, cores)
        return export(run)


def fit(run: Run, stop: StopRequest, cores: Cores | None = None) -> None:
    """Steps until the settings' number of steps or minutes; saves and raises InterruptedBySignal when told to stop."""
    state, train = run.state, run.config.train
    run.messages(_opening(run))
    if run.saved_step is None:
        score_base(run)
        save(run)
    loader = make_loader(run.dataset, run.sampler, train.workers, pin_memory=state.device.type == "cuda")
    batches = iter(loader)
    clock = Clock(state.step)
    while state.step < train.max_steps and not _agreed(run, _time_is_up(run)):
        with clock.waiting():
            batch = _next(batches)
        state.share_done = _share_done(run)
        state.gather(step_within_memory(run, batch))
        if state.step % train.log_every == 0:
            log(run, clock)
            if cores is not None:
                cores.follow()
        with clock.paused():
            if state.step % train.validate_every == 0:
                validate(run)
            if state.step % train.voice_every == 0:
                write_voice(run)
            if state.step % train.checkpoint_every == 0:
                save(run)
        if _agreed(run, stop.requested):
            _stop_early(run)
    if state.step < train.max_steps:
        run.messages(f"The {train.max_minutes:g} minutes of this call are over at step {state.step}.")


def step_within_memory(run: Run, batch: Batch) -> dict[str, Tensor]:
    """One training step; where memory runs out, again in smaller parts, the effective batch unchanged.

    Raises SvcError when not even one slice at a time fits, or with several processes, which must agree.
    """
    state = run.state
    while True:
        try:
            return train_step(state, batch)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        size = len(batch.lengths)
        if state.splits >= size or state.accelerator.num_processes > 1:
            raise SvcError(
                f"Memory ran out with {-(-size // state.splits)} slices at a time: "
                "lower train.batch_size, train.segment_frames or train.slice_frames."
            )
        state.splits = min(size, state.splits * 2)
        state.generator_optimiser.zero_grad(set_to_none=True)
        state.discriminator_optimiser.zero_grad(set_to_none=True)
        release_memory(state.device)
        run.messages(
            f"Memory ran out at step {state.step}: from now on {-(-size // state.splits)} slices at a time, "
            f"{state.splits} times per step; the batch stays {size}."
        )


def log(run: Run, clock: Clock) -> None:
    """Mean losses since the last log to metrics.jsonl, TensorBoard and the progress display."""
    state, train = run.state, run.config.train
    state.require_finite(run.saved_step)
    losses = state.take_means()
    speed, waited = clock.lap(state.step)
    values = {
        **losses,
        "learning_rate": train.learning_rate * state.learning_rate_factor(),
        "epoch": run.sampler.position(state.step - run.start_step)[0],
        "steps_per_second": speed,
        "data_wait": waited,
        "seconds": run.seconds_before + run.seconds,
        **memory_gb(state.device),
    }
    run.metrics |= losses
    run.tracker.log(state.step, "train", values)
    if run.main:
        left = (train.max_steps - state.step) / max(speed, 1e-9)
        if train.max_minutes is not None:
            left = min(left, max(0.0, train.max_minutes * 60 - run.seconds))
        run.progress.update(state.step, train.max_steps, losses, speed, left)


def validate(run: Run) -> None:
    """Score the averaged weights on held-out recordings; the best by mel distance is kept as a voice."""
    state = run.state
    if not run.validator.usable or not run.main or run.validated_step == state.step:
        return
    state.require_finite(run.saved_step)
    scores = run.validator.validate(state, run.tracker)
    run.tracker.log(state.step, "validation", scores)
    run.metrics |= {f"validation/{name}": value for name, value in scores.items()}
    run.validated_step = state.step
    if scores["mel_distance"] < state.best.mel_distance:
        state.best.mel_distance, state.best.step = scores["mel_distance"], state.step
        save_voice(run.folder.best, make_voice(run, scores))


def score_base(run: Run) -> None:
    """Score the base voice a run starts from, before its first step; kept with the base's name in the provenance."""
    if "base" not in run.provenance or not run.validator.usable or not run.main:
        return
    validate(run)
    scores = {name.removeprefix("validation/"): v for name, v in run.metrics.items() if name.startswith("validation/")}
    run.provenance["base"] = {**run.provenance["base"], "scores": scores}


def save(run: Run) -> None:
    """Write the training state."""
    run.state.require_finite(run.saved_step)
    if run.main:
        contents = {
            **run.state.to_dict(),
            **describe(run.config, run.prepared, run.state.accelerator.num_processes),
            "position": list(run.sampler.position(run.state.step - run.start_step)),
            "provenance": json.dumps(run.provenance),
            "seconds": run.seconds_before + run.seconds,
        }
        save_state(run.folder.checkpoints, run.state.step, contents)
    run.saved_step = run.state.step


def make_voice(run: Run, scores: dict[str, float]) -> Voice:
    """The averaged weights as a voice that also can be trained further."""
    stats = run.prepared.speaker_stats
    speakers = []
    for name in run.prepared.speakers:
        s = stats[name]
        level_db = run.prepared.levels_db[name]
        speakers.append(SpeakerInfo(name, s.minutes, s.f0_low_hz, s.f0_median_hz, s.f0_high_hz, level_db))
    provenance = {
        **run.provenance,
        "toolkit": svc.__version__,
        "steps": run.state.step,
        "minutes": round((run.seconds_before + run.seconds) / 60, 2),
        "dataset": run.prepared.fingerprint(),
        "slices": run.sampler.own,
        "train": run.config.train.model_dump(mode="json"),
        "scores": scores,
    }
    # Singers of the lines that a base brings have rows behind the dataset's own: they are no speakers of the voice.
    weights = dict(run.state.ema.weights)
    weights[SPEAKER_TABLE] = weights[SPEAKER_TABLE][: len(speakers)].clone()
    return Voice(run.config.model, run.prepared.spec, speakers, weights, provenance)


def write_voice(run: Run) -> None:
    """A voice of the present step, with samples, so that a person can choose by ear; the last few are kept."""
    run.state.require_finite(run.saved_step)
    if not run.main:
        return
    save_voice(run.folder.voice_at(run.state.step), make_voice(run, {}))
    run.folder.prune_voices(run.config.train.keep_voices)
    run.validator.write_samples(run.state, run.tracker)


def export(run: Run) -> TrainResult:
    """The last validation, state and voice of a finished run, and voice.safetensors."""
    state = run.state
    validate(run)
    if run.saved_step != state.step:
        save(run)
    if run.main:
        if not run.folder.voice_at(state.step).exists():
            write_voice(run)
        use_best = state.best.step >= 0 and run.folder.best.exists()
        run.folder.publish(run.folder.best if use_best else run.folder.voice_at(state.step))
        save_discriminator(run.folder.discriminator, state.accelerator.unwrap_model(state.discriminator), state.step)
        chosen = f"step {state.best.step}, the best by mel distance" if use_best else f"step {state.step}, the last"
        run.messages(f"The voice of {chosen}, is in {run.folder.voice}.")
        _tell_gain(run)
    state.accelerator.wait_for_everyone()
    return TrainResult(run.folder.voice, state.step, run.metrics)


def _tell_gain(run: Run) -> None:
    """Say what was gained over the base that was scored before the first step, and add it to the metrics."""
    before = run.provenance.get("base", {}).get("scores", {}).get("mel_distance")
    after = run.state.best.mel_distance
    if before is None or run.state.best.step < 0:
        return
    run.metrics |= {"base/mel_distance": before, "gain/mel_distance": before - after}
    recorded = sum(run.prepared.speaker_stats[name].minutes for name in run.prepared.speakers)
    trained = (run.seconds_before + run.seconds) / 60
    run.messages(describe_gain(before, after, run.prepared.speakers, recorded, trained))


def _next(batches: Iterator[Batch]) -> Batch:
    try:
        return next(batches)
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise SvcError(
            f"A data loading process ended unexpectedly ({error}): continue with --resume, "
            "and set train.workers 0 if it happens again."
        ) from error


def _time_is_up(run: Run) -> bool:
    minutes = run.config.train.max_minutes
    return minutes is not None and run.seconds >= minutes * 60


def _share_done(run: Run) -> float:
    """How much of the steps, or of the minutes of this call, is over, whichever is more.

    Of several processes each has a clock of its own and all need one learning rate, so there the steps alone count.
    """
    train = run.config.train
    minutes = train.max_minutes if run.state.accelerator.num_processes == 1 else None
    spent = run.seconds / (60 * minutes) if minutes else 0.0
    return min(1.0, max(run.state.step / train.max_steps, spent))


def _agreed(run: Run, wish: bool) -> bool:
    """Whether any process has the wish; asked of the others only every `log_every` steps, since asking waits."""
    accelerator = run.state.accelerator
    if accelerator.num_processes == 1:
        return wish
    if run.state.step % run.config.train.log_every:
        return False
    return bool(accelerator.reduce(torch.tensor(float(wish), device=accelerator.device)) > 0)


def _stop_early(run: Run) -> None:
    save(run)
    write_voice(run)
    raise InterruptedBySignal(
        f"Stopped at step {run.state.step} of {run.config.train.max_steps}: everything is saved in {run.folder.path}; "
        "continue with --resume."
    )


def _opening(run: Run) -> str:
    state, train = run.state, run.config.train
    what = f"{run.sampler.own} slices of {some(run.prepared.speakers)}"
    if run.sampler.replayed:
        what += f" and {len(run.dataset) - run.sampler.own} lines of the base"
    start = f"continuing at step {state.step}" if run.saved_step is not None else "starting"
    limit = f" or {train.max_minutes:g} minutes of this call" if train.max_minutes else ""
    held_out = "" if run.validator.usable else " No recording is held out, so the voice of the last step is kept."
    return (
        f"Training on {what}, {start}, up to {train.max_steps} steps{limit}, on {as_text(state.accelerator)}.{held_out}"
    )
