"""From the encoder's frames to ours, written once for every encoder."""

import numpy as np

from svc.errors import AudioError


def align_frames(values: np.ndarray, source_times: np.ndarray, target_times: np.ndarray) -> np.ndarray:
    """Frames (T', D) known at `source_times` (T',), read at `target_times` (T,): (T, D) float32.

    Linear between neighbours, held before the first and after the last. Times in seconds; source times rise
    strictly. Raises AudioError for no frames, or times that do not fit or do not rise.
    """
    if values.ndim != 2 or len(values) == 0 or len(values) != len(source_times):
        raise AudioError(f"Cannot align {values.shape} frames known at {len(source_times)} times.")
    source = np.asarray(source_times, dtype=np.float64)
    target = np.asarray(target_times, dtype=np.float64)
    if (np.diff(source) <= 0).any():
        raise AudioError("Content frames can only be aligned when their times rise.")
    if len(source) == 1:
        return np.repeat(values.astype(np.float32), len(target), axis=0)
    right = np.clip(np.searchsorted(source, target, side="right"), 1, len(source) - 1)
    left = right - 1
    share = np.clip((target - source[left]) / (source[right] - source[left]), 0.0, 1.0)[:, None].astype(np.float32)
    return (values[left] * (1 - share) + values[right] * share).astype(np.float32)


def left_indices(source_frames: int, target_frames: int) -> np.ndarray:
    """Source frame of each target frame by the rule floor(t * source / target), int64 (target_frames,).

    The "left" rule of so-vits-svc 4.x, exact in integers, so that imported voices get the frames that they
    were trained on.
    """
    _check_counts(source_frames, target_frames)
    return np.arange(target_frames, dtype=np.int64) * source_frames // target_frames


def nearest_indices(source_frames: int, target_frames: int) -> np.ndarray:
    """The "nearest" rule of so-vits-svc 4.1: as `left_indices`, but with a float32 ratio.

    torch's nearest interpolation multiplies by a rounded float32 ratio, which in rare exact cases gives one
    frame less than the exact rule; reproduced because voices were trained so.
    """
    _check_counts(source_frames, target_frames)
    ratio = np.float32(source_frames) / np.float32(target_frames)
    index = np.floor(np.arange(target_frames, dtype=np.float32) * ratio).astype(np.int64)
    return np.minimum(index, source_frames - 1)


def repeated_indices(rule: str, source_frames: int, target_frames: int, step: tuple[int, int]) -> np.ndarray:
    """Source frame of each target frame by the rule "left", "nearest" or "repeat", int64 (target_frames,).

    "repeat" is RVC's: by time alone, where `step` is how many source frames a target frame lasts, as a fraction
    (in RVC 1 / 2); what lies behind the last source frame repeats it.
    """
    if rule == "left":
        return left_indices(source_frames, target_frames)
    if rule == "nearest":
        return nearest_indices(source_frames, target_frames)
    _check_counts(source_frames, target_frames)
    return np.minimum(np.arange(target_frames, dtype=np.int64) * step[0] // step[1], source_frames - 1)


def _check_counts(source_frames: int, target_frames: int) -> None:
    if source_frames < 1 or target_frames < 0:
        raise AudioError(f"Cannot map {source_frames} content frames to {target_frames} frames.")
