"""What content encoders of the HuBERT family share; its members are in hubert.py.

A recording of up to 30 s is one pass, exactly as the original programs run it. A longer one is cut into windows of
that length (less where a file's table of positions is shorter) that overlap by a third and fade into one another;
the group norm of base models, which the originals take over the whole clip, is given the statistics of the whole
recording, so that windows differ from one pass only by what attention does not see. The seam error is measured in
docs/features.md.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from svc.content.encoder import ContentEncoder, ContentFrames, Progress
from svc.content.hubert_files import HubertWeights, read_hubert, weight_file
from svc.content.hubert_network import HOP, RECEPTIVE_FIELD
from svc.content.weight_facts import FileHash, identity
from svc.content.windows import limited_windows
from svc.errors import AudioError, CheckpointError, WeightError
from svc.paths import pretrain_dir
from svc.weights.advice import get_line

SAMPLE_RATE = 16_000
CENTRE = RECEPTIVE_FIELD // 2
ENDINGS = {".pt", ".pth", ".bin", ".safetensors", ".ckpt"}
LEVEL_BLOCK = 1 << 20
_fitting: dict[tuple[str, int, int, str], bool] = {}


class HubertEncoder(ContentEncoder):
    """What the family shares: a frame every 20 ms; layers count from 1.

    Class attributes of a member: `file_names`, under which its file is looked for first; `families`, the kinds of
    file that fit; `projected`, whether the file's final_proj is applied; `levelled`, whether the waveform is brought
    to mean 0 and variance 1 where the file asks for it; `original_padding`, the zeros in samples that its program
    puts at both ends; `origin`, where people get the file.
    Normalisations "none" and "adaptive" give the frames as the network does (no constants are known for files of
    the user's); "recording" removes mean and variance of each value over the recording.
    """

    sample_rate: ClassVar[int] = SAMPLE_RATE
    receptive_field: ClassVar[int] = RECEPTIVE_FIELD
    hop_length: ClassVar[int] = HOP
    weights_sha256: ClassVar[str] = cast(str, FileHash())
    file_names: ClassVar[tuple[str, ...]]
    families: ClassVar[tuple[str, ...]] = ("hubert",)
    projected: ClassVar[bool] = False
    levelled: ClassVar[bool] = False
    original_padding: ClassVar[int] = 0
    origin: ClassVar[str]

    def __init__(
        self,
        layers: dict[int, float] | None = None,
        normalisation: str = "adaptive",
        device: str = "cpu",
        path: Path | None = None,
        *,
        stacked: bool = False,
    ) -> None:
        """As ContentEncoder; `path` names the weight file or Hugging Face folder, None looks into pretrain/.

        Raises WeightError for a missing file and one of another size, CheckpointError for a damaged one.
        """
        super().__init__(layers, normalisation, device, stacked=stacked)
        self.path = Path(path) if path is not None else self.find_weights()
        weights = read_hubert(self.path)
        self._require(weights)
        self.network = weights.network(device)
        self.level_floor = weights.level_floor if self.levelled else None

    @classmethod
    def find_weights(cls) -> Path:
        """The file in pretrain/ by name, else the only one whose content fits; WeightError says what to get."""
        folder = pretrain_dir()
        for name in cls.file_names:
            if (folder / name).is_file() or (folder / name / "config.json").is_file():
                return folder / name
        # Files of relatives have the same shapes, so those with a well-known name of another are not taken for ours.
        from svc.content.hubert import FAMILY

        others = {name for member in FAMILY for name in member.file_names} - set(cls.file_names)
        candidates = sorted(folder.iterdir()) if folder.is_dir() else []
        fitting = [path for path in candidates if path.name not in others and cls._fits(path)]
        if len(fitting) > 1:
            raise WeightError(
                f"More than one file in {folder}/ fits content encoder '{cls.name}' "
                f"({', '.join(path.name for path in fitting)}): rename the one you mean to {cls.file_names[0]}."
            )
        if not fitting:
            raise WeightError(
                f"Content encoder '{cls.name}' needs the file {cls.file_names[0]}, which does not ship with the "
                f"toolkit: {get_line(cls.file_names)}get it from {cls.origin}, and put it into {folder}/."
            )
        return fitting[0]

    def encode(self, samples: np.ndarray, progress: Progress | None = None) -> ContentFrames:
        """See ContentEncoder.encode; T' = N // 320 + 1 frames, frame t centred on sample 320 t, silence beyond."""
        samples = self.check_samples(samples)
        frames = len(samples) // HOP + 1
        behind = (frames - 1) * HOP + RECEPTIVE_FIELD - CENTRE - len(samples)
        samples = np.pad(self._level(samples), (CENTRE, max(0, behind)))
        values = self._values(samples, progress)
        if self.normalisation == "recording":
            values -= values.mean(axis=0, dtype=np.float64).astype(np.float32)
            values /= values.std(axis=0, dtype=np.float64).astype(np.float32) + 1e-5
        return ContentFrames(values, np.arange(frames) * (HOP / SAMPLE_RATE))

    def encode_original(self, samples: np.ndarray, progress: Progress | None = None) -> ContentFrames:
        """Frames on the original program's grid, for voices that were trained on them; not normalised.

        Without padding frame t is centred on sample 320 t + 200 and T' = (N - 400) // 320 + 1; hubert-soft pads 40
        samples at both ends. Raises AudioError for less than one frame.
        """
        samples = np.pad(self._level(self.check_samples(samples)), self.original_padding)
        if len(samples) < RECEPTIVE_FIELD:
            raise AudioError("The audio is shorter than one content frame (25 ms): use a longer recording.")
        values = self._values(samples, progress)
        return ContentFrames(values, (np.arange(len(values)) * HOP + CENTRE - self.original_padding) / SAMPLE_RATE)

    def _level(self, samples: np.ndarray) -> np.ndarray:
        """Samples (N,) at mean 0 and variance 1 over the recording, where the file's program brings them there."""
        if self.level_floor is None:
            return samples
        mean = samples.mean(dtype=np.float64)
        power = 0.0
        for start in range(0, len(samples), LEVEL_BLOCK):
            power += float(np.square(samples[start : start + LEVEL_BLOCK] - mean, dtype=np.float64).sum())
        return ((samples - np.float32(mean)) / np.float32((power / len(samples) + self.level_floor) ** 0.5)).astype(
            np.float32
        )

    @torch.inference_mode()
    def _values(self, samples: np.ndarray, progress: Progress | None) -> np.ndarray:
        """The chosen layers (T, D) float32 of samples (N,), frame t from samples 320 t to 320 t + 399."""
        frames = (len(samples) - RECEPTIVE_FIELD) // HOP + 1
        values = np.empty((frames, self.output_dim), dtype=np.float32)
        for start, finished in self._finished(samples, frames):
            values[start : start + len(finished)] = self._given(finished)
            if progress:
                progress((start + len(finished)) / frames)
        return values

    def _given(self, values: np.ndarray) -> np.ndarray:
        """What is given for frames (n, D) of the network."""
        return values

    def _finished(self, samples: np.ndarray, frames: int) -> Iterator[tuple[int, np.ndarray]]:
        """(first frame, (n, D)) of consecutive stretches, in which windows have faded into one another."""
        windows = list(limited_windows(frames, self.network.shape.frames_at_most))
        statistics = None
        if len(windows) > 1:
            statistics = self.network.group_statistics(torch.from_numpy(samples), self.device)
        held = np.zeros((0, 0), dtype=np.float32)
        for (start, weights), (following, _) in zip(windows, [*windows[1:], (frames, None)], strict=True):
            stop = start + len(weights)
            # A single pass also hears, in its group norm, the samples behind the last whole frame.
            end = len(samples) if stop == frames else (stop - 1) * HOP + RECEPTIVE_FIELD
            piece = torch.from_numpy(samples[start * HOP : end]).to(self.device)[None]
            values = self._chosen(self.network(piece, max(self.layers), statistics)).cpu().numpy() * weights[:, None]
            if len(held):
                values[: len(held)] += held
            yield start, values[: following - start]
            held = values[following - start :]

    def _chosen(self, outputs: list[Tensor]) -> Tensor:
        """The chosen layers of one window (T, D)."""
        chosen = [outputs[layer][0] for layer in self.layers]
        project = self.network.final_proj if self.projected else None
        if project is None:
            return self.combined(chosen)
        # As the original, the sum is projected; stacked layers are projected each, so that a mix of them adds up.
        return self.combined([project(layer) for layer in chosen]) if self.stacked else project(self.combined(chosen))

    @classmethod
    def network_dim(cls) -> int:
        """Values of a frame that the file's network must give."""
        return cls.dim

    @classmethod
    def _misfit(cls, weights: HubertWeights) -> str:
        """Why a file is not one for this encoder; empty when it is."""
        shape = weights.shape
        if weights.family not in cls.families:
            return f"is of the kind '{weights.family}', where '{cls.families[0]}' is wanted"
        if cls.projected and not shape.final_width:
            return "has no final_proj, which this encoder applies"
        dim = shape.final_width if cls.projected else shape.width
        wanted = cls.network_dim()
        if dim != wanted or shape.outputs != cls.layer_count:
            return (
                f"gives {dim} values from {shape.outputs} layers, where {wanted} values from {cls.layer_count} "
                "layers are wanted"
            )
        return ""

    @classmethod
    def _require(cls, weights: HubertWeights) -> None:
        if misfit := cls._misfit(weights):
            raise WeightError(
                f"{weights.path} does not fit content encoder '{cls.name}': it {misfit}; get {cls.origin}."
            )

    @classmethod
    def _fits(cls, path: Path) -> bool:
        """Whether the content of a file or folder in pretrain/ fits; remembered until it changes."""
        if not ((path / "config.json").is_file() if path.is_dir() else path.suffix.lower() in ENDINGS):
            return False
        try:
            key = (*identity(weight_file(path)), cls.__qualname__)
            if key not in _fitting:
                _fitting[key] = not cls._misfit(read_hubert(path))
        except CheckpointError:
            return False
        return _fitting[key]
