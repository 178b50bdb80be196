"""Resemblyzer's speaker encoder (Resemble AI, Apache-2.0): GE2E, three LSTM layers over 40 mels.

It is coarse and hears pitch: compare recordings in the same key only. It may be logged, but it must never choose
checkpoints, filter data or steer training, because then it could no longer tell how good a conversion is.
"""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from svc.audio.resampling import resample
from svc.errors import AudioError
from svc.speaker.encoder import SpeakerEncoder
from svc.weights import RESEMBLYZER as WEIGHTS

SAMPLE_RATE, N_FFT, HOP, MELS = 16_000, 400, 160, 40
PARTIAL_FRAMES = 160
# 1.3 partials per second, as the original does by default.
PARTIAL_STEP = 77
MIN_COVERAGE = 0.75
LOUDNESS_DBFS = -30.0
BATCH = 64


class ResemblyzerNetwork(nn.Module):
    """Mels (B, 160, 40) -> unit vectors (B, 256), all values >= 0."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(MELS, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, mels: Tensor) -> Tensor:
        """mels (B, T, 40), power, not logarithmic -> (B, 256)."""
        _, (hidden, _) = self.lstm(mels)
        return nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1)


class Resemblyzer(SpeakerEncoder):
    """256 values; the mean over partials of 1.6 s. For logs only, see the module's text."""

    name: ClassVar[str] = "resemblyzer"
    dim: ClassVar[int] = 256
    weights_sha256: ClassVar[str] = WEIGHTS.sha256

    def __init__(self, device: str = "cpu") -> None:
        """Load the network on a torch device; WeightError when its file is missing or damaged."""
        from librosa.filters import mel
        from safetensors.torch import load_file

        self.device = device
        self.network = ResemblyzerNetwork()
        self.network.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS.path()).items()})
        self.network.eval().requires_grad_(False).to(device)
        self.filterbank = torch.from_numpy(mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=MELS)).to(device)
        self.window = torch.hann_window(N_FFT, device=device)

    @torch.inference_mode()
    def embed(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """See SpeakerEncoder.embed. Silences count as they are: the original's voice detection is left out."""
        samples = self._prepared(samples, sample_rate)
        starts = partial_starts(len(samples))
        samples = np.pad(samples, (0, max(0, (starts[-1] + PARTIAL_FRAMES) * HOP - len(samples))))
        total = torch.zeros(self.dim, device=self.device)
        for first in range(0, len(starts), BATCH):
            group = starts[first : first + BATCH]
            total += self.network(self._mels(samples, group)).sum(dim=0)
        return nn.functional.normalize(total, dim=0).cpu().numpy()

    @staticmethod
    def _prepared(samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """(N,) at 16 kHz, raised to -30 dBFS when quieter; AudioError when there is nothing to hear."""
        if samples.ndim != 1 or len(samples) == 0:
            raise AudioError(f"A speaker encoder needs mono samples of shape (N,), N > 0, got {samples.shape}.")
        samples = np.asarray(samples, dtype=np.float32)
        if not np.isfinite(samples).all():
            raise AudioError("The audio holds NaN or infinite samples: export the file again from its source.")
        if sample_rate != SAMPLE_RATE:
            samples = resample(samples, sample_rate, SAMPLE_RATE)
        rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
        if rms < 1e-7:
            raise AudioError("A speaker cannot be told from silence: choose a recording with voice in it.")
        return samples * np.float32(max(1.0, 10 ** (LOUDNESS_DBFS / 20) / rms))

    def _mels(self, samples: np.ndarray, starts: list[int]) -> Tensor:
        """Power mels (P, 160, 40) of the partials that start at frames `starts`, frame t centred on sample 160 t."""
        first, last = starts[0] * HOP - N_FFT // 2, (starts[-1] + PARTIAL_FRAMES - 1) * HOP + N_FFT // 2
        piece = samples[max(first, 0) : last]
        piece = np.pad(piece, (max(-first, 0), last - max(first, 0) - len(piece)))
        spectrum = torch.stft(
            torch.from_numpy(piece).to(self.device), N_FFT, HOP, window=self.window, center=False, return_complex=True
        )
        mels = (self.filterbank @ spectrum.abs().square()).T
        return torch.stack([mels[s - starts[0] : s - starts[0] + PARTIAL_FRAMES] for s in starts])


def partial_starts(samples: int) -> list[int]:
    """First frames of the partials of `samples` samples; the last one only if 3/4 of it is filled, or it is alone."""
    frames = -(-(samples + 1) // HOP)
    starts = list(range(0, max(1, frames - PARTIAL_FRAMES + PARTIAL_STEP + 1), PARTIAL_STEP))
    covered = (samples - starts[-1] * HOP) / (PARTIAL_FRAMES * HOP)
    if len(starts) > 1 and covered < MIN_COVERAGE:
        starts.pop()
    return starts
