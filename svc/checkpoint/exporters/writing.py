"""A voice of ours as files of so-vits-svc 4.1 or RVC v2, read back before they are handed over."""

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from svc.checkpoint.exporters.keys import rvc_keys, sovits_keys
from svc.checkpoint.exporters.layouts import (
    RVC,
    RVC_ENCODERS,
    SOVITS,
    differences,
    named_speakers,
    require_rvc,
    require_sovits,
    rvc_settings,
    sovits_settings,
)
from svc.checkpoint.importers.opening import import_voice
from svc.checkpoint.importers.rvc import RATES
from svc.checkpoint.voice import Voice, without_training_parts
from svc.errors import CheckpointError

Format = Literal["sovits", "rvc"]
Precision = Literal["auto", "fp32", "fp16"]


PROGRAMS = {"sovits": SOVITS, "rvc": RVC}
# Choices of a program or its user that its files leave open.
NOT_RECORDED = ("model.unvoiced_f0", "model.source_noise", "features.loudness_window")


@dataclass(frozen=True)
class Export:
    """What was written: the files, the number format of the weights, and what the layout does not keep."""

    files: tuple[Path, ...]
    precision: str
    notes: tuple[str, ...] = ()


def export_voice(voice: Voice, layout: Format, output: Path, precision: Precision = "auto") -> Export:
    """Write `voice` in the layout of so-vits-svc 4.1 ("sovits") or RVC v2 ("rvc").

    "sovits": `output` is a folder, new or empty, for G_STEPS.pth and config.json. "rvc": a .pth file for users,
    without training parts. Weights go over bit by bit; "auto" stores halves in an RVC file where that loses nothing
    (voices imported from one), else float32. What was written is opened again with the importer and compared before
    it gets its name. Raises CheckpointError in one sentence when the layout cannot hold the voice, naming the setting,
    or when the files cannot be written.
    """
    require = require_sovits if layout == "sovits" else require_rvc
    require(voice)
    state = voice.state if layout == "sovits" else without_training_parts(voice.state)
    dtype = _dtype(layout, state, precision)
    stored = {name: value.detach().cpu().to(dtype, copy=True).contiguous() for name, value in state.items()}
    for name, value in stored.items():
        if not torch.isfinite(value).all():
            raise CheckpointError(f"The weight {name} is too large for fp16: export with precision fp32.")
    write = _write_sovits if layout == "sovits" else _write_rvc
    output = Path(output)
    if layout == "sovits" and output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise CheckpointError(f"{output} is not an empty folder: choose a new one for G_*.pth and its config.json.")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".svc-export-", dir=output.parent) as folder:
            made = write(voice, stored, Path(folder), output)
            again = import_voice(made[0])
            _compare(again, stored, layout)
            notes = _notes(voice, again, layout)
            files = _hand_over(made, output, layout)
    except OSError as error:
        raise CheckpointError(
            f"Cannot write {output}: {error.strerror or error}; free space or choose another folder."
        ) from error
    return Export(files, "fp16" if dtype == torch.float16 else "fp32", notes)


def _dtype(layout: Format, state: dict[str, Tensor], precision: Precision) -> torch.dtype:
    if precision == "fp16":
        return torch.float16
    halves = layout == "rvc" and all(torch.equal(value.half().to(value.dtype), value) for value in state.values())
    return torch.float16 if precision == "auto" and halves else torch.float32


def _write_sovits(voice: Voice, state: dict[str, Tensor], folder: Path, output: Path) -> list[Path]:
    config = voice.config
    named = re.match(r"G_(\d+)", str(voice.provenance.get("imported_from", "")))
    steps = named[1] if named else voice.provenance.get("steps", voice.provenance.get("step"))
    epochs = voice.provenance.get("epochs")
    made = [folder / f"G_{steps if str(steps).isdigit() else 1}.pth", folder / "config.json"]
    # What an optimiser says that has not made a step, as the program's own compress tool leaves behind.
    groups = torch.optim.AdamW([torch.zeros(1)], lr=1e-4, betas=(0.8, 0.99), eps=1e-9).state_dict()["param_groups"]
    groups[0]["params"] = list(range(len(state)))
    torch.save(
        {
            "model": sovits_keys(state, config.flow_couplings, len(config.resblock_kernel_sizes)),
            "iteration": epochs if type(epochs) is int else 0,
            "optimizer": {"state": {}, "param_groups": groups},
            "learning_rate": 1e-4,
        },
        made[0],
    )
    made[1].write_text(json.dumps(sovits_settings(voice), indent=2, ensure_ascii=False), encoding="utf-8")
    return made


def _write_rvc(voice: Voice, state: dict[str, Tensor], folder: Path, output: Path) -> list[Path]:
    names = {str(number): name for name, number in named_speakers(voice).items()}
    info = voice.provenance.get("info")
    file: dict[str, Any] = {
        "weight": rvc_keys(state, len(voice.config.resblock_kernel_sizes)),
        "config": rvc_settings(voice),
        "info": info if isinstance(info, str) else "exported",
        "sr": next(name for name, rate in RATES.items() if rate == voice.spec.sample_rate),
        "f0": int(voice.config.pitch_input != "none"),
        "version": RVC_ENCODERS[voice.spec.content_encoder],
        "speaker_info": names,
    }
    made = folder / output.name
    torch.save(file, made)
    return [made]


def _compare(again: Voice, stored: dict[str, Tensor], layout: Format) -> None:
    """CheckpointError unless the importer found exactly the weights that were to be stored."""
    differ = {*again.state} ^ {*stored}
    differ |= {n for n in {*again.state} & {*stored} if not torch.equal(again.state[n], stored[n].float())}
    if differ:
        raise CheckpointError(
            f"The layout of {PROGRAMS[layout]} does not give back {min(differ)} of this voice as it is: share the "
            "voice.safetensors instead."
        )


def _hand_over(made: list[Path], output: Path, layout: Format) -> tuple[Path, ...]:
    if layout == "rvc":
        os.replace(made[0], output)
        return (output,)
    created = not output.exists()
    output.mkdir(exist_ok=True)
    try:
        for path in reversed(made):  # the settings first: a G_*.pth is never there without them
            os.replace(path, output / path.name)
    except OSError:
        if created:
            shutil.rmtree(output, ignore_errors=True)
        raise
    return tuple(output / path.name for path in made)


def _notes(voice: Voice, again: Voice, layout: Format) -> tuple[str, ...]:
    """What the files do not say, in sentences; CheckpointError where it is more than a layout may leave open."""
    notes = []
    for name, (ours, theirs) in differences(voice, again).items():
        if name == "model.pitch_input" and theirs == "binned_41":
            notes.append(
                "so-vits-svc 4.1 sings notes above 1103 Hz from another pitch bin than this voice was made with."
            )
        elif name in NOT_RECORDED:
            notes.append(f"The files do not record {name}, which is {ours} here; an import takes {theirs} unless told.")
        else:
            raise CheckpointError(
                f"The layout of {PROGRAMS[layout]} cannot hold this voice: {name} is {ours} and comes back as "
                f"{theirs}; share the voice.safetensors instead."
            )
    if voice.has_training_parts and layout == "rvc":
        notes.append("RVC's user files hold no training parts: keep the voice.safetensors to train further.")
    if not voice.has_training_parts and layout == "sovits":
        notes.append("The voice has no training parts, so so-vits-svc cannot train it further.")
    return tuple(notes)
