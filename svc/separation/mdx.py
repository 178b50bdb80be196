"""MDX-Net models (`.onnx`) of Ultimate Vocal Remover, run by onnxruntime: an optional extra."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from svc.errors import CheckpointError, MissingExtraError
from svc.separation.model_files import Stem, entry_stem, find_entry, find_model, kind_or_none, require_vocals
from svc.separation.separator import Separator, VocalStream

HOP = 1024
OVERLAP = 0.25
SILENT_BINS = 3  # the networks never saw anything below 20 Hz
MAX_N_FFT = 1 << 16

Network = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class MdxSettings:
    """Bins and frames the network sees, its FFT size, the factor its output wants, and whether that is the vocals."""

    bins: int
    frames: int
    n_fft: int
    compensate: float
    vocals: bool

    @property
    def chunk(self) -> int:
        """Samples the network sees at once."""
        return HOP * (self.frames - 1)


class Mdx(Separator):
    """An `.onnx` in pretrain/mdx/ beside UVR's list of models (`model_data.json` or `mdx_model_data.json`).

    Instead of the list, `<model>.json` may hold the model's entry alone. `model` is the file's name where there are
    several, or its path, `folder` another place. `denoise` runs each chunk a second time upside down and averages. The
    gain is UVR's: vocals are the output times `compensate`. Raises MissingExtraError without onnxruntime, WeightError
    without a model or its entry, CheckpointError for a file that is no such network.
    """

    name = "mdx"
    quality_note = "mdx: a trained network of 2021 to 2023 from your own file; clean vocals, moderate speed on a CPU."
    sample_rate = 44_100

    endings = (".onnx",)

    def __init__(
        self, device: str = "cpu", model: str | Path | None = None, folder: Path | None = None, denoise: bool = False
    ) -> None:
        super().__init__(device)
        self.path = find_model(self.name, self.endings, model, folder, self.kind_of)
        self.denoise = denoise
        self._network, bins, frames = open_network(self.path, device)
        self.settings = read_settings(self.path, bins, frames)
        require_vocals(self.stem_of(self.path), self.path, model is not None)
        self._window = torch.hann_window(self.settings.n_fft)

    @staticmethod
    def stem_of(path: Path) -> Stem:
        """What the model `path` gives, from UVR's list."""
        return entry_stem(path, *find_entry(path, Mdx.name))

    @classmethod
    def kind_of(cls, path: Path) -> str:
        """What the model `path` is for; "" where no list tells."""
        return kind_or_none(cls.stem_of, path)

    def open_stream(self, pair: Callable[[], Iterator[np.ndarray]]) -> VocalStream:
        """A stream of overlapping chunks; a chunk is some 6 s long."""
        return MdxStream(self._vocals, self.settings.chunk, self.settings.n_fft // 2)

    def run(self, chunk: np.ndarray) -> np.ndarray:
        """The network's own estimate (2, n) of one chunk (2, n), without gain."""
        if not self.denoise:
            return self._once(chunk)
        return (self._once(chunk) - self._once(-chunk)) / 2

    def _vocals(self, chunk: np.ndarray) -> np.ndarray:
        primary = self.run(chunk) * np.float32(self.settings.compensate)
        return primary if self.settings.vocals else chunk - primary

    @torch.inference_mode()
    def _once(self, chunk: np.ndarray) -> np.ndarray:
        n_fft, bins = self.settings.n_fft, self.settings.bins
        sound = torch.from_numpy(np.ascontiguousarray(chunk))
        spectrum = torch.stft(sound, n_fft, HOP, window=self._window, return_complex=True)[:, :bins]
        parts = torch.view_as_real(spectrum).permute(0, 3, 1, 2).reshape(1, 4, bins, -1).contiguous()
        parts[:, :, :SILENT_BINS] = 0
        made = torch.from_numpy(self._network(parts.numpy())).view(2, 2, bins, -1).permute(0, 2, 3, 1).contiguous()
        full = torch.nn.functional.pad(torch.view_as_complex(made), (0, 0, 0, n_fft // 2 + 1 - bins))
        return torch.istft(full, n_fft, HOP, window=self._window).numpy()


class MdxStream:
    """UVR's way through a song: chunks every three quarters of their length, joined with Hann windows.

    `trim` zeros stand before the song and at least as many after it.
    """

    def __init__(self, estimate: Callable[[np.ndarray], np.ndarray], chunk: int, trim: int) -> None:
        self._estimate, self._chunk, self._trim = estimate, chunk, trim
        self._step = int((1 - OVERLAP) * chunk)
        self._samples = np.zeros((2, trim), np.float32)  # from the next chunk on
        self._sum = np.zeros((2, chunk), np.float32)
        self._weight = np.zeros(chunk, np.float32)
        self._received = self._given = 0
        self._skip = trim

    def process(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        """The next samples (2, m) that no later chunk changes; all of them after `last`."""
        self._received += block.shape[1]
        self._samples = np.concatenate([self._samples, block], axis=1)
        if last:
            useful = self._chunk - 2 * self._trim
            after = useful + self._trim - self._received % useful
            self._samples = np.pad(self._samples, ((0, 0), (0, after)))
        done = [np.zeros((2, 0), np.float32)]
        while self._samples.shape[1] >= self._chunk or (last and self._samples.shape[1]):
            done.append(self._advance())
        out = np.concatenate(done, axis=1)
        skip = min(self._skip, out.shape[1])
        self._skip -= skip
        out = out[:, skip : skip + self._received - self._given]
        self._given += out.shape[1]
        return np.ascontiguousarray(out, dtype=np.float32)

    def _advance(self) -> np.ndarray:
        part = self._samples[:, : self._chunk]
        length = part.shape[1]
        window = np.hanning(length).astype(np.float32)
        estimate = self._estimate(np.pad(part, ((0, 0), (0, self._chunk - length))))
        self._sum[:, :length] += estimate[:, :length] * window
        self._weight[:length] += window
        ready = min(self._step, length)
        weight = self._weight[:ready]
        out = np.where(weight > 0, self._sum[:, :ready] / np.where(weight > 0, weight, 1), 0)
        self._sum = np.pad(self._sum[:, ready:], ((0, 0), (0, ready)))
        self._weight = np.pad(self._weight[ready:], (0, ready))
        self._samples = self._samples[:, ready:]
        return out


def open_network(path: Path, device: str) -> tuple[Network, int, int]:
    """The network of an `.onnx`, and the bins and frames it wants (frames 0 where it takes any number).

    The file is read as bytes, so that it cannot name others. Raises MissingExtraError, CheckpointError.
    """
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        raise MissingExtraError("onnxruntime", "separation", "Separation with MDX-Net") from error
    wanted = ["CPUExecutionProvider"]
    if device.startswith("cuda") and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        wanted.insert(0, "CUDAExecutionProvider")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=wanted)
    except Exception:
        raise CheckpointError(f"{path} is damaged, cut short or not an .onnx network: download it again.") from None
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shape = inputs[0].shape if len(inputs) == 1 and len(outputs) == 1 else []
    if len(shape) != 4 or shape[1] != 4 or inputs[0].type != "tensor(float)" or not isinstance(shape[2], int):
        raise CheckpointError(f"{path} is not an MDX-Net (its input is {shape or 'several'}): use a model of UVR.")

    def network(parts: np.ndarray) -> np.ndarray:
        try:
            made = session.run(None, {inputs[0].name: parts})[0]
        except Exception:
            raise CheckpointError(f"{path} cannot process a chunk: its list entry belongs to another model.") from None
        if made.shape != parts.shape:
            raise CheckpointError(f"{path} returns {made.shape} for {parts.shape}: use an MDX-Net of UVR.")
        return made

    return network, shape[2], shape[3] if isinstance(shape[3], int) else 0


def read_settings(path: Path, bins: int, frames: int) -> MdxSettings:
    """Settings of a model from UVR's list beside it; WeightError without an entry, CheckpointError for a wrong one."""
    entry, where = find_entry(path, Mdx.name)
    try:
        n_fft, compensate = entry["mdx_n_fft_scale_set"], float(entry["compensate"])
        listed = (entry["mdx_dim_f_set"], 2 ** int(entry["mdx_dim_t_set"]))
        stem = entry_stem(path, entry, where)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"{where} has no complete entry for {path.name} ({error}): get UVR's list anew."
        ) from None
    if listed[0] != bins or (frames and listed[1] != frames):
        raise CheckpointError(
            f"{path} sees {bins} bins and {frames} frames, {where} says {listed[0]} and {listed[1]}: "
            "use the entry of this model."
        )
    settings = MdxSettings(bins, listed[1], n_fft, compensate, stem.kept)
    fits = isinstance(n_fft, int) and 2 * (bins - 1) <= n_fft <= MAX_N_FFT and n_fft % 2 == 0
    if not fits or settings.chunk <= n_fft or not 0 < compensate < 10:
        raise CheckpointError(f"{where} has an impossible entry for {path.name}: get UVR's list anew.")
    return settings
