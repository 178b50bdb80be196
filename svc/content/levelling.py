"""A gentle, local level control in front of content encoders.

It replaces what a network's own norm over the whole clip does (undo the recording's level) by something that
depends on two seconds to each side only, so that a slice, its song and a stream get the same level.
"""

import numpy as np

TARGET_RMS = 0.08
FLOOR_RMS = 0.003
REACH_SECONDS = 2.0
BLOCK_FRAMES = 4096


def frame_gains(samples: np.ndarray, hop: int, sample_rate: int) -> np.ndarray:
    """Gain at samples 0, hop, 2 hop ...: (N // hop + 1,) float32, for samples (N,).

    The level is the power-weighted mean power of frames of 2 hop around it, under a Hann window of
    +- REACH_SECONDS, so that loud frames count and pauses do not; a level below FLOOR_RMS is not raised further.
    """
    power = _frame_power(samples, hop)
    reach = int(REACH_SECONDS * sample_rate / hop)
    window = np.hanning(2 * reach + 3)[1:-1]
    weighted = np.convolve(power * power, window)[reach : reach + len(power)]
    level = np.sqrt(weighted / (np.convolve(power, window)[reach : reach + len(power)] + 1e-12))
    return (TARGET_RMS / np.maximum(level, FLOOR_RMS)).astype(np.float32)


def levelled(piece: np.ndarray, start: int, gains: np.ndarray, hop: int) -> np.ndarray:
    """Samples [start, start + n) of a recording, times its gains read linearly between frames: (n,) float32."""
    position = np.arange(start, start + len(piece)) / hop
    return piece * np.interp(position, np.arange(len(gains)), gains).astype(np.float32)


def _frame_power(samples: np.ndarray, hop: int) -> np.ndarray:
    """Mean power of [t hop - hop, t hop + hop), silence beyond the ends: (N // hop + 1,) float64."""
    frames = len(samples) // hop + 1
    halves = np.zeros(frames + 1)  # halves[t] is the power of the hop before frame t
    for first in range(0, frames, BLOCK_FRAMES):
        piece = samples[first * hop : (first + BLOCK_FRAMES) * hop].astype(np.float64)
        piece = np.pad(piece, (0, -len(piece) % hop)).reshape(-1, hop)
        halves[first + 1 : first + 1 + len(piece)] = (piece * piece).sum(axis=1)
    return (halves[:-1] + halves[1:]) / (2 * hop)
