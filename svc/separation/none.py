"""No separation: the input is vocals already."""

from collections.abc import Callable, Iterator

import numpy as np

from svc.separation.separator import Progress, Separator, Source, VocalStream, WriteStems, refuse_bad_samples


class NoSeparation(Separator):
    """Hands the input through as vocals, sample by sample, and returns silence as accompaniment."""

    name = "none"
    quality_note = "none: the whole input is taken as vocals; right only for dry vocals."
    sample_rate = 44_100  # nothing is resampled: the input keeps its rate

    def open_stream(self, pair: Callable[[], Iterator[np.ndarray]]) -> VocalStream:
        """A stream that returns what it is given."""
        return _Through()

    def separate_stream(self, source: Source, write: WriteStems, progress: Progress = None) -> int:
        """As in Separator; channels and rate are left alone, so the vocals equal the input bit by bit."""
        length = 0
        for block in source.blocks():
            refuse_bad_samples(block)
            length += block.shape[1]
            write(block.copy(), np.zeros_like(block))
            if progress is not None and source.length:
                progress(min(1.0, length / source.length))
        if progress is not None:
            progress(1.0)
        return length


class _Through:
    def process(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        return block
