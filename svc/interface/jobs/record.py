"""One job on disk, and what the page is told about it.

A job's folder holds:
    job.json       what it is: kind, owner, settings, inputs; written once
    state.json     where it stands; written by the server only
    progress.json  how far it is; written by the worker only, as are the next ones
    events.jsonl   losses, sentences and other things in order
    log.txt        everything the worker printed, with tracebacks
    result.json    how it ended
    outputs/       what it made
    work/          what it needs while it works, and to go on after a pause
"""

import secrets
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from svc.interface.disk import read_json, read_lines, write_json

VERSION = 1
QUEUED, RUNNING, PAUSED, DONE = "queued", "running", "paused", "done"
FAILED, CANCELLED, INTERRUPTED = "failed", "cancelled", "interrupted"
ENDED = (DONE, FAILED, CANCELLED)
LIVE = (QUEUED, RUNNING)
STATES = (QUEUED, RUNNING, PAUSED, DONE, FAILED, CANCELLED, INTERRUPTED)


@dataclass(frozen=True)
class Job:
    """What a job is. inputs: name -> path of a file or folder; labels: stored path -> the name a person gave it."""

    id: str
    kind: str
    owner: str
    title: str
    target: str
    settings: dict[str, Any]
    inputs: dict[str, str]
    labels: dict[str, str]
    home: str
    device: str
    created: float
    version: int = VERSION


@dataclass
class State:
    """Where a job stands. Times are seconds since 1970; `wanted` is what a running one was asked to become."""

    state: str = QUEUED
    queued: float = 0.0
    started: float | None = None
    ended: float | None = None
    attempt: int = 1
    pid: int | None = None
    pid_started: float | None = None
    wanted: str = ""
    error: str = ""
    error_id: str = ""
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class JobView:
    """A job as the page and the API show it.

    place: 1 is next in the queue, 0 not waiting. fraction: 0..1. stage: key of a text, "stage.<stage>".
    result: what the kind's function returned. error: a sentence, "" where there is only `error_id`, the number under
    which the log has the details, or a key "jobs.<...>" of a text. outputs: name -> path, of the files it made.
    """

    id: str
    kind: str
    title: str
    state: str
    place: int
    fraction: float
    stage: str
    seconds: float
    seconds_left: float | None
    created: float
    attempt: int
    settings: dict[str, Any]
    result: dict[str, Any]
    error: str
    error_id: str
    outputs: dict[str, Path]
    pausable: bool
    finishable: bool = False

    @property
    def live(self) -> bool:
        """Whether it waits or runs."""
        return self.state in LIVE

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the API: no paths of this machine, outputs by name."""
        data = asdict(self)
        data["outputs"] = sorted(self.outputs)
        return data


class JobFolder:
    """The files of one job."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.progress = path / "progress.json"
        self.events = path / "events.jsonl"
        self.log = path / "log.txt"
        self.result = path / "result.json"
        self.outputs = path / "outputs"
        self.work = path / "work"
        self.finish = path / "finish"

    def create(self, job: Job, state: State) -> None:
        """Make the folder; job.json comes last, so that half a folder is no job."""
        self.outputs.mkdir(parents=True)
        self.work.mkdir()
        self.save(state)
        write_json(self.path / "job.json", asdict(job))

    def job(self) -> Job | None:
        """What it is, or None for a folder that is no job of this version."""
        data = read_json(self.path / "job.json")
        if not isinstance(data, dict) or data.get("version") != VERSION:
            return None
        return Job(**data)

    def state(self) -> State:
        """Where it stands."""
        return State(**read_json(self.path / "state.json", {}))

    def save(self, state: State) -> None:
        """Write where it stands."""
        write_json(self.path / "state.json", asdict(state))

    def clear(self, keep_work: bool) -> None:
        """Remove what an earlier attempt left; events and log stay, as history."""
        for path in (self.progress, self.result, self.finish):
            path.unlink(missing_ok=True)
        for folder in (self.outputs,) if keep_work else (self.outputs, self.work):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(exist_ok=True)

    def view(self, job: Job, state: State, place: int, pausable: bool, finishable: bool = False) -> JobView:
        """The job as the page shows it."""
        progress = read_json(self.progress, {})
        end = state.ended or time.time()
        seconds = end - state.started if state.started else 0.0
        fraction = 1.0 if state.state == DONE else float(progress.get("fraction", 0.0))
        left = progress.get("seconds_left")
        if left is None and state.state == RUNNING and fraction > 0.05:
            left = seconds * (1 - fraction) / fraction
        outputs = {p.relative_to(self.outputs).as_posix(): p for p in sorted(self.outputs.rglob("*")) if p.is_file()}
        return JobView(
            id=job.id,
            kind=job.kind,
            title=job.title,
            state=state.state,
            place=place,
            fraction=fraction,
            stage=progress.get("stage", ""),
            seconds=seconds,
            seconds_left=left if state.state == RUNNING else None,
            created=job.created,
            attempt=state.attempt,
            settings=job.settings,
            result=state.result,
            error=state.error,
            error_id=state.error_id,
            outputs=outputs if state.state not in (CANCELLED, FAILED) else {},
            pausable=pausable,
            finishable=finishable,
        )

    def new_events(self, after: int) -> list[dict[str, Any]]:
        """Events from number `after` on."""
        return read_lines(self.events, after)

    def log_tail(self, characters: int = 20_000) -> str:
        """The end of the log."""
        try:
            with open(self.log, "rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - characters))
                return file.read().decode("utf-8", errors="replace")
        except OSError:
            return ""


def new_id() -> str:
    """An id that sorts by time and cannot be guessed."""
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(6)
