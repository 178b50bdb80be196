"""The kinds of jobs: name -> the function that does one, and what may be done to it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of job.

    target: "module:function", called as function(context) in the worker process and returning plain data for JSON.
    warm: runs in the process that keeps models loaded between jobs. pausable: on SIGTERM it saves what it has and
    raises InterruptedBySignal, and running it again goes on from there; what it wrote is then kept by `retry` as well.
    """

    target: str
    warm: bool = False
    pausable: bool = False


KINDS: dict[str, Kind] = {
    "convert": Kind("svc.interface.kinds.convert:convert", warm=True),
    "train": Kind("svc.interface.kinds.train:train", pausable=True),
}
