"""Playing a training crop faster or slower: formants and pitch move together, what is sung stays the same."""

import numpy as np
import torch
from torch import Tensor

Crop = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""content (T, D), f0_hz, voiced, loudness_db (T,), audio (T * hop,)."""


def ratio_of(semitones: float) -> float:
    """The speed that raises everything by `semitones`."""
    return float(2.0 ** (semitones / 12.0))


def source_frames(frames: int, ratio: float, available: int) -> tuple[int, int]:
    """Frames to read and frames that come of them when `frames` are wanted and `available` exist."""
    read = min(available, int(np.ceil(frames * ratio)))
    return read, max(1, min(frames, int(read / ratio)))


def shift(crop: Crop, ratio: float, frames: int, sample_rate: int) -> Crop:
    """`crop` played `ratio` times as fast, its first `frames` frames.

    Sample n of the result is the source at n * ratio, so the middle of frame t lies at source frame
    (t + 0.5) * ratio - 0.5: content, F0 and loudness are interpolated there, voicing is the nearest frame's. F0 is
    multiplied by `ratio`.
    """
    import soxr

    content, f0_hz, voiced, loudness_db, audio = crop
    hop = len(audio) // len(f0_hz)
    at = ((torch.arange(frames, dtype=torch.float64) + 0.5) * ratio - 0.5).clamp(0, len(f0_hz) - 1)
    low = at.floor().long()
    high = (low + 1).clamp(max=len(f0_hz) - 1)
    part = (at - low).float()

    def between(values: Tensor) -> Tensor:
        weight = part.unsqueeze(1) if values.dim() == 2 else part
        return torch.lerp(values[low], values[high], weight)

    played = soxr.resample(audio.numpy(), sample_rate * ratio, sample_rate, quality="HQ")[: frames * hop]
    samples = torch.zeros(frames * hop)
    samples[: len(played)] = torch.from_numpy(played)
    return between(content), between(f0_hz) * ratio, voiced[at.round().long()], between(loudness_db), samples
