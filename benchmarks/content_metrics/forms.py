"""Forms of content frames to compare, and a cache of what networks say."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from svc.content.moonshine import OPTIONS, layer_windows
from svc.content.moonshine_network import HOP, WIDTH, MoonshineNetwork
from svc.content.whisper import Whisper
from svc.content.whisper_ct2 import WhisperCt2
from svc.errors import SvcError
from svc.paths import pretrain_dir
from svc.weights import MOONSHINE, sha256_of

from .recordings import RATE, Recording, load

Encode = Callable[[np.ndarray], np.ndarray]
LAYER = 7
GAP_SECONDS = 1.0
WHISPER_HOP = 320


@dataclass
class Network:
    """Samples (N,) at 16 kHz to raw frames (N // hop + 1, D); `key` names network and weights in the cache.

    `pack_seconds`: the network always hears this long, so several short clips are put into one such stretch.
    """

    key: str
    encode: Encode
    hop: int
    pack_seconds: float = 0.0


@dataclass
class Form:
    """A row of the table: a network's frames, made into what a voice would be given."""

    name: str
    network: Network
    finish: Encode

    @property
    def hop(self) -> int:
        return self.network.hop


class Cache:
    """Frames of networks on recordings, kept as float32 files below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, path: Path) -> Recording:
        """recordings.load, remembered until the file changes."""
        stat = path.stat()
        name = hashlib.sha256(f"{path.resolve()} {stat.st_mtime_ns} {stat.st_size}".encode()).hexdigest()[:24]
        kept = self.folder / "samples" / f"{name}.npy"
        if kept.is_file():
            return Recording(path.stem, np.load(kept))
        recording = load(path)
        _save(kept, recording.samples)
        return recording

    def frames(self, form: Form, recording: Recording) -> np.ndarray:
        """Finished frames (T, D); the network only hears what it has not heard yet."""
        path = self._path(form.network, recording)
        if not path.is_file():
            _save(path, form.network.encode(recording.samples).astype(np.float32))
        return form.finish(np.load(path))

    def hear(self, network: Network, recordings: Sequence[Recording]) -> None:
        """Let a network that packs hear all `recordings` it has not heard yet, strangers side by side."""
        places = {self._path(network, recording): recording.samples for recording in recordings}
        unheard = sorted((path, samples) for path, samples in places.items() if not path.is_file())
        for pack in packs([samples for _, samples in unheard], network):
            joined, starts = joined_clips([unheard[i][1] for i in pack], network.hop)
            values = network.encode(joined).astype(np.float32)
            for i, start in zip(pack, starts, strict=True):
                path, samples = unheard[i]
                _save(path, values[start : start + len(samples) // network.hop + 1])

    def _path(self, network: Network, recording: Recording) -> Path:
        digest = hashlib.sha256(recording.samples.tobytes()).hexdigest()[:24]
        return self.folder / network.key / f"{digest}.npy"


def packs(clips: Sequence[np.ndarray], network: Network) -> list[list[int]]:
    """Indices of `clips` in their order, as many together as fit into the network's stretch; none if it has none."""
    if not network.pack_seconds:
        return []
    groups: list[list[int]] = []
    room = 0
    for i, clip in enumerate(clips):
        length = padded_length(clip, network.hop)
        if length > room:
            groups.append([])
            room = round(network.pack_seconds * RATE)
        groups[-1].append(i)
        room -= length
    return groups


def padded_length(clip: np.ndarray, hop: int) -> int:
    """Samples of a clip and the silence behind it, whole frames."""
    return -(-(len(clip) + round(GAP_SECONDS * RATE)) // hop) * hop


def joined_clips(clips: Sequence[np.ndarray], hop: int) -> tuple[np.ndarray, list[int]]:
    """Clips a second of silence apart, and the frame where each starts."""
    padded = [np.pad(clip, (0, padded_length(clip, hop) - len(clip))) for clip in clips]
    starts = np.cumsum([0, *(len(clip) // hop for clip in padded[:-1])])
    return np.concatenate(padded), [int(start) for start in starts]


def _save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part.npy")
    np.save(partial, values)
    partial.replace(path)


def per_recording(values: np.ndarray) -> np.ndarray:
    """Mean 0 and variance 1 of every value over the recording."""
    return (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-5)


def unchanged(values: np.ndarray) -> np.ndarray:
    return values


@dataclass
class MoonshineFile:
    """A weight file in the layout of svc/assets/moonshine_singing.safetensors."""

    network: MoonshineNetwork
    mean: np.ndarray
    scale: np.ndarray
    leak: np.ndarray
    sha256: str

    @classmethod
    def read(cls, path: Path) -> "MoonshineFile":
        from safetensors.torch import load_file

        state = {name: value.float() for name, value in load_file(path).items()}
        mean, scale, leak = (state.pop(f"corpus.{name}").numpy() for name in ("mean", "scale", "leak"))
        network = MoonshineNetwork()
        network.load_state_dict(state)
        network.eval().requires_grad_(False)
        return cls(network, mean, scale, leak, sha256_of(path))

    def whole(self, samples: np.ndarray) -> np.ndarray:
        """The network as published: group norm and attention over the whole clip."""
        frames = len(samples) // HOP + 1
        padded = np.pad(samples, (447, (frames - 1) * HOP + 895 - 447 - len(samples)))
        with torch.inference_mode():
            return self.network(torch.from_numpy(padded)[None])[LAYER - 1][0].numpy()

    def windowed(self, samples: np.ndarray) -> np.ndarray:
        """As the toolkit runs it: levelled, fixed group norm, attention over SPAN frames to each side."""
        values = np.empty((len(samples) // HOP + 1, WIDTH), dtype=np.float32)
        for start, stop, outputs in layer_windows(self.network, samples):
            values[start:stop] = outputs[LAYER - 1].numpy()
        return values

    def adaptive(self, values: np.ndarray) -> np.ndarray:
        """Normalisation "adaptive" of svc.content.moonshine."""
        mean, leak = self.mean[LAYER - 1], self.leak[LAYER - 1]
        return (values - (values - mean) @ leak.T @ leak) / self.scale[LAYER - 1]


def moonshine_forms(path: Path, title: str, published: bool) -> list[Form]:
    """Rows of one weight file: as the toolkit gives it in two normalisations, before them as published."""
    file = MoonshineFile.read(path)
    settings = hashlib.sha256(repr((OPTIONS, LAYER)).encode()).hexdigest()[:8]
    key = file.sha256[:16]
    forms = []
    if published:
        whole = Network(f"whole-{key}", file.whole, HOP)
        forms += [
            Form(f"{title}, as published", whole, unchanged),
            Form(f"{title}, as published, recording-normalised", whole, per_recording),
        ]
    windowed = Network(f"windowed-{key}-{settings}", file.windowed, HOP)
    return [
        *forms,
        Form(f"{title}, `adaptive`", windowed, file.adaptive),
        Form(f"{title}, `recording`", windowed, lambda values: per_recording(file.adaptive(values))),
    ]


def log_mel_forms() -> list[Form]:
    """80 log-mel bands to 8 kHz, 64 ms Hann windows, a frame every 24 ms."""
    from librosa.filters import mel

    bank = torch.from_numpy(mel(sr=RATE, n_fft=1024, n_mels=80))

    def encode(samples: np.ndarray) -> np.ndarray:
        padded = torch.from_numpy(np.pad(samples, (512, 512)))
        window = torch.hann_window(1024)
        spectrum = torch.stft(padded, 1024, HOP, window=window, center=False, return_complex=True).abs().square()
        return (bank @ spectrum).clamp(min=1e-8).log().T.numpy()

    network = Network("log-mel", encode, HOP)
    return [
        Form("log-mel (80)", network, unchanged),
        Form("log-mel (80), recording-normalised", network, per_recording),
    ]


def whisper_forms(path: Path, title: str = "Whisper base") -> list[Form]:
    """Last layer of a Whisper in OpenAI's, Hugging Face's or CTranslate2's files, several clips per 30 s.

    An empty list and one printed sentence where it cannot be read.
    """
    try:
        kind = WhisperCt2 if (path / "model.bin").is_file() else Whisper
        encoder = kind(normalisation="none", path=path)
    except (SvcError, OSError) as error:
        print(f"{title} is left out: {error}")
        return []
    key = f"whisper-packed-{encoder.weights_sha256[:16]}"
    network = Network(key, lambda samples: encoder.encode(samples).values, WHISPER_HOP, pack_seconds=29.9)
    return [Form(title, network, unchanged), Form(f"{title}, recording-normalised", network, per_recording)]


def shipped() -> Path:
    """The weight file that the toolkit ships."""
    return MOONSHINE.path()


def delivered() -> Path | None:
    """Moonshine as its makers deliver it, None and one printed sentence where it is not in pretrain/."""
    path = pretrain_dir() / "moonshine_delivered.safetensors"
    if path.is_file():
        return path
    print(f"Moonshine as delivered is left out: write {path} with scripts/recipes/moonshine_weights.py.")
    return None
