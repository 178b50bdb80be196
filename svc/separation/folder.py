"""Separating many files: trees mirrored, bad files named, finished ones skipped when it is run again."""

import contextlib
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from svc.audio.reading import AudioReader, find_audio
from svc.audio.writing import AudioWriter
from svc.errors import AudioError, ConfigError, SvcError
from svc.registry import DEFAULT_SEPARATOR
from svc.separation.choosing import Choice, choose
from svc.separation.separator import BLOCK_SAMPLES, Progress, Separator, Source
from svc.weights import sha256_of

RECORD_NAME = "separation.json"
RECORD_VERSION = 2
FORMATS = ("wav", "flac")


@dataclass(frozen=True)
class SeparatedFile:
    """What became of one input: `ok` with both stems written or found finished (`skipped`), else `reason` says why."""

    path: Path
    ok: bool
    reason: str = ""
    skipped: bool = False
    vocals: Path | None = None
    accompaniment: Path | None = None


def separate_files(
    inputs: Sequence[Path | str],
    out_dir: Path | str,
    method: str | Choice = DEFAULT_SEPARATOR,
    device: str = "cpu",
    progress: Progress = None,
    file_format: str = "wav",
) -> list[SeparatedFile]:
    """Separates files and folders (recursively) into `out_dir/vocals/` and `out_dir/accompaniment/`.

    Below those two the inputs' tree is mirrored: `song.mp3` becomes `vocals/song.wav`; where two inputs differ in
    their ending alone, it is kept (`song.mp3.wav`), and inputs that would still meet get `-2`, `-3` ... Files are
    read and written in blocks, so their length does not matter. `wav` is 32-bit float and sums to the input to
    float rounding; `flac` has 24 bits, and where a stem exceeds full scale it is limited and the result's `reason`
    says so. `method` is a registered name, or a Choice, which may name a model.

    A file that is finished is skipped: its hash, the method and the hash of its weights are those recorded in
    `out_dir/separation.json`, and both stems are there. A bad file is named in its result and the others go on.
    Raises ConfigError for an unknown method or format, and what the method raises without its package or weights.
    """
    if file_format not in FORMATS:
        raise ConfigError(f"Unknown format '{file_format}' for stems: choose one of {', '.join(FORMATS)}.")
    out = Path(out_dir)
    choice = method if isinstance(method, Choice) else choose(method)
    separator = choice.create(device)
    record = _Record(out, {"method": choice.method, "weights": choice.identity(), "format": file_format})
    jobs, results = _plan(inputs, out)
    for index, (path, relative) in enumerate(jobs):

        def part(done: float, index: int = index) -> None:
            if progress is not None:
                progress((index + done) / len(jobs))

        results.append(_separate_one(path, relative, out, separator, record, part))
    if progress is not None:
        progress(1.0)
    return results


def source_of(reader: AudioReader) -> Source:
    """An open audio file as a source of blocks."""
    info = reader.info
    return Source(info.sample_rate, info.channels, info.frames, lambda: reader.blocks(BLOCK_SAMPLES))


def _separate_one(
    path: Path, relative: Path, out: Path, separator: Separator, record: "_Record", progress: Callable[[float], None]
) -> SeparatedFile:
    name = relative.with_name(f"{relative.name}.{record.file_format}")
    vocals, accompaniment = out / "vocals" / name, out / "accompaniment" / name
    try:
        sha256 = sha256_of(path)
        if record.finished(name, sha256, (vocals, accompaniment)):
            progress(1.0)
            return SeparatedFile(path, True, "", True, vocals, accompaniment)
        limited = _write_stems(path, vocals, accompaniment, separator, progress)
        record.add(name, sha256, (vocals, accompaniment))
    except OSError as error:
        reason = f"{path} could not be separated into {out} ({error.strerror or error}): check both, and the disk."
        return SeparatedFile(path, False, reason)
    except (SvcError, RuntimeError, MemoryError) as error:
        return SeparatedFile(path, False, str(error) or type(error).__name__)
    reason = f"{limited} samples above full scale were limited: choose wav to keep them." if limited else ""
    return SeparatedFile(path, True, reason, False, vocals, accompaniment)


def _write_stems(
    path: Path, vocals: Path, accompaniment: Path, separator: Separator, progress: Callable[[float], None]
) -> int:
    """Streams one file through the separator; returns how many samples a 24-bit file could not hold."""
    limited = 0
    with ExitStack() as stack:
        reader = stack.enter_context(AudioReader(path))
        rate, channels = reader.info.sample_rate, reader.info.channels
        writers = []
        for target in (vocals, accompaniment):
            depth = "float" if target.suffix == ".wav" else "24"
            writers.append(stack.enter_context(AudioWriter(target, rate, channels, depth)))

        def write(voice: np.ndarray, rest: np.ndarray) -> None:
            nonlocal limited
            for writer, block in zip(writers, (voice, rest)):
                if writer.path.suffix != ".wav":
                    limited += int((np.abs(block) > 1).sum())
                writer.write(block)

        separator.separate_stream(source_of(reader), write, progress)
    return limited


def _plan(inputs: Sequence[Path | str], out: Path) -> tuple[list[tuple[Path, Path]], list[SeparatedFile]]:
    """Files with their place below the output folders, and results for inputs that hold none."""
    found: list[tuple[Path, Path]] = []
    bad: list[SeparatedFile] = []
    for given in map(Path, inputs):
        if given.is_dir():
            try:
                found += [(path, path.relative_to(given)) for path in _songs(given, out)]
            except AudioError as error:
                bad.append(SeparatedFile(given, False, str(error)))
        elif given.is_file():
            found.append((given, Path(given.name)))
        else:
            bad.append(SeparatedFile(given, False, f"{given} does not exist: check its name."))
    unique = list(dict.fromkeys((path.resolve(), path, relative) for path, relative in found))
    once = {resolved: (path, relative) for resolved, path, relative in reversed(unique)}
    ordered = [once.pop(resolved) for resolved, *_ in unique if resolved in once]
    return list(zip([path for path, _ in ordered], _free_names([relative for _, relative in ordered]))), bad


def _songs(folder: Path, out: Path) -> list[Path]:
    """Audio files in `folder`, without stems of an earlier run where the output lies inside the input."""
    stems = (out / "vocals", out / "accompaniment")
    songs = [path for path in find_audio(folder) if not any(_is_below(path, stem) for stem in stems)]
    if not songs:
        raise AudioError(f"{folder} holds no songs besides the stems in {out}: name the folder of the songs.")
    return songs


def _free_names(relatives: list[Path]) -> list[Path]:
    """One name per file, without its ending where that leaves it alone; compared as on case-blind file systems."""
    stems = Counter(str(relative.with_suffix("")).casefold() for relative in relatives)
    names, taken = [], set()
    for relative in relatives:
        short = relative.with_suffix("")
        base = short if stems[str(short).casefold()] == 1 else relative
        name, number = base, 1
        while str(name).casefold() in taken:
            number += 1
            name = base.with_name(f"{base.name}-{number}")
        taken.add(str(name).casefold())
        names.append(name)
    return names


def _is_below(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


class _Record:
    """Which inputs are done, written after every file. A damaged record only means that work is done again."""

    def __init__(self, out: Path, how: dict[str, str]) -> None:
        self._path, self._how = out / RECORD_NAME, how
        self.file_format = how["format"]
        self._files: dict[str, Any] = {}
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            if data["version"] == RECORD_VERSION:
                self._files = dict(data["files"])
        except (OSError, ValueError, KeyError, TypeError):
            self._files = {}

    def finished(self, name: Path, sha256: str, stems: tuple[Path, Path]) -> bool:
        """Whether this very input was separated this way, and its stems are as they were left."""
        try:
            return self._files.get(name.as_posix()) == self._entry(sha256, stems)
        except OSError:
            return False

    def add(self, name: Path, sha256: str, stems: tuple[Path, Path]) -> None:
        """Note a finished file and write the record, atomically."""
        self._files[name.as_posix()] = self._entry(sha256, stems)
        text = json.dumps({"version": RECORD_VERSION, "files": self._files}, indent=1, ensure_ascii=False)
        temporary = self._path.with_name(f"{self._path.name}.part")
        try:
            temporary.write_text(text, encoding="utf-8")
            os.replace(temporary, self._path)
        except OSError as error:
            raise AudioError(
                f"Cannot write {self._path} ({error.strerror or error}): free some space, or choose another folder."
            ) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _entry(self, sha256: str, stems: tuple[Path, Path]) -> dict[str, Any]:
        return {"sha256": sha256, **self._how, "bytes": [path.stat().st_size for path in stems]}
