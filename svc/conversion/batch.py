"""Many songs: files, folders (their tree is mirrored) and patterns; a bad file does not stop the others."""

import contextlib
import glob
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from svc.audio.reading import AUDIO_SUFFIXES, find_audio, probe
from svc.config import ConvertOptions
from svc.conversion.converter import Converter
from svc.conversion.song import SongReport, convert_song, require_one_key
from svc.conversion.sources import disk_error
from svc.errors import AudioError, ConfigError, InterruptedBySignal
from svc.progress import Progress, part
from svc.weights import sha256_of

LEDGER = ".svc-batch.json"
LEDGER_VERSION = 1
WRITABLE = ("wav", "flac", "mp3", "ogg")


@dataclass(frozen=True)
class BatchResult:
    """One song of a batch. status: "done", "skipped" (was done before) or "failed" (reason says why)."""

    source: Path
    output: Path | None
    status: str
    reason: str = ""
    report: SongReport | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "source": str(self.source),
            "output": str(self.output) if self.output else None,
            "status": self.status,
            "reason": self.reason,
            "report": self.report.to_dict() if self.report else None,
        }


def convert_many(
    inputs: Iterable[Path | str],
    output: Path | str,
    converter: Converter,
    options: ConvertOptions | None = None,
    progress: Progress | None = None,
) -> list[BatchResult]:
    """Convert every song that `inputs` name, and say what became of each, in order.

    An input is a file, a folder (searched through; its tree is mirrored under `output`) or a pattern such as
    ``songs/**/*.mp3``. `output` is a file when the only input is a file and `output` ends like audio, else a folder.
    A song is skipped when the note in the output folder (``.svc-batch.json``) says that its result was made from the
    same input, voice and options and is still there. Raises ConfigError when `output` cannot be such a file or folder,
    and as Lookup.lineup does when the options name an index or a speaker curve that cannot be used; everything that
    concerns one song is in its result.
    """
    options = options or ConvertOptions()
    converter.require_able(options)
    require_one_key(options)
    converter.lookup.lineup(options)
    inputs = [Path(item) if isinstance(item, Path) else str(item) for item in inputs]
    output = Path(output)
    if _is_single_file(inputs, output, options):
        jobs, folder = [(Path(inputs[0]), output, "")], output.parent
    else:
        if output.is_file():
            raise ConfigError(f"{output} is a file, but several results need a folder: give a folder as output.")
        jobs, folder = _plan(inputs, output, options), output
    if options.f0_file and len(jobs) != 1:
        raise ConfigError(f"{options.f0_file} is the melody of one song, not of {len(jobs)}: convert that one alone.")
    ledger = Ledger(folder, converter, options)
    results = []
    for index, (source, target, problem) in enumerate(jobs):
        share = part(progress, index / len(jobs), 1 / len(jobs))
        results.append(_one(source, target, problem, (converter, options), ledger, share))
        if progress:
            progress((index + 1) / len(jobs))
    return results


def format_table(results: list[BatchResult]) -> str:
    """The results as a plain-text table: status, song, and where it is or why it failed; then the counts."""
    rows = [(r.status, str(r.source), r.reason if r.status == "failed" else str(r.output)) for r in results]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    lines = [f"{status:<{widths[0]}}  {source:<{widths[1]}}  {text}" for status, source, text in rows]
    counts = {status: sum(r.status == status for r in results) for status in ("done", "skipped", "failed")}
    return "\n".join([*lines, ", ".join(f"{count} {status}" for status, count in counts.items())])


class Ledger:
    """What an output folder already holds: output name -> hash of input, voice and options it was made from."""

    def __init__(self, folder: Path, converter: Converter, options: ConvertOptions) -> None:
        self.path = folder / LEDGER
        files = converter.lookup.fingerprint(options)
        settings = json.dumps([options.model_dump(mode="json"), converter.fingerprint, files], sort_keys=True)
        for named in (options.f0_file, options.prompt):
            if named and named.is_file():
                settings += sha256_of(named)
        self._settings = hashlib.sha256(settings.encode()).hexdigest()
        self._made = self._read()

    def _read(self) -> dict[str, Any]:
        """An unreadable or foreign note means that nothing is known to be done: the songs are made again."""
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        known = isinstance(data, dict) and data.get("version") == LEDGER_VERSION and isinstance(data.get("made"), dict)
        return data["made"] if known else {}

    def holds(self, source: Path, target: Path) -> bool:
        """Whether `target` is there and was made from this very input, voice and options."""
        entry = self._made.get(self._name(target))
        if not isinstance(entry, dict) or not target.is_file() or target.stat().st_size != entry.get("bytes"):
            return False
        return entry.get("settings") == self._settings and entry.get("source") == sha256_of(source)

    def add(self, source: Path, target: Path) -> None:
        """Note a finished song; written at once, atomically."""
        self._made[self._name(target)] = {
            "source": sha256_of(source),
            "settings": self._settings,
            "bytes": target.stat().st_size,
        }
        text = json.dumps({"version": LEDGER_VERSION, "made": self._made}, indent=1, sort_keys=True)
        temporary = self.path.with_name(f"{LEDGER}.{os.getpid()}.tmp")
        try:
            temporary.write_text(text, encoding="utf-8")
            os.replace(temporary, self.path)
        except OSError as error:
            raise disk_error(error, self.path.parent) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _name(self, target: Path) -> str:
        return target.relative_to(self.path.parent).as_posix()


def _one(
    source: Path,
    target: Path,
    problem: str,
    how: tuple[Converter, ConvertOptions],
    ledger: Ledger,
    progress: Progress | None,
) -> BatchResult:
    if problem:
        return BatchResult(source, None, "failed", problem)
    try:
        if target.exists() and os.path.samefile(source, target):
            raise AudioError(f"{target} is the input itself: choose another output, so that the song is not lost.")
        if ledger.holds(source, target):
            return BatchResult(source, target, "skipped")
        report = convert_song(source, target, *how, progress=progress)
        ledger.add(source, target)
    except InterruptedBySignal:
        raise
    except Exception as error:
        from svc.errors import SvcError

        kind = "" if isinstance(error, SvcError) else f"{type(error).__name__}: "
        return BatchResult(source, target, "failed", f"{kind}{error}")
    return BatchResult(source, target, "done", report=report)


def _is_single_file(inputs: list[Path | str], output: Path, options: ConvertOptions) -> bool:
    """Whether the output names a file; ConfigError when it names one that cannot be right."""
    ending = output.suffix.lower()
    if ending not in AUDIO_SUFFIXES or output.is_dir():
        return False
    if len(inputs) != 1 or not Path(inputs[0]).is_file():
        raise ConfigError(f"{output} names one file, but there may be several results: give a folder as output.")
    if ending[1:] not in WRITABLE:
        raise ConfigError(f"Results are written as {', '.join(WRITABLE)}, not as '{ending}': choose another ending.")
    if options.format not in ("keep", ending[1:]):
        raise ConfigError(f"The output {output.name} contradicts the format '{options.format}': leave one of them out.")
    return True


def _plan(inputs: list[Path | str], output: Path, options: ConvertOptions) -> list[tuple[Path, Path, str]]:
    """(input, output, problem) of every song; results never share a file, inputs are taken once."""
    jobs: list[tuple[Path, Path, str]] = []
    taken: set[str] = set()
    seen: set[Path] = set()
    for item in inputs:
        for source, relative, problem in _expand(item, output):
            real = source.resolve()
            if real in seen:
                continue
            seen.add(real)
            target = output / relative.with_suffix(f".{_format_of(source, options)}")
            number = 2
            # Names are compared without case, as Windows and macOS do.
            while str(target).casefold() in taken:
                target = output / relative.with_name(f"{relative.stem}-{number}{target.suffix}")
                number += 1
            taken.add(str(target).casefold())
            jobs.append((source, target, problem))
    return jobs


def _expand(item: Path | str, output: Path) -> list[tuple[Path, Path, str]]:
    """(file, its path relative to the output folder, problem) of what one input names."""
    path = Path(item)
    if path.is_dir():
        try:
            found = [file for file in find_audio(path) if not _inside(file, output, path)]
        except AudioError as error:
            return [(path, Path(path.name), str(error))]
        if not found:
            return [(path, Path(path.name), f"There is no audio in {path} besides earlier results.")]
        return [(file, file.relative_to(path), "") for file in found]
    if path.exists() or not glob.has_magic(str(item)):
        return [(path, Path(path.name), "" if path.exists() else f"There is no file {path}: check the name.")]
    base = _fixed_part(path)
    matches = sorted(Path(match) for match in glob.glob(str(item), recursive=True))
    files = [match for match in matches if match.is_file() and not _inside(match, output, base)]
    if not files:
        return [(path, Path(path.name), f"Nothing matches {item}: check the pattern.")]
    return [(file, file.relative_to(base), "") for file in files]


def _fixed_part(pattern: Path) -> Path:
    """The folders of a pattern before its first wildcard."""
    parts = []
    for piece in pattern.parts[:-1]:
        if glob.has_magic(piece):
            break
        parts.append(piece)
    return Path(*parts)


def _inside(file: Path, output: Path, searched: Path) -> bool:
    """Whether `file` is an earlier result: in the output folder, where that lies within the searched one."""
    out, root = output.resolve(), searched.resolve()
    return out != root and root in out.parents and out in file.resolve().parents


def _format_of(source: Path, options: ConvertOptions) -> str:
    """The ending of a song's result: the asked format, else the input's where it can be written, else wav."""
    if options.format != "keep":
        return options.format
    try:
        container = probe(source).container
    except AudioError:
        return "wav"  # the song will fail with the reader's own sentence
    return container if container in WRITABLE else "wav"
