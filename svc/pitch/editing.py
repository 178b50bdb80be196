"""Changes to F0 curves: arrays (T,) in Hz with 0 for unvoiced in, new arrays of the same shape out."""

from itertools import pairwise

import numpy as np

A4_HZ = 440.0
NEUTRAL_HZ = 200.0
"""What `fill_unvoiced` returns where nothing is voiced at all: between men's and women's speaking pitch."""


def hz_to_semitones(f0_hz: np.ndarray) -> np.ndarray:
    """Semitones (MIDI numbers, A4 = 69) of F0 > 0 in Hz."""
    return 69.0 + 12.0 * np.log2(np.asarray(f0_hz, dtype=np.float64) / A4_HZ)


def semitones_to_hz(semitones: np.ndarray) -> np.ndarray:
    """Hz of semitones (MIDI numbers, A4 = 69)."""
    return A4_HZ * np.exp2((np.asarray(semitones, dtype=np.float64) - 69.0) / 12.0)


def transpose(f0_hz: np.ndarray, semitones: float | np.ndarray) -> np.ndarray:
    """F0 moved by `semitones` (one number, or (T,)); unvoiced stays 0."""
    return (np.asarray(f0_hz) * np.exp2(np.asarray(semitones, dtype=np.float64) / 12.0)).astype(np.float32)


def median_smooth(f0_hz: np.ndarray, frames: int) -> np.ndarray:
    """Median over `frames` frames (made odd) of the voiced frames around each voiced frame; 0 and 1 change nothing.

    Voicing is not changed, and unvoiced frames do not pull on their neighbours.
    """
    f0 = np.asarray(f0_hz, dtype=np.float32)
    if frames < 2 or not (f0 > 0).any():
        return f0.copy()
    half = frames // 2
    padded = np.pad(np.where(f0 > 0, f0, np.nan), half, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    out = np.zeros_like(f0)
    voiced = f0 > 0
    out[voiced] = np.nanmedian(around[voiced], axis=1)
    return out


def voiced_runs(voiced: np.ndarray) -> list[tuple[int, int]]:
    """[start, stop) of each unbroken stretch of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], np.asarray(voiced, dtype=np.int8), [0]))))
    return list(zip(edges[0::2].tolist(), edges[1::2].tolist()))


def repair_octaves(f0_hz: np.ndarray, frame_rate: float, longest_seconds: float = 0.15) -> np.ndarray:
    """Move short stretches that sit one or two octaves away from what surrounds them back into place.

    A voiced curve is broken at jumps of more than half an octave (also across pauses of up to 0.3 s). A piece
    of at most `longest_seconds` whose neighbours on *both* sides agree with each other within 3 semitones, and from
    which it is 12 or 24 semitones away within 1.5, is moved by these octaves. At the edge of a phrase only one
    neighbour exists; there the piece must be at most a third as long. A sung octave leap is longer than that.
    """
    f0 = np.asarray(f0_hz, dtype=np.float32).copy()
    pieces = _pieces(f0)
    longest, gap = longest_seconds * frame_rate, 0.3 * frame_rate
    for index, (start, stop) in enumerate(pieces):
        before = pieces[index - 1] if index and start - pieces[index - 1][1] <= gap else None
        after = pieces[index + 1] if index + 1 < len(pieces) and pieces[index + 1][0] - stop <= gap else None
        both = before is not None and after is not None
        length = stop - start
        if length > (longest if both else longest / 3) or (before is None and after is None):
            continue
        left = _level(f0[max(before[0], before[1] - 5) : before[1]]) if before else None
        right = _level(f0[after[0] : min(after[1], after[0] + 5)]) if after else None
        if left is not None and right is not None and abs(left - right) > 3:
            continue
        neighbours = [
            (level, piece[1] - piece[0])
            for level, piece in ((left, before), (right, after))
            if level is not None and piece
        ]
        if sum(size for _, size in neighbours) < 2 * length:
            continue
        away = _level(f0[start:stop]) - float(np.mean([level for level, _ in neighbours]))
        octaves = round(away / 12)
        if octaves and abs(octaves) <= 2 and abs(away - 12 * octaves) <= 1.5:
            f0[start:stop] *= 2.0**-octaves
    return f0


def _pieces(f0: np.ndarray) -> list[tuple[int, int]]:
    """Voiced runs, broken also where F0 jumps by more than half an octave."""
    out: list[tuple[int, int]] = []
    for start, stop in voiced_runs(f0 > 0):
        jumps = np.flatnonzero(np.abs(np.diff(np.log2(f0[start:stop]))) > 0.5) + start + 1
        edges = [start, *jumps.tolist(), stop]
        out.extend(pairwise(edges))
    return out


def _level(f0: np.ndarray) -> float:
    return float(np.median(hz_to_semitones(f0)))


def fill_unvoiced(f0_hz: np.ndarray, rule: str = "filled") -> np.ndarray:
    """F0 without zeros, as models need it: a line across unvoiced stretches, held at both ends.

    rule: `ModelConfig.unvoiced_f0` of the model. "filled_hz" draws lines in Hz, as so-vits-svc and RVC since 2026 do;
    a curve without any voiced frame stays 0 there. Otherwise lines are straight in log F0, and such a curve becomes
    constant `NEUTRAL_HZ`, since a model's logarithm needs a pitch and `voiced` tells it apart anyway. (A model of the
    rule "zero" sets unvoiced frames to 0 itself.)
    """
    f0 = np.asarray(f0_hz, dtype=np.float32)
    voiced = f0 > 0
    in_hz = rule == "filled_hz"
    if not voiced.any():
        return np.full_like(f0, 0.0 if in_hz else NEUTRAL_HZ)
    known = np.flatnonzero(voiced)
    values = f0[known].astype(np.float64)
    filled = np.interp(np.arange(len(f0)), known, values if in_hz else np.log(values))
    return np.where(voiced, f0, filled if in_hz else np.exp(filled)).astype(np.float32)


def autotune(f0_hz: np.ndarray, strength: float) -> np.ndarray:
    """F0 pulled towards the nearest semitone (A4 = 440 Hz): 0 changes nothing, 1 sits on it; unvoiced stays 0."""
    f0 = np.asarray(f0_hz, dtype=np.float32)
    out = f0.copy()
    voiced = f0 > 0
    notes = hz_to_semitones(f0[voiced])
    out[voiced] = semitones_to_hz(notes + strength * (np.round(notes) - notes))
    return out
