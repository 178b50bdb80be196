"""BS- and Mel-band RoFormers from the user's own files: the best separation there is, slow without a GPU."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from svc.separation.chunks import ChunkStream
from svc.separation.model_files import Stem, find_model, kind_or_none, require_vocals
from svc.separation.roformer_weights import main_stem, read_model
from svc.separation.separator import Separator, VocalStream


class Roformer(Separator):
    """A `.ckpt` with its `.yaml` in pretrain/roformer/, as people share them for Music-Source-Separation-Training.

    `model` is the file's name where there are several, or its path; `folder` another place for them. Computes what the
    original's `demix` computes, chunk by chunk in flat memory. Raises WeightError without a model, CheckpointError for
    files that are damaged, unsafe or do not fit together.
    """

    name = "roformer"
    quality_note = "roformer: a trained network of 2023 to 2025 from your own file; very clean, slow without a GPU."
    sample_rate = 44_100

    endings = (".ckpt",)

    def __init__(self, device: str = "cpu", model: str | Path | None = None, folder: Path | None = None) -> None:
        super().__init__(device)
        self.path = find_model(self.name, self.endings, model, folder, self.kind_of)
        self.stem = self.stem_of(self.path)
        require_vocals(self.stem, self.path, model is not None)
        network, self.settings = read_model(self.path)
        self.network = network.to(device)
        self.sample_rate = self.settings.sample_rate

    @staticmethod
    def stem_of(path: Path) -> Stem:
        """What the model `path` gives, from its yaml."""
        return main_stem(path)[1]

    @classmethod
    def kind_of(cls, path: Path) -> str:
        """What the model `path` is for; "" where its yaml does not tell."""
        return kind_or_none(cls.stem_of, path)

    def open_stream(self, pair: Callable[[], Iterator[np.ndarray]]) -> VocalStream:
        """A stream of overlapping chunks, as long as the model's yaml says."""
        settings = self.settings
        return ChunkStream(self._vocals, settings.chunk, settings.step, settings.batch)

    @torch.inference_mode()
    def _vocals(self, chunk: np.ndarray) -> np.ndarray:
        """Vocals (2, n) of one chunk (2, n); of a model of the accompaniment, what that leaves."""
        mix = torch.from_numpy(np.ascontiguousarray(chunk)).to(self.device)
        mono = self.network.shape.channels == 1
        stems = self.network(mix.unsqueeze(1) if mono else mix.unsqueeze(0))
        stem = stems[:, self.settings.stem].flatten(0, 1)
        return (stem if self.settings.vocals else mix - stem).cpu().numpy()
