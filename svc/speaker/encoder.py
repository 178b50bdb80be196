"""The contract of speaker encoders: a recording in, one unit vector that says who speaks or sings out."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np


class SpeakerEncoder(ABC):
    """Tells speakers apart. Class attributes: `name` in the registry, `dim` of the vector, `weights_sha256`."""

    name: ClassVar[str]
    dim: ClassVar[int]
    weights_sha256: ClassVar[str]

    @abstractmethod
    def embed(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Unit vector (dim,) float32 of samples (N,) float32 in [-1, 1]; the cosine of two tells their likeness.

        Raises AudioError for an empty, silent, non-finite or not one-dimensional array.
        """
