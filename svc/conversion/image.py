"""Where the singer stands in the song: measured on the separated vocals, given to the converted ones."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from svc.conversion.steps import STEP_SECONDS, StepCutter, between_steps

SMOOTHING_SECONDS = 0.75
LARGEST_GAIN = 4.0


@dataclass(frozen=True)
class VocalImage:
    """Down-mix and placement of one song's vocals.

    weights (C,): the down-mix is sum(weights * channels), with sum(|weights|) = 1. gains (C, G): level of each channel
    relative to the down-mix, every `step` samples; negative for a channel of opposite polarity.
    """

    weights: np.ndarray
    gains: np.ndarray
    step: int

    def downmix(self, samples: np.ndarray) -> np.ndarray:
        """(C, n) to mono (n,) float32."""
        return (self.weights @ samples).astype(np.float32)

    def place(self, mono: np.ndarray, start: int) -> np.ndarray:
        """Mono samples (n,), the first of which is sample `start` of the song, to (C, n) float32."""
        stop = start + len(mono)
        return np.stack([mono * between_steps(row, self.step, start, stop) for row in self.gains]).astype(np.float32)


class ImageMeter:
    """Collects the covariance of the channels of a stream every 100 ms."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._steps = StepCutter(sample_rate, channels)
        self.channels = channels
        self._covariance: list[np.ndarray] = []

    def add(self, samples: np.ndarray) -> None:
        """Take the next (C, n) samples."""
        steps = self._steps.cut(samples)
        self._covariance.extend(np.einsum("cgs,dgs->gcd", steps, steps, optimize=True))

    def image(self) -> VocalImage:
        """The image of all samples so far.

        The down-mix is the direction of the most energy (first principal component): the plain mean for a voice in the
        middle, the one channel that has it in a film mix, and no cancellation when channels have opposite polarity. A
        channel's gain is the root of its energy over that of the down-mix, smoothed over 0.75 s and leaning on the
        whole song's where little sounds, so that panning and level differences come back.
        """
        rest = self._steps.rest.astype(np.float64)
        steps = np.array([*self._covariance, rest @ rest.T])
        whole = steps.sum(axis=0)
        if not whole.any():
            even = np.full(self.channels, 1.0 / self.channels)
            return VocalImage(even, np.ones((self.channels, 1)), self._steps.step)
        direction = np.linalg.eigh(whole)[1][:, -1]
        direction *= 1.0 if direction.sum() >= 0 else -1.0
        weights = direction / np.abs(direction).sum()
        smooth = gaussian_filter1d(steps, SMOOTHING_SECONDS / STEP_SECONDS, axis=0, mode="nearest")
        smooth += 1e-3 * whole / len(steps)
        mono = np.einsum("c,gcd,d->g", weights, smooth, weights)
        energy = np.einsum("gcc->cg", smooth)
        polarity = np.where(whole @ weights >= 0, 1.0, -1.0)[:, None]
        gains = polarity * np.minimum(np.sqrt(energy / (mono + 1e-20)), LARGEST_GAIN)
        return VocalImage(weights, gains, self._steps.step)
