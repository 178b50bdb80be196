"""Separation by a mask over a spectrogram, as a stream of any length in flat memory."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from svc.separation.fifo import SampleFifo

MaskFunction = Callable[[Tensor], Tensor]


class MaskStream:
    """Multiplies the spectrogram of a stereo stream by a mask that a function sees block by block.

    Frames are centred: frame t belongs to sample t * hop and sees n_fft samples around it (zeros beyond the ends),
    window Hann, inverse by weighted overlap-add. Blocks of `block_frames` frames start every `step_frames` frames;
    where two blocks overlap, their masks are faded into each other linearly, so that a block's edge is not heard.
    `hop` must divide `n_fft`. The mask function gets (2, n_fft/2 + 1, block_frames) complex and returns a mask of the
    same shape; the last block is padded with zeros to `padded_frames(its frames)` frames, by default to a full block.
    """

    def __init__(
        self,
        mask: MaskFunction,
        n_fft: int,
        hop: int,
        block_frames: int,
        step_frames: int,
        device: str = "cpu",
        padded_frames: Callable[[int], int] | None = None,
    ) -> None:
        if n_fft % hop or not 0 < step_frames <= block_frames or 2 * (block_frames - step_frames) > block_frames:
            raise ValueError("hop must divide n_fft, and blocks may overlap by at most half")
        self._mask, self._n_fft, self._hop = mask, n_fft, hop
        self._block, self._step, self._overlap = block_frames, step_frames, block_frames - step_frames
        self._device = torch.device(device)
        self._padded_frames = padded_frames or (lambda frames: block_frames)
        self._window = torch.hann_window(n_fft, device=self._device)
        self._fade = (torch.arange(self._overlap, device=self._device) + 0.5) / max(1, self._overlap)
        self._input = SampleFifo(2)
        self._input.push(np.zeros((2, n_fft // 2), np.float32))
        self._received = 0
        self._frame = 0
        self._held: Tensor | None = None
        self._synthesis = _OverlapAdd(self._window, hop)
        self._given = 0

    @torch.inference_mode()
    def process(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        """The next masked samples (2, m); all of them after `last`."""
        self._received += block.shape[1]
        self._input.push(np.ascontiguousarray(block, dtype=np.float32))
        needed = (self._block - 1) * self._hop + self._n_fft
        done: list[Tensor] = []
        while len(self._input) >= needed:
            done.append(self._advance(self._block, final=False))
        if last:
            self._input.push(np.zeros((2, self._n_fft // 2), np.float32))
            done.extend(self._finish())
        out = torch.cat(done, dim=1) if done else torch.zeros(2, 0)
        out = out[:, : self._received - self._given]
        self._given += out.shape[1]
        return out.cpu().numpy()

    def _finish(self) -> list[Tensor]:
        if self._received == 0:
            return []
        done = []
        total = 1 + self._received // self._hop
        while True:
            left = total - self._frame
            final = left <= self._block
            done.append(self._advance(min(left, self._block), final))
            if final:
                return [*done, self._synthesis.flush()]

    def _advance(self, frames: int, final: bool) -> Tensor:
        """Masks the block that starts at the current frame and hands out the frames no later block touches."""
        samples = self._input.peek(0, (frames - 1) * self._hop + self._n_fft)
        sound = torch.from_numpy(np.ascontiguousarray(samples)).to(self._device)
        spectrum = torch.stft(sound, self._n_fft, self._hop, window=self._window, center=False, return_complex=True)
        padded = torch.nn.functional.pad(spectrum, (0, self._padded_frames(frames) - frames))
        mask = self._mask(padded)[..., :frames]
        if self._held is not None:
            shared = min(self._overlap, frames)
            fade = self._fade[:shared]
            mask[..., :shared] = fade * mask[..., :shared] + (1 - fade) * self._held[..., :shared]
        ready = frames if final else self._step
        self._held = mask[..., ready:].clone() if self._overlap and not final else None
        if not final:
            self._input.pop(ready * self._hop)
            self._frame += ready
        return self._synthesis.add(spectrum[..., :ready] * mask[..., :ready])


class _OverlapAdd:
    """Inverse of the centred Hann STFT, frame by frame, each sample divided by the windows that reached it."""

    def __init__(self, window: Tensor, hop: int) -> None:
        self._window, self._hop = window, hop
        self._reach = len(window) // hop
        self._tail = window.new_zeros(2, self._reach - 1, hop)
        self._norm_tail = window.new_zeros(self._reach - 1, hop)
        self._skip = len(window) // 2

    def add(self, spectrum: Tensor) -> Tensor:
        """Samples (2, m) that no later frame reaches, for the next frames (2, n_fft/2 + 1, T)."""
        frames = torch.fft.irfft(spectrum.transpose(1, 2), n=len(self._window)) * self._window
        count = frames.shape[1]
        frames = frames.unflatten(2, (self._reach, self._hop))
        weights = (self._window**2).view(self._reach, self._hop)
        total = frames.new_zeros(2, count + self._reach - 1, self._hop)
        norm = frames.new_zeros(count + self._reach - 1, self._hop)
        total[:, : self._reach - 1] = self._tail
        norm[: self._reach - 1] = self._norm_tail
        for part in range(self._reach):
            total[:, part : part + count] += frames[:, :, part]
            norm[part : part + count] += weights[part]
        self._tail, self._norm_tail = total[:, count:].clone(), norm[count:].clone()
        return self._out(total[:, :count], norm[:count])

    def flush(self) -> Tensor:
        """What is left after the last frame."""
        return self._out(self._tail, self._norm_tail)

    def _out(self, total: Tensor, norm: Tensor) -> Tensor:
        out = (total / norm.clamp_min(1e-8)).flatten(1)
        skipped = min(self._skip, out.shape[1])
        self._skip -= skipped
        return out[:, skipped:]
