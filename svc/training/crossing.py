"""Lines of the base sung by the new singer: what a conversion does, practised during training.

A few minutes of a singer hold few sounds. The rest she is only heard with when somebody else's song is converted, and
no recording has taught the decoder how she sounds there. So some of the lines of the base that are trained on beside
her recordings are given to her. They have no recording to be compared with, but the discriminators can say whether
they sound like her, since what they then take for recorded is hers alone.
"""

import torch
from torch import Tensor

from svc.data.dataset import Batch

OWN, LINE, CROSSED = 0, 1, 2
"""Roles of an item: a recording of the singer; a line of the base, sung by its own singer; one given to her."""


def cross(batch: Batch, own_singers: int, share: float) -> Batch:
    """`batch` with its roles set, and about `share` of its lines given to singers of recordings in it.

    Speakers below `own_singers` are the dataset's, others sing lines of the base. A line that is given takes the
    speaker and the bandwidth of a recording in the batch, drawn at random, and its F0 moves to the octave nearest to
    that recording's. Without a recording or a line nothing is given. torch's generator draws. Tensors on the CPU.
    """
    line = batch.speaker_id >= own_singers
    role = torch.where(line, LINE, OWN)
    given = line & (torch.rand(len(line)) < share)
    singers, rows = (~line).nonzero().squeeze(1), given.nonzero().squeeze(1)
    if not len(singers) or not len(rows):
        return batch._replace(role=role)
    taken = singers[torch.randint(len(singers), (len(rows),))]
    height = _mean_octave(batch)
    f0_hz, speaker_id, bandwidth_hz = batch.f0_hz.clone(), batch.speaker_id.clone(), batch.bandwidth_hz.clone()
    f0_hz[rows] *= torch.exp2(torch.round(height[taken] - height[rows])).unsqueeze(1)
    speaker_id[rows], bandwidth_hz[rows] = batch.speaker_id[taken], batch.bandwidth_hz[taken]
    role[rows] = CROSSED
    return batch._replace(f0_hz=f0_hz, speaker_id=speaker_id, bandwidth_hz=bandwidth_hz, role=role)


def _mean_octave(batch: Batch) -> Tensor:
    """Mean log2 of each item's F0 (B,) over its voiced frames; over all frames where none is voiced."""
    voiced = batch.voiced > 0.5
    voiced = torch.where(voiced.any(dim=1, keepdim=True), voiced, torch.ones_like(voiced)).float()
    return (torch.log2(batch.f0_hz.clamp(min=1.0)) * voiced).sum(1) / voiced.sum(1)
