"""The contract of F0 estimators, and the windowing that keeps their memory flat."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from svc.errors import AudioError, ConfigError

Progress = Callable[[float], None]

WINDOW_SECONDS = 20
CONTEXT_SECONDS = 1


@dataclass(frozen=True)
class F0Track:
    """Fundamental frequency at T given times.

    f0_hz (T,) float32, 0 where unvoiced; voiced (T,) bool, true exactly where f0_hz > 0.
    """

    f0_hz: np.ndarray
    voiced: np.ndarray

    @property
    def frames(self) -> int:
        """Number of frames T."""
        return len(self.f0_hz)


class PitchEstimator(ABC):
    """Finds the fundamental frequency of one voice.

    A subclass measures one window at its own fixed step; windows, context, the way to the caller's
    times and the handling of voiced edges are the same for all and stand here.

    Class facts:
        name: name in the registry.
        lowest_hz, highest_hz: the range the method can follow at all; the constructor's range is cut to it.
        step_seconds, offset_seconds: frame k of the method belongs to time k * step + offset.
            1 / step_seconds must be an integer, so that windows starting at whole seconds share one grid.
        window_grid: windows begin at multiples of so many frames; 0 is whole seconds. A network that halves time
            several times hears a stretch alike only where its halvings fall alike.
        context_seconds: measured on each side of what is kept, at least.
    """

    name: ClassVar[str]
    lowest_hz: ClassVar[float]
    highest_hz: ClassVar[float]
    step_seconds: ClassVar[float]
    offset_seconds: ClassVar[float]
    window_grid: ClassVar[int] = 0
    context_seconds: ClassVar[float] = CONTEXT_SECONDS

    def __init__(self, f0_min_hz: float = 50.0, f0_max_hz: float = 1100.0, device: str = "cpu") -> None:
        low, high = max(f0_min_hz, self.lowest_hz), min(f0_max_hz, self.highest_hz)
        if low >= high:
            raise ConfigError(
                f"No F0 lies between {f0_min_hz:g} and {f0_max_hz:g} Hz for '{self.name}', which follows "
                f"{self.lowest_hz:g} to {self.highest_hz:g} Hz: set f0_min_hz below f0_max_hz inside that range."
            )
        self.f0_min_hz = low
        self.f0_max_hz = high
        self.device = device

    def estimate(
        self, samples: np.ndarray, sample_rate: int, times: np.ndarray, progress: Progress | None = None
    ) -> F0Track:
        """F0 at the given times.

        Args:
            samples: (N,) float32, nominal range [-1, 1].
            sample_rate: Hz.
            times: (T,) seconds, rising.
            progress: called with 0..1.

        Memory does not grow with N beyond the result: windows of 20 s with context are measured one by one.
        Raises AudioError for samples of another shape or with NaN.
        """
        samples = np.asarray(samples, dtype=np.float32)
        if samples.ndim != 1:
            raise AudioError(f"F0 estimation needs mono samples of shape (N,), got {samples.shape}.")
        if not np.isfinite(samples).all():
            raise AudioError("The audio holds NaN or infinite samples: export the file again from its source.")
        native = np.zeros(self._native_frames(len(samples), sample_rate), dtype=np.float64)
        rate = round(1 / self.step_seconds)
        grid = self.window_grid or rate
        for start, stop, first, last in windows(len(native) - 1, rate, grid, self.context_seconds):
            f0 = np.zeros(0)
            cut = samples[round(start * sample_rate / rate) : round(stop * sample_rate / rate)]
            if cut.any():
                f0 = self._measure(cut, sample_rate)
            part = f0[first - start : min(last, len(native)) - start]
            native[first : first + len(part)] = part
            if progress:
                progress(min(1.0, last / len(native)))
        native[(native < self.f0_min_hz) | (native > self.f0_max_hz)] = 0.0
        return self._at_times(native, np.asarray(times, dtype=np.float64))

    @classmethod
    def weights_hash(cls) -> str:
        """sha256 of the weight file that a user supplies; "" for an estimator that needs none."""
        return ""

    @abstractmethod
    def _measure(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """F0 (n,) in Hz of one window, 0 where unvoiced; frame k lies at k * step + offset seconds."""

    def _native_frames(self, samples: int, sample_rate: int) -> int:
        return int(np.ceil(samples / sample_rate / self.step_seconds)) + 1

    def _at_times(self, native: np.ndarray, times: np.ndarray) -> F0Track:
        """Interpolate log F0 between two voiced frames; next to an unvoiced one, the nearest frame decides."""
        position = np.clip((times - self.offset_seconds) / self.step_seconds, 0, len(native) - 1)
        left = np.floor(position).astype(np.int64)
        right = np.minimum(left + 1, len(native) - 1)
        weight = position - left
        f0_left, f0_right = native[left], native[right]
        both = (f0_left > 0) & (f0_right > 0)
        # A jump of more than half an octave is two notes, not a glide: nothing sung lies between them.
        ratio = np.ones_like(f0_left)
        ratio[both] = np.abs(np.log2(f0_right[both] / f0_left[both]))
        smooth = both & (ratio < 0.5)
        f0 = np.where(weight < 0.5, f0_left, f0_right)
        f0[smooth] = f0_left[smooth] ** (1 - weight[smooth]) * f0_right[smooth] ** weight[smooth]
        f0 = f0.astype(np.float32)
        return F0Track(f0, f0 > 0)


def windows(frames: int, rate: int, grid: int, context_seconds: float) -> Iterator[tuple[int, int, int, int]]:
    """Windows over a recording of `frames` frames, `rate` a second: (start, stop) to read and (first, last) to keep.

    All in frames, all multiples of `grid`. The kept parts are disjoint and cover everything, the frame at the very end
    included; the last window takes what would be less than half a window.
    """
    length = max(1, WINDOW_SECONDS * rate // grid) * grid
    context = -(-round(context_seconds * rate) // grid) * grid
    total = -(-frames // grid) * grid
    count = max(1, (total + length // 2) // length)
    for index in range(count):
        first = index * length
        last = total + grid if index == count - 1 else first + length
        yield max(0, first - context), last + context, first, last
