"""The Audio value type: samples with their rate, checked once when made."""

from dataclasses import dataclass

import numpy as np

from svc.errors import AudioError


@dataclass(frozen=True)
class Audio:
    """Samples (channels, time), float32, nominal range [-1, 1], at `sample_rate` Hz.

    Raises AudioError when the array has another shape or dtype, or a sample is not finite.
    """

    samples: np.ndarray
    sample_rate: int

    def __post_init__(self) -> None:
        s = self.samples
        if s.ndim != 2 or s.shape[0] < 1:
            raise AudioError(f"Audio needs samples of shape (channels, time), got {s.shape}.")
        if s.dtype != np.float32:
            raise AudioError(f"Audio needs float32 samples, got {s.dtype}.")
        if self.sample_rate <= 0:
            raise AudioError(f"Audio needs a positive sample rate, got {self.sample_rate}.")
        if not np.isfinite(s).all():
            raise AudioError("The audio holds NaN or infinite samples: export the file again from its source.")

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[0])

    @property
    def length(self) -> int:
        """Number of samples per channel (N)."""
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.length / self.sample_rate

    def mono(self) -> "Audio":
        """The mean of all channels as a (1, N) Audio; itself when mono already."""
        if self.channels == 1:
            return self
        return Audio(self.samples.mean(axis=0, keepdims=True, dtype=np.float32), self.sample_rate)

    def resampled(self, sample_rate: int) -> "Audio":
        """The same sound at another rate: round(N * new / old) samples per channel."""
        if sample_rate == self.sample_rate:
            return self
        from svc.audio.resampling import resample

        return Audio(resample(self.samples, self.sample_rate, sample_rate), sample_rate)

    def cut(self, start: int, stop: int) -> "Audio":
        """Samples [start, stop) of every channel."""
        return Audio(self.samples[:, start:stop], self.sample_rate)
