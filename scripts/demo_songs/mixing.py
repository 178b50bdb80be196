"""Voice and band -> a stereo mix at a known loudness, and the compressed file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyloudnorm
import soundfile
import soxr
from scipy.ndimage import minimum_filter1d, uniform_filter1d
from scipy.signal import butter, fftconvolve, sosfilt

SAMPLE_RATE = 44100
LOUDNESS_LUFS = -16.0
VOICE_OVER_BAND_DB = 5.0
CEILING_DB = -3.0
REVERB_DB = -17.0
VORBIS_LEVEL = 0.4
"""libsndfile's compression level: 0 is the largest file, 1 the smallest."""


def room(voice: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) -> (2, N): the voice in the middle with a short, quiet room around it."""
    length = int(0.9 * SAMPLE_RATE)
    decay = 10 ** (-3 * np.arange(length) / (0.8 * SAMPLE_RATE))
    tail = rng.standard_normal((2, length)) * decay
    tail[:, : int(0.012 * SAMPLE_RATE)] = 0
    tail = sosfilt(butter(2, [250, 5000], "bandpass", fs=SAMPLE_RATE, output="sos"), tail)
    tail *= 10 ** (REVERB_DB / 20) / np.sqrt((tail**2).sum(axis=1, keepdims=True))
    return np.stack([voice + fftconvolve(voice, t)[: len(voice)] for t in tail])


def _gain_to(samples: np.ndarray, lufs: float) -> float:
    measured = pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples.T)
    return float(10 ** ((lufs - measured) / 20))


def true_peak_db(samples: np.ndarray) -> float:
    """Highest value between the samples too (four times oversampled), in dB of full scale."""
    peak = max(float(np.abs(soxr.resample(c, SAMPLE_RATE, 4 * SAMPLE_RATE)).max()) for c in samples)
    return 20 * np.log10(peak)


def _limit(samples: np.ndarray, ceiling_db: float) -> np.ndarray:
    """Turn down around peaks, 5 ms ahead of them; both channels alike."""
    ceiling = 10 ** (ceiling_db / 20)
    peaks = np.abs(np.stack([soxr.resample(c, SAMPLE_RATE, 4 * SAMPLE_RATE) for c in samples])).max(axis=0)
    peaks = peaks[: 4 * samples.shape[1]].reshape(-1, 4).max(axis=1)
    width = 2 * int(0.005 * SAMPLE_RATE) + 1
    gain = minimum_filter1d(np.minimum(1, ceiling / np.maximum(peaks, 1e-9)), 2 * width - 1)
    return samples * uniform_filter1d(gain, width)


def mix(voice_24k: np.ndarray, band: np.ndarray) -> np.ndarray:
    """-> (2, N) at 44.1 kHz; the voice has nothing above 12 kHz, Kokoro's band."""
    voice = soxr.resample(voice_24k, 24000, SAMPLE_RATE)[: band.shape[1]]
    voice = np.pad(voice, (0, band.shape[1] - len(voice)))
    voice = sosfilt(butter(2, 70, "highpass", fs=SAMPLE_RATE, output="sos"), voice)
    sung = room(voice, np.random.default_rng(5))
    both = sung * _gain_to(sung, -20) + band * _gain_to(band, -20 - VOICE_OVER_BAND_DB)
    return _limit(both * _gain_to(both, LOUDNESS_LUFS), CEILING_DB)


def write_vorbis(path: Path, samples: np.ndarray) -> None:
    """Atomic; in blocks, since libsndfile's Vorbis writer takes long arrays badly."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".ogg.part")
    with soundfile.SoundFile(part, "w", SAMPLE_RATE, 2, "VORBIS", format="OGG", compression_level=VORBIS_LEVEL) as file:
        for k in range(0, samples.shape[1], 32768):
            file.write(samples[:, k : k + 32768].T)
    os.replace(part, path)
