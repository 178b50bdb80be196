"""demucs (Défossez et al.; Rouard, Massa, Défossez, ICASSP 2023): better than Spleeter, slower, an optional extra."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from svc.audio.signal import Audio
from svc.errors import AudioError
from svc.separation.demucs_weights import find_bag, load_models, require_package, signature_of, weight_folder
from svc.separation.fifo import SampleFifo
from svc.separation.separator import Progress, Separator, Source, VocalStream

OVERLAP = 0.25


class Demucs(Separator):
    """Any of demucs' models (HTDemucs, HDemucs, Demucs, bags of them) from files in pretrain/demucs/ or pretrain/.

    `model` is a bag's name, a file's signature or its path; None takes the best one whose files are there. `folder`
    is another place for them. Raises MissingExtraError without the package, WeightError without usable files.

    Computes what demucs' own `apply_model` computes with shifts 0 and overlap 0.25, segment by segment in flat memory.
    """

    name = "demucs"
    quality_note = "demucs: a trained network of 2022; the cleanest vocals here, slow without a GPU."

    def __init__(self, device: str = "cpu", model: str | Path | None = None, folder: Path | None = None) -> None:
        super().__init__(device)
        require_package()
        if isinstance(model, Path):
            folder, model = model.parent, signature_of(model)
        place = weight_folder() if folder is None else Path(folder)
        bag = find_bag(model, place)
        self._models = load_models(bag, place, device)
        first: Any = self._models[0]
        self.model = bag.name
        self.sources: list[str] = list(first.sources)
        self.sample_rate = int(first.samplerate)
        self._weights = np.asarray(bag.weights or [[1.0] * len(self.sources)] * len(self._models), np.float32)

    def open_stream(self, pair: Callable[[], Iterator[np.ndarray]]) -> VocalStream:
        """Reads the pair once for its level, then streams; models that add nothing to the vocals are left out."""
        return self._stream(pair, [self.sources.index("vocals")])

    def separate_sources(self, audio: Audio, progress: Progress = None) -> dict[str, Audio]:
        """All sources the model knows (drums, bass, other, vocals ...) of a stereo song at `sample_rate`.

        They are the model's own estimates: they need not sum to the song. AudioError for other channels or rates.
        """
        if audio.channels != 2 or audio.sample_rate != self.sample_rate:
            raise AudioError(
                f"demucs' sources need stereo at {self.sample_rate} Hz: resample and copy to two channels."
            )
        source = Source.of(audio)
        stream = self._stream(source.blocks, list(range(len(self.sources))))
        parts, done = [], 0
        for block in source.blocks():
            done += block.shape[1]
            parts.append(stream.process(block, done == audio.length))
            if progress is not None:
                progress(done / audio.length)
        whole = np.concatenate(parts, axis=1).reshape(len(self.sources), 2, -1)
        return {name: Audio(np.ascontiguousarray(whole[i]), audio.sample_rate) for i, name in enumerate(self.sources)}

    def _stream(self, pair: Callable[[], Iterator[np.ndarray]], wanted: list[int]) -> "_BagStream":
        mean, std = _level(pair())
        used = [i for i, row in enumerate(self._weights) if any(row[wanted] > 0)]
        streams = [_SegmentStream(self._models[i], wanted, self.device) for i in used]
        return _BagStream(streams, self._weights[np.ix_(used, wanted)], mean, std)


def _level(blocks: Iterator[np.ndarray]) -> tuple[float, float]:
    """Mean and standard deviation (n - 1) of the mono mix, in one pass (Chan et al. 1983)."""
    count, mean, squares = 0, 0.0, 0.0
    for block in blocks:
        mono = block.mean(axis=0, dtype=np.float64)
        if not len(mono):
            continue
        step = mono.mean() - mean
        total = count + len(mono)
        squares += ((mono - mono.mean()) ** 2).sum() + step**2 * count * len(mono) / total
        mean += step * len(mono) / total
        count = total
    return mean, float(np.sqrt(squares / max(1, count - 1)))


class _BagStream:
    """Several models over one normalised stream, their sources averaged by weight."""

    def __init__(self, streams: list["_SegmentStream"], weights: np.ndarray, mean: float, std: float) -> None:
        self._streams, self._mean, self._std = streams, mean, std
        # weights (models, sources) -> one column per source and side
        self._weights = np.repeat(weights / weights.sum(axis=0), 2, axis=1)[:, :, None]
        self._waiting = [SampleFifo(self._weights.shape[1]) for _ in streams]

    def process(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        if self._std == 0.0 and self._mean == 0.0:  # nothing but silence, whatever a network makes of it
            return np.zeros((self._weights.shape[1], block.shape[1]), np.float32)
        scale = np.float32(self._std + 1e-8)
        normal = (block - np.float32(self._mean)) / scale
        for stream, waiting in zip(self._streams, self._waiting):
            waiting.push(stream.process(normal, last))
        ready = min(len(waiting) for waiting in self._waiting)
        total = sum(weight * waiting.pop(ready) for weight, waiting in zip(self._weights, self._waiting))
        return np.asarray(total * scale + np.float32(self._mean), np.float32)


class _SegmentStream:
    """One model over overlapping segments, joined with triangular weights."""

    def __init__(self, model: Any, wanted: list[int], device: str) -> None:
        self._model, self._wanted, self._device = model, wanted, device
        self._segment = int(model.samplerate * model.segment)
        self._stride = int((1 - OVERLAP) * self._segment)
        rise = np.arange(1, self._segment // 2 + 1)
        fall = np.arange(self._segment - self._segment // 2, 0, -1)
        weight = np.concatenate([rise, fall]).astype(np.float32)
        self._weight = weight / weight.max()
        self._sum = np.zeros((2 * len(wanted), self._segment), np.float32)
        self._weight_sum = np.zeros(self._segment, np.float32)
        self._samples = np.zeros((2, 0), np.float32)
        self._start = 0  # position of self._samples in the song
        self._received = 0
        self._offset = 0  # position of the next segment
        # A model may want more than its segment; it then gets the sound around it.
        self._context = self._valid_length(self._segment) - self._segment

    def _valid_length(self, length: int) -> int:
        return self._model.valid_length(length) if hasattr(self._model, "valid_length") else length

    def process(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        """The next samples (2 * sources, m) that no later segment changes."""
        self._samples = np.concatenate([self._samples, block], axis=1)
        self._received += block.shape[1]
        done = [self._sum[:, :0]]
        while self._received >= self._offset + self._segment + self._context:
            done.append(self._advance(self._segment))
        while last and self._offset < self._received:
            done.append(self._advance(min(self._segment, self._received - self._offset)))
        return np.concatenate(done, axis=1)

    def _advance(self, length: int) -> np.ndarray:
        estimate = self._run(length)
        weight = self._weight[:length]
        self._sum[:, :length] += weight * estimate
        self._weight_sum[:length] += weight
        ready = min(self._stride, self._received - self._offset)
        out = self._sum[:, :ready] / self._weight_sum[:ready]
        self._sum = np.pad(self._sum[:, ready:], ((0, 0), (0, ready)))
        self._weight_sum = np.pad(self._weight_sum[ready:], (0, ready))
        self._offset += ready
        # A last, short segment is padded with the sound before it, so one segment is kept.
        drop = max(0, self._offset - self._segment - self._context - self._start)
        self._samples = self._samples[:, drop:]
        self._start += drop
        return out

    @torch.inference_mode()
    def _run(self, length: int) -> np.ndarray:
        valid = self._valid_length(length)
        left = (valid - length) // 2
        first, stop = self._offset - left, self._offset - left + valid
        known = self._samples[:, max(first, 0) - self._start : max(0, stop - self._start)]
        padded = np.pad(known, ((0, 0), (max(0, -first), max(0, stop - self._received))))
        mix = torch.from_numpy(np.ascontiguousarray(padded)).unsqueeze(0).to(self._device)
        estimate: Tensor = self._model(mix)[0, self._wanted, :, left : left + length]
        return estimate.flatten(0, 1).float().cpu().numpy()
