"""Everything a run needs, opened: dataset, models at their start or where they were, folder."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from svc.checkpoint.resume import load_latest
from svc.config import Config
from svc.data.dataset import DrawSampler, VoiceDataset
from svc.data.manifest import PreparedDataset
from svc.errors import ConfigError
from svc.models.vits.voice_model import VoiceModel
from svc.training.continuation import check_continuation
from svc.training.devices import make_accelerator
from svc.training.highs import frozen, load_start
from svc.training.progress import MessageSink, NoProgress, TrainProgress, ignore
from svc.training.replay import replay_lines
from svc.training.run_folder import RunFolder, save_tensors
from svc.training.state import TrainState, build_models, build_state, wants_prompts
from svc.training.tracking import Tracker
from svc.training.validation import Validator
from svc.training.warm_start import load_discriminator, start_from_voice


@dataclass
class Run:
    """A run in progress. `seconds_before` is the training time of earlier invocations."""

    config: Config
    prepared: PreparedDataset
    folder: RunFolder
    state: TrainState
    dataset: VoiceDataset
    sampler: DrawSampler
    validator: Validator
    tracker: Tracker
    progress: TrainProgress
    messages: MessageSink
    provenance: dict[str, Any]
    start_step: int = 0
    seconds_before: float = 0.0
    started: float = field(default_factory=time.monotonic)
    saved_step: int | None = None
    validated_step: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def main(self) -> bool:
        """Whether this process writes files."""
        return self.state.accelerator.is_main_process

    @property
    def seconds(self) -> float:
        """Training time of this invocation."""
        return time.monotonic() - self.started


def setup(
    config: Config,
    dataset_dir: Path,
    folder: RunFolder,
    base: Path | str | None,
    base_discriminator: Path | str | None,
    resume: str | bool,
    device: str,
    messages: MessageSink,
) -> Run:
    """Open the dataset, build or restore the state, make the run folder."""
    if config.train.shift_augment > 0 and not config.model.formant_input:
        raise ConfigError("train.shift_augment needs a model that is told the shift: set model.formant_input true.")
    if config.train.crossed_share > 0 and config.model.latent != "direct":
        # What a posterior made of one singer's recording is no way to another one.
        raise ConfigError("train.crossed_share is for models without a posterior: set model.latent direct, or it to 0.")
    prepared = PreparedDataset.open(dataset_dir)
    saved = load_latest(folder.checkpoints, previous=resume == "previous") if resume else None
    if saved is None:
        folder.require_new()
    accelerator = make_accelerator(config.train, device)
    if not accelerator.is_main_process:
        messages = ignore
    if config.train.compile and accelerator.device.type != "cuda":
        messages(f"train.compile is for CUDA: on {accelerator.device} the run goes on without it.")
    provenance = json.loads(saved["provenance"]) if saved else {}
    if config.train.held_parts and base is None and "base" not in provenance:
        raise ConfigError(
            "train.held_parts keeps what a base brings, and this run has none: name a base or hold nothing."
        )
    if config.train.losses.highs > 0 and base is None and "base" not in provenance:
        raise ConfigError(
            "train.losses.highs keeps the highs that a base sings, and this run has none: name a base or set it to 0."
        )
    examples = _with_lines(prepared, config, accelerator, messages)
    model, discriminator = build_models(config, prepared.spec, len(examples.speakers))
    if saved is not None and (base is not None or base_discriminator is not None):
        messages("The base is read at the start of a run only: this run goes on from its own state.")
    if saved is None and base is not None:
        provenance["base"] = start_from_voice(
            model, Path(base), prepared.spec, examples.speakers, messages, examples, prepared.speakers
        )
    if saved is None and base_discriminator is not None:
        load_discriminator(Path(base_discriminator), discriminator)
    start = _start(config, model, folder.start if saved else None, messages)
    state = build_state(config, prepared.spec, accelerator, model, discriminator)
    state.own_singers = len(prepared.speakers)
    state.start = None if start is None else start.to(state.device)
    position = (0, 0)
    if saved is not None:
        position = check_continuation(saved, config, prepared, accelerator.num_processes, messages)
        state.restore(saved)
    dataset, sampler = _drawn(config, prepared, examples, accelerator, position)
    if accelerator.is_main_process:
        folder.create(config)
        if saved is None and start is not None:
            save_tensors(folder.start, start.state_dict())
    return Run(
        config=config,
        prepared=prepared,
        folder=folder,
        state=state,
        dataset=dataset,
        sampler=sampler,
        validator=Validator(prepared, config.train.validation_clips, messages, config.model.unvoiced_f0),
        tracker=Tracker(folder.path, state.step, accelerator.is_main_process),
        progress=NoProgress(),
        messages=messages,
        provenance=provenance,
        start_step=state.step,
        seconds_before=saved["seconds"] if saved else 0.0,
        saved_step=state.step if saved else None,
    )


def _start(config: Config, model: VoiceModel, saved: Path | None, messages: MessageSink) -> VoiceModel | None:
    """What the loss `highs` compares with: `model` before the first step, or what the run that goes on saved of it."""
    if config.train.losses.highs == 0:
        return None
    if saved is None:
        return frozen(model)
    if not saved.is_file():
        messages(f"{saved}, what the run began with, is not there: it goes on without the loss highs.")
        return None
    return load_start(saved, model)


def _with_lines(
    prepared: PreparedDataset, config: Config, accelerator: Accelerator, messages: MessageSink
) -> PreparedDataset:
    """What is trained on: the dataset, and behind it the lines of the base where a share of them is asked for."""
    if not config.train.replay_share:
        return prepared
    with accelerator.main_process_first():
        return prepared.joined(replay_lines(prepared.spec, messages))


def _drawn(
    config: Config,
    prepared: PreparedDataset,
    examples: PreparedDataset,
    accelerator: Accelerator,
    position: tuple[int, int],
) -> tuple[VoiceDataset, DrawSampler]:
    """The crops of `examples`, and which of them come when, from `position` on."""
    own = prepared.split("train")
    dataset = VoiceDataset(
        examples,
        examples.split("train") if own else [],  # lines alone are no singer to train on
        config.train,
        prompts=wants_prompts(config),
        unvoiced_f0=config.model.unvoiced_f0,
    )
    sampler = DrawSampler(
        [u.frames for u in dataset.utterances],
        config.train,
        accelerator.process_index,
        accelerator.num_processes,
        position,
        replayed_from=len(own),
    )
    return dataset, sampler
