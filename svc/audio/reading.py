"""Reading sound from files: wav, flac, ogg (vorbis, opus), mp3, m4a, aac, and the sound of mp4, mkv and webm.

The kind of file is decided by its content. Every problem is an AudioError whose sentence names the file.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from svc.audio.decoding import AudioInfo, AvSource, SndfileSource, long_path
from svc.audio.signal import Audio
from svc.audio.sniffing import sniff
from svc.errors import AudioError

MIN_SAMPLE_RATE = 8_000
MAX_SAMPLE_RATE = 192_000
MAX_CHANNELS = 8

AUDIO_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("wav", "wave", "flac", "ogg", "oga", "opus", "mp3", "m4a", "aac", "wma"),
        *("mp4", "m4v", "mov", "mkv", "mka", "webm", "aif", "aiff", "w64", "caf"),
    )
)

_SNDFILE_CONTAINERS = ("wav", "flac", "ogg", "aiff", "w64", "caf", "au")
_CHUNK_SAMPLES = 65_536


class AudioReader:
    """Streams a file in blocks with flat memory, however long it is.

    Use as a context manager: ``with AudioReader(path) as reader: for block in reader.blocks(65_536): ...``

    Raises AudioError when the file is missing, unreadable, empty, not audio, damaged, or outside
    8-192 kHz and 1-8 channels.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file = _open(self.path)
        try:
            self._source = _decoder(self._file, self.path)
            self.info: AudioInfo = self._source.info
            _check(self.info, self.path)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "AudioReader":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._source.close()
        self._file.close()

    def blocks(self, samples: int, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Float32 arrays (C, samples) in order, the last one shorter, of samples [start, stop) of the file.

        Every call starts anew. Raises AudioError at the point where the file turns out to be cut off or
        damaged, or to hold a NaN or infinite sample, and when it holds no samples at all.
        """
        if samples < 1:
            raise ValueError(f"a block needs at least one sample, got {samples}")
        pending = np.empty((self.info.channels, samples), np.float32)
        filled = position = 0
        for chunk in self._source.chunks(min(samples, _CHUNK_SAMPLES)):
            self._require_finite(chunk, position)
            first = max(0, start - position)
            last = chunk.shape[1] if stop is None else min(chunk.shape[1], stop - position)
            position += chunk.shape[1]
            while first < last:
                take = min(last - first, samples - filled)
                pending[:, filled : filled + take] = chunk[:, first : first + take]
                first, filled = first + take, filled + take
                if filled == samples:
                    yield pending
                    pending, filled = np.empty_like(pending), 0
            if stop is not None and position >= stop:
                break
        if position == 0:
            raise _no_samples(self.path)
        if filled:
            yield pending[:, :filled].copy()

    def _require_finite(self, chunk: np.ndarray, position: int) -> None:
        finite = np.isfinite(chunk)
        if not finite.all():
            first = position + int(np.argmin(finite.all(axis=0)))
            raise AudioError(
                f"{self.path} holds NaN or infinite samples near {first / self.info.sample_rate:.1f} seconds: "
                "export it again from its source."
            )


def read_audio(path: str | os.PathLike[str]) -> Audio:
    """The whole file as Audio, at its own rate and with its own channels.

    Raises AudioError as AudioReader does, and when a sample is NaN or the file holds none.
    """
    with AudioReader(path) as reader:
        blocks = list(reader.blocks(4 * _CHUNK_SAMPLES))
        return Audio(np.concatenate(blocks, axis=1), reader.info.sample_rate)


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """Rate, channels, length and format of a file, without decoding more than its start. Errors as AudioReader."""
    with AudioReader(path) as reader:
        return reader.info


def is_audio_file(path: str | os.PathLike[str]) -> bool:
    """Whether the file's content is audio, or video with sound, that can be read. Its name does not matter."""
    try:
        probe(path)
    except AudioError:
        return False
    return True


def find_audio(folder: str | os.PathLike[str]) -> list[Path]:
    """All audio files under `folder`, recursively, sorted by path, without hidden files and folders.

    A file counts when its content is audio, or its name ends like one: a broken song is thereby reported
    by the reader instead of being passed over. Links to folders are followed once.

    Raises AudioError when the folder is missing, cannot be listed, or holds no audio.
    """
    root = Path(folder)
    if not root.is_dir():
        state = "is a file, not a folder" if root.exists() else "does not exist"
        raise AudioError(f"The folder {root} {state}: give the folder that holds your recordings.")
    found: list[Path] = []
    seen: set[str] = set()
    for where, folders, files in os.walk(long_path(root), followlinks=True, onerror=_cannot_list):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        relative = Path(os.path.relpath(where, long_path(root)))
        candidates = [root / relative / name for name in files if not name.startswith(".")]
        found += [path for path in candidates if path.suffix.lower() in AUDIO_SUFFIXES or is_audio_file(path)]
    if not found:
        raise AudioError(f"There is no audio in {root}: put recordings (wav, flac, ogg, mp3, m4a ...) into it.")
    return sorted(found)


def _cannot_list(error: OSError) -> None:
    raise AudioError(f"Cannot list the folder {error.filename}: {error.strerror}. Check its permissions.") from error


def _open(path: Path) -> BinaryIO:
    if path.is_dir():
        raise AudioError(f"{path} is a folder, not an audio file: give a file, or use the command for folders.")
    try:
        file = open(long_path(path), "rb")  # noqa: SIM115 - the reader closes it
    except FileNotFoundError as error:
        raise AudioError(f"There is no file {path}: check the name.") from error
    except OSError as error:
        raise AudioError(
            f"Cannot read {path}: {error.strerror or error}. Check the name and its permissions."
        ) from error
    if file.read(1) == b"":
        file.close()
        raise AudioError(f"{path} is empty (0 bytes): export or download it again.")
    file.seek(0)
    return file


def _decoder(file: BinaryIO, path: Path) -> SndfileSource | AvSource:
    import soundfile

    kind = sniff(file)
    if kind is None:
        raise AudioError(
            f"{path} is not audio, whatever its name says: give a wav, flac, ogg, mp3, m4a, mp4, mkv or webm file."
        )
    container, demuxer = kind
    if container in _SNDFILE_CONTAINERS:
        try:
            return SndfileSource(file, path, container)
        except soundfile.SoundFileError:
            file.seek(0)  # a codec libsndfile does not know (mp3 inside wav, speex or video in ogg): FFmpeg may
    return AvSource(file, path, container, demuxer)


def _check(info: AudioInfo, path: Path) -> None:
    if info.channels > MAX_CHANNELS:
        raise AudioError(f"{path} has {info.channels} channels, at most {MAX_CHANNELS} are read: mix it down first.")
    if not MIN_SAMPLE_RATE <= info.sample_rate <= MAX_SAMPLE_RATE:
        raise AudioError(
            f"{path} has a sample rate of {info.sample_rate} Hz, between {MIN_SAMPLE_RATE} and {MAX_SAMPLE_RATE} Hz "
            "are read: export it at 44100 Hz."
        )
    if info.frames == 0 and info.exact_frames:
        raise _no_samples(path)


def _no_samples(path: Path) -> AudioError:
    return AudioError(f"{path} holds no samples: export it again from its source.")
