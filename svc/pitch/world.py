"""WORLD's F0 estimators: Harvest and DIO with StoneMask (package pyworld, MIT). No network, no weights.

Morise, "Harvest: A high-performance fundamental frequency estimator from speech signals", Interspeech 2017;
Morise et al., "Fast and reliable F0 estimation method ...", AES 2009 (DIO).
"""

from typing import ClassVar

import numpy as np

from svc.pitch.estimator import PitchEstimator

# WORLD looks some periods to each side of a frame; shorter input crashes or gives nothing.
MIN_SECONDS = 0.1


class _World(PitchEstimator):
    lowest_hz: ClassVar[float] = 20.0
    highest_hz: ClassVar[float] = 2000.0
    step_seconds: ClassVar[float] = 0.005
    offset_seconds: ClassVar[float] = 0.0

    def _padded(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        lacking = int(MIN_SECONDS * sample_rate) - len(samples)
        return np.pad(samples, (0, max(0, lacking))).astype(np.float64)


class Harvest(_World):
    """F0 by Harvest: exact on clean voices up to 2000 Hz, few missed frames, but voices some noise; slow."""

    name: ClassVar[str] = "harvest"

    def _measure(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        import pyworld

        f0, _ = pyworld.harvest(
            self._padded(samples, sample_rate),
            sample_rate,
            f0_floor=self.f0_min_hz,
            f0_ceil=self.f0_max_hz,
            frame_period=self.step_seconds * 1000,
        )
        return f0


class Dio(_World):
    """F0 by DIO, refined by StoneMask: exact on clean voices up to 2000 Hz and the quickest; weak on noisy ones."""

    name: ClassVar[str] = "dio"

    def _measure(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        import pyworld

        wave = self._padded(samples, sample_rate)
        f0, times = pyworld.dio(
            wave,
            sample_rate,
            f0_floor=self.f0_min_hz,
            f0_ceil=self.f0_max_hz,
            frame_period=self.step_seconds * 1000,
        )
        return pyworld.stonemask(wave, f0, times, sample_rate)
