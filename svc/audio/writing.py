"""Writing wav, flac, mp3 and ogg files: all or nothing, never wrapping around where a sample is too loud."""

import contextlib
import errno
import os
import secrets
from pathlib import Path
from typing import IO, Any

import numpy as np

from svc.audio.decoding import VORBIS_TO_WAV, long_path
from svc.audio.signal import Audio
from svc.errors import AudioError

BIT_DEPTHS = ("16", "24", "float")
_BLOCK_SAMPLES = 16_384  # larger blocks overflow the stack of libsndfile's vorbis encoder
_WAV_LIMIT_BYTES = 2**32 - 65_536

_FORMATS = {".wav": "WAV", ".flac": "FLAC", ".mp3": "MP3", ".ogg": "OGG"}
_CHANNEL_LIMITS = {".wav": 8, ".flac": 8, ".mp3": 2, ".ogg": 8}
_MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
# libsndfile's scale from best (0) to smallest (1): about 220 kbit/s mp3, vorbis quality 7.
_COMPRESSION = {".flac": 0.625, ".mp3": 0.1, ".ogg": 0.3}


def write_audio(path: str | os.PathLike[str], audio: Audio, bit_depth: str = "24") -> Path:
    """Write `audio` to `path` in the format of its ending (wav, flac, mp3, ogg) and return the path.

    `bit_depth` is "16", "24" or "float" (wav; flac then has 24 bits); mp3 and ogg have none. The file appears
    complete or not at all; missing folders are made. Samples beyond +-1 are limited, except in float wav.
    Lossless integer formats round to the nearest step without dither, so integers pass unchanged.

    Raises AudioError for an unknown ending or bit depth, a rate or channel count the format cannot hold, a
    folder that cannot be written, a full disk, or audio without samples.
    """
    with AudioWriter(path, audio.sample_rate, audio.channels, bit_depth) as writer:
        writer.write(audio.samples)
    return Path(path)


class AudioWriter:
    """Writes a file block by block; it appears at `path` on a clean exit, and nothing stays after an error.

    ``with AudioWriter(path, 44_100, channels=2) as writer: writer.write(block)``

    Arguments and errors as write_audio.
    """

    def __init__(self, path: str | os.PathLike[str], sample_rate: int, channels: int, bit_depth: str = "24") -> None:
        self.path = Path(path)
        self.sample_rate, self.channels, self.bit_depth = sample_rate, channels, bit_depth
        self.samples_written = 0
        self._ending = self.path.suffix.lower()
        self._check()
        self._temporary: _TemporaryFile | None = None
        self._sound: Any = None

    def __enter__(self) -> "AudioWriter":
        import soundfile

        self._temporary = _TemporaryFile(self.path)
        options: dict[str, Any] = (
            {"compression_level": _COMPRESSION[self._ending]} if self._ending in _COMPRESSION else {}
        )
        if self._ending == ".mp3":
            options["bitrate_mode"] = "VARIABLE"
        try:
            self._sound = soundfile.SoundFile(
                self._temporary,
                "w",
                self.sample_rate,
                self.channels,
                subtype=self._subtype(),
                format=_FORMATS[self._ending],
                **options,
            )
        except soundfile.SoundFileError as error:
            self._temporary.discard()
            raise AudioError(
                f"{self.path}: {self._ending[1:]} cannot hold {self.channels} channels at {self.sample_rate} Hz. "
                "Choose wav or flac."
            ) from error
        except BaseException:
            self._temporary.discard()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        assert self._temporary is not None
        try:
            self._close_sound(failed=kind is not None)
            if kind is None:
                if self.samples_written == 0:
                    raise AudioError(f"There are no samples to write to {self.path}: check the input.")
                self._temporary.publish()
        finally:
            self._temporary.discard()

    def write(self, block: np.ndarray) -> None:
        """Append float32 (C, n). Raises AudioError when the disk is full or a sample is not finite."""
        import soundfile

        if self._sound is None or self._temporary is None:
            raise ValueError("use AudioWriter as a context manager: with AudioWriter(...) as writer")
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ValueError(f"expected a block of shape ({self.channels}, n), got {block.shape}")
        self._require_room(block.shape[1])
        for start in range(0, block.shape[1], _BLOCK_SAMPLES):
            part = block[:, start : start + _BLOCK_SAMPLES]
            if not np.isfinite(part).all():
                raise AudioError(f"{self.path} was not written: the audio holds NaN or infinite samples.")
            try:
                self._sound.write(self._encodable(part))
            except (soundfile.SoundFileError, AssertionError) as error:
                self._temporary.raise_failure()
                raise AudioError(f"Cannot write {self.path}: {error}.") from error
            self._temporary.raise_failure()
            self.samples_written += part.shape[1]

    def _close_sound(self, failed: bool) -> None:
        import soundfile

        sound, self._sound = self._sound, None
        try:
            sound.close()
        except (soundfile.SoundFileError, AssertionError) as error:
            if not failed:
                self._temporary_failure(error)
        if not failed:
            self._temporary_failure(None)

    def _temporary_failure(self, error: Exception | None) -> None:
        assert self._temporary is not None
        self._temporary.raise_failure()
        if error is not None:
            raise AudioError(f"Cannot write {self.path}: {error}.") from error

    def _check(self) -> None:
        if self._ending not in _FORMATS:
            raise AudioError(f"Cannot write {self.path}: choose a name that ends in {', '.join(_FORMATS)}.")
        if self.bit_depth not in BIT_DEPTHS:
            raise AudioError(f"Unknown bit depth '{self.bit_depth}': choose one of {', '.join(BIT_DEPTHS)}.")
        kind = self._ending[1:]
        if not 1 <= self.channels <= _CHANNEL_LIMITS[self._ending]:
            raise AudioError(
                f"Cannot write {self.path}: {kind} holds up to {_CHANNEL_LIMITS[self._ending]} channels, "
                f"not {self.channels}. Choose flac or wav, or mix down first."
            )
        if self._ending == ".mp3" and self.sample_rate not in _MP3_RATES:
            raise AudioError(
                f"Cannot write {self.path}: mp3 does not know a rate of {self.sample_rate} Hz. Choose flac or wav."
            )

    def _subtype(self) -> str:
        if self._ending == ".wav":
            return {"16": "PCM_16", "24": "PCM_24", "float": "FLOAT"}[self.bit_depth]
        if self._ending == ".flac":
            return "PCM_16" if self.bit_depth == "16" else "PCM_24"
        return {".mp3": "MPEG_LAYER_III", ".ogg": "VORBIS"}[self._ending]

    def _require_room(self, samples: int) -> None:
        if self._ending != ".wav":
            return
        width = {"16": 2, "24": 3, "float": 4}[self.bit_depth] * self.channels
        if (self.samples_written + samples) * width > _WAV_LIMIT_BYTES:
            raise AudioError(f"Cannot write {self.path}: a wav file holds at most 4 GB. Choose flac.")

    def _encodable(self, block: np.ndarray) -> np.ndarray:
        """(n, C) in the type whose values libsndfile stores unchanged."""
        subtype = self._subtype()
        if subtype == "FLOAT":
            return np.ascontiguousarray(block.T, dtype=np.float32)
        if subtype == "PCM_16":
            return np.clip(np.rint(block.T * np.float64(2**15)), -(2**15), 2**15 - 1).astype(np.int16)
        if subtype == "PCM_24":
            steps = np.clip(np.rint(block.T * np.float64(2**23)), -(2**23), 2**23 - 1).astype(np.int32)
            return steps << 8
        limited = np.clip(block, -1.0, 1.0)
        if subtype == "VORBIS" and self.channels in VORBIS_TO_WAV:
            limited = limited[np.argsort(VORBIS_TO_WAV[self.channels])]
        return np.ascontiguousarray(limited.T, dtype=np.float32)


class _TemporaryFile:
    """A file next to its target that takes the target's name when complete.

    libsndfile calls `write` from C, where an exception would be lost, so the first failure is kept and
    raised by `raise_failure`.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._failure: OSError | None = None
        # The name is short, because the target's own may be as long as the file system allows.
        self._path = target.parent / f".svc-{secrets.token_hex(6)}.tmp"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._file: IO[bytes] = open(long_path(self._path), "xb+")  # noqa: SIM115 - closed in publish or discard
        except OSError as error:
            raise self._sentence(error) from error

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self._failure = self._failure or error
            return 0

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:  # seeking flushes what is buffered
            self._failure = self._failure or error
            return 0

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            self._failure = self._failure or error

    def raise_failure(self) -> None:
        """Raise AudioError when a write has failed so far."""
        if self._failure is not None:
            raise self._sentence(self._failure) from self._failure

    def publish(self) -> None:
        """Give the file its name."""
        try:
            self._file.close()
            os.replace(long_path(self._path), long_path(self._target))
        except OSError as error:
            raise self._sentence(error) from error

    def discard(self) -> None:
        """Remove the file unless it was published."""
        with contextlib.suppress(OSError):  # data that cannot be flushed is about to be removed
            self._file.close()
        Path(long_path(self._path)).unlink(missing_ok=True)

    def _sentence(self, error: OSError) -> AudioError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return AudioError(f"No space left to write {self._target}: free some disk space and run it again.")
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return AudioError(f"Not allowed to write {self._target}: choose a folder you may write to.")
        return AudioError(f"Cannot write {self._target}: {error.strerror or error}. Choose another name or folder.")
