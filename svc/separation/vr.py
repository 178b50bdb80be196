"""VR models (`.pth`) of Ultimate Vocal Remover: masks over magnitudes, from the user's own files."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from svc.errors import CheckpointError, ConfigError, WeightError
from svc.paths import pretrain_dir
from svc.safe_read import check_keys, read_torch
from svc.separation.model_files import Stem, entry_stem, find_entry, find_model, kind_or_none, require_vocals
from svc.separation.separator import Separator, VocalStream
from svc.separation.vr_bands import CONTEXT, PIECE, Bands, read_bands
from svc.separation.vr_network import CascadedAspp, CascadedLstm

Network = CascadedAspp | CascadedLstm
INVERTED = {"vocals", "other"}


class Vr(Separator):
    """A `.pth` in pretrain/vr/ beside UVR's list of models (`model_data.json`) and the band file the list names.

    Instead of the list, `<model>.json` may hold the model's entry alone. `model` is the file's name where there are
    several, or its path, `folder` another place. `window` is the number of frames the network sees at once,
    `aggression` UVR's setting of that name in percent. Raises WeightError without a model, its entry or its band file,
    CheckpointError for files that are damaged, unsafe or do not fit together, ConfigError for an impossible window or
    aggression.
    """

    name = "vr"
    quality_note = "vr: a trained network of 2020 to 2022 from your own file; good vocals with some accompaniment."
    sample_rate = 44_100
    endings = (".pth",)

    def __init__(
        self,
        device: str = "cpu",
        model: str | Path | None = None,
        folder: Path | None = None,
        window: int = 512,
        aggression: float = 5,
    ) -> None:
        super().__init__(device)
        self.path = find_model(self.name, self.endings, model, folder, self.kind_of)
        self.network, self.bands, primary = read_model(self.path)
        self.network.to(device)
        stem = self.stem_of(self.path)
        require_vocals(stem, self.path, model is not None)
        self.vocals, self.inverted = stem.kept, primary.strip().lower() in INVERTED
        if window % 16 or window <= 2 * self.network.offset:
            raise ConfigError(f"A window of {window} frames is impossible: use a multiple of 16, such as 320 or 512.")
        if not 0 <= aggression <= 100:
            raise ConfigError(f"An aggression of {aggression} is impossible: use 0 to 100.")
        self.window, self.aggression = window, aggression
        self.sample_rate = self.bands.bands[-1].rate

    @staticmethod
    def stem_of(path: Path) -> Stem:
        """What the model `path` gives, from UVR's list."""
        return entry_stem(path, *find_entry(path, Vr.name))

    @classmethod
    def kind_of(cls, path: Path) -> str:
        """What the model `path` is for; "" where no list tells."""
        return kind_or_none(cls.stem_of, path)

    def open_stream(self, pair: Callable[[], Iterator[np.ndarray]]) -> VocalStream:
        """Reads the pair once for its loudest bin, then streams window by window."""
        reader = SpectrumReader(self.bands)
        loudest = max((float(np.abs(part).max()) for part in reader.read(pair()) if part.size), default=0.0)
        shape = MaskShape(self.window, self.aggression, self.vocals, self.inverted)
        return VrStream(self.network, self.bands, shape, loudest)


@dataclass(frozen=True)
class MaskShape:
    """Frames the network sees, aggression in percent, whether the mask is of the vocals (else of what is left).

    `inverted`: aggression counts the other way round, as the original has it for masks of a voice or an instrument.
    """

    window: int
    aggression: float
    vocals: bool
    inverted: bool

    def adjust(self, mask: np.ndarray, split: int) -> np.ndarray:
        """UVR's `aggression`: bins of the mask (2, F, T) to powers, smaller ones below bin `split`."""
        amount = 2 * self.aggression / 100
        if amount == 0:
            return mask
        if self.inverted:
            amount = 1 - amount
        power = np.full((mask.shape[1], 1), 1 + amount, np.float32)
        power[:split] = 1 + amount / 3
        return mask**power


class SpectrumReader:
    """Frames of a stacked spectrogram, in order, from blocks of samples."""

    def __init__(self, bands: Bands) -> None:
        self._bands, self._hop = bands, bands.hop
        self._samples = np.zeros((2, CONTEXT * self._hop), np.float32)
        self._received = self._frame = 0

    def read(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """All frames (2, bins + 1, n) of a song."""
        for block in blocks:
            yield self.process(block)
        yield self.process(np.zeros((2, 0), np.float32), last=True)

    def process(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        """The frames that are certain by now; frame t is centred at sample t * hop."""
        self._received += block.shape[1]
        self._samples = np.concatenate([self._samples, block], axis=1)
        done = [np.zeros((2, self._bands.bins + 1, 0), np.complex64)]
        size = (PIECE + 2 * CONTEXT) * self._hop
        if last:
            self._samples = np.pad(self._samples, ((0, 0), (0, size)))
        left = 1 + self._received // self._hop - self._frame
        while self._samples.shape[1] >= size and (not last or left > 0):
            frames = min(PIECE, left) if last else PIECE
            done.append(self._bands.analyse(self._samples[:, :size], CONTEXT, frames))
            self._samples = self._samples[:, frames * self._hop :]
            self._frame += frames
            left -= frames
        return np.concatenate(done, axis=2)


class SpectrumWriter:
    """Samples from frames of a stacked spectrogram, in order; the inverse of SpectrumReader."""

    def __init__(self, bands: Bands) -> None:
        self._bands, self._hop = bands, bands.hop
        self._frames = np.zeros((2, bands.bins + 1, 0), np.complex64)
        self._before = 0  # frames of context in front

    def process(self, frames: np.ndarray, last: bool = False) -> np.ndarray:
        """The samples (2, n) that are certain by now; T frames in all give (T - 1) * hop samples."""
        self._frames = np.concatenate([self._frames, frames], axis=2)
        done = [np.zeros((2, 0), np.float32)]
        while self._frames.shape[2] >= self._before + PIECE + CONTEXT:
            done.append(self._advance(PIECE))
        while last and (left := self._frames.shape[2] - self._before - 1) > 0:
            done.append(self._advance(min(PIECE, left)))
        return np.concatenate(done, axis=1)

    def _advance(self, frames: int) -> np.ndarray:
        wave = self._bands.synthesise(self._frames[:, :, : self._before + frames + CONTEXT])
        start = self._before * self._hop
        out = wave[:, start : start + frames * self._hop]
        drop = max(0, self._before + frames - CONTEXT)
        self._frames = self._frames[:, :, drop:]
        self._before += frames - drop
        return out


class VrStream:
    """UVR's way through a song: magnitudes over the song's loudest, window by window, the mix's own phase.

    Samples after the last whole hop have no frame: they are silent here, so the accompaniment keeps them.
    """

    def __init__(self, network: Network, bands: Bands, shape: MaskShape, loudest: float) -> None:
        self._network, self._bands, self._shape, self._loudest = network, bands, shape, loudest
        self._reader, self._writer = SpectrumReader(bands), SpectrumWriter(bands)
        self._offset = network.offset
        self._region = shape.window - 2 * self._offset
        self._frames = np.zeros((2, bands.bins + 1, self._offset), np.complex64)
        self._received = self._given = 0

    def process(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        """The next samples (2, m) that are certain by now; all of them after `last`."""
        self._received += block.shape[1]
        if self._loudest == 0:
            return np.zeros_like(block)
        self._frames = np.concatenate([self._frames, self._reader.process(block, last)], axis=2)
        done = []
        while self._frames.shape[2] >= self._region + 2 * self._offset:
            done.append(self._advance(self._region))
        while last and (left := self._frames.shape[2] - self._offset) > 0:
            done.append(self._advance(min(self._region, left)))
        frames = np.concatenate(done, axis=2) if done else self._frames[:, :, :0]
        out = self._writer.process(frames, last)
        if last:
            out = np.pad(out, ((0, 0), (0, max(0, self._received - self._given - out.shape[1]))))
        self._given += out.shape[1]
        return out

    def _advance(self, frames: int) -> np.ndarray:
        part = self._frames[:, :, : self._shape.window]
        short = self._shape.window - part.shape[2]
        mask = self.mask(np.pad(np.abs(part), ((0, 0), (0, 0), (0, short))))[:, :, :frames]
        mask = self._shape.adjust(mask, self._bands.bands[0].stop)
        share = mask if self._shape.vocals else 1 - mask
        out = share * self._frames[:, :, self._offset : self._offset + frames]
        self._frames = self._frames[:, :, frames:]
        return out

    @torch.inference_mode()
    def mask(self, magnitude: np.ndarray) -> np.ndarray:
        """The network's mask (2, bins + 1, n - 2 * offset) for magnitudes (2, bins + 1, n)."""
        device = next(self._network.parameters()).device
        seen = torch.from_numpy((magnitude / np.float32(self._loudest)).astype(np.float32)).unsqueeze(0).to(device)
        return self._network(seen)[0, :, :, self._offset : -self._offset].cpu().numpy()


def read_model(path: Path) -> tuple[Network, Bands, str]:
    """The network of a `.pth` in evaluation mode, its bands and the name of the stem its mask is of.

    Which of the two networks it is, and its sizes, are read from the names and shapes of its tensors.
    """
    state = read_torch(path)
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()) or not state:
        raise CheckpointError(f"{path} does not hold named tensors alone: use a VR model of UVR.")
    new = "aux_out.weight" in state
    entry, where = find_entry(path, Vr.name)
    bands = _bands(entry, where, new)
    try:
        network = (CascadedLstm if new else CascadedAspp)(state, bands.bins)
    except (KeyError, ValueError, IndexError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path} is not a VR model of UVR ({reason}): use a .pth of that kind.") from None
    check_keys(state, {k: tuple(v.shape) for k, v in network.state_dict().items()}, str(path))
    network.load_state_dict(state)
    primary = entry.get("primary_stem")
    if not isinstance(primary, str):
        raise CheckpointError(f"{where} does not say which stem {path.name} gives: get UVR's list anew.")
    return network.float().eval().requires_grad_(False), bands, primary


def _bands(entry: Any, where: Path, new: bool) -> Bands:
    name = str(entry.get("vr_model_param"))
    places = [folder / f"{name}.json" for folder in (where.parent, pretrain_dir() / Vr.name)]
    place = next((candidate for candidate in places if candidate.is_file()), places[0])
    if set(name) & set("/\\:") or not place.is_file():
        raise WeightError(
            f"{where} asks for the bands '{name}': put UVR's modelparams/{Path(name).name}.json beside it."
        )
    try:
        return read_bands(json.loads(place.read_text(encoding="utf-8")), new)
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise CheckpointError(f"{place} is not a band file that can be used ({error}): get UVR's own.") from None
