"""A second stage after Spleeter: a small U-Net that corrects its mask.

It works on the spectrogram that Spleeter works on and hears three things: the mixture, what Spleeter takes for vocals
and for accompaniment, and the inner layers of both networks. It returns Spleeter's mask plus a bounded correction,
which is zero in a network that was never trained.

Little may be taken away where Spleeter is sure of a voice, and what is added has a limit: trained on made mixtures
without such bounds, the network took half of the voice out of rock songs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from svc.errors import WeightError
from svc.separation.fifo import SampleFifo
from svc.separation.separator import VocalStream
from svc.separation.spleeter import BINS, Spleeter, above, vocal_share
from svc.separation.unet import SpleeterUNet
from svc.weights import REFINER

WIDTHS = (16, 48, 80, 96, 128)
HEARD_LAYERS = (4, 3, 2, 1)  # of Spleeter's way up, in the order in which the refiner halves
HEARD_WIDTHS = (16, 32, 64, 128)  # of each of the two networks
DILATIONS = ((1, 2), (4, 8))  # in frames of the lowest level
CUES = 16
LEVEL_FRAMES = 129  # 3 s
SILENCE = 1e-8  # power of a frame, far below 16 bits
MOST_ADDED = 0.5  # to a mask of 0..1
SUNG_SHARE = 0.01  # of the power: below, less is added
SUNG_FRAMES = 43  # 1 s
LEVELS = (0.05, 0.18)  # root mean squares, of full scale, at which Spleeter hears a song: the quieter first


class Heard(NamedTuple):
    """What a refiner hears of Spleeter: both stems' magnitudes (B, 2, T, F), and layers (B, C, T/2^k, F/2^k)."""

    voice: Tensor
    rest: Tensor
    layers: tuple[Tensor, ...]

    @property
    def share(self) -> Tensor:
        """Spleeter's own mask, 0..1."""
        return vocal_share(self.voice, self.rest)


class VocalRefiner(nn.Module):
    """Mask of the vocals from the mixture and from what Spleeter heard in it.

    No cue depends on absolute level or phase, and none on which side is left: with the sides exchanged the mask's
    sides are, and both sides of a mono mixture get the same correction. `widths` are the channels at each halving.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stem = nn.Sequential(_convolution(CUES, widths[0]), nn.ReLU(inplace=True))
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b))
            for a, b in pairwise(widths)
        )
        self.hear = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(2 * heard), nn.Conv2d(2 * heard, width, 1, bias=False))
            for heard, width in zip(HEARD_WIDTHS, widths[1:])
        )
        self.encode = nn.ModuleList(_Residual(width) for width in widths[1:-1])
        self.deep = nn.Sequential(
            _Residual(widths[-1], DILATIONS[0]),
            _AcrossBins(widths[-1], BINS >> len(self.down)),
            _Residual(widths[-1], DILATIONS[1]),
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths))
        self.decode = nn.ModuleList(_Residual(width) for width in widths[:-1])
        self.head = nn.Conv2d(widths[0], 3, 1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, spectrum: Tensor, heard: Heard) -> Tensor:
        """(B, 2, T, BINS) complex mixture, T a multiple of 16, to a mask of the same shape, 0..1.5."""
        share = heard.share
        hidden = self.stem(cues(spectrum, share, heard).contiguous(memory_format=torch.channels_last))
        skips = []
        for level, down in enumerate(self.down):
            skips.append(hidden)
            hidden = _relu(down(hidden) + self.hear[level](heard.layers[level]))
            if level < len(self.encode):
                hidden = self.encode[level](hidden)
        hidden = self.deep(hidden)
        for level in reversed(range(len(self.up))):
            hidden = self.decode[level](_relu(self.up[level](hidden)) + skips[level])
        return share + correction(self.head(hidden).float(), spectrum, share)


class _Residual(nn.Module):
    """Two 3 x 3 convolutions around which the input passes; dilations are in time."""

    def __init__(self, width: int, dilations: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        self.first = _convolution(width, width, dilations[0])
        self.second = _convolution(width, width, dilations[1])

    def forward(self, hidden: Tensor) -> Tensor:
        return _relu(hidden + self.second(_relu(self.first(hidden))))


class _AcrossBins(nn.Module):
    """Every bin hears all bins of its frame, alike in all channels."""

    def __init__(self, width: int, bins: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.mix = nn.Linear(bins, bins)

    def forward(self, hidden: Tensor) -> Tensor:
        return _relu(hidden + self.mix(self.norm(hidden)))


def _relu(hidden: Tensor) -> Tensor:
    return F.relu(hidden, inplace=True)


def _convolution(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=(dilation, 1), dilation=(dilation, 1), bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


def cues(spectrum: Tensor, share: Tensor, heard: Heard) -> Tensor:
    """(B, CUES, T, F): levels, place in the stereo image, what Spleeter thinks, and how phase moves."""
    level = local_level(spectrum)
    left, right = spectrum[:, 0], spectrum[:, 1]
    middle, side = (left + right) / 2, (left - right) / 2
    power = left.abs() ** 2 + right.abs() ** 2 + 1e-12
    total = (spectrum.abs().sum(dim=1) + 1e-6)[:, None]
    voice, rest = ((each.sum(dim=1, keepdim=True) / total).squeeze(1) for each in (heard.voice, heard.rest))
    turn = _advance(spectrum)
    return torch.stack(
        [
            _compressed(middle, level),
            _compressed(side, level),
            2 * (left * right.conj()).real / power,
            sidedness(spectrum).abs(),
            share.mean(dim=1),
            (share[:, 0] - share[:, 1]).abs(),
            voice,
            rest,
            (power.mean(dim=2, keepdim=True).sqrt() / (level + 1e-6)).log1p().expand_as(voice),
            *_phasor(middle[:, 1:] * middle[:, :-1].conj() * turn, (0, 0, 1, 0)),
            *_phasor(side[:, 1:] * side[:, :-1].conj() * turn, (0, 0, 1, 0)),
            *_phasor(-middle[:, :, 1:] * middle[:, :, :-1].conj(), (1, 0)),
            torch.linspace(-1, 1, spectrum.shape[3], device=spectrum.device).expand_as(voice),
        ],
        dim=1,
    )


def local_level(spectrum: Tensor) -> Tensor:
    """(B, T, 1): root mean square of a bin over 3 seconds around each frame."""
    power = (spectrum.abs() ** 2).mean(dim=(1, 3)).unsqueeze(1)
    return (_around(power, LEVEL_FRAMES) + SILENCE).sqrt().squeeze(1).unsqueeze(2)


def sidedness(spectrum: Tensor) -> Tensor:
    """(B, T, F) in -1..1: 1 where all is left, -1 where all is right."""
    left, right = spectrum[:, 0].abs(), spectrum[:, 1].abs()
    return (left - right) / (left + right + 1e-6)


def correction(found: Tensor, spectrum: Tensor, share: Tensor) -> Tensor:
    """Three numbers per bin (B, 3, T, F) to what is added to both sides' masks (B, 2, T, F).

    One number for both sides, one that grows with how far to a side the bin is, and one with how much Spleeter's masks
    differ; the sign of the latter two is opposite on the two sides. At most MOST_ADDED is added, at most
    share * (1 - share) taken away.
    """
    both, placed, masked = found.unbind(dim=1)
    apart = placed * sidedness(spectrum) + masked * (share[:, 0] - share[:, 1])
    wanted = torch.stack([both + apart, both - apart], dim=1)
    most = MOST_ADDED * sung(spectrum, share) + 1e-6
    limit = torch.where(wanted > 0, most, (share * (1 - share)).clamp(min=1e-6))
    return wanted / (1 + (wanted / limit) ** 2).sqrt()


def sung(spectrum: Tensor, share: Tensor) -> Tensor:
    """(B, 1, T, 1) in 0..1: whether Spleeter hears a voice within a second of each frame, by its share of the power.

    Where it hears none the network would add instruments.
    """
    power = spectrum.abs() ** 2
    voice, whole = (_around(each, SUNG_FRAMES) for each in ((power * share**2).sum(3), power.sum(3)))
    found = (voice.sum(dim=1) / (whole.sum(dim=1) + SILENCE) / SUNG_SHARE).clamp(max=1)
    return found[:, None, :, None]


def _around(values: Tensor, frames: int) -> Tensor:
    """Mean of (B, C, T) over `frames` (odd) around each frame."""
    return F.avg_pool1d(values, frames, stride=1, padding=frames // 2, count_include_pad=False)


def _compressed(spectrum: Tensor, level: Tensor) -> Tensor:
    return (spectrum.abs() / level + 1e-4) ** 0.3


def _phasor(product: Tensor, room: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Real and imaginary part of `product` with its size removed, padded by `room`."""
    unit = product / (product.abs() + 1e-9)
    return F.pad(unit.real, room), F.pad(unit.imag, room)


def _advance(spectrum: Tensor) -> Tensor:
    """Takes back by how much a tone in the centre of each bin turns in a hop of a quarter window."""
    turn = torch.arange(spectrum.shape[3], device=spectrum.device) % 4
    return torch.polar(torch.ones_like(turn, dtype=torch.float32), -torch.pi / 2 * turn.float())


def hear(voice: SpleeterUNet, rest: SpleeterUNet, magnitude: Tensor, gain: float = 1.0) -> Heard:
    """Runs both of Spleeter's networks on (B, 2, T, BINS) magnitudes and keeps the layers on their way up.

    They hear them `gain` times as loud; what they say of magnitudes is taken back.
    """
    kept: list[list[Tensor]] = []
    magnitudes = []
    for network in (voice, rest):
        layers: list[Tensor] = []
        magnitudes.append(network(magnitude * gain, layers) / gain)
        kept.append([layers[level] for level in HEARD_LAYERS])
    return Heard(magnitudes[0], magnitudes[1], tuple(torch.cat(pair, dim=1) for pair in zip(*kept)))


class RefinedSpleeter(Spleeter):
    """Spleeter with a refiner after it, over songs of any length in the same overlapping blocks.

    `refiner` is a safetensors file made by scripts/recipes/vocal_refiner.py (WeightError if it is not one).
    """

    name = "refined"
    quality_note = (
        "refined: Spleeter and a second network that gives back what it misses of a voice; in dense mixes some "
        "accompaniment stays in the vocals."
    )
    weights_sha256 = REFINER.sha256
    revision = "2"  # of how the weights are used; vocals of another one are made anew

    def __init__(self, device: str = "cpu", refiner: Path | None = None) -> None:
        super().__init__(device)
        self._refiner = load_refiner(refiner or REFINER.path(), device)

    def open_stream(self, pair: Callable[[], Iterator[np.ndarray]]) -> VocalStream:
        """A stream of masked blocks of 11.9 s, after a first pass that measures how loud the song is."""
        return self.overlapping(partial(self.mask, loudness=loudness_of(pair(), self.sample_rate)))

    def mask(self, spectrum: Tensor, loudness: float = 1.0) -> Tensor:
        """The refined mask of (2, 2049, T) complex; above 11 kHz Spleeter's, as it is there without a refiner.

        How loud Spleeter hears a song changes what it takes for a voice, now for the better and now for the worse, and
        the mean of what it finds at two levels is nearer to the voice than what it finds at either. Where it hears
        nobody sing at the quieter one, the smaller of both: the louder one hears voices in instruments. `loudness` is
        the song's, as `loudness_of` measures it.
        """
        known = spectrum[:, :BINS].transpose(1, 2).unsqueeze(0)
        magnitude, found = known.abs(), []
        for level in LEVELS:
            heard = hear(self._vocals, self._accompaniment, magnitude, level / loudness)
            found.append(torch.cat([self._refiner(known, heard), heard.share]))
        sung_there = sung(known, found[0][1:])
        both = torch.lerp(torch.minimum(*found), (found[0] + found[1]) / 2, sung_there)
        refined, share = both.transpose(2, 3)
        return torch.cat([refined, above(share, spectrum.shape[1] - BINS)], dim=1)


def loudness_of(blocks: Iterator[np.ndarray], sample_rate: int) -> float:
    """Root mean square, of full scale, of a recording (C, n) in blocks, without its silence; 1 if it is all silent.

    Seconds that are 40 dB below the loudest one are silence. One figure for the whole song: were each block brought to
    the same level by itself, instruments alone would be made as loud as the singing around them, and sung.
    """
    waiting, powers = SampleFifo(2), [0.0]
    for block in blocks:
        waiting.push(block)
        while len(waiting) >= sample_rate:
            powers.append(_power(waiting.pop(sample_rate)))
    powers.append(_power(waiting.pop(len(waiting))))
    loudest = max(powers)
    sounding = [power for power in powers if power >= loudest * 1e-4]
    return float(np.sqrt(np.mean(sounding))) if loudest > SILENCE else 1.0


def _power(samples: np.ndarray) -> float:
    """Mean square; 0 of no samples, and of such as are not finite, which the separation itself refuses."""
    power = float(np.square(samples, dtype=np.float64).mean()) if samples.size else 0.0
    return power if np.isfinite(power) else 0.0


def load_refiner(path: Path, device: str = "cpu") -> VocalRefiner:
    """A refiner from a safetensors file, its norms folded into the convolutions. WeightError if it is not one."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    refiner = VocalRefiner()
    try:
        state = {key: value.float() for key, value in load_file(path).items()}
        counters = {key: value for key, value in refiner.state_dict().items() if key.endswith("num_batches_tracked")}
        refiner.load_state_dict(state | counters)
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise WeightError(f"{path} is not a refiner of this toolkit ({reason}): reinstall it.") from error
    refiner = folded(refiner.eval()).requires_grad_(False).to(device)
    return refiner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def folded(refiner: VocalRefiner) -> VocalRefiner:
    """Merges each norm that follows a convolution into it, in place."""
    for module in refiner.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.Sequential) and len(child) > 1 and isinstance(child[1], nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(cast(nn.Conv2d, child[0]), child[1]))
    return refiner
