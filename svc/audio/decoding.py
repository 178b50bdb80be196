"""The two decoders behind reading.py: libsndfile (wav, flac, ogg ...) and FFmpeg's libraries (mp3, m4a, video ...)."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from svc.audio.sniffing import mp3_frame_bytes, mp3_states_length
from svc.errors import AudioError

# Position in the file of each channel in the order of wav files, by channel count (Vorbis I, section 4.3.9;
# the same for Opus, RFC 7845 section 5.1.1.2). libsndfile hands out the file's order unchanged.
VORBIS_TO_WAV: dict[int, list[int]] = {
    3: [0, 2, 1],
    5: [0, 2, 1, 3, 4],
    6: [0, 2, 1, 5, 3, 4],
    7: [0, 2, 1, 6, 5, 3, 4],
    8: [0, 2, 1, 7, 5, 6, 3, 4],
}

_SNDFILE_DEPTHS = {"PCM_16": "16", "PCM_S8": "16", "PCM_U8": "16", "ALAW": "16", "ULAW": "16", "PCM_24": "24"}
_SNDFILE_FLOATS = ("PCM_32", "FLOAT", "DOUBLE")
_AV_DEPTHS = {"s16": "16", "u8": "16", "flt": "float", "dbl": "float"}
_LOSSLESS_CODECS = ("pcm", "flac", "alac", "wavpack", "tta")
_UNKNOWN_FRAMES = 2**60
_WAV_TOLERANCE_SECONDS = 0.1
_STREAM_TOLERANCE_SECONDS = 0.25  # containers count encoder delay and padding differently


@dataclass(frozen=True)
class AudioInfo:
    """What a file says about its sound.

    `frames` is the number of samples per channel; where the container does not state it exactly
    (`exact_frames` False: mp3, m4a, video) it is computed from the stated duration, or 0 when there is none.
    `container` is one of wav, flac, ogg, mp3, aac, mp4, mkv, aiff ...; `bit_depth` is the argument of
    `write_audio` that keeps the file's precision: "16", "24" (also for lossy files) or "float".
    """

    sample_rate: int
    channels: int
    frames: int
    container: str
    subtype: str
    bit_depth: str
    exact_frames: bool = True

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.frames / self.sample_rate


def long_path(path: Path) -> str:
    """The path for the operating system; on Windows in the form that has no limit of 260 characters."""
    text = str(path)
    if os.name == "nt" and len(os.path.abspath(text)) >= 248 and not text.startswith("\\\\"):
        return "\\\\?\\" + os.path.abspath(text)
    return text


def cut_off(path: Path, seconds: float) -> AudioError:
    """The error for a file that ends before its sound does."""
    return AudioError(
        f"{path} is cut off or damaged: only its first {seconds:.1f} seconds can be read. "
        "Export or download it again, or cut the readable part out with an audio editor."
    )


class SndfileSource:
    """Decodes with libsndfile. Raises soundfile.SoundFileError when that does not know the format."""

    def __init__(self, file: BinaryIO, path: Path, container: str) -> None:
        import soundfile

        self._path = path
        self._sound = soundfile.SoundFile(file)
        if self._sound.frames > _UNKNOWN_FRAMES:  # a piped flac, in which libsndfile cannot keep its position
            self._sound.close()
            raise soundfile.SoundFileError("the length is unknown")
        subtype = str(self._sound.subtype)
        depth = "float" if subtype in _SNDFILE_FLOATS else _SNDFILE_DEPTHS.get(subtype, "24")
        self.info = AudioInfo(
            self._sound.samplerate, self._sound.channels, self._sound.frames, container, subtype.lower(), depth
        )
        reorder = container == "ogg" and subtype in ("VORBIS", "OPUS")
        self._order = VORBIS_TO_WAV.get(self.info.channels) if reorder else None
        _refuse_incomplete(file, path, self.info)

    def chunks(self, samples: int) -> Iterator[np.ndarray]:
        """Float32 (C, n) arrays from the start, n <= samples."""
        import soundfile

        done = 0
        while done < self.info.frames:
            try:
                if done == 0:
                    self._sound.seek(0)
                block = self._sound.read(min(samples, self.info.frames - done), dtype="float32", always_2d=True)
            except (soundfile.SoundFileError, OSError) as error:
                raise cut_off(self._path, done / self.info.sample_rate) from error
            if len(block) == 0:
                raise cut_off(self._path, done / self.info.sample_rate)
            done += len(block)
            yield block.T if self._order is None else block.T[self._order]

    def close(self) -> None:
        """Release the decoder; the file stays the caller's."""
        self._sound.close()


def _refuse_incomplete(file: BinaryIO, path: Path, info: AudioInfo) -> None:
    """libsndfile reads what is there of a cut wav or ogg without a word, so the missing rest is looked for here."""
    at = file.tell()
    size = file.seek(0, os.SEEK_END)
    if info.container == "ogg" and not _last_ogg_page_is_whole(file, size):
        raise cut_off(path, info.seconds)
    if info.container == "wav":
        missing = _missing_wav_bytes(file, size)
        frame_bytes = max(1, info.channels * 2)
        if missing / frame_bytes > _WAV_TOLERANCE_SECONDS * info.sample_rate:
            raise cut_off(path, info.seconds)
    file.seek(at)


def _missing_wav_bytes(file: BinaryIO, size: int) -> int:
    """Bytes the `data` chunk of a RIFF file promises beyond the file's end; 0 for streamed files of unknown length."""
    file.seek(0)
    if file.read(4) != b"RIFF":
        return 0
    at = 12
    while at + 8 <= size:
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[4:8], "little")
        if head[:4] == b"data":
            unknown = length >= 0x7FFF_0000
            return 0 if unknown else max(0, at + 8 + length - size)
        at += 8 + length + length % 2
    return 0


def _last_ogg_page_is_whole(file: BinaryIO, size: int) -> bool:
    """Whether the last page header's segment table (RFC 3533 section 6) fits into the file."""
    start = max(0, size - 131_072)
    file.seek(start)
    tail = file.read(size - start)
    at = tail.rfind(b"OggS\x00")
    if at < 0 or at + 27 > len(tail):
        return False
    segments = tail[at + 26]
    table = tail[at + 27 : at + 27 + segments]
    return len(table) == segments and at + 27 + segments + sum(table) <= len(tail)


class AvSource:
    """Decodes the first sound stream of a file with FFmpeg's libraries (PyAV)."""

    def __init__(self, file: BinaryIO, path: Path, container: str, demuxer: str) -> None:
        self._file, self._path, self._kind, self._demuxer = file, path, container, demuxer
        self._container = self._open()
        try:
            self.info = self._describe()
        except BaseException:
            self._container.close()
            raise

    def _open(self) -> Any:
        import av

        self._file.seek(0)
        try:
            container = av.open(self._file, mode="r", format=self._demuxer)
        except (av.FFmpegError, ValueError) as error:
            raise AudioError(
                f"{self._path} is not a readable {self._kind} file: it is damaged or cut off. "
                "Export or download it again."
            ) from error
        if not container.streams.audio:
            container.close()
            raise AudioError(f"{self._path} has no sound in it: choose a file with an audio track.")
        if container.streams.audio[0].codec_context is None:
            container.close()
            raise AudioError(
                f"{self._path} holds sound in an unknown form, or is damaged: convert it to wav with an audio editor."
            )
        return container

    def _describe(self) -> AudioInfo:
        stream = self._container.streams.audio[0]
        stated = _stated_seconds(stream)
        # A raw mp3 or aac stream only says how long it is in a header of the encoder; else FFmpeg guesses.
        trusted = self._kind != "aac" and (self._kind != "mp3" or mp3_states_length(self._file))
        self._promised = stated if trusted else None
        self._container.close()
        self._container = self._open()
        first = next(self._frames(), None)
        if first is None:
            raise AudioError(f"{self._path} holds no samples: export it again from its source.")
        codec = str(self._container.streams.audio[0].codec_context.codec.canonical_name)
        depth = "24"
        if codec.startswith(_LOSSLESS_CODECS):
            depth = _AV_DEPTHS.get(first.format.name.rstrip("p"), "24")
        rate = int(first.sample_rate)
        return AudioInfo(
            rate,
            len(first.layout.channels),
            round((stated or 0.0) * rate),
            self._kind,
            codec,
            depth,
            exact_frames=False,
        )

    def _frames(self) -> Iterator[Any]:
        """Decoded frames in order; AudioError where the decoder gives up, or the last mp3 frame is incomplete."""
        import av

        seconds = 0.0
        stream = self._container.streams.audio[0]
        is_mp3 = stream.codec_context.codec.canonical_name == "mp3"
        try:
            for packet in self._container.demux(stream):
                try:
                    frames = packet.decode()
                except av.InvalidDataError:
                    if seconds == 0.0:  # the rest of a frame whose start was cut away: nothing is lost after it
                        continue
                    raise
                if is_mp3 and packet.size and mp3_frame_bytes(bytes(packet)[:8]) > packet.size:
                    raise cut_off(self._path, seconds)
                for frame in frames:
                    seconds += frame.samples / frame.sample_rate
                    yield frame
        except (av.FFmpegError, OSError) as error:
            raise cut_off(self._path, seconds) from error

    def chunks(self, samples: int) -> Iterator[np.ndarray]:
        """Float32 (C, n) arrays from the start, as the decoder hands them out."""
        self._container.close()
        self._container = self._open()
        rate, channels, done = self.info.sample_rate, self.info.channels, 0
        for frame in self._frames():
            if frame.sample_rate != rate or len(frame.layout.channels) != channels:
                raise AudioError(
                    f"{self._path} changes its sample rate or channels at {done / rate:.1f} seconds: "
                    "convert it to wav with an audio editor first."
                )
            block = _to_float(frame)
            done += block.shape[1]
            yield block
        if self._promised is not None and done / rate < self._promised - _STREAM_TOLERANCE_SECONDS:
            raise cut_off(self._path, done / rate)

    def close(self) -> None:
        """Release the decoder; the file stays the caller's."""
        self._container.close()


def _stated_seconds(stream: Any) -> float | None:
    """Duration that the container states (or FFmpeg guesses) for the sound stream, or None."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    try:
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None


def _to_float(frame: Any) -> np.ndarray:
    """A decoded frame as float32 (C, n), integers scaled to [-1, 1)."""
    channels = len(frame.layout.channels)
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, channels).T
    if values.dtype == np.uint8:
        return ((values.astype(np.float32) - 128.0) / 128.0).astype(np.float32)
    if np.issubdtype(values.dtype, np.integer):
        return (values / float(-np.iinfo(values.dtype).min)).astype(np.float32)
    return np.ascontiguousarray(values, dtype=np.float32)
