"""Cutting recordings into slices of bounded length at their quietest unvoiced points.

The cuts are the cheapest way through the recording, found by dynamic programming over points 10 ms apart.
Only steps of an allowed length exist in it, so no slice is ever too short or too long.
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from svc.audio.loudness import FLOOR_DB, frame_loudness_db
from svc.errors import ConfigError

SHORTEST_SECONDS = 1.0

_STEP_SECONDS = 0.01
_SILENCE_BELOW_DB = 40.0  # under the recording's own level
_SILENCE_SECONDS = 0.5  # silence longer than this can be left out
_KEPT_SILENCE_SECONDS = 0.1  # on each side of what sounds

# Costs of the search. A loud voiced cut costs 16, a cut in silence 0, so a note is cut only when no pause lies
# within the allowed lengths; dropping sound costs more than any cuts that could save it.
_DB_PER_COST = 10.0
_VOICED_COST = 10.0
_SLICE_COST = 2.0
_SILENT_STEP_COST = 0.05
_LOST_STEP_COST = 1e4

_PITCH_RATE = 4_000
_PITCH_WINDOW = 256
_PERIODIC = 0.7
_PITCH_RANGE_HZ = (60.0, 1_000.0)


class QuietSlicer:
    """Slices of `min_seconds` to `max_seconds`, cut where the recording is quiet and not in a note.

    Recordings shorter than `min_seconds` are one slice (from 1 s on); long silence, relative to the recording's
    own level, is left out where the lengths allow it. Everything else is in exactly one slice, except that a
    `max_seconds` under twice `min_seconds` can make it impossible to use some of a recording.

    Raises ConfigError unless max_seconds is at least 0.1 s above min_seconds.
    """

    def __init__(self, min_seconds: float = 5.0, max_seconds: float = 15.0) -> None:
        if not 0 < min_seconds <= max_seconds - 0.1:
            raise ConfigError(
                f"The longest slice ({max_seconds} s) must exceed the shortest ({min_seconds} s) by at least 0.1 s: "
                "change slice_min_seconds or slice_max_seconds."
            )
        self.min_seconds, self.max_seconds = min_seconds, max_seconds

    def ranges(
        self,
        samples: np.ndarray,
        sample_rate: int,
        voiced: np.ndarray | None = None,
        frame_rate: float | None = None,
    ) -> list[tuple[int, int]]:
        """Ordered, disjoint sample ranges [start, stop) of the slices of mono `samples` (N,).

        `voiced` (T,), at `frame_rate` frames per second (T / duration when not given), says where notes are;
        without it periodicity is measured. A recording under 1 s or without any sound gives no slices.
        """
        length = len(samples)
        if length < SHORTEST_SECONDS * sample_rate:
            return []
        hop = max(1, round(_STEP_SECONDS * sample_rate))
        level_db = frame_loudness_db(samples, hop, 3 * hop)
        own_db = _own_level_db(level_db)
        if own_db <= FLOOR_DB + 1:
            return []
        if length < self.min_seconds * sample_rate:
            return [(0, length)]
        silent = _long_silence(level_db < own_db - _SILENCE_BELOW_DB, _STEP_SECONDS)
        if voiced is None:
            notes = periodic_frames(samples, sample_rate, len(level_db), hop)
        else:
            rate = frame_rate or len(voiced) * sample_rate / length
            notes = _at_steps(np.asarray(voiced, bool), rate, len(level_db), hop / sample_rate)
        grid = _Grid(
            length=length,
            hop=hop,
            shortest=math.ceil(self.min_seconds * sample_rate),
            longest=math.floor(self.max_seconds * sample_rate),
        )
        return _cheapest(grid, _cut_costs(level_db, own_db, notes), silent)


@dataclass(frozen=True)
class _Grid:
    """The points where cuts may lie: every `hop` samples, and the recording's two ends. Lengths in samples."""

    length: int
    hop: int
    shortest: int
    longest: int

    @property
    def points(self) -> int:
        """Number of points; the last one is the end of the recording."""
        return -(-self.length // self.hop) + 1

    def position(self, point: int) -> int:
        return min(point * self.hop, self.length)


def _own_level_db(level_db: np.ndarray) -> float:
    """The recording's level: mean power of the steps no more than 10 dB below the mean of all (as R128 gates)."""
    power = 10 ** (level_db.astype(np.float64) / 10)
    return float(10 * np.log10(power[power >= power.mean() / 10].mean()))


def _long_silence(quiet: np.ndarray, step_seconds: float) -> np.ndarray:
    """Steps of quiet runs longer than half a second, less a margin next to the sound on either side."""
    margin = round(_KEPT_SILENCE_SECONDS / step_seconds)
    silent = np.zeros(len(quiet), bool)
    for start, stop in runs(quiet):
        if (stop - start) * step_seconds > _SILENCE_SECONDS:
            silent[start + (margin if start > 0 else 0) : stop - (margin if stop < len(quiet) else 0)] = True
    return silent


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """The [start, stop) of every run of True in a boolean array."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _cut_costs(level_db: np.ndarray, own_db: float, notes: np.ndarray) -> np.ndarray:
    """Cost of a cut at each point: by the louder of the two steps beside it, more inside a note; none at the ends."""
    louder = np.maximum(level_db[:-1], level_db[1:])
    cost = np.maximum(0.0, louder - (own_db - 60.0)) / _DB_PER_COST
    cost = cost + _VOICED_COST * (notes[:-1] & notes[1:])
    return np.concatenate([[0.0], cost, [0.0]])


def _at_steps(values: np.ndarray, rate: float, steps: int, step_seconds: float) -> np.ndarray:
    """Frame values (frame t centred at (t + 0.5) / rate) at the middle of each step."""
    frame = np.floor((np.arange(steps) + 0.5) * step_seconds * rate).astype(int)
    return values[np.clip(frame, 0, len(values) - 1)]


def _cheapest(grid: _Grid, cut_cost: np.ndarray, silent: np.ndarray) -> list[tuple[int, int]]:
    """The slices of least total cost: their cuts, the silence in them, their number, and the sound left out.

    ended[j] is the least cost with a slice ending at point j, free[j] that of being between slices at j. A slice
    from i to j costs its silent steps, as a difference of running sums, so the best start of j is the least
    free[i] - silence[i] over a window of i that moves with j: a monotonic queue finds it in constant time.
    """
    points = grid.points
    silence = np.concatenate([[0.0], np.cumsum(silent)]) * _SILENT_STEP_COST
    skip_cost = np.where(silent, 0.0, _LOST_STEP_COST).tolist()
    free: list[float] = [0.0] * points
    skipped = [True] * points  # whether free[j] was reached by leaving out the step before j
    start_of = [-1] * points
    queue: deque[tuple[float, int]] = deque()
    entered = 0
    for j in range(points):
        here = grid.position(j)
        while entered < j and grid.position(entered) <= here - grid.shortest:
            cost = free[entered] - silence[entered] + cut_cost[entered]
            while queue and queue[-1][0] >= cost:
                queue.pop()
            queue.append((cost, entered))
            entered += 1
        while queue and grid.position(queue[0][1]) < here - grid.longest:
            queue.popleft()
        left_out = free[j - 1] + skip_cost[j - 1] if j else 0.0
        ended = math.inf
        if queue:
            ended = queue[0][0] + silence[j] + cut_cost[j] + _SLICE_COST
            start_of[j] = queue[0][1]
        free[j], skipped[j] = min((ended, False), (left_out, True))
    return _walk_back(grid, start_of, skipped)


def _walk_back(grid: _Grid, start_of: list[int], skipped: list[bool]) -> list[tuple[int, int]]:
    slices: list[tuple[int, int]] = []
    j = grid.points - 1
    while j > 0:
        if skipped[j]:
            j -= 1
            continue
        slices.append((grid.position(start_of[j]), grid.position(j)))
        j = start_of[j]
    return slices[::-1]


def periodic_frames(samples: np.ndarray, sample_rate: int, steps: int, hop: int) -> np.ndarray:
    """Whether each of `steps` steps of `hop` samples sounds like a note, bool (steps,).

    True where the autocorrelation of a 64 ms window at 4 kHz, normalised by the window's own (Boersma 1993),
    exceeds 0.7 at a period of 60 to 1000 Hz. Rough, but enough to find the consonants between notes.
    """
    from svc.audio.resampling import resample

    low, high = _PITCH_RANGE_HZ
    lags = slice(int(_PITCH_RATE / high), int(_PITCH_RATE / low) + 1)
    window = np.hanning(_PITCH_WINDOW)
    window_power = np.abs(np.fft.rfft(window, 2 * _PITCH_WINDOW)) ** 2
    window_lags = np.fft.irfft(window_power)[: lags.stop]
    window_lags = window_lags / window_lags[0]
    slow = np.pad(resample(samples, sample_rate, _PITCH_RATE), _PITCH_WINDOW)
    centres = ((np.arange(steps) + 0.5) * hop * _PITCH_RATE / sample_rate).astype(int) + _PITCH_WINDOW
    starts = np.minimum(centres - _PITCH_WINDOW // 2, len(slow) - _PITCH_WINDOW)
    periodic = np.zeros(steps, bool)
    for first in range(0, steps, 2048):
        index = starts[first : first + 2048, None] + np.arange(_PITCH_WINDOW)
        frames = slow[index].astype(np.float64)
        frames = (frames - frames.mean(axis=1, keepdims=True)) * window
        spectrum = np.abs(np.fft.rfft(frames, 2 * _PITCH_WINDOW, axis=1)) ** 2
        correlation = np.fft.irfft(spectrum, axis=1)[:, : lags.stop]
        energy = correlation[:, :1]
        ratio = correlation / (np.maximum(energy, 1e-12) * window_lags)
        periodic[first : first + 2048] = (ratio[:, lags].max(axis=1) > _PERIODIC) & (energy[:, 0] > 1e-9)
    return periodic
