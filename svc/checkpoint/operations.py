"""Voices made of voices: a static mix, and smaller files."""

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from svc.checkpoint.voice import SpeakerInfo, Voice, without_training_parts
from svc.errors import CheckpointError, SpecMismatchError

MAGNITUDE, DIRECTION = ".parametrizations.weight.original0", ".parametrizations.weight.original1"


def mix_voices(voices: list[Voice], weights: list[float], names: list[str]) -> Voice:
    """One voice whose every weight is the mean of those of `voices`, weighted by `weights` scaled to sum to 1.

    The voices must be of one family: the same model settings, features and number of speakers; such voices sound
    like something in between only where they come from the same base. A layer with weight norm is mixed as the
    weight it stands for, and split into magnitude and direction again. A weight of 1 gives that voice back, bit by
    bit. The posterior encoder is kept where all have it. `names` (files) are for messages and provenance.

    Raises CheckpointError, naming two files, where they are not of one family; and for weights that are not 0 or
    more with one above 0.
    """
    if len(voices) < 2 or len(voices) != len(weights) or len(voices) != len(names):
        raise CheckpointError(
            f"A mix needs two voices or more and a weight for each, not {len(weights)} for {len(voices)}."
        )
    if not all(math.isfinite(w) and w >= 0 for w in weights) or not 0 < sum(weights) < math.inf:
        raise CheckpointError("The weights of a mix must be 0 or more, one of them above 0.")
    for voice, name in zip(voices[1:], names[1:]):
        _require_family(voices[0], voice, names[0], name)
    shares = [w / sum(weights) for w in weights]
    parts = [(voice, share) for voice, share in zip(voices, shares) if share > 0]
    complete = all(voice.has_training_parts for voice, _ in parts)
    states = [(v.state if complete else without_training_parts(v.state), share) for v, share in parts]
    provenance = {
        "mixed_from": [
            {"file": Path(name).name, "weight": share, "sha256": _state_hash(voice.state)}
            for voice, share, name in zip(voices, shares, names)
        ]
    }
    notes = dict.fromkeys(voice.note for voice, _ in parts if voice.note)
    speakers = [
        speaker_between(infos) for infos in zip(*([(info, share) for info in v.speakers] for v, share in parts))
    ]
    return Voice(voices[0].config, voices[0].spec, speakers, _mixed(states), provenance, " / ".join(notes))


def compressed(voice: Voice, training_parts: bool = False, precision: Literal["fp32", "fp16"] = "fp16") -> Voice:
    """`voice` as it will be read back from a smaller file.

    Without `training_parts` it can no longer be trained further; with "fp16" it changes by rounding to 11 bits.
    Raises CheckpointError for weights that a half cannot hold.
    """
    state = voice.state if training_parts else without_training_parts(voice.state)
    if precision == "fp16":
        state = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise CheckpointError(f"The weight {name} is too large for fp16: keep the voice in fp32.")
    left = {} if training_parts or not voice.has_training_parts else {"stripped": "training parts"}
    return Voice(voice.config, voice.spec, voice.speakers, state, voice.provenance | left, voice.note)


def _require_family(first: Voice, other: Voice, first_name: str, other_name: str) -> None:
    """CheckpointError unless `other` differs from `first` in nothing but its numbers."""
    ours, theirs = first.config.model_dump(), other.config.model_dump()
    different = [key for key in ours if ours[key] != theirs[key] and key != "dropout"]
    if different:
        parts = ", ".join(f"{key}: {ours[key]} and {theirs[key]}" for key in different[:3])
        raise CheckpointError(
            f"{first_name} and {other_name} are not of one family (model.{parts}): mix voices that come from one base."
        )
    try:
        first.spec.require(other.spec, other_name)
    except SpecMismatchError as error:
        raise CheckpointError(
            f"{first_name} and {other_name} are not of one family, since they were made with other features "
            f"({str(error).partition('(')[2].partition(')')[0]}): mix voices that come from one base."
        ) from error
    if len(first.speakers) != len(other.speakers):
        raise CheckpointError(
            f"{first_name} has {len(first.speakers)} speakers and {other_name} has {len(other.speakers)}: "
            "mix voices with the same number of speakers."
        )


def _mixed(parts: list[tuple[dict[str, Tensor], float]]) -> dict[str, Tensor]:
    first = parts[0][0]
    if len(parts) == 1:
        return {name: value.clone() for name, value in first.items()}

    def mean(of: Callable[[dict[str, Tensor]], Tensor]) -> Tensor:
        return torch.stack([of(state).double() * share for state, share in parts]).sum(dim=0)

    out: dict[str, Tensor] = {}
    for name, value in first.items():
        if name.endswith(MAGNITUDE):
            continue
        if name.endswith(DIRECTION):
            layer = name.removesuffix(DIRECTION)
            weight = mean(lambda state, layer=layer: _effective(state, layer))  # type: ignore[misc]
            out[layer + MAGNITUDE] = _norm(weight).to(value.dtype)
            out[name] = weight.to(value.dtype)
        elif value.is_floating_point():
            out[name] = mean(lambda state, name=name: state[name]).to(value.dtype)  # type: ignore[misc]
        else:
            out[name] = value.clone()
    return out


def _effective(state: dict[str, Tensor], layer: str) -> Tensor:
    """The weight that a layer with weight norm computes with."""
    direction = state[layer + DIRECTION].double()
    return state[layer + MAGNITUDE].double() * direction / _norm(direction)


def _norm(weight: Tensor) -> Tensor:
    """Length of each slice of dimension 0, in the shape weight norm keeps it."""
    return weight.flatten(1).norm(dim=1).view(-1, *[1] * (weight.dim() - 1))


def speaker_between(parts: "Sequence[tuple[SpeakerInfo, float]]") -> SpeakerInfo:
    """One speaker for several and their shares: the name they share or all names, ranges in between on a log scale.

    A range or a level is the mean over those who know theirs.
    """
    if len(parts) == 1:
        return parts[0][0]

    def mean(values: list[float | None]) -> float | None:
        known = [(value, share) for value, (_, share) in zip(values, parts) if value is not None]
        total = sum(share for _, share in known)
        return sum(value * share for value, share in known) / total if total else None

    def middle(field: str) -> float:
        found = mean([math.log(value) if (value := getattr(info, field)) > 0 else None for info, _ in parts])
        return 0.0 if found is None else math.exp(found)

    name = " + ".join(dict.fromkeys(info.name for info, _ in parts))
    minutes = sum(info.minutes * share for info, share in parts)
    low, median, high = (middle(field) for field in ("f0_low_hz", "f0_median_hz", "f0_high_hz"))
    return SpeakerInfo(name, minutes, low, median, high, mean([info.level_db for info, _ in parts]))


def _state_hash(state: dict[str, Tensor]) -> str:
    total = hashlib.sha256()
    for name, value in sorted(state.items()):
        total.update(name.encode())
        total.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
