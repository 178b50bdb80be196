"""Spectrograms of UVR's VR models: one or several bands, each at its own rate and FFT size, stacked into one.

All bands have the same frame period. Everything here is local in time, so a song is read and written in pieces with
some frames of context. Lower bands are resampled by scipy's polyphase filter, whichever the band file names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import gcd
from typing import Any

import numpy as np
import torch

CONTEXT = 16  # frames; more than any window or resampling filter reaches
PIECE = 128  # frames read or written at once

# How left and right are mixed before the network, and back.
_CHANNELS: dict[str, tuple[list[list[float]], list[list[float]]]] = {
    "mid_side": ([[0.5, 0.5], [1, -1]], [[1, 0.5], [1, -0.5]]),
    "mid_side_b2": ([[0.5, 1], [1, -0.5]], [[0.4, 0.8], [0.8, -0.4]]),
    "mid_side_c": ([[1, 0.25], [-0.25, 1]], [[1 / 1.0625, -1 / 4.25], [1 / 4.25, 1 / 1.0625]]),
    "stereo_n": ([[1 / 0.9375, 0.25 / 0.9375], [0.25 / 0.9375, 1 / 0.9375]], [[1, -0.25], [-0.25, 1]]),
}


@dataclass(frozen=True)
class Band:
    """One band: rate in Hz, hop and FFT size in samples, the bins it gives, its gain per bin on the way back."""

    rate: int
    hop: int
    n_fft: int
    start: int
    stop: int
    gain: np.ndarray = field(repr=False)
    mix: np.ndarray = field(repr=False)
    unmix: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Bands:
    """Bands from low to high; `bins` without the top one, `gain` (bins + 1,) on the way in."""

    bins: int
    bands: tuple[Band, ...]
    gain: np.ndarray = field(repr=False)

    @property
    def hop(self) -> int:
        """Samples per frame at the song's rate."""
        return self.bands[-1].hop

    def analyse(self, samples: np.ndarray, skip: int, frames: int) -> np.ndarray:
        """Frames `skip` to `skip + frames` of (2, n) samples: (2, bins + 1, frames) complex."""
        out = np.zeros((2, self.bins + 1, frames), np.complex64)
        row = sum(band.stop - band.start for band in self.bands)
        wave, rate = samples, self.bands[-1].rate
        for band in reversed(self.bands):
            wave = _resample(wave, rate, band.rate)
            rate = band.rate
            mixed = torch.from_numpy(np.ascontiguousarray(band.mix @ wave, dtype=np.float32))
            window = torch.hann_window(band.n_fft)
            spectrum = torch.stft(
                mixed, band.n_fft, band.hop, window=window, pad_mode="constant", return_complex=True
            ).numpy()
            part = spectrum[:, band.start : band.stop, skip : skip + frames]
            row -= band.stop - band.start
            out[:, row : row + part.shape[1], : part.shape[2]] = part
        return out * self.gain[:, None]

    def synthesise(self, spectrum: np.ndarray) -> np.ndarray:
        """(2, bins + 1, T) complex to (2, (T - 1) * hop) samples."""
        total = np.zeros((2, 0), np.float32)
        row, rate = 0, self.bands[0].rate
        for band in self.bands:
            full = np.zeros((2, band.n_fft // 2 + 1, spectrum.shape[2]), np.complex64)
            full[:, band.start : band.stop] = spectrum[:, row : row + band.stop - band.start]
            row += band.stop - band.start
            full *= band.gain[:, None]
            window = torch.hann_window(band.n_fft)
            wave = band.unmix @ torch.istft(torch.from_numpy(full), band.n_fft, band.hop, window=window).numpy()
            below = _resample(total, rate, band.rate)[:, : wave.shape[1]]
            wave[:, : below.shape[1]] += below
            total, rate = wave, band.rate
        return total.astype(np.float32)


def read_bands(data: Mapping[str, Any], new: bool) -> Bands:
    """Bands from one of UVR's `modelparams` files; `new` for VR 5.1, which rounds its filters otherwise.

    Raises KeyError, TypeError or ValueError with what is wrong.
    """
    if data.get("reverse"):
        raise ValueError("it wants songs played backwards, which is not supported")
    numbers = sorted(int(number) for number in data["band"])
    if not numbers or numbers != list(range(1, len(numbers) + 1)):
        raise ValueError("its bands are not numbered from 1")
    entries = [data["band"][str(number)] for number in numbers]
    whole = next((name for name in ("mid_side", "mid_side_b2") if data.get(name)), "") if not new else ""
    bands = tuple(_band(entry, new, whole, data, index) for index, entry in enumerate(entries))
    bins = _whole_number(data["bins"] if "bins" in data else data["n_bins"])
    top = bands[-1]
    if any(band.hop * top.rate != top.hop * band.rate for band in bands):
        raise ValueError("its bands have different frame rates")
    if sum(band.stop - band.start for band in bands) > bins or bins % 4 or top.rate != data["sr"]:
        raise ValueError("its bands do not add up")
    return Bands(bins, bands, _input_gain(data, bins + 1, len(bands), new))


def _band(entry: Mapping[str, Any], new: bool, whole: str, data: Mapping[str, Any], index: int) -> Band:
    rate, hop, n_fft = (_whole_number(entry[name]) for name in ("sr", "hl", "n_fft"))
    start, stop = int(entry["crop_start"]), int(entry["crop_stop"])
    rows = n_fft // 2 + 1
    if not 0 <= start < stop <= rows or hop >= n_fft:
        raise ValueError(f"band {index + 1} is impossible")
    gain = np.ones(rows)
    if (index or len(data["band"]) == 1) and entry.get("hpf_start", -1) > 0:
        gain *= _high_pass(rows, int(entry["hpf_start"]), int(entry["hpf_stop"]) - 1, new)
    if index < len(data["band"]) - 1:
        gain *= _low_pass(rows, int(entry["lpf_start"]), int(entry["lpf_stop"]), new)
    kind = entry.get("convert_channels") or "" if new else whole
    mix, unmix = _CHANNELS.get(kind, ([[1, 0], [0, 1]], [[1, 0], [0, 1]]))
    return Band(rate, hop, n_fft, start, stop, gain.astype(np.float32), np.array(mix), np.array(unmix))


def _low_pass(rows: int, start: int, stop: int, new: bool) -> np.ndarray:
    if not 0 < start <= stop <= rows:
        raise ValueError("a filter is impossible")
    gain = np.zeros(rows)
    if new:
        gain[: start - 1] = 1
        gain[start - 1 : stop] = np.linspace(1, 0, stop - start + 1)
    else:
        gain[:start] = 1
        gain[start:stop] = 1 - np.arange(1, stop - start + 1) / max(1, stop - start)
    return gain


def _high_pass(rows: int, start: int, stop: int, new: bool) -> np.ndarray:
    """Falls from bin `start` down to `stop`."""
    if not 0 <= stop < start < rows - 1:
        raise ValueError("a filter is impossible")
    gain = np.ones(rows)
    gain[: stop + 1] = 0
    if new:
        gain[stop + 1 : start + 2] = np.linspace(0, 1, 1 + start - stop)
    else:
        gain[start:stop:-1] = 1 - np.arange(1, start - stop + 1) / (start - stop)
    return gain


def _input_gain(data: Mapping[str, Any], rows: int, bands: int, new: bool) -> np.ndarray:
    start, stop = int(data["pre_filter_start"]), int(data["pre_filter_stop"])
    if start <= 0:
        return np.ones(rows, np.float32)
    if new or bands == 1:
        return _low_pass(rows, start, stop, new).astype(np.float32)
    gain, before = np.ones(rows), 1.0
    for row in range(start + 1, min(stop, rows)):
        before = 10 ** (-(row - start) * (3.5 - before) / 20)
        gain[row] = before
    return gain.astype(np.float32)


def _resample(wave: np.ndarray, old: int, new: int) -> np.ndarray:
    if old == new or not wave.shape[1]:
        return wave
    from scipy.signal import resample_poly

    common = gcd(old, new)
    return resample_poly(wave, new // common, old // common, axis=1)


def _whole_number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 1 << 20:
        raise ValueError(f"{value!r} is no size")
    return value
