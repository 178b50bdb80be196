"""Where a song is cut into windows, and how the synthesised windows are joined again."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from svc.conversion.sources import SampleSource

LOW_BAND_HZ = 1000.0
"""Below it a sung note has its strongest partials and a consonant or breath has little."""
QUIET_DB = 20.0
"""A join this far below the song's loud low-band frames lies in an unvoiced or quiet place."""
SHORT_FADE_SECONDS = 0.012
LONG_FADE_SECONDS = 0.08
FLOOR_DB = -100.0


@dataclass(frozen=True)
class Survey:
    """What one cheap pass over the song finds, per frame (T,).

    level_db: RMS in dB of full scale; low_band_db: the same below 1 kHz. Both are computed on the CPU and rounded to
    0.1 dB, so that they, and the cuts that follow from them, are equal whatever device synthesises.
    """

    level_db: np.ndarray
    low_band_db: np.ndarray

    @property
    def frames(self) -> int:
        """Number of frames T."""
        return len(self.level_db)


def survey(source: SampleSource, sample_rate: int, hop_length: int) -> Survey:
    """Measure every frame of `source`; memory does not grow with its length beyond the result."""
    from scipy.signal import butter, sosfilt

    sos = butter(4, LOW_BAND_HZ, "lowpass", fs=sample_rate, output="sos")
    state = np.zeros((sos.shape[0], 2))
    levels, lows = [], []
    block = 4096 * hop_length
    for start in range(0, source.length, block):
        samples = source.read(start, start + block).astype(np.float64)
        low, state = sosfilt(sos, samples, zi=state)
        levels.append(_frame_db(samples, hop_length))
        lows.append(_frame_db(low, hop_length))
    if not levels:
        return Survey(np.zeros(0), np.zeros(0))
    return Survey(np.concatenate(levels), np.concatenate(lows))


def _frame_db(samples: np.ndarray, hop_length: int) -> np.ndarray:
    frames = -(-len(samples) // hop_length)
    padded = np.pad(samples, (0, frames * hop_length - len(samples)))
    power = np.square(padded.reshape(frames, hop_length)).mean(axis=1)
    return np.maximum(FLOOR_DB, np.round(10 * np.log10(power + 1e-20), 1))


def plan_cuts(found: Survey, window_frames: int) -> list[int]:
    """Frame positions [0, c1, c2, ..., T] between which windows lie.

    Near every nominal position, up to a fifth of a window away, the cut goes to the frame border whose two frames
    have the least energy below 1 kHz: silence, a breath or a voiceless consonant where there is one, else the quietest
    point of the note. A small cost for distance (6 dB at the edge of the search) keeps windows alike in length, and a
    remainder under half a window joins the last one.
    """
    total = found.frames
    cuts = [0]
    reach = max(1, window_frames // 5)
    while total - cuts[-1] > window_frames * 3 // 2:
        nominal = cuts[-1] + window_frames
        places = np.arange(nominal - reach, min(nominal + reach, total - 1) + 1)
        pair = np.maximum(found.low_band_db[places - 1], found.low_band_db[places])
        cost = np.round(pair + 6.0 * np.abs(places - nominal) / reach, 3)
        cuts.append(int(places[np.argmin(cost)]))
    cuts.append(total)
    return cuts if total else [0]


def is_quiet_cut(found: Survey, cut: int) -> bool:
    """Whether the cut before frame `cut` lies in an unvoiced or quiet place of the song."""
    loud = float(np.percentile(found.low_band_db, 90))
    return float(found.low_band_db[max(0, cut - 1) : cut + 1].max()) < loud - QUIET_DB


def crossfade_gains(weight: np.ndarray, correlation: float) -> tuple[np.ndarray, np.ndarray]:
    """Gains of the outgoing and incoming signal that keep their power, for `weight` rising from 0 to 1.

    For signals of equal power and correlation r, a * x + b * y has the power a^2 + b^2 + 2 r a b. Dividing the linear
    gains (1 - w, w) by its root keeps it at one: for r = 1 that is the linear fade, for r = 0 an equal-power fade.
    """
    out, into = 1.0 - weight, weight
    norm = np.sqrt(out**2 + into**2 + 2.0 * correlation * out * into)
    return out / norm, into / norm


def correlation(left: np.ndarray, right: np.ndarray) -> float:
    """Normalised correlation of two equally long signals, cut to [0, 1]; 1 where either is silent."""
    power = float(np.sqrt(np.square(left, dtype=np.float64).sum() * np.square(right, dtype=np.float64).sum()))
    if power < 1e-12:
        return 1.0
    return float(np.clip(np.dot(left.astype(np.float64), right.astype(np.float64)) / power, 0.0, 1.0))


class WindowJoiner:
    """Joins overlapping windows into one gapless stream of samples.

    Windows are made with context on both sides of the part they are for; the fade at each cut uses that context.
    Windows of one song share noise and source phase, so what they say about the same samples is nearly the same signal
    and wants a linear fade; where they differ the fade approaches equal power. `crossfade_gains` does both, from the
    correlation measured at the join.
    """

    def __init__(self, write: Callable[[np.ndarray], None]) -> None:
        self._write = write
        self._tail: np.ndarray | None = None
        self._tail_start = 0
        self.correlations: list[float] = []

    def add(self, window: np.ndarray, window_start: int, stop: int, fades: tuple[int, int]) -> None:
        """Take the next window.

        Args:
            window: (n,) float32; its first sample is sample `window_start` of the song.
            stop: sample of the next cut; what lies from half a fade before it on is kept for the next join.
            fades: lengths in samples of the fade at the cut this window begins with (ignored for the first window)
                and of the fade at `stop` (0 for the last window).
        """
        if self._tail is None:
            begin = window_start
        else:
            length = min(fades[0], len(self._tail))
            begin = self._tail_start
            old, new = self._tail[:length], window[begin - window_start : begin - window_start + length]
            similar = correlation(old, new)
            self.correlations.append(similar)
            weight = (np.arange(length, dtype=np.float64) + 0.5) / length
            out, into = crossfade_gains(weight, similar)
            self._write((old * out + new * into).astype(np.float32))
            begin += length
        end = stop - fades[1] // 2
        self._write(window[begin - window_start : end - window_start])
        self._tail, self._tail_start = window[end - window_start :], end
