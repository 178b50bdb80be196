"""Kinds of jobs for tests: they import nothing heavy, so a worker starts quickly."""

import os
import subprocess
import sys
import time

from svc.errors import InterruptedBySignal, SvcError
from svc.interface.jobs.context import JobContext
from svc.interface.kinds import Kind
from svc.training.interruption import StopRequest


def quick(context: JobContext) -> dict:
    """Writes what it was told; says which process it ran in."""
    context.stage("training")
    context.message(f"reading {context.input('song') if context.has_input('song') else 'nothing'}")
    (context.outputs / "a.txt").write_text(context.settings.get("text", ""))
    context.progress(1.0)
    return {"pid": os.getpid(), "seen": context.kept.get(("n",), lambda: [0])}


def slow(context: JobContext) -> dict:
    """Runs for a quarter of an hour, with a child process."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(900)"])
    (context.work / "child").write_text(str(child.pid))
    for step in range(9000):
        context.progress(step / 9000)
        time.sleep(0.1)
    return {}


def refused(context: JobContext) -> dict:
    raise SvcError(f"{context.input('song')} cannot be used: choose another.")


def broken(context: JobContext) -> dict:
    raise RuntimeError("secret detail")


def dies(context: JobContext) -> dict:
    os._exit(3)


def hungry(context: JobContext) -> dict:
    block = bytearray(400_000_000)
    block[::4096] = b"x" * len(block[::4096])
    time.sleep(20)
    return {"size": len(block)}


def counting(context: JobContext) -> dict:
    """Counts to 150 in work/count; saves and stops when asked. Stays at 20 until the file of the setting "until"."""
    note, part = context.work / "count", context.work / "count.part"
    count = int(note.read_text()) if note.exists() else 0
    began, until = count, context.settings.get("until")
    with StopRequest() as stop:
        while count < 150 and not context.finish_wanted:
            if stop.requested:
                raise InterruptedBySignal("stopped.")
            if count < 20 or until is None or os.path.exists(until):
                count += 1
                part.write_text(str(count))
                os.replace(part, note)
                context.progress(count / 150)
            time.sleep(0.005)
    return {"began": began, "count": count}


TEST_KINDS = {
    "quick": Kind("job_kinds:quick"),
    "warm": Kind("job_kinds:quick", warm=True),
    "slow": Kind("job_kinds:slow"),
    "slow_warm": Kind("job_kinds:slow", warm=True),
    "refused": Kind("job_kinds:refused"),
    "broken": Kind("job_kinds:broken"),
    "dies": Kind("job_kinds:dies"),
    "hungry": Kind("job_kinds:hungry", warm=True),
    "counting": Kind("job_kinds:counting", pausable=True, finishable=True),
}
