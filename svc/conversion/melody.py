"""Which F0 the voice is asked to sing."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from svc.config import ConvertOptions
from svc.conversion.windows import Survey
from svc.errors import AudioError
from svc.features.spec import FeatureSpec
from svc.pitch.curve_file import curve_at, read_curve
from svc.pitch.editing import autotune, transpose

EXCERPT_SECONDS = 10.0
EXCERPTS = 6
SILENCE_DB = -60.0


def edit_pitch(f0_hz: np.ndarray, transpose_semitones: float, options: ConvertOptions) -> np.ndarray:
    """The measured F0 (T,), 0 where unvoiced, transposed and pulled to the semitones as far as the options ask.

    Octave errors have been repaired by the feature path already.
    """
    edited = transpose(f0_hz, transpose_semitones)
    return autotune(edited, options.autotune) if options.autotune > 0 else edited


class WrittenMelody:
    """The F0 of a CSV file (time in seconds, Hz, voiced) at any times; see `svc.pitch.curve_file`.

    Raises AudioError for a file that cannot be read, and for one without a voiced line.
    """

    def __init__(self, path: Path) -> None:
        self._times, self._track = read_curve(path)
        if not self._track.voiced.any():
            raise AudioError(f"{path} has no voiced line, so there is nothing to sing: give F0 in Hz and voiced 1.")

    def f0_hz(self, times: np.ndarray) -> np.ndarray:
        """F0 (T,) float32 at times (T,) in seconds, 0 where unvoiced and beyond the file's ends."""
        return curve_at(self._times, self._track, times).f0_hz


def octave_transpose(source_median_hz: float, singer_median_hz: float) -> float:
    """The multiple of 12 semitones that brings one median F0 nearest to the other; 0 when either is unknown.

    Whole octaves only, because the accompaniment stays in its key; at most three.
    """
    return 12.0 * round(_octaves_between(source_median_hz, singer_median_hz))


def semitone_transpose(source_median_hz: float, singer_median_hz: float) -> float:
    """The whole semitones that bring one median F0 nearest to the other, at most 36; 0 when either is unknown.

    The key changes, so it is for vocals alone.
    """
    return float(round(12.0 * _octaves_between(source_median_hz, singer_median_hz)))


def _octaves_between(source_median_hz: float, singer_median_hz: float) -> float:
    """How far the singer's median lies above the source's, -3 to 3; 0 when either is unknown."""
    known = np.isfinite([source_median_hz, singer_median_hz]).all() and source_median_hz > 0 and singer_median_hz > 0
    return float(np.clip(np.log2(singer_median_hz / source_median_hz), -3.0, 3.0)) if known else 0.0


def excerpts(found: Survey, spec: FeatureSpec) -> list[tuple[int, int]]:
    """Frame ranges that stand for the whole song when its median F0 is measured.

    A song of at most a minute is taken whole. Otherwise the song is divided into six equal parts, and the loudest ten
    seconds of each are taken, if they are not silent.
    """
    length = round(EXCERPT_SECONDS * spec.frame_rate)
    if found.frames <= EXCERPTS * length:
        return [(0, found.frames)]
    power = 10.0 ** (found.level_db / 10.0)
    total = np.concatenate(([0.0], np.cumsum(power)))
    edges = np.linspace(0, found.frames, EXCERPTS + 1).astype(int)
    out = []
    for first, last in pairwise(edges.tolist()):
        starts = np.arange(first, max(first + 1, last - length))
        energy = total[np.minimum(starts + length, found.frames)] - total[starts]
        best = int(starts[np.argmax(energy)])
        if energy.max() / length > 10.0 ** (SILENCE_DB / 10.0):
            out.append((best, min(best + length, found.frames)))
    return out


def phase_starts(f0_hz: np.ndarray, hop_length: int, sample_rate: int, anchor: int, phase: float) -> np.ndarray:
    """Phase of the fundamental in cycles just before each frame, float64 (T + 1,) in [0, 1).

    `f0_hz` (T,) without zeros is held for a frame; the phase at frame `anchor` is `phase`. The last value is the phase
    after the last frame.
    """
    steps = np.asarray(f0_hz, dtype=np.float64) * (hop_length / sample_rate)
    total = np.concatenate(([0.0], np.cumsum(steps)))
    return (total - total[anchor] + phase) % 1.0
