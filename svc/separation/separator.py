"""The separation contract: a song goes in, its vocals and its accompaniment come out, and the two sum to the song.

A method supplies one thing: a stream that turns a stereo pair at the method's own rate into vocals. Everything
around it (rates, channels, length, the accompaniment as what is left) is done here, once, for a song in memory
(`separate`) and for an hour-long file (`separate_stream`) alike.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from svc.audio.resampling import StreamResampler
from svc.audio.signal import Audio
from svc.errors import AudioError
from svc.separation.fifo import SampleFifo

BLOCK_SAMPLES = 1 << 16

# Channels that belong together as left and right, by channel count, in the order of wav files
# (L R C LFE Ls Rs ...); all others are separated alone.
_GROUPS: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((0,),),
    2: ((0, 1),),
    3: ((0, 1), (2,)),
    4: ((0, 1), (2, 3)),
    5: ((0, 1), (2,), (3, 4)),
    6: ((0, 1), (2,), (3,), (4, 5)),
    8: ((0, 1), (2,), (3,), (4, 5), (6, 7)),
}

Progress = Callable[[float], None] | None
WriteStems = Callable[[np.ndarray, np.ndarray], None]


@dataclass(frozen=True)
class Stems:
    """The two parts of a song, of the song's rate, channels and length; they sum to it (to float rounding)."""

    vocals: Audio
    accompaniment: Audio


@dataclass(frozen=True)
class Source:
    """A recording that can be read from its start as often as needed.

    `blocks()` yields float32 (channels, n) arrays; `length` in samples serves progress alone and may be an
    estimate (0 for unknown).
    """

    sample_rate: int
    channels: int
    length: int
    blocks: Callable[[], Iterator[np.ndarray]]

    @staticmethod
    def of(audio: Audio, block_samples: int = BLOCK_SAMPLES) -> "Source":
        """The samples of `audio`, in blocks."""

        def blocks() -> Iterator[np.ndarray]:
            for start in range(0, audio.length, block_samples):
                yield audio.samples[:, start : start + block_samples]

        return Source(audio.sample_rate, audio.channels, audio.length, blocks)


class VocalStream(Protocol):
    """Turns sound into vocals, block by block; after `last` as many samples came out as went in."""

    def process(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        """Vocals (C, m) that are final by now, for the next (C, n) samples; n may be 0."""
        ...


class Separator(ABC):
    """Takes vocals out of songs.

    `name` is the name in the registry, `quality_note` one sentence for users about what to expect, `sample_rate`
    the rate in Hz at which the method works (songs may have any). Not safe for use from several threads at once.
    """

    name: str
    quality_note: str
    sample_rate: int

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    @abstractmethod
    def open_stream(self, pair: Callable[[], Iterator[np.ndarray]]) -> VocalStream:
        """A stream for one stereo pair (2, n) at `sample_rate`.

        `pair()` reads that pair from its start, for methods that must see the whole recording first.
        """

    def separate(self, audio: Audio, progress: Progress = None) -> Stems:
        """The vocals and accompaniment of `audio`: its rate, channels and length kept, summing to it.

        Mono is copied to both sides and averaged afterwards; of more than two channels, left/right pairs are
        separated as stereo and the others (centre, LFE) one by one as mono. At other rates than the method's own the
        vocals are resampled both ways and the accompaniment is what is left, so nothing of the song is lost.
        """
        vocals = np.zeros_like(audio.samples)
        accompaniment = np.zeros_like(audio.samples)
        position = 0

        def keep(voice: np.ndarray, rest: np.ndarray) -> None:
            nonlocal position
            stop = position + voice.shape[1]
            vocals[:, position:stop] = voice
            accompaniment[:, position:stop] = rest
            position = stop

        self.separate_stream(Source.of(audio), keep, progress)
        return Stems(Audio(vocals, audio.sample_rate), Audio(accompaniment, audio.sample_rate))

    def separate_stream(self, source: Source, write: WriteStems, progress: Progress = None) -> int:
        """Separates a recording of any length in flat memory; returns its length in samples.

        `write(vocals, accompaniment)` receives equally long float32 (channels, n) blocks in order.
        Raises AudioError when the recording holds NaN or infinite samples.
        """
        groups = channel_groups(source.channels)
        streams = [self._group_stream(source, group) for group in groups]
        waiting = [SampleFifo(len(group)) for group in groups]
        original = SampleFifo(source.channels)
        length = 0
        for block, last in _with_last(source.blocks()):
            refuse_bad_samples(block)
            length += block.shape[1]
            original.push(block)
            for group, stream, queue in zip(groups, streams, waiting):
                queue.push(stream.process(block[list(group)], last))
            ready = min(len(queue) for queue in waiting)
            if ready:
                vocals = np.empty((source.channels, ready), np.float32)
                for group, queue in zip(groups, waiting):
                    vocals[list(group)] = queue.pop(ready)
                write(vocals, original.pop(ready) - vocals)
            if progress is not None:
                progress(min(1.0, length / source.length) if source.length and not last else float(last))
        return length

    def _group_stream(self, source: Source, group: tuple[int, ...]) -> VocalStream:
        def pair() -> Iterator[np.ndarray]:
            up = _PairResampler(source.sample_rate, self.sample_rate)
            for block, last in _with_last(source.blocks()):
                yield up.process(_as_pair(block[list(group)]), last)

        return _GroupStream(self.open_stream(pair), len(group), source.sample_rate, self.sample_rate)


def resampled_stream(separator: Separator, pair: Callable[[], Iterator[np.ndarray]], rate: int) -> VocalStream:
    """A separator's stream for a stereo pair at `rate` Hz; after the last block as many samples came out as went in."""

    def resampled() -> Iterator[np.ndarray]:
        up = _PairResampler(rate, separator.sample_rate)
        for block, last in _with_last(pair()):
            yield up.process(block, last)

    return _GroupStream(separator.open_stream(resampled), 2, rate, separator.sample_rate)


def channel_groups(channels: int) -> tuple[tuple[int, ...], ...]:
    """Which channels are separated together; every channel is in exactly one group."""
    return _GROUPS.get(channels) or tuple((channel,) for channel in range(channels))


class _PairResampler:
    """A stereo stream at another rate; passes blocks through when the rates agree."""

    def __init__(self, old: int, new: int) -> None:
        self._resampler = None if old == new else StreamResampler(old, new, 2)

    def process(self, block: np.ndarray, last: bool) -> np.ndarray:
        return block if self._resampler is None else self._resampler.process(block, last)


class _GroupStream:
    """One or two channels at the song's rate through a method that wants stereo at its own rate."""

    def __init__(self, inner: VocalStream, channels: int, song_rate: int, method_rate: int) -> None:
        self._inner, self._channels = inner, channels
        self._up = _PairResampler(song_rate, method_rate)
        self._down = _PairResampler(method_rate, song_rate)
        self._received = self._given = 0

    def process(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        self._received += block.shape[1]
        pair = self._down.process(self._inner.process(self._up.process(_as_pair(block), last), last), last)
        vocals = pair if self._channels == 2 else pair.mean(axis=0, keepdims=True, dtype=np.float32)
        # Rounding twice, there and back, can leave the vocals a sample longer or shorter than the song.
        room = self._received - self._given
        vocals = vocals[:, :room]
        if last and vocals.shape[1] < room:
            vocals = np.pad(vocals, ((0, 0), (0, room - vocals.shape[1])))
        self._given += vocals.shape[1]
        return vocals


def _as_pair(block: np.ndarray) -> np.ndarray:
    return block if block.shape[0] == 2 else np.repeat(block, 2, axis=0)


def _with_last(blocks: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, bool]]:
    held: np.ndarray | None = None
    for block in blocks:
        if held is not None:
            yield held, False
        held = block
    if held is not None:
        yield held, True


def refuse_bad_samples(block: np.ndarray) -> None:
    """Raise AudioError when a sample of `block` is NaN or infinite."""
    if not np.isfinite(block).all():
        raise AudioError("The audio holds NaN or infinite samples: export the file again from its source.")
