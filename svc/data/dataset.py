"""Training examples: random crops of prepared utterances, in an order that is a function of the seed.

Nothing here keeps random state. The crop of an example depends on (seed, epoch, utterance, visit) alone
and the order of an epoch on (seed, epoch), so the number of workers, a restart in mid-epoch or another
process beside this one change neither.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from svc.config import TrainConfig
from svc.data.manifest import PreparedDataset, Utterance
from svc.data.prompts import PromptChooser
from svc.data.shifting import Crop, ratio_of, shift, source_frames
from svc.errors import DatasetError
from svc.features.spec import Features, FeatureSpec

RAM_LIMIT_BYTES = 2_000_000_000
VOLUME_RANGE_DB = (-12.0, 6.0)  # random gain; upwards only as far as the crop's peak allows
POOL_BATCHES = 32  # length buckets are formed inside pools of this many global batches


class Draw(NamedTuple):
    """One example to be made: utterance number `utterance`, for the `visit`-th time in `epoch`."""

    epoch: int
    utterance: int
    visit: int


class Sample(NamedTuple):
    """One crop of T frames: content (T, D), f0_hz interpolated, voiced 0/1, loudness_db (T,), audio (T*hop,).

    `bandwidth_hz` is how high the audio reaches, `shift_semitones` how far it was shifted, `prompt` (n,) other audio of
    the singer (empty where none is asked for), `prompted` whether that alone shall tell who sings.
    """

    content: Tensor
    f0_hz: Tensor
    voiced: Tensor
    loudness_db: Tensor
    audio: Tensor
    speaker_id: int
    bandwidth_hz: float = math.inf
    shift_semitones: float = 0.0
    prompt: Tensor = torch.zeros(0)
    prompted: bool = False


class Batch(NamedTuple):
    """Padded crops: content (B, D, T), f0_hz, voiced, loudness_db (B, T), audio (B, T*hop), lengths, speaker_id (B,).

    bandwidth_hz, shift_semitones (B,); prompt (B, N) padded, prompt_lengths (B,) in samples, prompted (B,) bool; role
    (B,), see svc.training.crossing, 0 for recordings of who sings.
    Beyond `lengths` content, voiced and audio are 0; F0 keeps its last value and loudness is -100 dB.
    """

    content: Tensor
    f0_hz: Tensor
    voiced: Tensor
    loudness_db: Tensor
    audio: Tensor
    lengths: Tensor
    speaker_id: Tensor
    bandwidth_hz: Tensor
    shift_semitones: Tensor
    prompt: Tensor
    prompt_lengths: Tensor
    prompted: Tensor
    role: Tensor

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on `device`; the copy does not block where the memory is pinned."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))

    def split(self, parts: int) -> list["Batch"]:
        """Cut into `parts` smaller batches (fewer when there are fewer examples), in order."""
        pieces = [tensor.tensor_split(min(parts, len(self.lengths))) for tensor in self]
        return [Batch(*fields) for fields in zip(*pieces)]


@dataclass(frozen=True)
class PackedUtterances:
    """All utterances in memory end to end: audio int16 with a scale per utterance, content float16.

    `samples` and `frames` (U + 1,) are the offsets of the utterances.
    """

    audio: Tensor
    scale: Tensor
    content: Tensor
    f0_hz: Tensor
    voiced: Tensor
    loudness_db: Tensor
    samples: Tensor
    frames: Tensor

    @staticmethod
    def size(utterances: Sequence[Utterance], spec: FeatureSpec) -> int:
        """Bytes that packing will take."""
        samples = sum(u.samples for u in utterances)
        return 2 * samples + sum(u.frames for u in utterances) * (2 * spec.content_dim + 9)

    @staticmethod
    def read(prepared: PreparedDataset, utterances: Sequence[Utterance], unvoiced_f0: str) -> "PackedUtterances":
        """Read every utterance once; `unvoiced_f0` is the model's rule (`fill_unvoiced`)."""
        samples = np.cumsum([0] + [u.samples for u in utterances])
        frames = np.cumsum([0] + [u.frames for u in utterances])
        audio = np.zeros(samples[-1], np.int16)
        scale = np.zeros(len(utterances), np.float32)
        content = np.zeros((frames[-1], prepared.spec.content_dim), np.float16)
        f0_hz, loudness = np.zeros(frames[-1], np.float32), np.zeros(frames[-1], np.float32)
        voiced = np.zeros(frames[-1], np.bool_)
        for i, utterance in enumerate(utterances):
            values = prepared.audio(utterance)
            scale[i] = max(1.0, float(np.abs(values).max(initial=0.0))) / 32767.0
            audio[samples[i] : samples[i + 1]] = np.round(values / scale[i])
            part = slice(frames[i], frames[i + 1])
            features = prepared.features(utterance)
            content[part], voiced[part] = features.content, features.voiced
            f0_hz[part], loudness[part] = filled_f0(features, unvoiced_f0), features.loudness_db
        arrays = (audio, scale, content, f0_hz, voiced, loudness, samples, frames)
        return PackedUtterances(*(torch.from_numpy(array) for array in arrays))


def filled_f0(features: Features, unvoiced_f0: str) -> np.ndarray:
    """F0 (T,) interpolated over unvoiced stretches by the model's rule, as models are fed."""
    from svc.pitch.editing import fill_unvoiced

    return np.asarray(fill_unvoiced(features.f0_hz, unvoiced_f0), np.float32)


class VoiceDataset(Dataset[Sample]):
    """Crops of the utterances of one split; indexed by `Draw`.

    Small datasets are read into memory once (and shared with the workers), large ones stay on disk. With `prompts`
    every crop comes with other audio of its singer. `unvoiced_f0` is the model's rule for F0 in unvoiced frames.
    Raises DatasetError when the split is empty.
    """

    def __init__(
        self,
        prepared: PreparedDataset,
        utterances: Sequence[Utterance],
        train: TrainConfig,
        ram_limit_bytes: int = RAM_LIMIT_BYTES,
        prompts: bool = False,
        unvoiced_f0: str = "filled",
    ) -> None:
        if not utterances:
            raise DatasetError("The dataset holds no slice to train on: add recordings and run `svc prepare` again.")
        self.prepared = prepared
        self.utterances = list(utterances)
        self.slice_frames = train.slice_frames
        self.minimum_frames = train.segment_frames
        self.volume_augment = train.volume_augment
        self.seed = train.seed
        self.shift_augment, self.shift_semitones = train.shift_augment, train.shift_semitones
        self.prompt_probability = train.prompt_probability
        self.prompts = PromptChooser(self.utterances, prepared.spec.frame_rate) if prompts else None
        self.speaker_ids = {name: i for i, name in enumerate(prepared.speakers)}
        self.unvoiced_f0 = unvoiced_f0
        fits = PackedUtterances.size(self.utterances, prepared.spec) <= ram_limit_bytes
        self.packed = PackedUtterances.read(prepared, self.utterances, unvoiced_f0) if fits else None

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, draw: Draw) -> Sample:
        random = np.random.default_rng([self.seed, *draw])
        utterance = self.utterances[draw.utterance]
        semitones = self._semitones(draw)
        ratio = ratio_of(semitones)
        length, frames = source_frames(self.slice_frames, ratio, utterance.frames)
        start = int(random.integers(utterance.frames - length + 1))
        crop = self._read(draw.utterance, start, start + length)
        spec = self.prepared.spec
        if semitones:
            crop = shift(crop, ratio, frames, spec.sample_rate)
        content, f0_hz, voiced, loudness_db, audio = crop
        if self.volume_augment:
            gain_db = self._gain_db(random, audio)
            audio = audio * 10.0 ** (gain_db / 20.0)
            loudness_db = (loudness_db + gain_db).clamp(min=-100.0)
        nyquist = spec.sample_rate / 2
        bandwidth_hz = min(min(utterance.bandwidth_hz, nyquist) * ratio, nyquist)
        prompt, prompted = self._prompt(draw, start, start + length)
        speaker = self.speaker_ids[utterance.speaker]
        return Sample(content, f0_hz, voiced, loudness_db, audio, speaker, bandwidth_hz, semitones, prompt, prompted)

    def _semitones(self, draw: Draw) -> float:
        """How far the crop of `draw` is shifted; from a stream of its own, so that other draws stay what they are."""
        if self.shift_augment == 0:
            return 0.0
        random = np.random.default_rng([self.seed, *draw, 1])
        drawn = float(random.uniform(-self.shift_semitones, self.shift_semitones))
        return drawn if random.random() < self.shift_augment else 0.0

    def _prompt(self, draw: Draw, start: int, stop: int) -> tuple[Tensor, bool]:
        """A prompt for frames [start, stop) and whether it is to be used; drawn from a stream of its own as well."""
        if self.prompts is None:
            return torch.zeros(0), False
        random = np.random.default_rng([self.seed, *draw, 2])
        stretch = self.prompts.choose(random, draw.utterance, start, stop)
        return self._audio(*stretch), bool(random.random() < self.prompt_probability)

    @staticmethod
    def _gain_db(random: np.random.Generator, audio: Tensor) -> float:
        low, high = VOLUME_RANGE_DB
        peak = float(audio.abs().max()) if audio.numel() else 0.0
        headroom = -20.0 * np.log10(max(peak, 1e-5))
        drawn = float(random.uniform(low, high))
        return drawn if random.random() < 0.5 and drawn < headroom else 0.0

    def _audio(self, index: int, start: int, stop: int) -> Tensor:
        """The samples (n * hop,) of frames [start, stop), padded to whole frames."""
        hop = self.prepared.spec.hop_length
        utterance = self.utterances[index]
        first, last = start * hop, min(stop * hop, utterance.samples)
        if self.packed is not None:
            sample = int(self.packed.samples[index])
            audio = self.packed.audio[sample + first : sample + last].float() * self.packed.scale[index]
        else:
            audio = torch.from_numpy(np.array(self.prepared.audio(utterance, first, last), np.float32))
        return torch.nn.functional.pad(audio, (0, (stop - start) * hop - len(audio)))

    def _read(self, index: int, start: int, stop: int) -> Crop:
        """Frames [start, stop): content, F0, voicing, loudness and the samples below them."""
        utterance = self.utterances[index]
        if self.packed is not None:
            pack = self.packed
            frame = int(pack.frames[index])
            part = slice(frame + start, frame + stop)
            content, f0_hz = pack.content[part].float(), pack.f0_hz[part].clone()
            voiced, loudness = pack.voiced[part].float(), pack.loudness_db[part].clone()
        else:
            whole = self.prepared.features(utterance)
            part = slice(start, stop)
            content = torch.from_numpy(np.array(whole.content[part], np.float32))
            f0_hz = torch.from_numpy(filled_f0(whole, self.unvoiced_f0)[part].copy())
            voiced = torch.from_numpy(np.array(whole.voiced[part], np.float32))
            loudness = torch.from_numpy(np.array(whole.loudness_db[part], np.float32))
        return content, f0_hz, voiced, loudness, self._audio(index, start, stop)

    def collate(self, samples: list[Sample]) -> Batch:
        """Pad to the longest crop (at least one decoded segment) and stack."""
        return collate(samples, self.minimum_frames)


def collate(samples: list[Sample], minimum_frames: int = 1) -> Batch:
    """A `Batch` of the given crops, padded to the longest of them or `minimum_frames`."""
    lengths = [len(s.f0_hz) for s in samples]
    frames = max(*lengths, minimum_frames) if lengths else minimum_frames
    hop = len(samples[0].audio) // lengths[0]
    count, dim = len(samples), samples[0].content.shape[1]
    content = torch.zeros(count, dim, frames)
    f0_hz, voiced = torch.zeros(count, frames), torch.zeros(count, frames)
    loudness, audio = torch.full((count, frames), -100.0), torch.zeros(count, frames * hop)
    for i, (sample, n) in enumerate(zip(samples, lengths)):
        content[i, :, :n] = sample.content.T
        f0_hz[i, :n], f0_hz[i, n:] = sample.f0_hz, sample.f0_hz[-1]
        voiced[i, :n], loudness[i, :n] = sample.voiced, sample.loudness_db
        audio[i, : n * hop] = sample.audio
    prompt_lengths = [len(s.prompt) for s in samples]
    prompt = torch.zeros(count, max(prompt_lengths))
    for i, sample in enumerate(samples):
        prompt[i, : prompt_lengths[i]] = sample.prompt
    return Batch(
        content,
        f0_hz,
        voiced,
        loudness,
        audio,
        torch.tensor(lengths),
        torch.tensor([s.speaker_id for s in samples]),
        torch.tensor([s.bandwidth_hz for s in samples]),
        torch.tensor([s.shift_semitones for s in samples]),
        prompt,
        torch.tensor(prompt_lengths),
        torch.tensor([s.prompted for s in samples]),
        torch.zeros(count, dtype=torch.long),
    )


class DrawSampler(Sampler[list[Draw]]):
    """Batches of draws without end, starting at `(epoch, batch)`; each process sees its own share.

    An epoch visits every utterance once per `slice_frames` of its length, in an order of its own.
    Utterances of like length (where they are shorter than a crop) share a batch. What does not fill
    a global batch is left out, another part each epoch; a dataset smaller than one batch is visited
    more often instead.

    Utterances from number `replayed_from` on are lines of the base: of their visits, each epoch draws as many as
    make `train.replay_share` of all.
    """

    def __init__(
        self,
        frames: Sequence[int],
        train: TrainConfig,
        rank: int = 0,
        processes: int = 1,
        start: tuple[int, int] = (0, 0),
        replayed_from: int | None = None,
    ) -> None:
        self.lengths = [min(n, train.slice_frames) for n in frames]
        self.visits = [max(1, n // train.slice_frames) for n in frames]
        self.batch_size = train.batch_size * train.accumulate
        self.seed = train.seed
        self.rank, self.processes = rank, processes
        self.start = start
        self.own = len(self.visits) if replayed_from is None else replayed_from
        replayed = sum(self.visits[self.own :])
        wanted = sum(self.visits[: self.own]) * train.replay_share / (1.0 - train.replay_share)
        self.replayed = max(1, round(wanted)) if replayed and wanted else 0

    @property
    def batches_per_epoch(self) -> int:
        """Batches each process sees in an epoch, that is steps per epoch."""
        visits = sum(self.visits[: self.own]) + self.replayed
        return max(1, visits // (self.batch_size * self.processes))

    def position(self, batches: int) -> tuple[int, int]:
        """Epoch and batch within it after `batches` more batches than `start`."""
        return divmod(self.start[0] * self.batches_per_epoch + self.start[1] + batches, self.batches_per_epoch)

    def epoch(self, epoch: int) -> list[list[Draw]]:
        """The batches of this process in `epoch`, in order."""
        random = np.random.default_rng([self.seed, epoch])
        draws = self._visits(epoch, 0, self.own)
        if self.replayed:
            lines = self._visits(epoch, self.own, len(self.visits))
            times, rest = divmod(self.replayed, len(lines))
            some = [lines[i] for i in random.permutation(len(lines))[:rest]]
            draws += self._repeated(lines, times) + self._repeated(some, 1, first=times)
        wanted = self.batches_per_epoch * self.batch_size * self.processes
        rounds = -(-wanted // len(draws))
        draws += self._repeated(draws, rounds - 1, first=1 + self.replayed)
        chosen = [draws[i] for i in random.permutation(len(draws))[:wanted]]
        global_size = self.batch_size * self.processes
        steps: list[list[Draw]] = []
        for first in range(0, wanted, POOL_BATCHES * global_size):
            pool = chosen[first : first + POOL_BATCHES * global_size]
            pool.sort(key=lambda draw: self.lengths[draw.utterance])
            steps += [pool[i : i + global_size] for i in range(0, len(pool), global_size)]
        own = slice(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)
        return [steps[i][own] for i in random.permutation(len(steps))]

    def _visits(self, epoch: int, first: int, last: int) -> list[Draw]:
        return [Draw(epoch, i, v) for i in range(first, last) for v in range(self.visits[i])]

    def _repeated(self, draws: list[Draw], times: int, first: int = 0) -> list[Draw]:
        """`draws` so many times over, at visits of their own from the `first` round on."""
        rounds = range(first, first + times)
        return [d._replace(visit=d.visit + r * self.visits[d.utterance]) for r in rounds for d in draws]

    def __iter__(self) -> Iterator[list[Draw]]:
        epoch, batch = self.start
        while True:
            yield from self.epoch(epoch)[batch:]
            epoch, batch = epoch + 1, 0


def ignore_signals(_worker: int) -> None:
    """Workers leave Ctrl-C and SIGTERM to the training process, which ends them after it has saved."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    torch.set_num_threads(1)


def make_loader(dataset: VoiceDataset, sampler: DrawSampler, workers: int, pin_memory: bool) -> DataLoader[Batch]:
    """A loader over the sampler's endless batches."""
    return DataLoader[Any](
        dataset,
        batch_sampler=sampler,
        collate_fn=dataset.collate,
        num_workers=workers,
        pin_memory=pin_memory,
        prefetch_factor=4 if workers else None,
        worker_init_fn=ignore_signals,
    )
