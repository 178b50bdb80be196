"""Raw recordings in, a prepared dataset with a manifest, a split and a report out."""

import errno
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path

from svc.config import Config, PrepareConfig
from svc.data import report
from svc.data.assembly import Assembly, assemble
from svc.data.manifest import PreparedDataset
from svc.data.recording import RecordingPreparer, RecordingResult, source_name
from svc.data.sources import SourceFile, find_sources, hash_file
from svc.errors import DatasetError, MissingExtraError, SvcError
from svc.features.spec import FeatureSpec, spec_from_config
from svc.features.store import FeatureStore
from svc.progress import Progress, part

# Below this much raw material, starting processes takes longer than they save.
POOL_FROM_BYTES = 8_000_000
BASE_WORKER_BYTES = 1_200_000_000
BYTES_PER_SECOND = 450_000
HASHING_SHARE = 0.02


@dataclass(frozen=True)
class _Job:
    """One distinct recording: the first file that holds it."""

    path: Path
    sha256: str
    size: int


def prepare_dataset(
    raw_dir: Path | str,
    out_dir: Path | str,
    config: Config,
    device: str = "cpu",
    progress: Progress | None = None,
) -> PreparedDataset:
    """Prepare all recordings under `raw_dir` into the dataset folder `out_dir`.

    Args:
        raw_dir: recordings of one singer, or one folder per singer (see `svc.data.sources.find_sources`).
        out_dir: made if missing. Running again does only what is missing or changed.
        config: `features` and `prepare` are used.
        device: torch device of the networks; other than "cpu", everything runs in this process.
        progress: called with 0..1.

    Writes manifest.json, report.json, report.md and store/. With `prepare.workers` other than 1, recordings are
    shared among processes, so a calling script needs the usual `if __name__ == "__main__":`.

    Raises DatasetError when there are no recordings, none of them is usable (the report is written and names each
    reason), the disk is full or the folder cannot be written; ConfigError, WeightError and MissingExtraError as the
    chosen components do. A single bad file is skipped and named in the report.
    """
    raw_dir, out_dir = Path(raw_dir), Path(out_dir)
    tell = progress or (lambda value: None)
    spec = spec_from_config(config.features)
    sources = find_sources(raw_dir, out_dir)
    with _writing_to(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
        hashes = {s.name: hash_file(s.path) for s in sources}
        tell(HASHING_SHARE)
        jobs = _distinct(sources, hashes)
        store = FeatureStore(out_dir, spec, source_name(config.prepare))
        store.remove_leftovers()
        results: dict[str, RecordingResult] = {}
        for result in _run(jobs, out_dir, spec, config.prepare, device, lambda v: tell(HASHING_SHARE + 0.97 * v)):
            results[result.sha256] = result
        made = assemble(sources, hashes, results, store, config.prepare)
        dataset = _finish(out_dir, spec, config.prepare, made)
    tell(1.0)
    return dataset


def _finish(out_dir: Path, spec: FeatureSpec, config: PrepareConfig, made: Assembly) -> PreparedDataset:
    """Write report and manifest; DatasetError when no slice is left."""
    report.write(out_dir, made.report)
    if not made.utterances:
        raise DatasetError(
            f"No usable recording is left ({made.first_reason}): see {out_dir / report.TEXT_NAME} for what is wrong "
            "with each, mend or replace them and run again."
        )
    used = {u.recording_sha256 for u in made.utterances}
    dataset = PreparedDataset(
        directory=out_dir,
        spec=spec,
        speakers=made.speakers,
        utterances=made.utterances,
        recordings={key: value for key, value in made.recordings.items() if key in used},
        speaker_stats=made.speaker_stats,
        prepare=config.model_dump(mode="json"),
        warnings=made.warnings,
    )
    dataset.save()
    return PreparedDataset.open(out_dir)


def _distinct(sources: list[SourceFile], hashes: dict[str, str]) -> list[_Job]:
    jobs: dict[str, _Job] = {}
    for source in sources:
        sha256 = hashes[source.name]
        if sha256 not in jobs:
            jobs[sha256] = _Job(source.path, sha256, source.path.stat().st_size)
    return list(jobs.values())


def _run(
    jobs: list[_Job], out_dir: Path, spec: FeatureSpec, config: PrepareConfig, device: str, progress: Progress
) -> Iterator[RecordingResult]:
    """Results in any order. Progress by file size."""
    total = sum(job.size for job in jobs) or 1
    workers = _workers(jobs, config, device)
    done = 0
    if workers == 1:
        preparer = RecordingPreparer(out_dir, spec, config, device)
        for job in jobs:
            start, share = done / total, job.size / total
            yield preparer.run(job.path, job.sha256, part(progress, start, share))
            done += job.size
            progress(done / total)
        return
    yield from _run_pool(jobs, workers, (out_dir, spec, config), total, progress)


def _run_pool(
    jobs: list[_Job],
    workers: int,
    arguments: tuple[Path, FeatureSpec, PrepareConfig],
    total: int,
    progress: Progress,
) -> Iterator[RecordingResult]:
    done = 0
    strangers = set(active_children())
    # Spawned, not forked: forking a process that has torch's threads running can hang.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start_worker, initargs=arguments)
    try:
        # The longest first, so that no process is left with a long one at the end.
        futures = {pool.submit(_work, job): job for job in sorted(jobs, key=lambda job: -job.size)}
        for future in as_completed(futures):
            yield future.result()
            done += futures[future].size
            progress(done / total)
    except BaseException as error:
        # Not waiting for files in work: what is stored of them is whole, the rest is done again next time.
        for child in set(active_children()) - strangers:
            child.terminate()
        if isinstance(error, BrokenProcessPool):
            raise DatasetError(
                "A worker process was killed, probably for lack of memory: run again with  --prepare.workers 1 ; "
                "finished recordings are kept."
            ) from error
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _workers(jobs: list[_Job], config: PrepareConfig, device: str) -> int:
    """How many processes: as asked for, or by processors, memory and the amount of work."""
    if device != "cpu" or len(jobs) < 2:
        return 1
    if config.workers:
        return min(config.workers, len(jobs))
    total = sum(job.size for job in jobs)
    if total < POOL_FROM_BYTES:
        return 1
    import psutil

    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Bytes of compressed sound say little about its length; 16 kB/s is the least that is usual.
    longest_seconds = max(job.size for job in jobs) / 16_000
    each = BASE_WORKER_BYTES + min(longest_seconds, 3600) * BYTES_PER_SECOND
    by_memory = int(psutil.virtual_memory().available * 0.8 / each)
    return max(1, min(processors, by_memory, len(jobs)))


_preparer: RecordingPreparer | None = None


def _start_worker(out_dir: Path, spec: FeatureSpec, config: PrepareConfig) -> None:
    """Runs once in each worker process: one thread, networks loaded at first use and kept."""
    global _preparer
    import torch

    # Ctrl-C reaches the whole group; the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Workers of a killed parent would wait for work for ever.
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _preparer = RecordingPreparer(out_dir, spec, config)


def _exit_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(job: _Job) -> RecordingResult:
    assert _preparer is not None
    try:
        return _preparer.run(job.path, job.sha256)
    except MissingExtraError as error:
        # Its constructor takes more than the message, so it would not survive the way to the parent.
        raise SvcError(str(error)) from None


@contextmanager
def _writing_to(out_dir: Path) -> Iterator[None]:
    """Turns OSError from writing into a DatasetError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            raise DatasetError(
                f"The disk is full while writing {out_dir}: free some space and run again, what is done is kept."
            ) from error
        raise DatasetError(
            f"Cannot write {out_dir}: {error.strerror or error}. Check its permissions, or choose another folder."
        ) from error
