"""The first FCPE: the fcpe.pt of so-vits-svc, RVC and Applio. Its weights are the user's own file.

Another network than the one of package torchfcpe, which ships and is called 'fcpe' here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from svc.errors import CheckpointError
from svc.pitch.user_weights import MODEL_RATE, UserFileEstimator

if TYPE_CHECKING:
    from torch import Tensor

    from svc.pitch.fcpe_old_network import FcpeOldNetwork

HOP = 160
THRESHOLD = 0.05
MARK = "decoder._layers.0.attn.fast_attention.projection_matrix"


class FcpeOld(UserFileEstimator):
    """F0 by the first FCPE, for those who want what so-vits-svc gave.

    Range: 32.7 to 1975.5 Hz. `weights` is the file; without it, pretrain/ is searched for fcpe.pt, then for any file
    that holds this network. Raises WeightError where there is none.
    """

    name: ClassVar[str] = "fcpe_old"
    lowest_hz: ClassVar[float] = 32.7
    highest_hz: ClassVar[float] = 1975.5
    step_seconds: ClassVar[float] = 0.01
    offset_seconds: ClassVar[float] = 0.0
    file_name: ClassVar[str] = "fcpe.pt"
    purpose: ClassVar[str] = "the first FCPE"
    default_threshold: ClassVar[float] = THRESHOLD

    @staticmethod
    def fits(content: Any) -> bool:
        """Whether what a file holds is the first FCPE."""
        return is_fcpe_old(content)

    @staticmethod
    def load(path: Path) -> "FcpeOldNetwork":
        """The network of a file; see `load_network`."""
        return load_network(path)

    def read_f0(self, network: "FcpeOldNetwork", wave: "Tensor") -> np.ndarray:
        """F0 (T,) of 16 kHz samples (N,), a frame every 10 ms."""
        latent = network(log_mel(wave, network.shape.mels)[None])[0]
        return decode(latent.cpu().numpy(), network.cent_table.cpu().numpy(), self.threshold)


def log_mel(wave: "Tensor", mels: int = 128) -> "Tensor":
    """Natural log mels (mels, N // 160 + 1) of 16 kHz samples (N,), the last frame repeated as in the original."""
    import torch

    from svc.audio.spectrogram import MelSettings
    from svc.audio.spectrogram import log_mel as project_log_mel

    settings = MelSettings(MODEL_RATE, 1024, HOP, mels, 0.0, 8000.0, eps=1e-9)
    mel = project_log_mel(wave[None] if len(wave) else wave.new_zeros(1, 1), settings)[0]
    mel = mel[:, : max(1, len(wave) // HOP)]
    return torch.cat([mel, mel[:, -1:]], dim=1)[:, : len(wave) // HOP + 1]


def decode(latent: np.ndarray, cent_table: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """F0 (T,) in Hz of latent (T, bins), 0 where its maximum is at most `threshold`.

    The weighted mean of the cents of nine bins around the strongest; at the ends, the edge bin counts repeatedly.
    """
    latent = np.asarray(latent, dtype=np.float64)
    near = (latent.argmax(axis=1)[:, None] + np.arange(-4, 5)).clip(0, latent.shape[1] - 1)
    weight = np.take_along_axis(latent, near, axis=1)
    cents = (weight * cent_table.astype(np.float64)[near]).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)
    return np.where(latent.max(axis=1) > threshold, 10 * 2 ** (cents / 1200), 0.0)


def is_fcpe_old(content: Any) -> bool:
    """Whether what a file holds is the first FCPE."""
    state = content.get("model") if isinstance(content, Mapping) else None
    return isinstance(state, Mapping) and MARK in state


def load_network(path: Path) -> "FcpeOldNetwork":
    """The network of a so-vits fcpe.pt, in float32, ready to run.

    Raises CheckpointError for a file that is damaged, another network's, or lacks or adds a tensor.
    """
    from svc.pitch.fcpe_old_network import GROUPS, FcpeOldNetwork, shape_of
    from svc.safe_read import check_keys, read_torch

    content = read_torch(path)
    if not is_fcpe_old(content):
        raise CheckpointError(
            f"{path} is not the first FCPE: use the fcpe.pt of so-vits-svc, RVC or Applio, or the estimator 'fcpe'."
        )
    names = {
        "dense_out.weight_g": "dense_out.parametrizations.weight.original0",
        "dense_out.weight_v": "dense_out.parametrizations.weight.original1",
    }
    state = {names.get(str(name), str(name)): value for name, value in content["model"].items()}
    try:
        shape = shape_of(state)
    except (KeyError, IndexError, AttributeError) as error:
        raise CheckpointError(f"{path} lacks the tensor {error}: download or copy it again.") from None
    if not shape.head or shape.attention % shape.head or shape.channels % GROUPS:
        raise CheckpointError(f"{path} has sizes that do not fit together: download or copy it again.")
    network = FcpeOldNetwork(shape)
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    check_keys(state, wanted, f"The FCPE file {path}")
    network.load_state_dict({name: value.float() for name, value in state.items()}, strict=True)
    return network.eval()
