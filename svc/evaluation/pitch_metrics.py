"""Is the asked melody in the result? F0 of source and result by a tracker that conditions no model.

All conversion F0 methods but `harvest` differ from the tracker used here (WORLD harvest, 10 ms, 60 to 1200 Hz), and the
two sides are compared frame by frame without alignment: a result that drifts in time is a wrong result.
"""

from dataclasses import dataclass

import numpy as np

from svc.audio.resampling import resample

JUDGE_RATE = 16_000
FRAME_SECONDS = 0.010
F0_LOW_HZ, F0_HIGH_HZ = 60.0, 1200.0
FEWEST_FRAMES = 5


@dataclass(frozen=True)
class PitchScores:
    """Distance of the result's F0 from the requested one.

    f0_cents_median: median |cents| over frames voiced on both sides (NaN under 5 of them); rpa50: share of those within
    50 cents; octave: share more than 600 cents away; vuv_error: share of all frames voiced on one side only.
    """

    f0_cents_median: float
    rpa50: float
    octave: float
    vuv_error: float


def at_judge_rate(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mono (N,) at 16 kHz, float64."""
    return resample(np.asarray(samples, dtype=np.float32), sample_rate, JUDGE_RATE).astype(np.float64)


def track_f0(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """F0 in Hz every 10 ms, 0 where unvoiced, of mono samples (N,); measured at 16 kHz."""
    import pyworld

    audio = at_judge_rate(samples, sample_rate)
    f0_hz, _ = pyworld.harvest(
        audio, JUDGE_RATE, f0_floor=F0_LOW_HZ, f0_ceil=F0_HIGH_HZ, frame_period=1000 * FRAME_SECONDS
    )
    return f0_hz


def compare_f0(source_hz: np.ndarray, result_hz: np.ndarray, transpose_semitones: float = 0.0) -> PitchScores:
    """Scores of two F0 curves, 0 where unvoiced; the source's is transposed to what was requested."""
    frames = min(len(source_hz), len(result_hz))
    asked = source_hz[:frames] * 2.0 ** (transpose_semitones / 12.0)
    sung = result_hz[:frames]
    both = (asked > 0) & (sung > 0)
    vuv_error = float(((asked > 0) != (sung > 0)).mean()) if frames else 0.0
    if both.sum() < FEWEST_FRAMES:
        return PitchScores(float("nan"), 0.0, float("nan"), vuv_error)
    cents = np.abs(1200.0 * np.log2(sung[both] / asked[both]))
    return PitchScores(float(np.median(cents)), float((cents < 50).mean()), float((cents > 600).mean()), vuv_error)


def pitch_scores(
    source: np.ndarray, result: np.ndarray, sample_rate: int, transpose_semitones: float = 0.0
) -> PitchScores:
    """Scores of `result` against the F0 of `source` moved by `transpose_semitones`; mono (N,) at the same rate."""
    return compare_f0(track_f0(source, sample_rate), track_f0(result, sample_rate), transpose_semitones)


def copy_synthesis(samples: np.ndarray, sample_rate: int, transpose_semitones: float = 0.0) -> np.ndarray:
    """`samples` (N,) taken apart and put together by WORLD (dio, stonemask, cheaptrick, d4c), transposed.

    What the tracker makes of it is the floor of `pitch_scores`: no error of a voice model is in it. The same length,
    float32. Morise et al., "WORLD", IEICE 2016.
    """
    import pyworld

    audio = np.ascontiguousarray(samples, dtype=np.float64)
    f0_hz, times = pyworld.dio(audio, sample_rate, frame_period=5.0)
    f0_hz = pyworld.stonemask(audio, f0_hz, times, sample_rate)
    envelope = pyworld.cheaptrick(audio, f0_hz, times, sample_rate)
    aperiodicity = pyworld.d4c(audio, f0_hz, times, sample_rate)
    moved = f0_hz * 2.0 ** (transpose_semitones / 12.0)
    out = pyworld.synthesize(moved, envelope, aperiodicity, sample_rate, 5.0)[: len(audio)]
    return np.pad(out, (0, len(audio) - len(out))).astype(np.float32)
