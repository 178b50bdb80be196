"""Spleeter's two stems (Deezer, MIT): the separator that ships with the toolkit."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from svc.errors import WeightError
from svc.separation.masking import MaskFunction, MaskStream
from svc.separation.separator import Separator, VocalStream
from svc.separation.unet import SpleeterUNet
from svc.weights import SPLEETER as WEIGHTS

N_FFT = 4096
HOP = 1024
BINS = 1024  # the networks see the lowest 1,024 bins, up to 11 kHz
BLOCK_FRAMES = 512  # what the networks were trained on, 11.9 s
STEP_FRAMES = 384
FRAME_MULTIPLE = 64  # six halvings
TOP_BINS = 128  # 9.6 to 11 kHz: their mean mask continues above


class Spleeter(Separator):
    """Deezer's 2-stem U-Nets with overlapping blocks and a mask for the band above 11 kHz.

    `plain` is the published method instead: blocks of 512 frames without overlap, and everything above 11 kHz left in
    the accompaniment. `weights` is a safetensors file in the form of the embedded one (WeightError if it is not).
    """

    name = "spleeter"
    quality_note = "spleeter: a trained network of 2019; in dense mixes some accompaniment stays in the vocals."
    sample_rate = 44_100

    def __init__(self, device: str = "cpu", plain: bool = False, weights: Path | None = None) -> None:
        super().__init__(device)
        self.plain = plain
        self._vocals, self._accompaniment = load_networks(weights or WEIGHTS.path(), device)

    def open_stream(self, pair: Callable[[], Iterator[np.ndarray]]) -> VocalStream:
        """A stream of masked blocks; a block is 11.9 s long."""
        if self.plain:
            return MaskStream(self.mask, N_FFT, HOP, BLOCK_FRAMES, BLOCK_FRAMES, self.device)
        return self.overlapping(self.mask)

    def overlapping(self, mask: MaskFunction) -> VocalStream:
        """A stream masked by `mask` in overlapping blocks."""
        return MaskStream(mask, N_FFT, HOP, BLOCK_FRAMES, STEP_FRAMES, self.device, padded_frames)

    def mask(self, spectrum: Tensor) -> Tensor:
        """The share (0..1) of the vocals in each bin of (2, 2049, T) complex, T a multiple of 64.

        v^2 / (v^2 + a^2) with both networks' magnitudes; above the band they know, the mean of its top bins.
        """
        magnitude = spectrum[:, :BINS].abs().transpose(1, 2).unsqueeze(0)
        known = vocal_share(self._vocals(magnitude), self._accompaniment(magnitude)).squeeze(0).transpose(1, 2)
        if self.plain:
            return torch.nn.functional.pad(known, (0, 0, 0, spectrum.shape[1] - BINS))
        return torch.cat([known, above(known, spectrum.shape[1] - BINS)], dim=1)


def vocal_share(voice: Tensor, rest: Tensor) -> Tensor:
    """The vocals' share (0..1) of each bin from both networks' magnitudes."""
    power = voice**2
    return power / (power + rest**2 + 1e-10)


def above(share: Tensor, bins: int) -> Tensor:
    """The mask of `bins` bins above the band of `share` (2, BINS, T): the mean of its top."""
    return share[:, -TOP_BINS:].mean(dim=1, keepdim=True).expand(-1, bins, -1)


def padded_frames(frames: int) -> int:
    """Frames of a short block with the silence the networks need after it: 64 or more, in whole multiples of 64.

    More silence changes results by less than 0.03 dB and costs time; with less, some clips lose 0.6 dB.
    """
    return min(BLOCK_FRAMES, -(-(frames + FRAME_MULTIPLE) // FRAME_MULTIPLE) * FRAME_MULTIPLE)


def load_networks(path: Path, device: str) -> tuple[SpleeterUNet, SpleeterUNet]:
    """The networks of vocals and accompaniment from one safetensors file, ready to use.

    Tensors stored in 8 bits carry a partner `<name>.scale` that broadcasts over them; all others are floats.
    Raises WeightError when the file is damaged or holds other tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        stored = load_file(path)
        state = {
            key: value.float() * stored[f"{key}.scale"].float() if value.dtype == torch.int8 else value.float()
            for key, value in stored.items()
            if not key.endswith(".scale")
        }
        networks = []
        for stem in ("vocals", "accompaniment"):
            network = SpleeterUNet()
            network.load_state_dict(
                {k.removeprefix(f"{stem}."): v for k, v in state.items() if k.startswith(f"{stem}.")}
            )
            networks.append(network.eval().requires_grad_(False).to(device))
    except (SafetensorError, RuntimeError, KeyError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise WeightError(f"{path} is not a Spleeter weight file of this toolkit ({reason}): reinstall it.") from error
    return networks[0], networks[1]
