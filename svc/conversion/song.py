"""A whole song: separate, convert the vocals, put them back with the accompaniment.

Everything long lies in temporary files beside the output, so memory does not grow with the song. The accompaniment is
the song minus its vocals, at the song's own rate and channels, and is never resampled.
"""

import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from svc.audio.reading import AudioInfo, AudioReader, probe
from svc.audio.resampling import StreamResampler
from svc.audio.writing import AudioWriter
from svc.config import ConvertOptions
from svc.conversion.converter import Converter
from svc.conversion.image import ImageMeter, VocalImage
from svc.conversion.residue import Presence, PresenceMeter
from svc.conversion.sources import RawFile, disk_error
from svc.conversion.stream import ConversionReport
from svc.errors import AudioError, ConfigError, SvcError
from svc.progress import Progress, part

BLOCK_SECONDS = 20.0
SEPARATION_BLOCK = 1 << 16
SHARES = {"separation": 0.3, "conversion": 0.6, "remix": 0.1}
CLIP_TOLERANCE = 1.0001
VOCALS, CONVERTED = "vocals.flac", "converted.flac"


@dataclass(frozen=True)
class SongReport:
    """What came of one song.

    path: the written file; seconds: its length; gain_db: 0, or how far the whole mix was turned down so that it does
    not clip; joins_seconds: where windows were joined; timings: seconds of work per stage; rtf: work per second.
    """

    path: Path
    source: Path
    seconds: float
    sample_rate: int
    channels: int
    separate: str
    speaker: str
    transpose_semitones: float
    source_f0_median_hz: float
    gain_db: float
    joins_seconds: tuple[float, ...]
    timings: dict[str, float] = field(default_factory=dict)
    rtf: float = 0.0

    @property
    def turned_down(self) -> bool:
        """Whether the mix would have clipped and was made quieter."""
        return self.gain_db < 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "path": str(self.path), "source": str(self.source)}


def convert_song(
    in_path: Path | str,
    out_path: Path | str,
    converter: Converter,
    options: ConvertOptions | None = None,
    progress: Progress | None = None,
    bypass: bool = False,
    stems: Path | None = None,
) -> SongReport:
    """Convert the song at `in_path` into `out_path`, whose ending decides the format.

    The result has exactly as many samples per channel as the song, at the song's rate and with its channels. With
    `bypass` the separated vocals go into the remix as they are: the result is the song, which shows that nothing but
    the voice changes it. A mix above full scale is turned down as a whole (`SongReport.gain_db`), never clipped; that
    holds for a decoded mp3 that is louder than full scale by itself. `stems` is a folder for VOCALS and CONVERTED, the
    vocals before and after, to listen to and to measure; each is turned down where it would clip.

    Raises AudioError, and leaves no file behind, for input that cannot be read, output that cannot be written, and when
    separation fails: a full mix is never converted as if it were vocals.
    """
    source, target = Path(in_path), Path(out_path)
    options = options or ConvertOptions()
    require_one_key(options)
    info = probe(source)
    _check_target(source, target)
    try:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=".svc-", dir=target.parent))
            job = SongJob(source, target, converter, options, info, Path(folder), stack)
            return job.run(progress, bypass, stems)
    except OSError as error:
        raise disk_error(error, target.parent) from error


def require_one_key(options: ConvertOptions) -> None:
    """ConfigError when the vocals would leave the key that the accompaniment stays in."""
    if options.transpose == "nearest" and options.separate != "none" and not options.vocals_only:
        raise ConfigError(
            "Transposing to the nearest semitone takes the vocals out of the accompaniment's key: leave transpose at "
            "auto, or ask for vocals_only, or say separate none if the recording holds vocals alone."
        )


def _check_target(source: Path, target: Path) -> None:
    if target.exists() and os.path.samefile(source, target):
        raise AudioError(f"{target} is the input itself: choose another output, so that the song is not lost.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, target.parent) from error


class SongJob:
    """The stages of one song; temporary files are closed and removed by `stack`."""

    def __init__(
        self,
        source: Path,
        target: Path,
        converter: Converter,
        options: ConvertOptions,
        info: AudioInfo,
        folder: Path,
        stack: ExitStack,
    ) -> None:
        self.source, self.target, self.converter, self.options = source, target, converter, options
        self.info, self.folder, self.stack = info, folder, stack
        self.rate, self.channels = info.sample_rate, info.channels
        self.block = round(BLOCK_SECONDS * self.rate)
        self.timings: dict[str, float] = {}

    def run(self, progress: Progress | None, bypass: bool, stems: Path | None = None) -> SongReport:
        """All stages in order."""
        report = progress or (lambda value: None)
        started = time.perf_counter()
        vocals, image = self._timed("separation", self._separate, part(report, 0.0, SHARES["separation"]))
        if vocals.length == 0:
            raise AudioError(f"{self.source} holds no samples: there is nothing to convert.")
        if bypass:
            placed, done = vocals, ConversionReport("(bypassed)", 0.0, 0.0, vocals.length)
        else:
            share = part(report, SHARES["separation"], SHARES["conversion"])
            placed, done = self._timed("conversion", self._convert, vocals, image, share)
        gain_db = self._timed("remix", self._remix, vocals, placed, part(report, 1 - SHARES["remix"], SHARES["remix"]))
        if stems is not None:
            self._timed("stems", self._keep_stems, vocals, placed, stems)
        report(1.0)
        seconds = vocals.length / self.rate
        return SongReport(
            path=self.target,
            source=self.source,
            seconds=seconds,
            sample_rate=self.rate,
            channels=self.channels,
            separate=self.options.separate,
            speaker=done.speaker,
            transpose_semitones=done.transpose_semitones,
            source_f0_median_hz=done.source_f0_median_hz,
            gain_db=gain_db,
            joins_seconds=tuple(join / self.converter.sample_rate for join in done.joins),
            timings={name: round(value, 3) for name, value in self.timings.items()},
            rtf=(time.perf_counter() - started) / seconds,
        )

    def _timed(self, stage: str, work: Callable[..., Any], *args: Any) -> Any:
        started = time.perf_counter()
        result = work(*args)
        self.timings[stage] = time.perf_counter() - started
        return result

    def _file(self, name: str, channels: int) -> RawFile:
        return self.stack.enter_context(RawFile(self.folder / name, channels))

    def _separate(self, progress: Progress) -> tuple[RawFile, VocalImage]:
        """The vocals at the song's rate and channels, and their stereo image."""
        from svc.separation.choosing import create_separator
        from svc.separation.separator import Source

        vocals, meter = self._file("vocals.f32", self.channels), ImageMeter(self.rate, self.channels)
        presence = PresenceMeter(self.rate)

        def keep(voice: np.ndarray, rest: np.ndarray) -> None:
            vocals.write(voice)
            meter.add(voice)
            presence.add(voice, rest)

        def blocks() -> Iterator[np.ndarray]:
            with AudioReader(self.source) as reader:
                yield from reader.blocks(SEPARATION_BLOCK)

        method = self.options.separate
        song = Source(self.rate, self.channels, self.info.frames, blocks)
        try:
            separator = create_separator(method, self.options.separate_model, self.converter.device)
            separator.separate_stream(song, keep, progress)
        except SvcError:
            raise
        except Exception as error:
            raise AudioError(
                f"Separating {self.source} with '{method}' failed ({type(error).__name__}: {error}): choose another "
                "method, or give vocals only with the method 'none'."
            ) from error
        if method != "none" and self.options.leave_residue:
            vocals = self._where_sung(vocals, presence.presence())
        return vocals, meter.image()

    def _where_sung(self, vocals: RawFile, presence: Presence) -> RawFile:
        """The vocals without what nobody sings; being taken from the song, the accompaniment has that again."""
        if presence.everywhere:
            return vocals
        kept = self._file("sung_vocals.f32", self.channels)
        for start in range(0, vocals.length, self.block):
            block = vocals.read_channels(start, start + self.block)
            kept.write(block * presence.at(start, start + block.shape[1]))
        vocals.delete()
        return kept

    def _convert(self, vocals: RawFile, image: VocalImage, progress: Progress) -> tuple[RawFile, ConversionReport]:
        """The converted vocals, placed where the source's are, at the song's rate and channels."""
        voice_rate = self.converter.sample_rate
        wanted = round(vocals.length * voice_rate / self.rate)
        heard = self._file("heard.f32", 1)
        mono = (image.downmix(block) for block in self._blocks(vocals))
        _resample_into(heard, mono, self.rate, voice_rate, max(1, wanted))
        sung = self._file("sung.f32", 1)
        done = self.converter.convert_stream(heard, sung.write, self.options, progress)
        heard.delete()
        back = self._file("back.f32", 1)
        sung_blocks = (sung.read(at, at + self.block) for at in range(0, sung.length, self.block))
        _resample_into(back, sung_blocks, voice_rate, self.rate, vocals.length)
        sung.delete()
        placed = self._file("placed.f32", self.channels)
        for start in range(0, back.length, self.block):
            placed.write(image.place(back.read(start, start + self.block), start))
        back.delete()
        return placed, done

    def _blocks(self, file: RawFile) -> Iterator[np.ndarray]:
        for start in range(0, file.length, self.block):
            yield file.read_channels(start, start + self.block)

    def _remix(self, vocals: RawFile, placed: RawFile, progress: Progress) -> float:
        """Write the result; returns the gain in dB, 0 or less, that kept it from clipping."""
        depth = self.info.bit_depth if self.options.bit_depth == "keep" else self.options.bit_depth
        peak = max(float(np.abs(block).max(initial=0.0)) for block in self._mixed(vocals, placed))
        progress(0.5)
        # A float file holds what is above full scale, so it needs no change.
        clips = peak > CLIP_TOLERANCE and not (depth == "float" and self.target.suffix.lower() == ".wav")
        gain = np.float32(1.0 / peak if clips else 1.0)
        with AudioWriter(self.target, self.rate, self.channels, depth) as writer:
            for block in self._mixed(vocals, placed):
                writer.write(block * gain)
        return 20 * math.log10(float(gain))

    def _keep_stems(self, vocals: RawFile, placed: RawFile, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for file, name in ((vocals, VOCALS), (placed, CONVERTED)):
            peak = max((float(np.abs(block).max(initial=0.0)) for block in self._blocks(file)), default=0.0)
            gain = np.float32(1.0 / max(1.0, peak))
            with AudioWriter(folder / name, self.rate, self.channels, "16") as writer:
                for block in self._blocks(file):
                    writer.write(block * gain)

    def _mixed(self, vocals: RawFile, placed: RawFile) -> Iterator[np.ndarray]:
        options = self.options
        vocal_gain = np.float32(10 ** (options.vocals_db / 20))
        rest_gain = np.float32(0.0 if options.vocals_only else 10 ** (options.accompaniment_db / 20))
        start = 0
        with AudioReader(self.source) as reader:
            for block in reader.blocks(self.block):
                stop = start + block.shape[1]
                sung = vocal_gain * placed.read_channels(start, stop)
                rest = block - vocals.read_channels(start, stop)
                yield sung + rest_gain * rest
                start = stop


def _resample_into(file: RawFile, blocks: Iterator[np.ndarray], old: int, new: int, wanted: int) -> None:
    """Append mono blocks (n,) at `old` Hz to `file` as exactly `wanted` samples at `new` Hz."""
    if old == new:
        for block in blocks:
            file.write(block)
        return
    resampler = StreamResampler(old, new, 1)

    def put(samples: np.ndarray) -> None:
        file.write(samples[0, : max(0, wanted - file.length)])

    for block in blocks:
        put(resampler.process(block[None]))
    put(resampler.process(np.zeros((1, 0), dtype=np.float32), last=True))
    if file.length < wanted:
        file.write(np.zeros(wanted - file.length, dtype=np.float32))
