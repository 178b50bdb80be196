"""Worker processes: each is the head of a process group of its own, so that all of it can be ended at once."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import psutil

MODULE = "svc.interface.jobs.worker"
STOP_SECONDS = 1.5


def start(arguments: list[str], log: IO[bytes] | int, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """A worker with these arguments, in a session of its own: Ctrl-C in the server's terminal does not reach it."""
    command = [sys.executable, "-m", MODULE, *arguments]
    return subprocess.Popen(command, stdin=stdin, stdout=log, stderr=log, start_new_session=True, close_fds=True)


def started_at(pid: int) -> float | None:
    """When the process began, which tells it from a later one with the same number; None if it is not there.

    Where the system tells it, counted from the start of the machine: a time of day changes when the clock is set.
    """
    with contextlib.suppress(OSError, IndexError, ValueError):
        # Field 22; the second one, in brackets, is a name that may hold anything.
        return float(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19])
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).create_time()
    return None


def is_alive(pid: int | None, pid_started: float | None) -> bool:
    """Whether that very process still runs."""
    if pid is None:
        return False
    try:
        return started_at(pid) == pid_started and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def terminate(pid: int | None, pid_started: float | None) -> None:
    """Ask the head of the group to save and stop."""
    if pid is not None and is_alive(pid, pid_started):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def kill_group(pid: int | None, pid_started: float | None) -> None:
    """End the whole group at once, and wait until it is gone."""
    if pid is None:
        return
    members = [p for p in psutil.process_iter(["pid"]) if _group_of(p.pid) == pid]
    began = started_at(pid)
    if began is not None and began != pid_started:
        return  # the number belongs to another process by now
    if pid == os.getpgrp():
        raise RuntimeError("a worker shares the server's process group")
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    psutil.wait_procs(members, timeout=STOP_SECONDS)


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def memory_of(pid: int) -> int:
    """Bytes of memory that the process and its children take."""
    try:
        head = psutil.Process(pid)
        total = head.memory_info().rss
        for child in head.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                total += child.memory_info().rss
        return total
    except psutil.Error:
        return 0


class WarmWorker:
    """The process that keeps models loaded. It is told the folders of jobs on its standard input, one a line.

    When the server goes away its input ends, so it finishes the job in work and leaves.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its number, while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def give(self, folder: Path) -> int:
        """Have it do the job in `folder`; starts it if needed. The number of the process."""
        if self.pid is None:
            with open(self._log, "ab") as log:
                self._process = start(["--keep"], log, subprocess.PIPE)
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(f"{folder}\n".encode())
        self._process.stdin.flush()
        return self._process.pid

    def kill(self) -> None:
        """End it at once; the next job starts a new one."""
        if self._process is not None:
            kill_group(self._process.pid, started_at(self._process.pid))
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=STOP_SECONDS)
            if self._process.stdin is not None:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()
            self._process = None


def wait_gone(pid: int | None, pid_started: float | None, seconds: float) -> bool:
    """Wait until the process is gone; whether it is."""
    end = time.monotonic() + seconds
    while is_alive(pid, pid_started):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
