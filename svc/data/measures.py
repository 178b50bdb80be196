"""What can be measured about a recording's quality. Arrays in, numbers out; `None` where there is too little to tell.

All take mono samples (N,) float32 at the spec's rate and the frames (T,) of svc.features.
"""

from itertools import pairwise

import numpy as np

from svc.features.spec import FeatureSpec
from svc.pitch.editing import voiced_runs

FINGERPRINT_BANDS = 12
FINGERPRINT_STEPS = 48


def flat_tops(block: np.ndarray, sample_rate: int, part_seconds: float = 0.1) -> np.ndarray:
    """Samples lost to clipping in each tenth of a second of one block (C, N), summed over channels.

    A clipped wave stays at *exactly* its highest value for three samples or more; a loud but whole one does not, and
    this also finds clipping that was turned down afterwards. Lossy coding blurs it, so mp3 files hide theirs.
    """
    part = max(1, int(part_seconds * sample_rate))
    counts = np.zeros(-(-block.shape[1] // part), dtype=np.int64)
    peak = float(np.abs(block).max(initial=0.0))
    if peak < 0.1 or block.shape[1] < 3:
        return counts
    for channel in block:
        same = (np.diff(channel) == 0) & (np.abs(channel[1:]) >= 0.999 * peak)
        for start, stop in voiced_runs(same):
            if stop - start >= 2:
                counts[start // part] += stop - start + 1
    return counts


def snr_db(loudness_db: np.ndarray, f0_hz: np.ndarray, frame_rate: float) -> float | None:
    """Level of voiced frames over the level of pauses, in dB, at most 90.

    Pauses are unvoiced frames at least 60 ms away from voice (so breaths and consonants count little: the quiet tenth
    of them is taken). None with less than 0.3 s of pauses or of voice.
    """
    voiced = f0_hz > 0
    reach = max(1, round(0.06 * frame_rate))
    near = np.convolve(voiced.astype(np.float32), np.ones(2 * reach + 1, dtype=np.float32), mode="same") > 0
    pauses, voice = loudness_db[~near], loudness_db[voiced]
    if min(len(pauses), len(voice)) < 0.3 * frame_rate:
        return None
    return float(min(90.0, np.median(voice) - np.percentile(pauses, 10)))


def quick_decays_per_second(samples: np.ndarray, sample_rate: int) -> float | None:
    """How often sound dies away quickly, per second of sound: the drier the recording, the oftener.

    In five bands (250 Hz to 7 kHz, power in 16 ms windows every 4 ms), falls of at least 18 dB without a rise between
    are counted, starting no lower than 20 dB below the loud parts. Reverberation fills what follows a note, so such
    falls become rare: measured on dry singing 1.8 to 8 per second; the same with a room of 0.4 s at -6 dB 0.4 to 3.5,
    of 0.8 s 0 to 1.5. Held vowels without pauses have few as well. None with under 2 s of sound.
    """
    size, hop = 2 ** round(np.log2(0.016 * sample_rate)), int(0.004 * sample_rate)
    if len(samples) < size + hop * 64:
        return None
    edges = (np.array([250, 500, 1000, 2000, 4000, 7000]) / (sample_rate / size)).astype(int)
    edges = np.clip(edges, 1, size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    window = np.hanning(size).astype(np.float32)
    power = np.empty((len(frames), 5), dtype=np.float32)
    for first in range(0, len(frames), 4096):
        spectrum = np.abs(np.fft.rfft(frames[first : first + 4096] * window, axis=1)) ** 2
        for band, (low, high) in enumerate(pairwise(edges)):
            power[first : first + 4096, band] = spectrum[:, low : max(low + 1, high)].mean(axis=1)
    level = 10 * np.log10(power + 1e-12)
    loudest = level.max(axis=1)
    sounding = int((loudest > np.percentile(loudest, 95) - 30).sum())
    seconds = sounding * hop / sample_rate
    if seconds < 2:
        return None
    return sum(_quick_decays(level[:, band]) for band in range(5)) / seconds


def _quick_decays(level_db: np.ndarray, drop_db: float = 18.0) -> int:
    smooth = np.convolve(level_db, np.ones(5) / 5, mode="valid")
    least = np.percentile(smooth, 95) - 20
    return sum(
        bool(smooth[start] >= least and smooth[start] - smooth[stop] >= drop_db)
        for start, stop in voiced_runs(np.diff(smooth) < 0.05)
    )


def second_voice_share(samples: np.ndarray, f0_hz: np.ndarray, spec: FeatureSpec) -> float | None:
    """Share of steady sung frames in which sound between the harmonics of F0 is within 10 dB of the harmonics.

    Looks at 120 to 2500 Hz in windows of 64 ms, where F0 stays within 70 cents over 90 ms (else the harmonics
    themselves are smeared). Choirs, duets, doubled vocals and accompaniment raise it; so do growl and hoarseness, which
    is why a single high value is no proof. Measured: one singer 0.01 to 0.17, two equally loud 0.02 to 0.53 (median
    0.35). None with fewer than 60 such frames.
    """
    frames = _steady_frames(f0_hz, spec.frame_rate)
    if len(frames) < 60:
        return None
    frames = frames[:: 1 + len(frames) // 300]
    size = int(0.064 * spec.sample_rate)
    padded_size = 2 ** int(np.ceil(np.log2(2 * size)))
    bin_hz = spec.sample_rate / padded_size
    low, high = int(120 / bin_hz), int(2500 / bin_hz)
    frequency = np.arange(low, high) * bin_hz
    window = np.hanning(size).astype(np.float32)
    padded = np.pad(samples, (size // 2, size))
    hits = told = 0
    for first in range(0, len(frames), 256):
        part = frames[first : first + 256]
        starts = ((part + 0.5) * spec.hop_length).astype(np.int64)
        spectrum = np.fft.rfft(padded[starts[:, None] + np.arange(size)] * window, padded_size, axis=1)
        power = np.abs(spectrum[:, low:high]) ** 2
        f0 = f0_hz[part][:, None]
        nearest = np.maximum(1, np.round(frequency / f0)) * f0
        between = np.abs(frequency - nearest) > np.maximum(32.0, 0.012 * frequency)
        # With a low voice hardly anything lies between the harmonics: nothing can be told there.
        tellable = between.mean(axis=1) > 0.2
        rest, own = (power * between).sum(axis=1), (power * ~between).sum(axis=1)
        hits += int((tellable & (rest > 0.1 * own)).sum())
        told += int(tellable.sum())
    return hits / told if told >= 40 else None


def _steady_frames(f0_hz: np.ndarray, frame_rate: float, seconds: float = 0.09, cents: float = 70.0) -> np.ndarray:
    """Indices of frames around which F0 is voiced and stays within `cents` for `seconds`."""
    reach = max(1, round(seconds * frame_rate / 2))
    if len(f0_hz) < 2 * reach + 1:
        return np.zeros(0, dtype=np.int64)
    around = np.lib.stride_tricks.sliding_window_view(f0_hz, 2 * reach + 1)
    lowest, highest = around.min(axis=1), around.max(axis=1)
    steady = (lowest > 0) & (highest < np.maximum(lowest, 1e-6) * 2 ** (cents / 1200))
    return np.flatnonzero(steady) + reach


def fingerprint(samples: np.ndarray, spec: FeatureSpec) -> list[float]:
    """A coarse picture of a recording, unit length: log energy in 12 bands x 48 time steps from first to last sound.

    Cosines measured: one recording at another level 1.000, at half the rate 0.99, as mp3 0.966 and up; other takes
    of the same sentence at most 0.98, other takes of one sung note up to 0.996. So likeness only calls for a look at
    the waveforms (`waveform_match`: copies 0.9996 through mp3, takes of one note up to 0.76, of a sentence 0.22).
    """
    size = 1024
    hop = max(1, len(samples) // 2048)
    count = max(1, (len(samples) - size) // hop + 1) if len(samples) >= size else 1
    padded = np.pad(samples, (0, max(0, size - len(samples))))
    starts = np.arange(count) * hop
    spectrum = np.abs(np.fft.rfft(padded[starts[:, None] + np.arange(size)] * np.hanning(size), axis=1)) ** 2
    top = min(7000.0, spec.sample_rate / 2)
    edges = np.round(np.geomspace(100.0, top, FINGERPRINT_BANDS + 1) / (spec.sample_rate / size)).astype(int)
    bands = np.stack([spectrum[:, a : max(a + 1, b)].mean(axis=1) for a, b in pairwise(edges)], axis=1)
    total = bands.sum(axis=1)
    loud = np.flatnonzero(total > 1e-4 * total.max(initial=0.0))
    if not len(loud):
        return [0.0] * (FINGERPRINT_BANDS * FINGERPRINT_STEPS)
    bands = bands[loud[0] : loud[-1] + 1]
    pieces = np.array_split(np.arange(len(bands)), FINGERPRINT_STEPS)
    picture = np.stack(
        [
            bands[p if len(p) else [min(i * len(bands) // FINGERPRINT_STEPS, len(bands) - 1)]].mean(axis=0)
            for i, p in enumerate(pieces)
        ]
    )
    picture = np.log(picture + 1e-4 * picture.max())
    picture -= picture.mean()
    norm = float(np.linalg.norm(picture))
    return (picture / norm if norm > 0 else picture).round(5).ravel().tolist()


def waveform_match(first: np.ndarray, second: np.ndarray) -> float:
    """Highest correlation (0..1) of two waveforms (N,), (M,) over all shifts, whatever their levels and polarity."""
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    if norm == 0:
        return 0.0
    size = 2 ** int(np.ceil(np.log2(len(first) + len(second))))
    product = np.fft.rfft(first, size) * np.conj(np.fft.rfft(second, size))
    return float(np.abs(np.fft.irfft(product, size)).max() / norm)
