"""How high a recording reaches: where its long-term spectrum falls off an edge into the floor.

Telephone and archive recordings, 16 kHz sources and lossy codecs end below half of the training rate. A model that
took the nothing above for a property of voices would learn to be dull, so training counts nothing above the edge.
"""

from collections.abc import Sequence

import numpy as np

WINDOW = 4096
BAND_HZ = 100.0
MOST_FRAMES = 1200
LOWEST_EDGE_HZ = 2500.0
FLAT_DB = 8.0
"""Loudest against quietest twentieth of a band's frames, where nothing but a steady floor is in it."""
ROUNDING_MARGIN_DB = 10.0
LEAST_DROP_DB = 10.0
DEAD_DB = 55.0
"""Bands this far below the strongest of the voice hold nothing of it, if a cliff of `CLIFF_DB` leads down to them."""
CLIFF_DB = 20.0
TOP_SHARE = 0.93
"""Edges above this share of the Nyquist frequency are the resampler's own."""
EXPECTED_WITHIN = 0.08
"""How far from an expected edge one is looked for, as a share of it."""
EXPECTED_DROP_DB = 15.0
"""The fall that an expected edge needs, right there and down to nine of ten bands above it."""


def bandwidth_hz(samples: np.ndarray, sample_rate: int) -> float:
    """The highest frequency in Hz that mono samples (N,) really reach; sample_rate / 2 where no edge is found.

    An edge is a fall of at least 10 dB, above 2.5 kHz, into bands that hold only a floor: their level does not follow
    the sound, or is that of 16 bit rounding at the recording's own peak. A cliff of 20 dB into bands 55 dB under the
    voice is one too: a codec may have filled them with faint noise. A spectrum that only slopes has none, however
    little is left at its top.
    """
    nyquist = sample_rate / 2
    loud, quiet = _band_levels(samples, sample_rate)
    if loud is None or quiet is None:
        return nyquist
    peak = float(np.abs(samples).max(initial=0.0))
    # Power of rounding to 16 bit, in one bin of a Hann window of unit mean square.
    rounding = 10 * np.log10((peak / 32767) ** 2 / 12 + 1e-30)
    floor = (loud - quiet < FLAT_DB) | (loud < rounding + ROUNDING_MARGIN_DB)
    dead = floor | (loud < loud[10:].max() - DEAD_DB)
    for bands, drop_db in ((floor, LEAST_DROP_DB), (dead, CLIFF_DB)):
        edge = _find_edge(loud, bands, drop_db)
        if edge is not None:
            found = edge * BAND_HZ
            return nyquist if found > TOP_SHARE * nyquist else float(round(found))
    return nyquist


def expected_edge(samples: np.ndarray, sample_rate: int, expected_hz: Sequence[float]) -> float | None:
    """The edge in Hz that mono samples (N,) have near one of those of recordings made alike, or None.

    It needs no floor above it: faint noise that follows the sound may fill what the recording does not reach. Of
    several, the one with the deepest fall.
    """
    loud, _ = _band_levels(samples, sample_rate)
    if loud is None:
        return None
    found: tuple[float, float] | None = None
    for expected in expected_hz:
        first, last = (int(expected * share / BAND_HZ) for share in (1 - EXPECTED_WITHIN, 1 + EXPECTED_WITHIN))
        for edge in range(max(first, 8), min(last, len(loud) - 8) + 1):
            under, over = np.median(loud[edge - 8 : edge - 2]), np.median(loud[edge + 2 : edge + 8])
            drop = float(under - max(over, np.percentile(loud[edge + 2 :], 90)))
            if drop >= EXPECTED_DROP_DB and (found is None or drop > found[0]):
                found = drop, edge * BAND_HZ
    return None if found is None else found[1]


def _find_edge(level_db: np.ndarray, floor: np.ndarray, drop_db: float) -> float | None:
    """The lowest edge above which nine of ten bands, and the first of them, are `floor`, in bands; or None."""
    # A stray band (a whistle of the equipment) among many does not end the floor.
    share = np.cumsum(floor[::-1])[::-1] / np.arange(len(floor), 0, -1)
    starts = np.flatnonzero((share >= 0.9) & floor)
    for start in starts[starts >= LOWEST_EDGE_HZ / BAND_HZ]:
        edge = _edge(level_db, int(start), drop_db)
        if edge is not None:
            return edge
    return None


def _edge(level_db: np.ndarray, start: int, drop_db: float) -> float | None:
    """The band (fractional) in which the level falls, given that the floor begins about at band `start`; or None."""
    above, below = level_db[start + 2 : start + 12], level_db[max(0, start - 12) : max(0, start - 4)]
    if len(above) < 5 or len(below) < 5:
        return None
    low, high = float(np.median(above)), float(np.median(below))
    if high - low < drop_db:
        return None
    half = (low + high) / 2
    near = np.flatnonzero(level_db[max(0, start - 12) : start + 2] > half)
    return max(0, start - 12) + int(near[-1]) + 1.0 if len(near) else None


def _band_levels(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Power in dB of each 100 Hz band in its loudest and quietest twentieth of sounding frames; None if too short."""
    if len(samples) < 8 * WINDOW:
        return None, None
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[:: WINDOW // 2]
    frames = frames[:: 1 + len(frames) // MOST_FRAMES]
    level = 10 * np.log10(np.square(frames, dtype=np.float64).mean(axis=1) + 1e-12)
    # Digital silence and faded ends tell nothing about the floor of the rest.
    frames = frames[level > np.percentile(level, 95) - 50]
    if len(frames) < 8:
        return None, None
    window = np.hanning(WINDOW)
    window /= np.sqrt(np.square(window).sum())
    bands = int(sample_rate / 2 / BAND_HZ)
    edges = np.round(np.arange(bands + 1) * BAND_HZ * WINDOW / sample_rate).astype(int)
    power = np.empty((len(frames), bands))
    for first in range(0, len(frames), 256):
        spectrum = np.abs(np.fft.rfft(frames[first : first + 256] * window, axis=1)) ** 2
        total = np.concatenate([np.zeros((len(spectrum), 1)), np.cumsum(spectrum, axis=1)], axis=1)
        power[first : first + 256] = (total[:, edges[1:]] - total[:, edges[:-1]]) / np.diff(edges)
    decibels = 10 * np.log10(np.maximum(power, 1e-30))
    low, high = np.percentile(decibels, [5, 95], axis=0)
    return high, low
