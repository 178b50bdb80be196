"""What is done to a synthesised window beside its source: silence, loudness, and the source's own breaths."""

import numpy as np
from scipy.ndimage import binary_dilation, uniform_filter1d

from svc.conversion.windows import crossfade_gains

SILENCE_DB = -66.0
SILENCE_BELOW_LOUD_DB = 45.0
LOWEST_SILENCE_DB = -88.0
SILENCE_RANGE_DB = 12.0
ROOM_TONE_DB = -30.0
ENVELOPE_SECONDS = 0.1
LARGEST_GAIN_DB = 18.0
TONAL_DB = 6.0
"""An unvoiced frame whose energy below 1 kHz lies within this of its whole energy may hide a sung note."""


def frame_levels(samples: np.ndarray, hop_length: int) -> np.ndarray:
    """RMS of each frame in dB of full scale, (N / hop,) float64; N must be whole frames."""
    power = np.square(samples.astype(np.float64).reshape(-1, hop_length)).mean(axis=1)
    return 10 * np.log10(power + 1e-12)


def per_sample(values: np.ndarray, hop_length: int) -> np.ndarray:
    """Frame values (T,) interpolated between frame centres, (T * hop,)."""
    frames = len(values)
    return np.interp((np.arange(frames * hop_length) + 0.5) / hop_length - 0.5, np.arange(frames), values)


def silence_level(level_db: np.ndarray) -> float:
    """The level in dB of full scale under which a song with these frame levels (T,) counts as silent.

    -66 dB, and lower for a quiet recording: 45 dB under its loud frames (95th percentile), at least -88 dB.
    """
    loud = float(np.percentile(level_db, 95))
    return max(LOWEST_SILENCE_DB, min(SILENCE_DB, loud - SILENCE_BELOW_LOUD_DB))


def silence_gate(source: np.ndarray, hop_length: int, silence_db: float = SILENCE_DB) -> np.ndarray:
    """Gain (N,) that is 1 where the source sounds, fades over 12 dB below `silence_db`, and opens a frame early."""
    level = frame_levels(source, hop_length)
    gain = np.clip((level - (silence_db - SILENCE_RANGE_DB)) / SILENCE_RANGE_DB, 0.0, 1.0)
    around = np.maximum(gain, np.maximum(np.append(gain[1:], 0.0), np.append(0.0, gain[:-1])))
    return per_sample(around, hop_length)


def loudness_gain(
    source: np.ndarray, result: np.ndarray, sample_rate: int, hop_length: int, amount: float
) -> np.ndarray:
    """Gain (N,) that moves the short-time level of `result` towards that of `source`.

    Levels are mean powers over 100 ms. `amount` 0 leaves the result as it is, 1 gives it the source's envelope. The
    gain is limited to 18 dB upwards, so that a place where the voice made nothing does not become noise.
    """
    frames = max(1, round(ENVELOPE_SECONDS * sample_rate / hop_length)) | 1
    powers = [
        uniform_filter1d(np.square(x.astype(np.float64).reshape(-1, hop_length)).mean(axis=1), frames, mode="nearest")
        for x in (source, result)
    ]
    gain_db = 10 * np.log10((powers[0] + 1e-10) / (powers[1] + 1e-10))
    return per_sample(10.0 ** (amount * np.minimum(gain_db, LARGEST_GAIN_DB) / 20.0), hop_length)


def noise_like(
    source: np.ndarray, voiced: np.ndarray, low_band_db: np.ndarray, hop_length: int, silence_db: float = SILENCE_DB
) -> np.ndarray:
    """Weight (T,) 0..1 of breaths and voiceless consonants in the source.

    1 in frames that are not silent, not voiced, not beside a voiced frame, and whose energy does not lie below 1 kHz:
    an F0 estimator that misses a soft note must not let the source's singer through.
    """
    level = frame_levels(source, hop_length)
    near_voiced = binary_dilation(voiced.astype(bool), iterations=1)
    tonal = low_band_db > level - TONAL_DB
    return ((level > silence_db) & ~near_voiced & ~tonal).astype(np.float64)


def keep_room_tone(
    source: np.ndarray, result: np.ndarray, hop_length: int, silence_db: float = SILENCE_DB
) -> np.ndarray:
    """`result` (N,) faded where the source is silent into that silence itself, ROOM_TONE_DB lower.

    A gate with an end to its range: what a room sounds like in a pause is nobody's voice, and nothing at all in its
    place is told from a recording at once, by listeners to what a microphone hears and by networks that tell singers
    apart. Digital silence stays digital silence.
    """
    gate = silence_gate(source, hop_length, silence_db)
    return result * gate + source * (1.0 - gate) * 10 ** (ROOM_TONE_DB / 20)


def keep_noises(source: np.ndarray, result: np.ndarray, weight: np.ndarray, hop_length: int) -> np.ndarray:
    """`result` (N,) with the source mixed in by frame weights (T,) 0..1, keeping the power.

    The two are different noises and do not correlate, hence equal-power gains; they change over one frame.
    """
    from_result, from_source = crossfade_gains(per_sample(weight, hop_length), 0.0)
    return result * from_result + source * from_source
