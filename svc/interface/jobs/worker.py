"""The process in which a job runs.

python -m svc.interface.jobs.worker FOLDER     does the job in FOLDER and ends
python -m svc.interface.jobs.worker --keep     does the jobs named on standard input, models staying loaded
"""

import contextlib
import ctypes
import gc
import os
import secrets
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from svc.errors import InterruptedBySignal, SvcError
from svc.interface.disk import write_json
from svc.interface.jobs.context import JobContext, Kept
from svc.interface.jobs.record import DONE, FAILED, PAUSED, JobFolder


def main(arguments: list[str]) -> int:
    """Run as the module's docstring says; the exit code is 0 unless a job failed."""
    kept = Kept()
    if arguments != ["--keep"]:
        return 0 if _run(JobFolder(Path(arguments[0])), kept, keeps=False) else 1
    for line in sys.stdin:
        folder = JobFolder(Path(line.rstrip("\n")))
        with open(folder.log, "ab") as log:
            saved = os.dup(1), os.dup(2)
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        try:
            _run(folder, kept, keeps=True)
            give_back_memory()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), saved):
                os.dup2(copy, number)
                os.close(copy)
    return 0


def give_back_memory() -> None:
    """Give the machine what the last job needed and the kept models do not.

    Python looks for circles of objects ever more rarely the more modules are loaded, and a picture's figure is such a
    circle; and the C library keeps what is freed in the middle of its heap until it is told to let it go.
    """
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # musl has no such function, and keeps less
            ctypes.CDLL(None).malloc_trim(0)


def _run(folder: JobFolder, kept: Kept, keeps: bool) -> bool:
    """Do one job and write result.json; whether it is done."""
    job = folder.job()
    if job is None:
        return False
    context = JobContext(folder, job, kept, keeps)
    ending = _ending(context, job.target)
    if ending["state"] == FAILED:
        print(ending["error"], file=sys.stderr, flush=True)
    write_json(folder.result, ending)
    return ending["state"] == DONE


def _ending(context: JobContext, target: str) -> dict[str, Any]:
    module, _, name = target.partition(":")
    try:
        result = getattr(import_module(module), name)(context)
        return {"state": DONE, "result": result or {}, "error": ""}
    except InterruptedBySignal as pause:
        return {"state": PAUSED, "result": {}, "error": "", "message": context.clean(str(pause))}
    except SvcError as error:
        return {"state": FAILED, "result": {}, "error": context.clean(str(error))}
    except MemoryError:
        traceback.print_exc()
        return {"state": FAILED, "result": {}, "error": "There was not enough memory: close other programs, try again."}
    except Exception:
        number = secrets.token_hex(4)
        print(f"Error {number}:", file=sys.stderr)
        traceback.print_exc()
        return {"state": FAILED, "result": {}, "error": "", "error_id": number}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
