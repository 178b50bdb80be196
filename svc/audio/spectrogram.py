"""Linear and mel spectrograms in torch: differentiable, on any device, with the project's one frame rule.

A clip of N samples gives T = ceil(N / hop) frames; frame t is the window of n_fft samples centred at
(t + 0.5) * hop. Ends are reflected, or filled with zeros where the clip is too short for that.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

_WINDOWS: dict[tuple[int, torch.device], torch.Tensor] = {}
_BASES: dict[tuple["MelSettings", torch.device], torch.Tensor] = {}


@dataclass(frozen=True)
class MelSettings:
    """What a log-mel spectrogram is made of.

    `fmax` None is half the sample rate. `eps` stands inside the root of the magnitude, sqrt(re^2 + im^2 + eps);
    0 is the plain magnitude. Mel values below `floor` are raised to it before the natural logarithm.
    """

    sample_rate: int
    n_fft: int
    hop_length: int
    n_mels: int
    fmin: float = 0.0
    fmax: float | None = None
    eps: float = 1e-6
    floor: float = 1e-5


def linear_spectrogram(audio: torch.Tensor, n_fft: int, hop: int, eps: float = 1e-6) -> torch.Tensor:
    """Magnitudes (B, n_fft / 2 + 1, T) of audio (B, N), float32, Hann window: sqrt(re^2 + im^2 + eps).

    T = ceil(N / hop). Computed in float32 also under autocast. With eps 0 the gradient at silence is 0.
    """
    with torch.autocast(audio.device.type, enabled=False):
        return _magnitudes(audio.float(), n_fft, hop, eps)


def log_mel(audio: torch.Tensor, settings: MelSettings) -> torch.Tensor:
    """Natural log of the mel spectrogram, (B, n_mels, T) float32, of audio (B, N) at `settings.sample_rate`."""
    magnitudes = linear_spectrogram(audio, settings.n_fft, settings.hop_length, settings.eps)
    return linear_to_log_mel(magnitudes, settings)


def linear_to_log_mel(magnitudes: torch.Tensor, settings: MelSettings) -> torch.Tensor:
    """(B, n_mels, T) from magnitudes (B, n_fft / 2 + 1, T) that linear_spectrogram made with the same settings."""
    with torch.autocast(magnitudes.device.type, enabled=False):
        mel = torch.matmul(_basis(settings, magnitudes.device), magnitudes.float())
        return torch.log(torch.clamp(mel, min=settings.floor))


@lru_cache(maxsize=64)
def mel_filterbank(
    sample_rate: int, n_fft: int, n_mels: int, fmin: float = 0.0, fmax: float | None = None
) -> np.ndarray:
    """Triangular mel filters (n_mels, n_fft / 2 + 1), float32, read-only, of unit area (Slaney 1998).

    Slaney's scale is linear below 1 kHz (200/3 Hz per mel) and logarithmic above (factor 6.4 in 27 mels);
    each triangle is divided by half its width in Hz, so that its energy does not depend on its width.
    """
    top = sample_rate / 2 if fmax is None else fmax
    if not 0 <= fmin < top:
        raise ValueError(f"mel filters need 0 <= fmin < fmax, got {fmin} and {top}")
    edges = _mel_to_hz(np.linspace(_hz_to_mel(fmin), _hz_to_mel(top), n_mels + 2))
    bins = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    width = np.diff(edges)
    rising = (bins - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - bins) / width[1:, None]
    filters = np.maximum(0.0, np.minimum(rising, falling))
    filters *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    result = filters.astype(np.float32)
    result.flags.writeable = False
    return result


def mel_centres_hz(settings: MelSettings) -> np.ndarray:
    """Centre of each mel band in Hz, (n_mels,)."""
    top = settings.sample_rate / 2 if settings.fmax is None else settings.fmax
    return _mel_to_hz(np.linspace(_hz_to_mel(settings.fmin), _hz_to_mel(top), settings.n_mels + 2))[1:-1]


_LINEAR_HZ = 200.0 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ
_LOG_STEP = np.log(6.4) / 27


def _hz_to_mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _LINEAR_HZ
    return float(_BREAK_MEL + np.log(hz / _BREAK_HZ) / _LOG_STEP)


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL)))


def _magnitudes(audio: torch.Tensor, n_fft: int, hop: int, eps: float) -> torch.Tensor:
    spectrum = torch.stft(
        _pad(audio, n_fft, hop),
        n_fft,
        hop_length=hop,
        window=_window(n_fft, audio.device),
        center=False,
        return_complex=True,
    )
    if eps == 0:
        return spectrum.abs()
    parts = torch.view_as_real(spectrum)
    return torch.sqrt(parts.square().sum(-1) + eps)


def _pad(audio: torch.Tensor, n_fft: int, hop: int) -> torch.Tensor:
    samples = audio.shape[-1]
    if audio.ndim != 2 or samples == 0:
        raise ValueError(f"expected audio of shape (batch, samples) with at least one sample, got {tuple(audio.shape)}")
    if n_fft < hop:
        raise ValueError(f"the window of {n_fft} samples is shorter than the hop of {hop}")
    left = (n_fft - hop) // 2
    right = -(-samples // hop) * hop - samples + n_fft - hop - left
    mode = "reflect" if max(left, right) < samples else "constant"
    return F.pad(audio.unsqueeze(1), (left, right), mode=mode).squeeze(1)


def _window(n_fft: int, device: torch.device) -> torch.Tensor:
    key = (n_fft, device)
    if key not in _WINDOWS:
        with torch.inference_mode(False):  # a tensor born in inference mode could not serve a training step later
            _WINDOWS[key] = torch.hann_window(n_fft, device=device)
    return _WINDOWS[key]


def _basis(settings: MelSettings, device: torch.device) -> torch.Tensor:
    key = (settings, device)
    if key not in _BASES:
        filters = mel_filterbank(settings.sample_rate, settings.n_fft, settings.n_mels, settings.fmin, settings.fmax)
        with torch.inference_mode(False):
            _BASES[key] = torch.tensor(filters, device=device)
    return _BASES[key]
