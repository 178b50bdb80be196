"""Changing the sample rate: soxr on arrays and streams, torchaudio on tensors that are on a device."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

_QUALITY = "VHQ"
_KERNELS: "OrderedDict[tuple[Any, ...], Any]" = OrderedDict()
_KERNELS_KEPT = 16


def resampled_length(samples: int, old_rate: int, new_rate: int) -> int:
    """Length after resampling: round(samples * new / old)."""
    return round(samples * new_rate / old_rate)


def resample(samples: np.ndarray, old_rate: int, new_rate: int) -> np.ndarray:
    """Float32 (..., N) at `old_rate` Hz to float32 (..., round(N * new / old)) at `new_rate` Hz (soxr, VHQ)."""
    samples = np.asarray(samples, np.float32)
    if old_rate == new_rate:
        return samples.copy()
    if samples.size == 0:
        return np.zeros((*samples.shape[:-1], 0), np.float32)
    flat = samples.reshape(-1, samples.shape[-1])
    stream = StreamResampler(old_rate, new_rate, len(flat))
    return stream.process(flat, last=True).reshape(*samples.shape[:-1], -1)


class StreamResampler:
    """Resamples a stream block by block; the joined output equals `resample` of the whole.

    Output is late by the filter's length, so a block may return fewer samples than it stands for; the call
    with `last=True` returns the rest, and the total is round(N * new / old).
    """

    def __init__(self, old_rate: int, new_rate: int, channels: int) -> None:
        import soxr

        self.old_rate, self.new_rate, self.channels = old_rate, new_rate, channels
        self._stream = (
            None
            if old_rate == new_rate
            else soxr.ResampleStream(old_rate, new_rate, channels, dtype="float32", quality=_QUALITY)
        )
        self._taken = self._given = 0
        self._finished = False

    def process(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        """Float32 (C, n) in, float32 (C, m) out. After `last=True` the stream is finished."""
        if self._finished:
            raise ValueError("this stream is finished: make a new StreamResampler")
        block = np.asarray(block, np.float32)
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ValueError(f"expected a block of shape ({self.channels}, n), got {block.shape}")
        self._taken += block.shape[1]
        self._finished = last
        if self._stream is None:
            return block.copy()
        out = self._convert(block)
        if last:
            # soxr ends up to one sample short of the exact length; silence after the end lets the tail out.
            silence = np.zeros((self.channels, -(-self.old_rate // self.new_rate) + 2), np.float32)
            out = np.concatenate([out, self._convert(silence, last=True)], axis=1)
            wanted = resampled_length(self._taken, self.old_rate, self.new_rate) - self._given
            out = out[:, :wanted]
            if out.shape[1] < wanted:
                out = np.pad(out, ((0, 0), (0, wanted - out.shape[1])))
        self._given += out.shape[1]
        return np.ascontiguousarray(out)

    def _convert(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        assert self._stream is not None
        return self._stream.resample_chunk(np.ascontiguousarray(block.T), last=last).reshape(-1, self.channels).T


def resample_tensor(audio: "torch.Tensor", old_rate: int, new_rate: int) -> "torch.Tensor":
    """(..., N) to (..., round(N * new / old)) on the tensor's own device, differentiable.

    Kaiser-windowed sinc with the parameters torchaudio's documentation gives for librosa's `kaiser_best`.
    """
    if old_rate == new_rate:
        return audio
    import torch
    import torchaudio

    key = (old_rate, new_rate, audio.device, audio.dtype)
    if key not in _KERNELS:
        with torch.inference_mode(False):  # a kernel born in inference mode could not serve training later
            _KERNELS[key] = torchaudio.transforms.Resample(
                old_rate,
                new_rate,
                resampling_method="sinc_interp_kaiser",
                lowpass_filter_width=64,
                rolloff=0.9475937167399596,
                beta=14.769656459379492,
                dtype=audio.dtype,
            ).to(audio.device)
        while len(_KERNELS) > _KERNELS_KEPT:
            _KERNELS.popitem(last=False)
    out = _KERNELS[key](audio)
    return out[..., : resampled_length(audio.shape[-1], old_rate, new_rate)]
