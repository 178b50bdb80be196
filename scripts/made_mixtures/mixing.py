"""Voice plus backing at random levels, places, rooms and tones, as spectra that separators learn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.signal import oaconvolve
from torch import Tensor

from made_mixtures.band import RATE

N_FFT = 4096
HOP = 1024
BINS = 1024
FRAMES = 128  # 3 s
LENGTH = (FRAMES - 1) * HOP
TONE_POINTS = 7  # of a random curve over log frequency
TONE_DB = 4.0


@dataclass(frozen=True)
class Stock:
    """Recordings as memory-mapped 16-bit arrays: voices (n,), bands (2, n), groups of stems (stem, 2, n).

    `voices` are lists by source; a source is drawn first, then a recording in proportion to its length.
    """

    voices: tuple[tuple[np.ndarray, ...], ...]
    bands: tuple[np.ndarray, ...]
    stems: tuple[np.ndarray, ...] = ()

    @staticmethod
    def load(folder: Path) -> Stock:
        """All of `folder`: voices/SOURCE/*.npy, bands/*.npy, stems/*.npy."""

        def arrays(inside: Path) -> tuple[np.ndarray, ...]:
            return tuple(np.load(path, mmap_mode="r") for path in sorted(inside.glob("*.npy")))

        voices = tuple(arrays(inside) for inside in sorted((folder / "voices").iterdir()))
        return Stock(voices, arrays(folder / "bands"), arrays(folder / "stems"))


def cut(samples: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """`length` samples from a random place, repeated where there are fewer, in [-1, 1]."""
    have = samples.shape[-1]
    if have < length:
        samples = np.concatenate([samples] * (-(-length // have)), axis=-1)
        have = samples.shape[-1]
    start = int(rng.integers(have - length + 1))
    return samples[..., start : start + length].astype(np.float32) / 32768


def voice(stock: Stock, length: int, rng: np.random.Generator) -> np.ndarray:
    """Lines (n,) of one source one after the other, with rests between them, each at the same level."""
    source = stock.voices[rng.integers(len(stock.voices))]
    sizes = np.array([len(samples) for samples in source], np.float64)
    out, at = np.zeros(length, np.float32), int(rng.integers(-RATE // 2, RATE))
    while at < length:
        line = source[rng.choice(len(source), p=sizes / sizes.sum())]
        first = int(rng.integers(max(1, len(line) - length)))
        line = line[first : first + length].astype(np.float32) / 32768
        line = line * (0.1 / max(float(np.sqrt((line**2).mean())), 1e-3))
        start, stop = max(at, 0), min(at + len(line), length)
        if stop > start:
            out[start:stop] += line[start - at : stop - at]
        at += len(line) + int(rng.exponential(0.5) * RATE)
    return out


def backing(stock: Stock, length: int, rng: np.random.Generator) -> np.ndarray:
    """A piece (2, n): a made band, sometimes two at once are avoided; or some of the stems of a recorded one."""
    if stock.stems and rng.random() < 0.2:
        group = stock.stems[rng.integers(len(stock.stems))]
        chosen = [stem for stem in group if rng.random() < 0.6] or [group[rng.integers(len(group))]]
        start = int(rng.integers(max(1, group.shape[-1] - length)))
        parts = [cut(stem[:, start : start + length], length, rng) * rng.uniform(0.4, 1.2) for stem in chosen]
        return np.sum(parts, axis=0, dtype=np.float32)
    return cut(stock.bands[rng.integers(len(stock.bands))], length, rng)


def room(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n,) to (2, n): dry in the middle, or with a decaying tail of noise that differs left and right, or an echo."""
    pair = np.repeat(samples[None], 2, axis=0)
    kind = rng.random()
    if kind < 0.45:
        return pair
    if kind < 0.9:
        time = np.arange(int(RATE * rng.uniform(0.15, 1.2))) / RATE
        tail = rng.standard_normal((2, len(time))) * 10 ** (-3 * time / time[-1])
        tail[:, : int(RATE * rng.uniform(0.0, 0.03))] = 0
        tail *= 10 ** (-rng.uniform(6, 20) / 20) / np.sqrt((tail**2).sum(axis=1, keepdims=True))
        wet = oaconvolve(pair, tail, axes=1)[:, : len(samples)]
        return (pair + wet).astype(np.float32)
    delay, gain = int(RATE * rng.uniform(0.08, 0.4)), rng.uniform(0.15, 0.5)
    for _ in range(3):
        pair[:, delay:] += gain * pair[:, :-delay].copy()
    return pair


def spectrum(samples: np.ndarray) -> Tensor:
    """(2, n) to (2, BINS, FRAMES) complex."""
    whole = torch.stft(
        torch.from_numpy(samples), N_FFT, HOP, window=torch.hann_window(N_FFT), pad_mode="constant", return_complex=True
    )
    return whole[:, :BINS]


def tone(rng: np.random.Generator) -> Tensor:
    """A smooth random gain (BINS, 1) over frequency."""
    points = rng.normal(0, TONE_DB, TONE_POINTS)
    place = np.log2(np.arange(BINS) + 8) - 3
    curve = np.interp(place, np.linspace(0, place[-1], TONE_POINTS), points)
    return torch.from_numpy(10 ** (curve / 20)).float()[:, None]


def mixture(stock: Stock, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Spectra (2, BINS, FRAMES) of voice and backing; voices in one of fourteen mixtures are silent."""
    silent = rng.random() < 0.07
    sung = room(voice(stock, LENGTH, rng), rng) * (0.0 if silent else 1.0)
    played = backing(stock, LENGTH, rng)
    if rng.random() < 0.35:
        sung, played = (np.repeat(part.mean(axis=0, keepdims=True), 2, axis=0) for part in (sung, played))
    else:
        sung = sung * (1 + np.array([[-1], [1]]) * np.clip(rng.normal(0, 0.1), -0.5, 0.5)).astype(np.float32)
        played = played[:: 1 if rng.random() < 0.5 else -1].copy()
    level = np.sqrt((played**2).mean()) + 1e-4
    played = played * (0.1 / level)
    if not silent:
        sung = sung * (0.1 * 10 ** (rng.uniform(-8, 8) / 20) / (np.sqrt((sung**2).mean()) + 1e-4))
    loud = np.float32(10 ** (rng.uniform(-9, 6) / 20))
    return spectrum(np.float32(sung * loud)) * tone(rng), spectrum(np.float32(played * loud)) * tone(rng)
