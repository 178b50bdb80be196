"""The kinds of jobs: name -> the function that does one, and what may be done to it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of job.

    target: "module:function", called as function(context) in the worker process and returning plain data for JSON.
    warm: runs in the process that keeps models loaded between jobs. pausable: SIGTERM may end it, and running it again
    goes on from what it saved in work/, which `retry` then keeps; what would be lost it saves first, and raises
    InterruptedBySignal. finishable: such a one that can end early with a result, see JobContext.finish_wanted.
    """

    target: str
    warm: bool = False
    pausable: bool = False
    finishable: bool = False


KINDS: dict[str, Kind] = {
    "convert": Kind("svc.interface.kinds.convert:convert", warm=True),
    "measure": Kind("svc.interface.kinds.measure:measure"),
    "melody": Kind("svc.interface.kinds.melody:melody"),
    "speak": Kind("svc.interface.kinds.speak:speak", warm=True),
    "sample": Kind("svc.interface.kinds.voice_work:sample", warm=True),
    "import": Kind("svc.interface.kinds.voice_work:import_file"),
    "mix": Kind("svc.interface.kinds.voice_work:mix"),
    "compress": Kind("svc.interface.kinds.voice_work:compress"),
    "export": Kind("svc.interface.kinds.voice_work:export"),
    "prepare": Kind("svc.interface.kinds.prepare:prepare", pausable=True),
    "train": Kind("svc.interface.kinds.train:train", pausable=True, finishable=True),
    "batch": Kind("svc.interface.kinds.batch:batch", warm=True, pausable=True),
    "separate": Kind("svc.interface.kinds.separate:separate", pausable=True),
}
