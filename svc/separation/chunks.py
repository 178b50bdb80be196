"""Separation chunk by chunk with overlap, as Music-Source-Separation-Training does it, as a stream in flat memory."""

from collections.abc import Callable

import numpy as np

Estimate = Callable[[np.ndarray], np.ndarray]


class ChunkStream:
    """Runs `estimate` over chunks of `chunk` samples every `step` samples and fades them into each other.

    The ends of a song longer than `2 * (chunk - step)` are mirrored by `chunk - step` samples. Windows are linear
    over a tenth of a chunk; the first chunk has no fade-in if `batch` is 1, and no chunk of the last `batch` has a
    fade-out: that is how the original's batches come out, and its results depend on it.
    `estimate` turns (2, chunk) into (2, chunk).
    """

    def __init__(self, estimate: Estimate, chunk: int, step: int, batch: int) -> None:
        self._estimate, self._chunk, self._step, self._batch = estimate, chunk, step, batch
        self._border = chunk - step
        self._fade = chunk // 10
        self._mirrored: bool | None = None  # unknown until the song is long enough, or over
        self._samples = np.zeros((2, 0), np.float32)  # of the mirrored song, from the next chunk on
        self._tail = np.zeros((2, 0), np.float32)  # the newest samples, to mirror the end
        self._known = 0  # samples of the mirrored song so far
        self._index = 0  # of the next chunk
        self._sum = np.zeros((2, chunk), np.float32)
        self._weight = np.zeros(chunk, np.float32)
        self._received = self._given = self._skipped = 0

    def process(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        """The next samples (2, m) that no later chunk changes; all of them after `last`."""
        self._received += block.shape[1]
        self._samples = np.concatenate([self._samples, block], axis=1)
        self._tail = np.concatenate([self._tail, block[:, -self._border - 1 :]], axis=1)[:, -self._border - 1 :]
        self._known += block.shape[1]
        self._begin(last)
        if self._mirrored and last and self._border:
            end = self._tail[:, -2 : -self._border - 2 : -1]
            self._samples = np.concatenate([self._samples, end], axis=1)
            self._known += self._border
        done = [np.zeros((2, 0), np.float32)]
        while self._can_advance(last):
            done.append(self._advance(last))
        return self._cut(np.concatenate(done, axis=1))

    def _begin(self, last: bool) -> None:
        if self._mirrored is not None:
            return
        if self._received > 2 * self._border:
            self._mirrored = True
            start = self._samples[:, self._border : 0 : -1]
            self._samples = np.concatenate([start, self._samples], axis=1)
            self._known += self._border
        elif last:
            self._mirrored = False

    def _can_advance(self, last: bool) -> bool:
        if self._mirrored is None:
            return False
        start = self._index * self._step
        if last:
            return start < self._known
        later = self._border if self._mirrored else 0
        return self._known >= start + self._chunk and self._known + later > self._batch_end()

    def _batch_end(self) -> int:
        """Where the chunk after the current batch begins; a song that ends by then has no further batch."""
        return (self._index // self._batch + 1) * self._batch * self._step

    def _advance(self, last: bool) -> np.ndarray:
        part = self._samples[:, : self._chunk]
        length = part.shape[1]
        if length < self._chunk:
            room = ((0, 0), (0, self._chunk - length))
            part = np.pad(part, room, mode="reflect") if length > self._chunk // 2 else np.pad(part, room)
        window = self._window(last)[:length]
        self._sum[:, :length] += self._estimate(part)[:, :length] * window
        self._weight[:length] += window
        ready = min(self._step, length)
        weight = self._weight[:ready]
        out = np.where(weight > 0, self._sum[:, :ready] / np.where(weight > 0, weight, 1), 0)
        self._sum = np.pad(self._sum[:, ready:], ((0, 0), (0, ready)))
        self._weight = np.pad(self._weight[ready:], (0, ready))
        self._samples = self._samples[:, ready:]
        self._index += 1
        return out

    def _window(self, last: bool) -> np.ndarray:
        window = np.ones(self._chunk, np.float32)
        if not self._fade:
            return window
        window[: self._fade] = np.linspace(0, 1, self._fade, dtype=np.float32)
        window[-self._fade :] = np.linspace(1, 0, self._fade, dtype=np.float32)
        if self._index == 0 and (self._batch == 1 or (last and self._known <= self._step)):
            window[: self._fade] = 1
        elif last and self._known <= self._batch_end():
            window[-self._fade :] = 1
        return window

    def _cut(self, out: np.ndarray) -> np.ndarray:
        """Drops the mirrored ends."""
        skip = min((self._border if self._mirrored else 0) - self._skipped, out.shape[1])
        self._skipped += skip
        out = out[:, skip : skip + self._received - self._given]
        self._given += out.shape[1]
        return np.ascontiguousarray(out, dtype=np.float32)
