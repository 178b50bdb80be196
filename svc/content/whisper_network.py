"""Whisper's audio encoder (Radford et al., arXiv 2212.04356) and its log-mel front end; file reading is beside it."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from svc.audio.spectrogram import mel_filterbank

SAMPLE_RATE = 16_000
N_FFT = 400
MEL_HOP = 160
HOP = 2 * MEL_HOP
CONTEXT = 1500
CLIP = CONTEXT * HOP
# log10 power: values further below the loudest one than this are raised to it.
RANGE = 8.0


@dataclass(frozen=True)
class WhisperShape:
    """Sizes of an encoder: `mels` bands in, `width` values out of `layers` blocks of `heads` heads."""

    mels: int
    width: int
    heads: int
    layers: int
    inner: int


class Attention(nn.Module):
    """Self-attention over (B, T, D); the keys have no bias."""

    def __init__(self, shape: WhisperShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query = nn.Linear(shape.width, shape.width)
        self.key = nn.Linear(shape.width, shape.width, bias=False)
        self.value = nn.Linear(shape.width, shape.width)
        self.out = nn.Linear(shape.width, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        query, key, value = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        return self.out(functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A transformer layer with its norms first."""

    def __init__(self, shape: WhisperShape) -> None:
        super().__init__()
        self.attn = Attention(shape)
        self.attn_ln = nn.LayerNorm(shape.width)
        self.mlp = nn.Sequential(nn.Linear(shape.width, shape.inner), nn.GELU(), nn.Linear(shape.inner, shape.width))
        self.mlp_ln = nn.LayerNorm(shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        x = x + self.attn(self.attn_ln(x))
        return x + self.mlp(self.mlp_ln(x))


class WhisperNetwork(nn.Module):
    """The encoder, under the names of OpenAI's files."""

    positional_embedding: Tensor

    def __init__(self, shape: WhisperShape) -> None:
        super().__init__()
        self.shape = shape
        self.conv1 = nn.Conv1d(shape.mels, shape.width, 3, padding=1)
        self.conv2 = nn.Conv1d(shape.width, shape.width, 3, stride=2, padding=1)
        self.register_buffer("positional_embedding", torch.empty(CONTEXT, shape.width))
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.ln_post = nn.LayerNorm(shape.width)

    def forward(self, mel: Tensor, last: int) -> list[Tensor]:
        """States (B, 1500, D) of log-mel (B, mels, 3000), the input of the first block at index 0, up to `last`.

        Index k <= layers is block k's output, index layers + 1 the last one's behind the final norm.
        """
        x = functional.gelu(self.conv2(functional.gelu(self.conv1(mel)))).transpose(1, 2)
        states = [x + self.positional_embedding]
        for block in self.blocks[:last]:
            states.append(block(states[-1]))
        if last > len(self.blocks):
            states.append(self.ln_post(states[-1]))
        return states


def log_power(samples: Tensor, mels: int) -> Tensor:
    """log10 of mel power (mels, 3000), at least -10, of up to 480000 samples (N,) at 16 kHz with silence behind."""
    padded = functional.pad(samples, (0, CLIP - len(samples)))
    window = torch.hann_window(N_FFT, device=samples.device)
    spectrum = torch.stft(padded, N_FFT, MEL_HOP, window=window, return_complex=True)
    power = torch.view_as_real(spectrum[:, :-1]).square().sum(-1)
    return (_filters(mels).to(samples.device) @ power).clamp(min=1e-10).log10()


def compressed(log_mel: Tensor, peak: float) -> Tensor:
    """What the network hears: `log_mel` no lower than `peak` - 8, around 0. `peak` is the recording's highest value."""
    return (log_mel.clamp(min=peak - RANGE) + 4) / 4


@lru_cache(maxsize=4)
def _filters(mels: int) -> Tensor:
    return torch.from_numpy(mel_filterbank(SAMPLE_RATE, N_FFT, mels).copy())
