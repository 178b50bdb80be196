"""What is measured of a song every 100 ms: a stream cut into such steps, and values between them."""

import numpy as np

STEP_SECONDS = 0.1


class StepCutter:
    """Cuts a stream of `rows` rows of samples into whole steps of `step` samples."""

    def __init__(self, sample_rate: int, rows: int) -> None:
        self.step = round(STEP_SECONDS * sample_rate)
        self.rest = np.zeros((rows, 0), dtype=np.float32)
        """(rows, n): the samples that fill no step yet."""

    def cut(self, samples: np.ndarray) -> np.ndarray:
        """Take the next (rows, n) samples; the steps that are whole now, float64 (rows, G, step)."""
        samples = np.concatenate([self.rest, samples], axis=1)
        whole = samples.shape[1] // self.step
        self.rest = samples[:, whole * self.step :]
        return samples[:, : whole * self.step].reshape(len(samples), whole, self.step).astype(np.float64)


def between_steps(values: np.ndarray, step: int, start: int, stop: int) -> np.ndarray:
    """Values (G,) of steps of `step` samples at samples [start, stop): float64 (n,), linear between steps' middles."""
    positions = (np.arange(start, stop) + 0.5) / step - 0.5
    return np.interp(positions, np.arange(len(values)), values)
