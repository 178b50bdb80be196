"""The queue: who waits, who runs, and what a person may do. It lies on disk and survives the server.

One thread looks at the running jobs and starts the next ones. A job that still runs when the server starts again is
picked up where it is; one whose process is gone without a result is marked interrupted and can be resumed.
"""

import fcntl
import logging
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from svc.errors import ConfigError, SvcError
from svc.interface.disk import read_json
from svc.interface.jobs import process
from svc.interface.jobs.record import (
    CANCELLED,
    FAILED,
    INTERRUPTED,
    PAUSED,
    QUEUED,
    RUNNING,
    Job,
    JobFolder,
    JobView,
    State,
    new_id,
)
from svc.interface.kinds import KINDS, Kind

POLL_SECONDS = 0.2
# After its result is written, a worker may take this long to leave.
LEAVE_SECONDS = 5.0
log = logging.getLogger(__name__)


class JobQueue:
    """All jobs of one data folder. Use as a context manager, or `start` and `close`.

    Every method that takes an `owner` knows that owner's jobs only: for others' it says that there is no such job.
    """

    def __init__(
        self,
        folder: Path,
        kinds: Mapping[str, Kind] = KINDS,
        at_once: int = 1,
        memory_limit_bytes: int = 0,
        stop_at_exit: bool = False,
    ) -> None:
        self.folder = folder
        self._kinds = kinds
        self._at_once = at_once
        self._memory_limit = memory_limit_bytes
        self._stop_at_exit = stop_at_exit
        self._lock = threading.RLock()
        self._jobs: dict[str, tuple[Job, JobFolder, State]] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._warm = process.WarmWorker(folder / "warm.log")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="svc-jobs", daemon=True)
        self._held: Any = None

    def __enter__(self) -> "JobQueue":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Read what is on disk and begin to work. ConfigError when another server uses the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._held = open(self.folder / ".lock", "a")  # noqa: SIM115 - held until close
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._held.close()
            raise ConfigError(
                f"Another web page already uses {self.folder.parent}: stop it, or give this one another --data folder."
            ) from error
        for path in sorted(self.folder.iterdir()):
            folder = JobFolder(path)
            job = folder.job() if path.is_dir() else None
            if job is not None:
                self._jobs[job.id] = (job, folder, folder.state())
        for job, folder, state in self._jobs.values():
            alive = process.is_alive(state.pid, state.pid_started)
            if state.state == RUNNING and not alive and not folder.result.exists():
                self._lost(job, folder, state)
        self._thread.start()

    def close(self) -> None:
        """Stop watching. Running jobs go on by themselves, unless the queue was told to end them."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        if self._stop_at_exit:
            for _, _, state in self._of(RUNNING):
                process.kill_group(state.pid, state.pid_started)
            self._warm.kill()
        if self._held is not None:
            self._held.close()

    @property
    def running(self) -> int:
        """How many jobs run now."""
        return len(self._of(RUNNING))

    def submit(
        self,
        owner: str,
        kind: str,
        settings: dict[str, Any],
        *,
        title: str,
        home: Path,
        inputs: dict[str, Path] | None = None,
        labels: dict[Path, str] | None = None,
        device: str = "auto",
    ) -> JobView:
        """Put a job at the end of the queue. `settings` is plain data for JSON; `inputs` and `labels` as in `Job`."""
        if kind not in self._kinds:
            raise ConfigError(f"There is no kind of job '{kind}': use {', '.join(self._kinds)}.")
        job = Job(
            id=new_id(),
            kind=kind,
            owner=owner,
            title=title,
            target=self._kinds[kind].target,
            settings=settings,
            inputs={name: str(path) for name, path in (inputs or {}).items()},
            labels={str(path): label for path, label in (labels or {}).items()},
            home=str(home),
            device=device,
            created=time.time(),
        )
        folder, state = JobFolder(self.folder / job.id), State(queued=time.time())
        folder.create(job, state)
        with self._lock:
            self._jobs[job.id] = (job, folder, state)
        return self.view(owner, job.id)

    def view(self, owner: str, job_id: str) -> JobView:
        """One job. SvcError when the owner has none of that id."""
        with self._lock:
            job, folder, state = self._own(owner, job_id)
            return self._view(job, folder, state)

    def listing(
        self, owner: str, kinds: Iterable[str] = (), states: Iterable[str] = (), most: int = 100
    ) -> list[JobView]:
        """The owner's jobs, the newest first; of some kinds or in some states only, when these are given."""
        kinds, states = set(kinds), set(states)
        with self._lock:
            found = [
                (job, folder, state)
                for job, folder, state in self._jobs.values()
                if job.owner == owner and (not kinds or job.kind in kinds) and (not states or state.state in states)
            ]
            found.sort(key=lambda entry: entry[0].created, reverse=True)
            return [self._view(*entry) for entry in found[:most]]

    def cancel(self, owner: str, job_id: str) -> JobView:
        """End it at once; nothing of its processes is left when this returns. One that has ended stays as it is."""
        with self._lock:
            job, folder, state = self._own(owner, job_id)
            if state.state == RUNNING:
                state.wanted = "cancel"
                folder.save(state)
                self._kill(job, state)
                self._end(job, folder, state, {"state": CANCELLED})
            elif state.state in (QUEUED, PAUSED, INTERRUPTED):
                self._end(job, folder, state, {"state": CANCELLED})
        return self.view(owner, job_id)

    def pause(self, owner: str, job_id: str) -> JobView:
        """Have a pausable job save what it has and stop; it is "paused" a little later. SvcError for other kinds."""
        with self._lock:
            job, folder, state = self._own(owner, job_id)
            if not self._pausable(job):
                raise SvcError("A job of this kind cannot be paused: cancel it, and start it again later.")
            if state.state == QUEUED:
                self._end(job, folder, state, {"state": PAUSED})
            elif state.state == RUNNING:
                state.wanted = "pause"
                folder.save(state)
                process.terminate(state.pid, state.pid_started)
        return self.view(owner, job_id)

    def finish(self, owner: str, job_id: str) -> JobView:
        """Have a running finishable job (a training) end early with what it has reached as its result."""
        with self._lock:
            job, folder, state = self._own(owner, job_id)
            if not self._finishable(job):
                raise SvcError("A job of this kind has no result before its end: cancel it, or wait.")
            if state.state == RUNNING:
                folder.finish.touch()
                state.wanted = "finish"
                folder.save(state)
                process.terminate(state.pid, state.pid_started)
            elif state.state in (PAUSED, INTERRUPTED):
                self._requeue(job, folder, state)
                folder.finish.touch()
        return self.view(owner, job_id)

    def retry(self, owner: str, job_id: str) -> JobView:
        """Put it into the queue again: a paused or interrupted one goes on where it was, others begin anew."""
        with self._lock:
            job, folder, state = self._own(owner, job_id)
            if state.state not in (QUEUED, RUNNING):
                self._requeue(job, folder, state)
        return self.view(owner, job_id)

    resume = retry

    def remove(self, owner: str, job_id: str) -> None:
        """Take it out of the history, with everything it made."""
        self.cancel(owner, job_id)
        with self._lock:
            _, folder, _ = self._jobs.pop(job_id)
        shutil.rmtree(folder.path, ignore_errors=True)

    def events(self, owner: str, job_id: str, after: int = 0) -> list[dict[str, Any]]:
        """What it told in order, from number `after` on."""
        return self._own(owner, job_id)[1].new_events(after)

    def log(self, owner: str, job_id: str) -> str:
        """The end of its log, for the operator; it holds paths of this machine, so the page never shows it as it is."""
        return self._own(owner, job_id)[1].log_tail()

    def folder_of(self, owner: str, job_id: str) -> JobFolder:
        """Its folder."""
        return self._own(owner, job_id)[1]

    def job(self, owner: str, job_id: str) -> Job:
        """What it is, with inputs and labels."""
        return self._own(owner, job_id)[0]

    def _own(self, owner: str, job_id: str) -> tuple[Job, JobFolder, State]:
        entry = self._jobs.get(job_id)
        if entry is None or entry[0].owner != owner:
            raise SvcError("There is no such job: reload the page.")
        return entry

    def _of(self, state: str) -> list[tuple[Job, JobFolder, State]]:
        with self._lock:
            return [entry for entry in self._jobs.values() if entry[2].state == state]

    def _place(self, job_id: str) -> int:
        waiting = sorted(self._of(QUEUED), key=lambda entry: entry[2].queued)
        return next((at for at, entry in enumerate(waiting, 1) if entry[0].id == job_id), 0)

    def _view(self, job: Job, folder: JobFolder, state: State) -> JobView:
        return folder.view(job, state, self._place(job.id), self._pausable(job), self._finishable(job))

    def _pausable(self, job: Job) -> bool:
        return job.kind in self._kinds and self._kinds[job.kind].pausable

    def _finishable(self, job: Job) -> bool:
        return job.kind in self._kinds and self._kinds[job.kind].finishable

    def _requeue(self, job: Job, folder: JobFolder, state: State) -> None:
        folder.clear(keep_work=self._pausable(job))
        state.state, state.queued, state.attempt = QUEUED, time.time(), state.attempt + 1
        state.started = state.ended = state.pid = state.pid_started = None
        state.wanted = state.error = state.error_id = ""
        state.result = {}
        folder.save(state)

    def _watch(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            try:
                with self._lock:
                    for job, folder, state in self._of(RUNNING):
                        self._look(job, folder, state)
                    self._start_next()
            except Exception:
                log.exception("the job queue met an error and goes on")

    def _start_next(self) -> None:
        for job, folder, state in sorted(self._of(QUEUED), key=lambda entry: entry[2].queued):
            if self.running >= self._at_once:
                return
            if self._is_warm(job) and any(self._is_warm(other) for other, _, _ in self._of(RUNNING)):
                continue  # the warm worker does one job at a time
            self._begin(job, folder, state)

    def _is_warm(self, job: Job) -> bool:
        return job.kind in self._kinds and self._kinds[job.kind].warm

    def _begin(self, job: Job, folder: JobFolder, state: State) -> None:
        folder.result.unlink(missing_ok=True)
        try:
            if self._is_warm(job):
                if self._memory_limit and self._warm.pid and process.memory_of(self._warm.pid) > self._memory_limit:
                    self._warm.kill()
                state.pid = self._warm.give(folder.path)
            else:
                with open(folder.log, "ab") as file:
                    self._children[job.id] = process.start([str(folder.path)], file)
                state.pid = self._children[job.id].pid
        except OSError as error:
            log.exception("job %s could not be started", job.id)
            self._end(job, folder, state, {"state": FAILED, "error": f"It could not start: {error.strerror}."})
            return
        state.pid_started = process.started_at(state.pid)
        state.state, state.started, state.ended = RUNNING, time.time(), None
        folder.save(state)

    def _look(self, job: Job, folder: JobFolder, state: State) -> None:
        """End a running job that has a result, has lost its process, or takes too much memory."""
        child = self._children.get(job.id)
        if child is not None:
            child.poll()  # takes a dead child out of the process table
        alive = process.is_alive(state.pid, state.pid_started)
        ending = read_json(folder.result)
        if ending is not None:
            if not self._is_warm(job):
                process.wait_gone(state.pid, state.pid_started, LEAVE_SECONDS if self._stopping.is_set() else 0.5)
                self._kill(job, state)
            self._end(job, folder, state, ending)
        elif not alive:
            self._lost(job, folder, state)
        elif self._is_warm(job) and self._memory_limit and process.memory_of(state.pid or 0) > self._memory_limit:
            self._kill(job, state)
            megabytes = self._memory_limit // 1_000_000
            error = f"It needs more than {megabytes} MB of memory, the limit of this server: try a shorter song."
            self._end(job, folder, state, {"state": FAILED, "error": error})

    def _lost(self, job: Job, folder: JobFolder, state: State) -> None:
        """Its process is gone without a result: it becomes what it was asked to, and is interrupted if nobody asked.

        A process that was asked in its first moments, before it could hear that, is simply gone as well.
        """
        wanted = state.wanted
        self._kill(job, state)
        if wanted == "finish":
            self._requeue(job, folder, state)  # to begin once more and end at once, with what there is
            folder.finish.touch()
        else:
            self._end(job, folder, state, {"state": {"pause": PAUSED, "cancel": CANCELLED}.get(wanted, "")})

    def _kill(self, job: Job, state: State) -> None:
        if self._is_warm(job) and state.pid == self._warm.pid:
            self._warm.kill()
        else:
            process.kill_group(state.pid, state.pid_started)
        child = self._children.pop(job.id, None)
        if child is not None:
            child.wait(timeout=process.STOP_SECONDS)

    def _end(self, job: Job, folder: JobFolder, state: State, ending: dict[str, Any]) -> None:
        """Write down how it ended; an ending without a state is a process that vanished."""
        state.state = ending.get("state") or INTERRUPTED
        state.error, state.error_id = ending.get("error", ""), ending.get("error_id", "")
        if not ending.get("state"):
            state.error = "jobs.vanished"
        state.result, state.ended, state.wanted = ending.get("result") or {}, time.time(), ""
        state.pid = state.pid_started = None
        if state.state == CANCELLED:
            folder.clear(keep_work=False)
        self._children.pop(job.id, None)
        folder.save(state)
