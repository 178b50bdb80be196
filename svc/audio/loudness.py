"""How loud: EBU R128 for whole recordings, dB per frame for the model, and following a source's envelope."""

import numpy as np

from svc.errors import AudioError

SILENCE_LUFS = -70.0
FLOOR_DB = -100.0

SOUNDING_RANGE_DB = 20.0
"""Frames this far below the mean of the loud ones are pauses."""

_BLOCK_PARTS = 4  # a gating block of 400 ms is four parts of 100 ms, and blocks overlap by three of them
_FRAMES_AT_ONCE = 4096

# ITU-R BS.1770-4, table 3: left, right, centre 1; side or rear surround 1.41; the LFE is left out.
# By channel count, in the channel order of wav files.
_CHANNEL_WEIGHTS: dict[int, tuple[float, ...]] = {
    1: (1.0,),
    2: (1.0, 1.0),
    3: (1.0, 1.0, 1.0),
    4: (1.0, 1.0, 1.41, 1.41),
    5: (1.0, 1.0, 1.0, 1.41, 1.41),
    6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41),
    7: (1.0, 1.0, 1.0, 0.0, 1.0, 1.41, 1.41),
    8: (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.41, 1.41),
}


def integrated_loudness(samples: np.ndarray, sample_rate: int) -> float:
    """Integrated loudness in LUFS (EBU R128 / ITU-R BS.1770-4) of float32 (C, N); -70 for silence.

    A clip shorter than one gating block of 400 ms is measured as one block.
    """
    meter = LoudnessMeter(sample_rate, len(samples))
    for start in range(0, samples.shape[1], 16 * sample_rate):
        meter.add(samples[:, start : start + 16 * sample_rate])
    return meter.integrated()


class LoudnessMeter:
    """EBU R128 loudness of a stream: K-weighted power in 400 ms blocks, gated at -70 LUFS and 10 LU below the mean."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        if channels not in _CHANNEL_WEIGHTS:
            raise AudioError(f"Loudness is measured for 1 to 8 channels, not {channels}: mix it down first.")
        self._rate = sample_rate
        self._weights = np.array(_CHANNEL_WEIGHTS[channels])
        self._filters = k_weighting(sample_rate)
        self._states = [np.zeros((channels, 2)) for _ in self._filters]
        self._parts: list[float] = []  # weighted energy (sum of squares) of each complete 100 ms
        self._open_energy = 0.0
        self._samples = 0
        self.peak = 0.0

    def add(self, block: np.ndarray) -> None:
        """Take in float32 (C, n)."""
        from scipy.signal import lfilter

        if block.shape[1] == 0:
            return
        self.peak = max(self.peak, float(np.abs(block).max()))
        weighted = block.astype(np.float64)
        for i, (b, a) in enumerate(self._filters):
            weighted, self._states[i] = lfilter(b, a, weighted, axis=1, zi=self._states[i])
        energy = self._weights @ np.square(weighted)
        taken = 0
        while taken < len(energy):
            until = min(len(energy), self._part_end(len(self._parts)) - self._samples + taken)
            self._open_energy += float(energy[taken:until].sum())
            self._samples += until - taken
            taken = until
            if self._samples == self._part_end(len(self._parts)):
                self._parts.append(self._open_energy)
                self._open_energy = 0.0

    def integrated(self) -> float:
        """Loudness in LUFS of everything added so far, -70 when it is silence or nothing."""
        if len(self._parts) < _BLOCK_PARTS:
            total = sum(self._parts) + self._open_energy
            return _lufs(total / self._samples) if self._samples else SILENCE_LUFS
        sums = np.convolve(self._parts, np.ones(_BLOCK_PARTS), mode="valid")
        ends = np.array([self._part_end(i) for i in range(-1, len(self._parts))])
        loud = _loud_power(sums / (ends[_BLOCK_PARTS:] - ends[:-_BLOCK_PARTS]), _power(SILENCE_LUFS))
        return SILENCE_LUFS if loud is None else _lufs(loud)

    def _part_end(self, index: int) -> int:
        """Sample where the 100 ms part `index` ends."""
        return round((index + 1) * self._rate / 10)


def k_weighting(sample_rate: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The two biquads (b, a) of ITU-R BS.1770-4 annex 1 at any rate: a high shelf, then a high pass.

    The standard lists coefficients for 48 kHz; these are the analogue parameters behind them (De Man,
    "Evaluation of implementations of the EBU R128 loudness measurement", 2018), put through the bilinear
    transform at `sample_rate`.
    """
    centre, gain_db, q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k = np.tan(np.pi * centre / sample_rate)
    high = 10 ** (gain_db / 20)
    band = high**0.4996667741545416
    a0 = 1 + k / q + k * k
    shelf = (
        np.array([high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k]) / a0,
        np.array([a0, 2 * (k * k - 1), 1 - k / q + k * k]) / a0,
    )
    centre, q = 38.13547087602444, 0.5003270373238773
    k = np.tan(np.pi * centre / sample_rate)
    a0 = 1 + k / q + k * k
    high_pass = (np.array([1.0, -2.0, 1.0]), np.array([a0, 2 * (k * k - 1), 1 - k / q + k * k]) / a0)
    return [shelf, high_pass]


def gain_to(measured_lufs: float, target_lufs: float, peak: float = 0.0, ceiling: float = 1.0) -> float:
    """Linear factor that brings `measured_lufs` to `target_lufs`, reduced so that `peak` stays below `ceiling`.

    1 for silence (-70 LUFS and below): noise is never blown up. Peaks and ceiling are linear sample values.
    """
    if measured_lufs <= SILENCE_LUFS:
        return 1.0
    gain = 10 ** ((target_lufs - measured_lufs) / 20)
    return min(gain, ceiling / peak) if peak > 0 else gain


def frame_loudness_db(samples: np.ndarray, hop_length: int, n_fft: int) -> np.ndarray:
    """Loudness of each frame in dB of full scale, float32 (T,), of mono samples (N,); floor -100 dB.

    T = ceil(N / hop). Frame t is the RMS of the n_fft samples centred at (t + 0.5) * hop; the ends are
    reflected as in svc.audio.spectrogram, zeros where the clip is too short for that.
    """
    frames = -(-len(samples) // hop_length)
    left = (n_fft - hop_length) // 2
    out = np.empty(frames, np.float32)
    for first in range(0, frames, _FRAMES_AT_ONCE):
        count = min(_FRAMES_AT_ONCE, frames - first)
        start = first * hop_length - left
        stretch = _reflected(samples, start, start + (count - 1) * hop_length + n_fft, hop_length, n_fft)
        power = _window_power(stretch, hop_length, n_fft, count)
        out[first : first + count] = 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))
    return out


def sounding_level_db(level_db: np.ndarray) -> float | None:
    """The usual level of frames (T,) in dB of full scale: the median of those that sound; None where none does.

    How loud the loud ones are is gated as in EBU R128. The median counts whispers as much as shouts, so a few loud
    lines do not move it.
    """
    power = 10.0 ** (np.asarray(level_db, dtype=np.float64) / 10.0)
    loud = _loud_power(power, 10.0 ** (SILENCE_LUFS / 10.0))
    if loud is None:
        return None
    return float(np.median(np.asarray(level_db)[power > loud / 10.0 ** (SOUNDING_RANGE_DB / 10.0)]))


def sovits_volume(samples: np.ndarray, hop_length: int, centred: bool = True) -> np.ndarray:
    """Volume as so-vits-svc feeds it to its models: RMS of each hop, linear, float32 (floor(N / hop),).

    `centred` (so-vits-svc 4.1-Stable) reflects half a hop at each end first, so that frames are centred on
    multiples of the hop; False (4.1-Latest) starts frames there. The branch is not recorded in its files.
    """
    frames = len(samples) // hop_length
    padded = np.pad(samples, hop_length // 2, mode="reflect") if centred else samples
    return np.sqrt(_window_power(padded, hop_length, hop_length, frames)).astype(np.float32)


def match_envelope(source: np.ndarray, output: np.ndarray, sample_rate: int, amount: float) -> np.ndarray:
    """`output` (N,) with its loudness envelope drawn towards that of `source` (N,), both at `sample_rate`.

    Envelopes are RMS over one second every half second, interpolated linearly. The gain is
    (rms_source / rms_output) ** amount, with rms_output >= 1e-6: amount 0 leaves the output as it is, 1 gives
    it the source's envelope. so-vits-svc and RVC call 1 - amount the loudness envelope's mix rate.
    """
    if amount == 0:
        return output
    wanted = _half_second_envelope(source, sample_rate, len(output))
    actual = np.maximum(_half_second_envelope(output, sample_rate, len(output)), 1e-6)
    return (output * (wanted / actual) ** amount).astype(np.float32)


def _half_second_envelope(samples: np.ndarray, sample_rate: int, length: int) -> np.ndarray:
    """Linear RMS per half second, stretched over `length` samples as torch interpolates without aligned corners."""
    hop = sample_rate // 2
    frames = 1 + len(samples) // hop
    rms = np.sqrt(_window_power(np.pad(samples, hop), hop, 2 * hop, frames))
    position = (np.arange(length) + 0.5) * (frames / length) - 0.5
    return np.interp(position, np.arange(frames), rms)


def _window_power(samples: np.ndarray, hop: int, window: int, frames: int) -> np.ndarray:
    """Mean square, float64 (frames,), of samples[t * hop : t * hop + window]."""
    total = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    starts = np.arange(frames) * hop
    return np.maximum(total[starts + window] - total[starts], 0.0) / window


def _reflected(samples: np.ndarray, start: int, stop: int, hop: int, n_fft: int) -> np.ndarray:
    """samples[start:stop] of a clip that goes on by reflection at both ends, or as zeros when it is too short."""
    n = len(samples)
    if start >= 0 and stop <= n:
        return samples[start:stop]
    overhang = max((n_fft - hop) // 2, -(-n // hop) * hop - n + n_fft - hop - (n_fft - hop) // 2)
    index = np.arange(start, stop)
    if overhang >= n:
        return np.where((index >= 0) & (index < n), samples[np.clip(index, 0, n - 1)], 0.0)
    index = np.abs(index)
    return samples[np.where(index >= n, 2 * (n - 1) - index, index)]


def _loud_power(power: np.ndarray, silence: float) -> float | None:
    """EBU R128's two gates: the mean of powers within 10 dB of the mean of those above `silence`; None without any."""
    power = power[power > silence]
    return float(power[power > power.mean() / 10].mean()) if len(power) else None


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))


def _lufs(power: float) -> float:
    return max(SILENCE_LUFS, float(-0.691 + 10 * np.log10(power))) if power > 0 else SILENCE_LUFS
