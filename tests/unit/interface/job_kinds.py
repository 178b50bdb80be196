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
    """Runs for a minute, with a child process."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (context.work / "child").write_text(str(child.pid))
    for step in range(600):
        context.progress(step / 600)
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
    """Counts to 150 in work/count; saves and stops when asked."""
    note, part = context.work / "count", context.work / "count.part"
    count = int(note.read_text()) if note.exists() else 0
    began = count
    with StopRequest() as stop:
        while count < 150:
            count += 1
            part.write_text(str(count))
            os.replace(part, note)
            context.progress(count / 150)
            time.sleep(0.02)
            if stop.requested:
                if context.finish_wanted:
                    break
                raise InterruptedBySignal("stopped.")
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
