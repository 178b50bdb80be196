"""Random numbers that belong to a position in the song, not to the order in which windows are made.

Windows of one song overlap, and a device or a window length must not change what is drawn: every
block of positions has its own counter-based generator (Philox, Salmon et al. 2011), seeded by
(seed, kind of noise, block index), and always runs on the CPU.
"""

import numpy as np

LATENT, SOURCE = 1, 2
LATENT_BLOCK_FRAMES = 256
SOURCE_BLOCK_SAMPLES = 65_536


class PositionNoise:
    """Standard normal noise of a song, addressed by absolute frame or sample."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._kept: dict[tuple[int, int, int], np.ndarray] = {}

    def latent(self, start: int, frames: int, channels: int) -> np.ndarray:
        """Noise of frames [start, start + frames): float32 (channels, frames)."""
        return self._span(LATENT, start, frames, LATENT_BLOCK_FRAMES, channels).T

    def source(self, start: int, samples: int) -> np.ndarray:
        """Noise of samples [start, start + samples): float32 (samples,)."""
        return self._span(SOURCE, start, samples, SOURCE_BLOCK_SAMPLES, 1)[:, 0]

    def _span(self, kind: int, start: int, count: int, block: int, width: int) -> np.ndarray:
        first, last = start // block, (start + count - 1) // block
        parts = [self._block(kind, index, block, width) for index in range(first, last + 1)]
        offset = start - first * block
        # Only what the next, overlapping window needs again is kept.
        self._kept = {key: value for key, value in self._kept.items() if key[0] != kind or key[1] >= last - 1}
        return np.concatenate(parts)[offset : offset + count]

    def _block(self, kind: int, index: int, block: int, width: int) -> np.ndarray:
        key = (kind, index, width)
        if key not in self._kept:
            generator = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, index, kind]))
            self._kept[key] = generator.standard_normal((block, width), dtype=np.float32)
        return self._kept[key]
