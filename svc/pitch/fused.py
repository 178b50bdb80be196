"""Two trackers vote: where they disagree by octaves, the melody around decides."""

from typing import ClassVar

import numpy as np

from svc.pitch.editing import repair_octaves, voiced_runs
from svc.pitch.estimator import PitchEstimator

FIRST, SECOND = "fcpe", "dio"
AGREE_CENTS = 50.0
OCTAVE_CENTS = 60.0
# The melody around a frame: the median of what both agreed on within so many seconds to each side.
AROUND_SECONDS = 0.3
LONE_SECONDS = 0.05


class Fused(PitchEstimator):
    """F0 by the vote of FCPE and DIO: few octave errors, at the cost of both.

    Range: 32.7 to 1975.5 Hz. Frames where both agree within 50 cents are FCPE's. Where they are octaves apart, the one
    nearer to the agreed melody within 0.3 s counts. Else FCPE counts alone; what only DIO voices is dropped, and so is
    what only FCPE voices for less than 50 ms. Short octave jumps that are left are moved back (`repair_octaves`).
    """

    name: ClassVar[str] = "fused"
    lowest_hz: ClassVar[float] = 32.7
    highest_hz: ClassVar[float] = 1975.5
    step_seconds: ClassVar[float] = 0.01
    offset_seconds: ClassVar[float] = 0.0

    def __init__(self, f0_min_hz: float = 50.0, f0_max_hz: float = 1100.0, device: str = "cpu") -> None:
        super().__init__(f0_min_hz, f0_max_hz, device)
        from svc.registry import PITCH_ESTIMATORS

        self._trackers = [PITCH_ESTIMATORS.create(name, f0_min_hz, f0_max_hz, device) for name in (FIRST, SECOND)]

    def _measure(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        times = np.arange(int(len(samples) / sample_rate / self.step_seconds) + 1) * self.step_seconds
        first, second = (tracker.estimate(samples, sample_rate, times).f0_hz for tracker in self._trackers)
        return vote(first, second, 1 / self.step_seconds)


def vote(first: np.ndarray, second: np.ndarray, frame_rate: float) -> np.ndarray:
    """One F0 (T,) of two (T,) in Hz, 0 where unvoiced; see `Fused`."""
    first, second = (np.asarray(f0, dtype=np.float32) for f0 in (first, second))
    both = (first > 0) & (second > 0)
    apart = np.full(len(first), np.inf)
    apart[both] = 1200 * np.log2(second[both] / first[both])
    agreed = np.abs(apart) <= AGREE_CENTS
    out = np.where(_lone(first, both, LONE_SECONDS * frame_rate), 0.0, first).astype(np.float32)
    octaves = np.zeros(len(first))
    octaves[both] = np.round(apart[both] / 1200)
    octave_off = both & (octaves != 0)
    octave_off[both] &= np.abs(apart[both] - 1200 * octaves[both]) <= OCTAVE_CENTS
    melody = _melody(np.where(agreed, first, 0.0), octave_off, round(AROUND_SECONDS * frame_rate))
    for t in np.flatnonzero(octave_off & (melody > 0)):
        distance = [abs(np.log2(f0[t] / melody[t])) for f0 in (first, second)]
        if distance[1] < distance[0]:
            # FCPE's fine reading, in DIO's octave: DIO is exact only where it is right altogether.
            out[t] = first[t] * 2.0 ** octaves[t]
    return repair_octaves(out, frame_rate)


def _melody(agreed: np.ndarray, where: np.ndarray, reach: int) -> np.ndarray:
    """Median (T,) of the agreed F0 within `reach` frames of each frame of `where`; 0 where nothing was agreed."""
    out = np.zeros(len(agreed))
    for t in np.flatnonzero(where):
        near = agreed[max(0, t - reach) : t + reach + 1]
        near = near[near > 0]
        if len(near):
            out[t] = np.median(near)
    return out


def _lone(first: np.ndarray, both: np.ndarray, shortest: float) -> np.ndarray:
    """Frames (T,) of runs that only the first tracker voices and that are shorter than `shortest` frames."""
    out = np.zeros(len(first), dtype=bool)
    for start, stop in voiced_runs(first > 0):
        if stop - start < shortest and not both[start:stop].any():
            out[start:stop] = True
    return out
