"""What the function of a job's kind is given in the worker process."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from svc.errors import SvcError
from svc.interface.disk import append_json, write_json
from svc.interface.jobs.record import Job, JobFolder

WRITE_SECONDS = 0.25
# Loaded voices that stay in memory.
KEEP_MOST = 2


class Kept:
    """Objects that a warm worker keeps between jobs, the most recently used ones."""

    def __init__(self) -> None:
        self._objects: dict[tuple[Any, ...], Any] = {}

    def get(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """The object kept under `key`, or a new one from `make`; the least recently used one makes room."""
        if key in self._objects:
            value = self._objects.pop(key)
        else:
            while len(self._objects) >= KEEP_MOST:
                del self._objects[next(iter(self._objects))]
            value = make()
        self._objects[key] = value
        return value


class JobContext:
    """Settings and places of one job, and how it tells how far it is.

    settings: what the tab asked for. outputs: where results go (each file there can be downloaded). work: scratch that
    survives pauses. home: the user's own folder. device: a torch device name or "auto".
    """

    def __init__(self, folder: JobFolder, job: Job, kept: Kept, keeps: bool = False) -> None:
        self.settings = job.settings
        self.title = job.title
        self.outputs = folder.outputs
        self.work = folder.work
        self.home = Path(job.home)
        self.device = job.device
        self.kept = kept
        self.keeps = keeps
        self._folder = folder
        self._job = job
        self._written = 0.0
        self._stage = ""
        self._range = (0.0, 1.0)

    def input(self, name: str) -> Path:
        """The file or folder given as `name`; SvcError when it is gone."""
        path = Path(self._job.inputs[name])
        if not path.exists():
            label = self._job.labels.get(str(path), name)
            raise SvcError(f"'{label}' is no longer there: add it again and start anew.")
        return path

    def has_input(self, name: str) -> bool:
        """Whether an input of that name was given."""
        return name in self._job.inputs

    def inputs(self, prefix: str) -> list[Path]:
        """All inputs whose name begins with `prefix`, in order."""
        return [self.input(name) for name in sorted(self._job.inputs) if name.startswith(prefix)]

    def label(self, path: Path) -> str:
        """The name a person gave the file."""
        return self._job.labels.get(str(path), path.name)

    def stage(self, name: str, start: float = 0.0, share: float = 1.0) -> None:
        """Begin a stage: `name` is shown as the text "stage.<name>"; `progress` then fills its share of the whole."""
        self._stage, self._range = name, (start, share)
        self._written = 0.0
        self.progress(0.0)

    def rename_stage(self, name: str) -> None:
        """Show another stage's name; the shares stay as they are."""
        self._stage, self._written = name, 0.0

    def progress(self, fraction: float, seconds_left: float | None = None) -> None:
        """How much of the present stage is done, 0..1; it may be called as often as you like."""
        now = time.monotonic()
        if now - self._written < WRITE_SECONDS and fraction < 1.0:
            return
        self._written = now
        start, share = self._range
        whole = start + share * min(1.0, max(0.0, fraction))
        data = {"fraction": whole, "stage": self._stage, "seconds_left": seconds_left, "time": time.time()}
        write_json(self._folder.progress, data)

    def event(self, kind: str, **data: Any) -> None:
        """Something that the page shows in order, such as losses: {"type": kind, "time": ..., **data}."""
        append_json(self._folder.events, {"type": kind, "time": time.time(), **data})

    def message(self, sentence: str) -> None:
        """A sentence for the user."""
        self.event("message", text=self.clean(sentence))

    @property
    def finish_wanted(self) -> bool:
        """Whether the user asked for an early end with a result, rather than a pause."""
        return self._folder.finish.exists()

    def clean(self, sentence: str) -> str:
        """`sentence` with the names people gave in place of paths of this machine."""
        for path, label in sorted(self._job.labels.items(), key=lambda pair: -len(pair[0])):
            sentence = sentence.replace(path, label)
        for place in (self._folder.outputs, self._folder.work, self._folder.path, self.home):
            sentence = sentence.replace(f"{place}/", "").replace(str(place), self.title or "the job")
        return sentence
