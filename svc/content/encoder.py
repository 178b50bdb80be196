"""The contract of content encoders: samples in, frames that say what is sung out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from svc.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from torch import Tensor

Progress = Callable[[float], None]
NORMALISATIONS = ("none", "adaptive", "recording")


@dataclass(frozen=True)
class ContentFrames:
    """values (T', D) float32 and the times (T',) float64 in seconds, rising, that they belong to."""

    values: np.ndarray
    times: np.ndarray

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or len(self.values) != len(self.times):
            raise AudioError(f"Content values {self.values.shape} do not fit {len(self.times)} frame times.")


class ContentEncoder(ABC):
    """Hears what is sung.

    Class attributes: `name` in the registry; `sample_rate` in Hz that `encode` wants; `dim` D of a frame;
    `default_layers`, the recommended mix as layer -> weight; `weights_sha256` of the weight file
    (on the class of an encoder without an embedded file, of the one in pretrain/: WeightError when there is none);
    `receptive_field` of one frame's convolutions and `hop_length` from frame to frame, in samples.
    """

    name: ClassVar[str]
    sample_rate: ClassVar[int]
    dim: ClassVar[int]
    default_layers: ClassVar[dict[int, float]]
    layer_count: ClassVar[int]
    weights_sha256: ClassVar[str]
    receptive_field: ClassVar[int]
    hop_length: ClassVar[int]

    def __init__(
        self,
        layers: dict[int, float] | None = None,
        normalisation: str = "adaptive",
        device: str = "cpu",
        *,
        stacked: bool = False,
    ) -> None:
        """Load the encoder.

        Args:
            layers: layer (1 .. `layer_count`) -> weight; None or empty takes `default_layers`.
            normalisation: "none", "adaptive" or "recording"; see docs/features.md.
            device: torch device.
            stacked: give the layers, each times its weight, side by side in the order of their numbers instead of
                their sum, for a voice that learns the mix.

        Raises ConfigError for an unknown layer, weight or normalisation, WeightError without its weight file.
        """
        chosen = dict(layers) if layers else dict(self.default_layers)
        for layer, weight in chosen.items():
            if not 1 <= int(layer) <= self.layer_count:
                raise ConfigError(
                    f"Content encoder '{self.name}' has no layer {layer}: choose from 1 to {self.layer_count}."
                )
            if not np.isfinite(weight):
                raise ConfigError(f"The weight of content layer {layer} must be a number, not {weight}.")
        if not any(chosen.values()):
            raise ConfigError("At least one content layer needs a weight other than 0.")
        if normalisation not in NORMALISATIONS:
            raise ConfigError(
                f"Unknown content normalisation '{normalisation}': choose one of {', '.join(NORMALISATIONS)}."
            )
        self.layers = {int(layer): float(weight) for layer, weight in sorted(chosen.items())}
        self.normalisation = normalisation
        self.device = device
        self.stacked = stacked

    @property
    def output_dim(self) -> int:
        """Values of a frame that `encode` gives: `dim`, or that for every layer when they are stacked."""
        return self.dim * (len(self.layers) if self.stacked else 1)

    def combined(self, outputs: "Sequence[Tensor]") -> "Tensor":
        """The chosen layers' frames (.., dim) each, in the order of `layers`, as one (.., output_dim)."""
        import torch

        weighted = [output * weight for output, weight in zip(outputs, self.layers.values(), strict=True)]
        return torch.cat(weighted, dim=-1) if self.stacked else torch.stack(weighted).sum(dim=0)

    @abstractmethod
    def encode(self, samples: np.ndarray, progress: Progress | None = None) -> ContentFrames:
        """Content of samples (N,) float32 in [-1, 1] at `sample_rate`.

        The first frame belongs to time 0, the last to within one frame of the end. Memory does not grow with N
        beyond the result. Raises AudioError for an empty, non-finite or not one-dimensional array.
        """

    @staticmethod
    def check_samples(samples: np.ndarray) -> np.ndarray:
        """`samples` as contiguous float32 (N,); AudioError unless it is finite, one-dimensional and not empty."""
        if samples.ndim != 1:
            raise AudioError(f"A content encoder needs mono samples of shape (N,), got {samples.shape}.")
        if len(samples) == 0:
            raise AudioError("A content encoder needs at least one sample: the audio is empty.")
        samples = np.ascontiguousarray(samples, dtype=np.float32)
        if not np.isfinite(samples).all():
            raise AudioError("The audio holds NaN or infinite samples: export the file again from its source.")
        return samples
