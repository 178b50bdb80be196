"""A first-in first-out store of samples for streams whose blocks come and go in different sizes."""

import numpy as np


class SampleFifo:
    """Float32 samples (C, ...) in order; memory is what lies in it."""

    def __init__(self, channels: int) -> None:
        self._empty = np.zeros((channels, 0), np.float32)
        self._blocks: list[np.ndarray] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, block: np.ndarray) -> None:
        """Append samples (C, n)."""
        if block.shape[1]:
            self._blocks.append(block)
            self._length += block.shape[1]

    def pop(self, samples: int) -> np.ndarray:
        """Take the oldest `samples` samples (C, samples); there must be as many."""
        if samples > self._length:
            raise ValueError(f"{samples} samples asked of a store of {self._length}")
        taken: list[np.ndarray] = []
        missing = samples
        while missing:
            block = self._blocks[0]
            taken.append(block[:, :missing])
            if block.shape[1] > missing:
                self._blocks[0] = block[:, missing:]
                missing = 0
            else:
                self._blocks.pop(0)
                missing -= block.shape[1]
        self._length -= samples
        return np.concatenate(taken, axis=1) if taken else self._empty

    def peek(self, start: int, stop: int) -> np.ndarray:
        """Samples [start, stop) counted from the oldest (C, stop - start), left where they are."""
        if len(self._blocks) > 1:
            self._blocks = [np.concatenate(self._blocks, axis=1)]
        return self._blocks[0][:, start:stop] if self._blocks else self._empty
