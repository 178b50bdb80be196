"""What a singer's recordings do not tell: above their bandwidth she keeps the highs that the base gives her.

Losses do not reach above the bandwidth of a recording, and the network's weights move all the same: in ten minutes of
training on recordings that end at 5 to 8 kHz what is sung above them drifts, and it is what sounds unnatural then. So
there it is compared with what the same model sang before the first step.
"""

import copy
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from svc.data.dataset import Batch
from svc.errors import CheckpointError
from svc.models.vits.voice_model import VoiceModel
from svc.training.crossing import LINE
from svc.training.inputs import audio_segments, model_input
from svc.training.state import TrainState


class Highs(NamedTuple):
    """Items `rows` (R,) of a batch, their segments as the start sings them (R, 1, S), and their bandwidths (R,)."""

    rows: Tensor
    audio: Tensor
    bandwidth_hz: Tensor


@torch.no_grad()
def highs_of_the_start(state: TrainState, batch: Batch, starts: Tensor) -> Highs | None:
    """The segments from frame `starts` (B,) on of all items that are hers and end below half the rate; None: no item.

    Lines of the base that its own singers sing are not held: there are recordings of them, and they are not exported.
    """
    assert state.start is not None
    narrow = batch.bandwidth_hz < state.spec.sample_rate / 2
    rows = (narrow & (batch.role != LINE) if state.crossing else narrow).nonzero().squeeze(1)
    if not len(rows):
        return None
    part = model_input(Batch(*(values[rows] for values in batch)))
    hop, frames = state.spec.hop_length, state.config.segment_frames
    noise = torch.randn(len(rows), part.f0_hz.shape[1] * hop, device=part.f0_hz.device)
    with state.accelerator.autocast():
        audio = state.start.infer(part, None, torch.zeros_like(noise[:, 0]), noise).squeeze(1)
    return Highs(rows, audio_segments(audio, starts[rows], frames, hop), batch.bandwidth_hz[rows])


def frozen(model: VoiceModel) -> VoiceModel:
    """A copy of `model` that stays as it is."""
    # Weight norm stays in it: taken out of a copy, torch takes it out of the original's classes as well.
    return copy.deepcopy(model).eval().requires_grad_(False)


def load_start(path: Path, model: VoiceModel) -> VoiceModel:
    """The start that a run wrote down, in the shape of `model`; CheckpointError when the file does not fit."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    start = frozen(model)
    try:
        start.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}, what the run began with, cannot be read ({str(error).splitlines()[0]}): "
            "continue with --train.losses.highs 0."
        ) from error
    return start
