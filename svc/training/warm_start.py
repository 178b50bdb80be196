"""Starting from a trained voice and trained discriminators instead of random weights."""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from svc.checkpoint.importers.keys import discriminator_state
from svc.checkpoint.importers.opening import is_foreign
from svc.checkpoint.voice import HEAD_PREFIX, TRAINING_PREFIX, Voice
from svc.config import ModelConfig
from svc.data.manifest import PreparedDataset
from svc.errors import CheckpointError
from svc.features.spec import FeatureSpec
from svc.models.vits.voice_model import VoiceModel
from svc.progress import some
from svc.safe_read import check_keys
from svc.training.adoption import foreign_discriminators, foreign_name, is_imported, open_base
from svc.training.progress import MessageSink
from svc.training.run_folder import save_tensors
from svc.training.singer_rows import hear_singers
from svc.training.state import DiscriminatorSet

DISCRIMINATOR_FORMAT = "svc-discriminator"
DISCRIMINATOR_VERSION = 1
SPEAKER_TABLE = "speaker.weight"


def start_from_voice(
    model: VoiceModel,
    path: Path,
    spec: FeatureSpec,
    speakers: list[str],
    messages: MessageSink,
    prepared: PreparedDataset | None = None,
    mentioned: Collection[str] | None = None,
) -> dict[str, Any]:
    """Copy a base voice's weights into `model`; what names the base for the new voice's provenance.

    The base is a voice of ours or of another program; one of another program that was saved without its posterior
    encoder gets a new one, and a message says so. Every weight must have the shape the model asks for, except the
    speaker table: singers known to the base by the same name keep their row, others start at the mean of the base's
    rows, or, with `prepared`, at what the base's prompt encoder hears in their recordings, and a message names those of
    them that are `mentioned` (None: all).
    The head of the loss `frame_mel` may be missing. Raises SpecMismatchError when the base was made for other features,
    CheckpointError when it lacks its training parts or has other model settings.
    """
    base = open_base(path)
    spec.require(base.spec, f"The base voice {path}")
    _require_settings(base.config, model.config, path)
    wanted = model.state_dict()
    head = [name for name in {*wanted, *base.state} if name.startswith(HEAD_PREFIX)]
    missing = sorted(set(wanted) - set(base.state) - set(head))
    new = [name for name in head if name in wanted and name not in base.state]
    if is_imported(base) and not base.has_training_parts:
        new += [name for name in missing if name.startswith(TRAINING_PREFIX)]
        missing = [name for name in missing if name not in new]
        messages(
            f"The base voice {path} was saved without its posterior encoder, which starts from random weights: give "
            "the training time, or start from the G_*.pth of the same training."
        )
    if missing:
        raise CheckpointError(
            f"The base voice {path} lacks {len(missing)} weights needed for training (first: {missing[0]}): "
            "use a voice that was saved with its training parts."
        )
    foreign = sorted(set(base.state) - set(wanted) - set(head))
    if foreign:
        raise CheckpointError(f"The base voice {path} holds {len(foreign)} unknown weights (first: {foreign[0]}).")
    taken = {name: base.state[name] for name in wanted if name != SPEAKER_TABLE and name not in new}
    taken |= {name: wanted[name] for name in new}
    heard = prepared is not None and model.prompt_encoder is not None
    taken[SPEAKER_TABLE] = _speaker_rows(base, speakers, heard, messages, mentioned)
    for name, tensor in taken.items():
        if tensor.shape != wanted[name].shape:
            raise CheckpointError(
                f"The base voice {path} does not fit: {name} is {tuple(tensor.shape)}, "
                f"the model needs {tuple(wanted[name].shape)}: use the model settings of the base."
            )
    model.load_state_dict(taken)
    if heard and prepared is not None:
        known = {speaker.name for speaker in base.speakers}
        hear_singers(model, prepared, [name for name in speakers if name not in known])
    return {"file": path.name, "sha256": _sha256(path)}


def _require_settings(base: ModelConfig, mine: ModelConfig, path: Path) -> None:
    theirs, ours = base.model_dump(), mine.model_dump()
    different = [name for name in ours if ours[name] != theirs[name] and name != "dropout"]
    if different:
        parts = ", ".join(f"model.{name} is {theirs[name]} there and {ours[name]} here" for name in different)
        raise CheckpointError(
            f"The base voice {path} has other model settings ({parts}): use the settings of the base."
        )


def _speaker_rows(
    base: Voice, speakers: list[str], heard: bool, messages: MessageSink, mentioned: Collection[str] | None
) -> Tensor:
    table = base.state[SPEAKER_TABLE].float()
    known = {speaker.name: row for row, speaker in zip(table, base.speakers)}
    new = [name for name in speakers if name not in known and (mentioned is None or name in mentioned)]
    if new:
        start = "what it hears in their recordings" if heard else "the mean of its rows"
        messages(
            f"The base voice's speaker table knows {len(known)} singers ({some(list(known))}) and could not be used "
            f"for {some(new)}: they start at {start}."
        )
    return torch.stack([known.get(name, table.mean(dim=0)) for name in speakers])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_discriminator(path: Path, discriminator: DiscriminatorSet, step: int) -> None:
    """Write the discriminators as safetensors, so that another run can start from them."""
    header = {
        "format": DISCRIMINATOR_FORMAT,
        "version": DISCRIMINATOR_VERSION,
        "names": list(discriminator.members),
        "step": step,
    }
    save_tensors(path, discriminator.state_dict(), {"svc": json.dumps(header)})


def discriminator_names(path: Path) -> list[str]:
    """Names of the discriminators in a file of `save_discriminator`; CheckpointError when it is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return list(json.loads((file.metadata() or {})["svc"])["names"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"The base discriminator {path} cannot be read ({error}).") from error


def load_discriminator(path: Path, discriminator: DiscriminatorSet) -> None:
    """Copy the weights of a file of `save_discriminator`, or of a D_*.pth of so-vits-svc or RVC.

    Raises CheckpointError unless names and shapes are the same.
    """
    from safetensors import SafetensorError, safe_open

    if is_foreign(path):
        return _load_foreign_discriminator(path, discriminator)
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {}).get("svc", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"The base discriminator {path} cannot be read ({error}).") from error
    if header.get("format") != DISCRIMINATOR_FORMAT or header.get("version") != DISCRIMINATOR_VERSION:
        raise CheckpointError(
            f"{path} is not a discriminator file of version {DISCRIMINATOR_VERSION}: "
            "use the discriminator.safetensors of a finished run."
        )
    if header["names"] != list(discriminator.members):
        raise CheckpointError(
            f"The base discriminator {path} is of {', '.join(header['names'])}, the settings ask for "
            f"{', '.join(discriminator.members)}: set train.discriminator and train.extra_discriminators alike."
        )
    try:
        discriminator.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(
            f"The base discriminator {path} does not fit: {str(error).splitlines()[1].strip()}"
        ) from error


def _load_foreign_discriminator(path: Path, discriminator: DiscriminatorSet) -> None:
    state = foreign_discriminators(path)
    name = foreign_name(state, path)
    if name not in discriminator.members:
        raise CheckpointError(
            f"The base discriminator {path} is of {name}, the settings ask for {', '.join(discriminator.members)}: "
            f"set train.discriminator {name}."
        )
    member = discriminator.members[name]
    if not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path} holds other things than tensors: get the file again from its source.")
    tensors = discriminator_state(dict(state))
    check_keys(tensors, {key: tuple(value.shape) for key, value in member.state_dict().items()}, str(path))
    member.load_state_dict(tensors)
