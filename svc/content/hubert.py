"""Content encoders of the HuBERT family, on weight files that the user puts into pretrain/.

A recording of up to WINDOW frames is one pass, exactly as the original programs run it. A longer one is cut into
windows that overlap by OVERLAP frames and fade into one another; the group norm of base models, which the originals
take over the whole clip, is given the statistics of the whole recording, so that windows differ from one pass only
by what attention does not see. The seam error is measured in docs/features.md.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from svc.content.encoder import ContentEncoder, ContentFrames, Progress
from svc.content.hubert_files import HubertWeights, read_hubert, weight_file
from svc.content.hubert_network import HOP, RECEPTIVE_FIELD
from svc.errors import AudioError, CheckpointError, WeightError
from svc.paths import pretrain_dir
from svc.weights import sha256_of

SAMPLE_RATE = 16_000
CENTRE = RECEPTIVE_FIELD // 2
WINDOW = 1500
OVERLAP = 500
# Frames at a cut end of a window that are not used: they lack neighbours.
EDGE = 150
ENDINGS = {".pt", ".pth", ".bin", ".safetensors", ".ckpt"}
_hashes: dict[tuple[str, int, int], str] = {}
_fitting: dict[tuple[str, int, int, str], bool] = {}


def fading_windows(
    frames: int, window: int = WINDOW, overlap: int = OVERLAP, edge: int = EDGE
) -> Iterator[tuple[int, np.ndarray]]:
    """(first frame, weights (n,) float32) of windows over `frames` frames; the weights of every frame sum to 1."""
    fade = overlap - 2 * edge
    rise = np.concatenate([np.zeros(edge), (np.arange(fade) + 0.5) / fade, np.ones(edge)]).astype(np.float32)
    for start in range(0, max(1, frames - overlap), window - overlap):
        stop = min(start + window, frames)
        weights = np.ones(stop - start, dtype=np.float32)
        if start:
            weights[:overlap] = rise
        if stop < frames:
            weights[-overlap:] *= rise[::-1]
        yield start, weights


class FileHash:
    """sha256 of the weight file: of the loaded one on an encoder, of the one in pretrain/ on its class.

    Reading it raises WeightError without such a file.
    """

    def __get__(self, instance: Any, owner: Any) -> str:
        path = weight_file(instance.path if instance is not None else owner.find_weights())
        key = _identity(path)
        if key not in _hashes:
            _hashes[key] = sha256_of(path)
        return _hashes[key]


class HubertEncoder(ContentEncoder):
    """What the family shares: a frame every 20 ms; layers count from 1.

    Class attributes of a member: `file_names`, under which its file is looked for first; `families`, the kinds of
    file that fit; `projected`, whether the file's final_proj is applied; `original_padding`, the zeros in samples
    that its program puts at both ends; `origin`, where people get the file.
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
    original_padding: ClassVar[int] = 0
    origin: ClassVar[str]

    def __init__(
        self,
        layers: dict[int, float] | None = None,
        normalisation: str = "adaptive",
        device: str = "cpu",
        path: Path | None = None,
    ) -> None:
        """As ContentEncoder; `path` names the weight file or Hugging Face folder, None looks into pretrain/.

        Raises WeightError for a missing file and one of another size, CheckpointError for a damaged one.
        """
        super().__init__(layers, normalisation, device)
        self.path = Path(path) if path is not None else self.find_weights()
        weights = read_hubert(self.path)
        self._require(weights)
        self.network = weights.network(device)

    @classmethod
    def find_weights(cls) -> Path:
        """The file in pretrain/ by name, else the only one whose content fits; WeightError says what to get."""
        folder = pretrain_dir()
        for name in cls.file_names:
            if (folder / name).is_file() or (folder / name / "config.json").is_file():
                return folder / name
        # Files of relatives have the same shapes, so those with a well-known name of another are not taken for ours.
        others = {name for member in FAMILY for name in member.file_names if not issubclass(cls, member)}
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
                f"toolkit: get it from {cls.origin}, and put it into {folder}/."
            )
        return fitting[0]

    def encode(self, samples: np.ndarray, progress: Progress | None = None) -> ContentFrames:
        """See ContentEncoder.encode; T' = N // 320 + 1 frames, frame t centred on sample 320 t, silence beyond."""
        samples = self.check_samples(samples)
        frames = len(samples) // HOP + 1
        behind = (frames - 1) * HOP + RECEPTIVE_FIELD - CENTRE - len(samples)
        values = self._values(np.pad(samples, (CENTRE, max(0, behind))), progress)
        if self.normalisation == "recording":
            values -= values.mean(axis=0, dtype=np.float64).astype(np.float32)
            values /= values.std(axis=0, dtype=np.float64).astype(np.float32) + 1e-5
        return ContentFrames(values, np.arange(frames) * (HOP / SAMPLE_RATE))

    def encode_original(self, samples: np.ndarray, progress: Progress | None = None) -> ContentFrames:
        """Frames on the original program's grid, for voices that were trained on them; not normalised.

        Without padding frame t is centred on sample 320 t + 200 and T' = (N - 400) // 320 + 1; hubert-soft pads 40
        samples at both ends. Raises AudioError for less than one frame.
        """
        samples = np.pad(self.check_samples(samples), self.original_padding)
        if len(samples) < RECEPTIVE_FIELD:
            raise AudioError("The audio is shorter than one content frame (25 ms): use a longer recording.")
        values = self._values(samples, progress)
        return ContentFrames(values, (np.arange(len(values)) * HOP + CENTRE - self.original_padding) / SAMPLE_RATE)

    @torch.inference_mode()
    def _values(self, samples: np.ndarray, progress: Progress | None) -> np.ndarray:
        """The chosen mix of layers (T, D) float32 of samples (N,), frame t from samples 320 t to 320 t + 399."""
        frames = (len(samples) - RECEPTIVE_FIELD) // HOP + 1
        statistics = None
        if frames > WINDOW:
            statistics = self.network.group_statistics(torch.from_numpy(samples), self.device)
        values = np.zeros((frames, self.dim), dtype=np.float32)
        for start, weights in fading_windows(frames):
            stop = start + len(weights)
            # A single pass also hears, in its group norm, the samples behind the last whole frame.
            end = len(samples) if stop == frames else (stop - 1) * HOP + RECEPTIVE_FIELD
            piece = torch.from_numpy(samples[start * HOP : end]).to(self.device)[None]
            mixed = self._mixed(self.network(piece, max(self.layers), statistics))
            values[start:stop] += mixed.cpu().numpy() * weights[:, None]
            if progress:
                progress(stop / frames)
        return values

    def _mixed(self, outputs: list[Tensor]) -> Tensor:
        mixed = torch.stack([outputs[layer][0] * weight for layer, weight in self.layers.items()]).sum(dim=0)
        return self.network.final_proj(mixed) if self.projected and self.network.final_proj is not None else mixed

    @classmethod
    def _misfit(cls, weights: HubertWeights) -> str:
        """Why a file is not one for this encoder; empty when it is."""
        shape = weights.shape
        if weights.family not in cls.families:
            return f"is of the kind '{weights.family}', where '{cls.families[0]}' is wanted"
        if cls.projected and not shape.final_width:
            return "has no final_proj, which this encoder applies"
        dim = shape.final_width if cls.projected else shape.width
        if dim != cls.dim or shape.outputs != cls.layer_count:
            return (
                f"gives {dim} values from {shape.outputs} layers, where {cls.dim} values from {cls.layer_count} "
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
            key = (*_identity(weight_file(path)), cls.__qualname__)
            if key not in _fitting:
                _fitting[key] = not cls._misfit(read_hubert(path))
        except CheckpointError:
            return False
        return _fitting[key]


class ContentVec768L12(HubertEncoder):
    """ContentVec (Qian et al., arXiv 2204.09224): 768 values; layer 12, as so-vits-svc 4.1 and RVC v2 use it."""

    name: ClassVar[str] = "contentvec768l12"
    dim: ClassVar[int] = 768
    layer_count: ClassVar[int] = 12
    default_layers: ClassVar[dict[int, float]] = {12: 1.0}
    file_names: ClassVar[tuple[str, ...]] = (
        "checkpoint_best_legacy_500.pt",
        "hubert_base.pt",
        "content-vec-best",
        "contentvec",
        "hubert_base",
    )
    origin: ClassVar[str] = (
        "https://github.com/auspicious3000/contentvec (ContentVec_legacy, 500 classes; the folder "
        "huggingface.co/lengyue233/content-vec-best and RVC's hubert_base.pt hold the same)"
    )


class ContentVec256L9(ContentVec768L12):
    """ContentVec's layer 9 behind its final_proj: 256 values, as so-vits-svc 4.0 and RVC v1 use it."""

    name: ClassVar[str] = "contentvec256l9"
    dim: ClassVar[int] = 256
    default_layers: ClassVar[dict[int, float]] = {9: 1.0}
    projected: ClassVar[bool] = True


class HubertSoft(HubertEncoder):
    """hubert-soft (van Niekerk et al., arXiv 2111.02392): 256 soft units, the last layer behind its projection."""

    name: ClassVar[str] = "hubert_soft"
    dim: ClassVar[int] = 256
    layer_count: ClassVar[int] = 12
    default_layers: ClassVar[dict[int, float]] = {12: 1.0}
    file_names: ClassVar[tuple[str, ...]] = ("hubert-soft-0d54a1f4.pt", "hubert-soft-35d9f29f.pt", "hubert_soft.pt")
    families: ClassVar[tuple[str, ...]] = ("soft",)
    projected: ClassVar[bool] = True
    original_padding: ClassVar[int] = 40
    origin: ClassVar[str] = "https://github.com/bshall/hubert/releases (v0.1 or v0.2)"


class HubertBase(HubertEncoder):
    """HuBERT base of fairseq, or Chinese HuBERT base: 768 values; layer 12, the last."""

    name: ClassVar[str] = "hubert_base"
    dim: ClassVar[int] = 768
    layer_count: ClassVar[int] = 12
    default_layers: ClassVar[dict[int, float]] = {12: 1.0}
    file_names: ClassVar[tuple[str, ...]] = (
        "chinese-hubert-base-fairseq-ckpt.pt",
        "chinese-hubert-base",
        "hubert_base_ls960.pt",
        "hubert-base-ls960",
    )
    origin: ClassVar[str] = (
        "https://huggingface.co/TencentGameMate/chinese-hubert-base (or hubert_base_ls960.pt from fairseq's HuBERT "
        "page)"
    )


class HubertLarge(HubertEncoder):
    """HuBERT large of fairseq, or Chinese HuBERT large: 1024 values; 25 is layer 24 behind the last norm.

    The waveform is not normalised, as in so-vits-svc ("cnhubertlarge"), whose frames are layer 25.
    """

    name: ClassVar[str] = "hubert_large"
    dim: ClassVar[int] = 1024
    layer_count: ClassVar[int] = 25
    default_layers: ClassVar[dict[int, float]] = {25: 1.0}
    file_names: ClassVar[tuple[str, ...]] = (
        "chinese-hubert-large-fairseq-ckpt.pt",
        "chinese-hubert-large",
        "hubert_large_ll60k.pt",
        "hubert-large-ll60k",
    )
    origin: ClassVar[str] = (
        "https://huggingface.co/TencentGameMate/chinese-hubert-large (or hubert_large_ll60k.pt from fairseq's HuBERT "
        "page)"
    )


class DpHubert(HubertEncoder):
    """DPHuBERT (Peng et al., arXiv 2305.17651), HuBERT base pruned to a quarter: 768 values; layer 12, the last."""

    name: ClassVar[str] = "dphubert"
    dim: ClassVar[int] = 768
    layer_count: ClassVar[int] = 12
    default_layers: ClassVar[dict[int, float]] = {12: 1.0}
    file_names: ClassVar[tuple[str, ...]] = ("DPHuBERT-sp0.75.pth",)
    families: ClassVar[tuple[str, ...]] = ("dphubert",)
    origin: ClassVar[str] = "https://huggingface.co/pyf98/DPHuBERT"


FAMILY: tuple[type[HubertEncoder], ...] = (
    ContentVec768L12,
    ContentVec256L9,
    HubertSoft,
    HubertBase,
    HubertLarge,
    DpHubert,
)


def _identity(path: Path) -> tuple[str, int, int]:
    stat = path.stat()
    return str(path.resolve()), stat.st_mtime_ns, stat.st_size
