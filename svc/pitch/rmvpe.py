"""RMVPE: a network made to hear the voice in a mix. Its weights are the user's own file.

Two incompatible files are called rmvpe.pt: the bare half-precision tensors that RVC uses, and {'model': ...} of
yxlllc/RMVPE and so-vits-svc, with parts that no program runs. Both are read; sizes are taken from the tensors.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from svc.errors import CheckpointError
from svc.pitch.user_weights import MODEL_RATE, UserFileEstimator

if TYPE_CHECKING:
    from torch import Tensor

    from svc.pitch.rmvpe_network import RmvpeNetwork

N_FFT = 1024
HOP = 160
FMIN, FMAX = 30.0, 8000.0
FLOOR = 1e-5
BINS = 360
BIN_CENTS = 20.0
FIRST_BIN_CENTS = 1997.3794084376191  # above 10 Hz, so 31.7 Hz
THRESHOLD = 0.03
UNUSED = "unet.tf."  # the timbre filter of the so-vits file: trained, never run
MARK = "unet.encoder.bn.weight"


class Rmvpe(UserFileEstimator):
    """F0 by RMVPE: hears the voice through accompaniment and reverberation.

    Range: 31.8 to 2000 Hz (its bins end at 2006 Hz). `weights` is the file; without it, pretrain/ is searched for
    rmvpe.pt, then for any file that holds this network. Raises WeightError where there is none.
    """

    name: ClassVar[str] = "rmvpe"
    lowest_hz: ClassVar[float] = 31.8
    highest_hz: ClassVar[float] = 2000.0
    step_seconds: ClassVar[float] = 0.01
    offset_seconds: ClassVar[float] = 0.0
    window_grid: ClassVar[int] = 32  # five halvings of time
    context_seconds: ClassVar[float] = 2.56
    file_name: ClassVar[str] = "rmvpe.pt"
    purpose: ClassVar[str] = "RMVPE"
    default_threshold: ClassVar[float] = THRESHOLD

    @staticmethod
    def fits(content: Any) -> bool:
        """Whether what a file holds is a network of RMVPE."""
        return is_rmvpe(content)

    @staticmethod
    def load(path: Path) -> "RmvpeNetwork":
        """The network of a file; see `load_network`."""
        return load_network(path)

    def read_f0(self, network: "RmvpeNetwork", wave: "Tensor") -> np.ndarray:
        """F0 (T,) of 16 kHz samples (N,), a frame every 10 ms."""
        salience = network(log_mel(wave, network.shape.mels)[None])[0]
        return decode(salience.float().cpu().numpy(), self.threshold)


def log_mel(wave: "Tensor", mels: int = 128) -> "Tensor":
    """Natural log mels (mels, N // 160 + 1) of 16 kHz samples (N,), as RMVPE was trained on.

    Hann window of 1024 centred on the frame, reflected ends (zeros beyond what there is to reflect), magnitudes,
    the HTK mel scale with filters of unit area from 30 to 8000 Hz, floor 1e-5.
    """
    import torch
    from torch.nn import functional

    frames = wave.shape[-1] // HOP + 1
    mode = "reflect" if wave.shape[-1] > N_FFT // 2 else "constant"
    padded = functional.pad(wave[None, None], (N_FFT // 2, N_FFT // 2), mode=mode)[0, 0]
    window = torch.hann_window(N_FFT, device=wave.device)
    spectrum = torch.stft(padded, N_FFT, HOP, window=window, center=False, return_complex=True).abs()[:, :frames]
    filters = torch.from_numpy(htk_filterbank(mels)).to(wave.device)
    return torch.log(torch.clamp(filters @ spectrum, min=FLOOR))


@lru_cache(maxsize=4)
def htk_filterbank(mels: int) -> np.ndarray:
    """Triangular filters (mels, 513) of unit area, equally spaced in 2595 log10(1 + Hz / 700)."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (FMIN, FMAX))
    edges = 700 * (10 ** (np.linspace(low, high, mels + 2) / 2595) - 1)
    bins = np.arange(N_FFT // 2 + 1) * (MODEL_RATE / N_FFT)
    width = np.diff(edges)
    rising = (bins - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - bins) / width[1:, None]
    filters = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return filters.astype(np.float32)


def decode(salience: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """F0 (T,) in Hz of salience (T, 360), 0 where its maximum is at most `threshold`.

    The weighted mean of the cents of the up to nine bins around the strongest; beyond the ends there is none.
    """
    salience = np.asarray(salience, dtype=np.float64)
    peak = salience.argmax(axis=1)
    near = peak[:, None] + np.arange(-4, 5)
    inside = (near >= 0) & (near < salience.shape[1])
    near = near.clip(0, salience.shape[1] - 1)
    weight = np.where(inside, np.take_along_axis(salience, near, axis=1), 0.0)
    cents = (weight * (FIRST_BIN_CENTS + BIN_CENTS * near)).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)
    return np.where(salience.max(axis=1) > threshold, 10 * 2 ** (cents / 1200), 0.0)


def is_rmvpe(content: Any) -> bool:
    """Whether what a file holds is a network of RMVPE, of either kind."""
    state = content.get("model", content) if isinstance(content, Mapping) else None
    return isinstance(state, Mapping) and MARK in state


def load_network(path: Path) -> "RmvpeNetwork":
    """The network of an rmvpe.pt of either kind, in float32, ready to run.

    Raises CheckpointError for a file that is damaged, another network's, or lacks or adds a tensor.
    """
    from svc.pitch.rmvpe_network import RmvpeNetwork, shape_of
    from svc.safe_read import check_keys, read_torch

    content = read_torch(path)
    if not is_rmvpe(content):
        raise CheckpointError(f"{path} is not a network of RMVPE: use the rmvpe.pt of RVC or of so-vits-svc.")
    kept = {
        name: value
        for name, value in content.get("model", content).items()
        if not str(name).startswith(UNUSED) and not str(name).endswith("num_batches_tracked")
    }
    try:
        shape = shape_of(kept)
    except (KeyError, IndexError, AttributeError) as error:
        raise CheckpointError(f"{path} lacks the tensor {error}: download or copy it again.") from None
    network = RmvpeNetwork(shape)
    wanted = {k: tuple(v.shape) for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    check_keys(kept, wanted, f"The RMVPE file {path}")
    if shape.bins != BINS:
        raise CheckpointError(f"{path} has {shape.bins} pitch bins instead of {BINS}: use a published rmvpe.pt.")
    network.load_state_dict({name: value.float() for name, value in kept.items()}, strict=False)
    return network.eval()
