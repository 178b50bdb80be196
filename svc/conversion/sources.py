"""Long sample sequences that are read piece by piece: in memory, or as raw float32 files on disk."""

import errno
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

import numpy as np

from svc.errors import AudioError


class SampleSource(Protocol):
    """`length` mono samples that can be read in any order."""

    length: int

    def read(self, start: int, stop: int) -> np.ndarray:
        """Samples [start, stop), clipped to [0, length), as float32 (n,)."""
        ...


class ArraySource:
    """A (N,) float32 array as a SampleSource."""

    def __init__(self, samples: np.ndarray) -> None:
        self.samples = samples
        self.length = len(samples)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Samples [start, stop) as float32 (n,)."""
        return self.samples[max(0, start) : stop]


class RawFile:
    """A temporary file of interleaved float32 samples: written front to back, then read anywhere.

    It is read with plain reads, not mapped: mapped pages would count as memory of the process.
    Use it as a context manager; leaving it closes the file and deletes it.
    """

    def __init__(self, path: Path, channels: int = 1) -> None:
        self.path = path
        self.channels = channels
        self.length = 0
        self._file: BinaryIO = open(path, "w+b")  # noqa: SIM115 - closed in __exit__

    def __enter__(self) -> "RawFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.delete()

    def delete(self) -> None:
        """Close and remove the file; a second call does nothing."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def write(self, samples: np.ndarray) -> None:
        """Append (C, n) or, for one channel, (n,) samples. AudioError when the disk is full."""
        block = np.ascontiguousarray(samples.T if samples.ndim == 2 else samples, dtype=np.float32)
        try:
            self._file.seek(0, 2)
            self._file.write(block.data)
            self._file.flush()
        except OSError as error:
            raise disk_error(error, self.path.parent) from error
        self.length += block.size // self.channels

    def read_channels(self, start: int, stop: int) -> np.ndarray:
        """Samples [start, stop), clipped to [0, length), as float32 (C, n)."""
        start, stop = max(0, start), min(stop, self.length)
        count = max(0, stop - start)
        self._file.seek(start * self.channels * 4)
        data = self._file.read(count * self.channels * 4)
        return np.frombuffer(data, dtype=np.float32).reshape(count, self.channels).T

    def read(self, start: int, stop: int) -> np.ndarray:
        """Samples [start, stop) of a one-channel file as float32 (n,)."""
        return self.read_channels(start, stop)[0]


def disk_error(error: OSError, folder: Path) -> AudioError:
    """The sentence for an OSError met while writing into `folder`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return AudioError(f"The disk of {folder} is full: free some space or choose another output folder.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return AudioError(f"Cannot write into {folder}: choose an output folder that you may write to.")
    return AudioError(f"Writing into {folder} failed ({error.strerror or error}): choose another output folder.")
