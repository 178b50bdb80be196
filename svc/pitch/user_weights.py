"""F0 estimators whose weight file users put into pretrain/ themselves: found by name or by what it holds."""

from abc import abstractmethod
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from svc.errors import CheckpointError, WeightError
from svc.paths import pretrain_dir
from svc.pitch.estimator import PitchEstimator
from svc.weights import sha256_of
from svc.weights.advice import get_line, source_of

if TYPE_CHECKING:
    from torch import Tensor

MODEL_RATE = 16_000
ENDINGS = (".pt", ".pth", ".ckpt", ".bin")
# Contents read so far: a folder of large files is looked through once.
_KNOWN: dict[tuple[str, int, int, str], bool] = {}


class UserFileEstimator(PitchEstimator):
    """What estimators share that read 16 kHz sound with a network from the user's own file.

    Class facts besides those of every estimator: `file_name`, under which the file is looked for first; `purpose`,
    what it is in a sentence; `default_threshold` of the network's confidence, above which a frame is voiced.
    `weights` is the file; without it, pretrain/ is searched. Raises WeightError where there is none.
    """

    file_name: ClassVar[str]
    purpose: ClassVar[str]
    default_threshold: ClassVar[float]

    def __init__(
        self,
        f0_min_hz: float = 50.0,
        f0_max_hz: float = 1100.0,
        device: str = "cpu",
        weights: Path | None = None,
        threshold: float | None = None,
    ) -> None:
        super().__init__(f0_min_hz, f0_max_hz, device)
        self.weights = Path(weights) if weights else self.find()
        self.threshold = self.default_threshold if threshold is None else threshold

    @staticmethod
    @abstractmethod
    def fits(content: Any) -> bool:
        """Whether what a file holds is this network."""

    @staticmethod
    @abstractmethod
    def load(path: Path) -> Any:
        """The network of a file, in float32, ready to run; CheckpointError for one that is not whole."""

    @abstractmethod
    def read_f0(self, network: Any, wave: "Tensor") -> np.ndarray:
        """F0 (T,) in Hz, 0 where unvoiced, of samples (N,) at 16 kHz on the estimator's device."""

    @classmethod
    def find(cls) -> Path:
        """The file in pretrain/; WeightError where there is none."""
        return find_weights((cls.file_name,), cls.fits, cls.purpose)

    @classmethod
    def weights_hash(cls) -> str:
        """sha256 of the file in pretrain/; WeightError where there is none."""
        path = cls.find()
        return _hash(str(path), *_state_of(path))

    def _measure(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        import torch

        from svc.audio.resampling import resample

        network = _network(type(self), str(self.weights), _state_of(self.weights), self.device)
        wave = torch.from_numpy(np.ascontiguousarray(resample(samples, sample_rate, MODEL_RATE)))
        with torch.inference_mode():
            return self.read_f0(network, wave.to(self.device))


def _state_of(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=2)
def _network(kind: type[UserFileEstimator], path: str, changed: tuple[int, int], device: str) -> Any:
    """The network once per file, its time of change, and device."""
    return kind.load(Path(path)).to(device)


@lru_cache(maxsize=8)
def _hash(path: str, changed: int, size: int) -> str:
    return sha256_of(Path(path))


def find_weights(names: tuple[str, ...], fits: Callable[[Any], bool], purpose: str) -> Path:
    """The file in pretrain/ called one of `names`, else the first one, by name, whose content `fits`.

    A file of the right name and another content is passed over when one that fits lies beside it. Raises WeightError,
    which says what to put where, when there is none.
    """
    folder = pretrain_dir()
    named = [folder / name for name in names if (folder / name).is_file()]
    others = sorted(
        path for path in (folder.rglob("*") if folder.is_dir() else ()) if path.suffix in ENDINGS and path.is_file()
    )
    for path in [*named, *others]:
        if _fits(path, fits, purpose):
            return path
    if named:
        return named[0]
    raise WeightError(
        f"The weights of {purpose} are not here and may not be shipped: {get_line(names)}put your {names[0]}"
        f"{source_of(names)} into {folder}/, "
        "or choose another pitch estimator."
    )


def _fits(path: Path, fits: Callable[[Any], bool], purpose: str) -> bool:
    from svc.safe_read import read_torch

    stat = path.stat()
    key = (str(path.resolve()), stat.st_mtime_ns, stat.st_size, purpose)
    if key not in _KNOWN:
        try:
            _KNOWN[key] = fits(read_torch(path))
        except CheckpointError:
            _KNOWN[key] = False
    return _KNOWN[key]
