"""Praat's autocorrelation method (package praat-parselmouth, GPL-3, an optional extra). No network, no weights.

Boersma, "Accurate short-term analysis of the fundamental frequency ...", IFA Proceedings 17, 1993.
"""

from typing import Any, ClassVar

import numpy as np

from svc.errors import MissingExtraError
from svc.pitch.estimator import PitchEstimator

# Praat's window holds three periods of the lowest F0; shorter input has no frame at all.
PERIODS = 3


class Praat(PitchEstimator):
    """F0 by Praat's autocorrelation: exact on clean voices and very quick; weak where something plays along.

    Range: 20 to 2000 Hz. Raises MissingExtraError where the package is not installed.
    """

    name: ClassVar[str] = "praat"
    lowest_hz: ClassVar[float] = 20.0
    highest_hz: ClassVar[float] = 2000.0
    step_seconds: ClassVar[float] = 0.005
    offset_seconds: ClassVar[float] = 0.0

    def __init__(self, f0_min_hz: float = 50.0, f0_max_hz: float = 1100.0, device: str = "cpu") -> None:
        super().__init__(f0_min_hz, f0_max_hz, device)
        _parselmouth()

    def _measure(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        parselmouth = _parselmouth()
        # Silence at both ends gives the first and last frame of the grid a whole window.
        margin = int(np.ceil(PERIODS / self.f0_min_hz / self.step_seconds)) * self.step_seconds
        pad = round(margin * sample_rate)
        sound = parselmouth.Sound(np.pad(samples, pad).astype(np.float64), float(sample_rate))
        pitch = sound.to_pitch_ac(
            time_step=self.step_seconds,
            pitch_floor=self.f0_min_hz,
            pitch_ceiling=min(self.f0_max_hz, 0.45 * sample_rate),
        )
        found = pitch.selected_array["frequency"]
        # Praat centres its frames in the sound, so its grid lies between ours.
        frames = int(len(samples) / sample_rate / self.step_seconds) + 1
        ours = np.arange(frames) * self.step_seconds + pad / sample_rate
        return self._regridded(pitch.xs(), found, ours)

    def _regridded(self, times: np.ndarray, f0_hz: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """F0 at `wanted`: between two voiced frames their geometric interpolation, else the nearer frame."""
        position = ((wanted - times[0]) / self.step_seconds).clip(0, len(times) - 1)
        left = np.floor(position).astype(np.int64)
        right = np.minimum(left + 1, len(times) - 1)
        weight = position - left
        a, b = f0_hz[left], f0_hz[right]
        smooth = (a > 0) & (b > 0)
        smooth[smooth] = np.abs(np.log2(b[smooth] / a[smooth])) < 0.5
        out = np.where(weight < 0.5, a, b)
        out[smooth] = a[smooth] ** (1 - weight[smooth]) * b[smooth] ** weight[smooth]
        return out


def _parselmouth() -> Any:
    try:
        import parselmouth
    except ImportError:
        raise MissingExtraError("praat-parselmouth", "praat", "The pitch estimator 'praat'") from None
    return parselmouth
