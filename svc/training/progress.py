"""What a training run tells its caller. The library prints nothing; the command line and the page render these."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

MessageSink = Callable[[str], None]
"""Receives whole sentences for the user."""


class TrainProgress(Protocol):
    """Receives the state of a run every `train.log_every` steps."""

    def update(
        self, step: int, total: int, losses: dict[str, float], steps_per_second: float, seconds_left: float
    ) -> None:
        """Step `step` of `total` is done; losses by name since the last call; `seconds_left` of the whole run."""


class NoProgress:
    """Shows nothing."""

    def update(
        self, step: int, total: int, losses: dict[str, float], steps_per_second: float, seconds_left: float
    ) -> None:
        """Ignore the report."""


def ignore(_message: str) -> None:
    """A MessageSink that drops the sentence."""


class Clock:
    """Steps per second, and the share of time spent waiting for data, between two logs."""

    def __init__(self, step: int) -> None:
        self._step = step
        self._since = time.monotonic()
        self._waited = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside as waiting for data."""
        begin = time.monotonic()
        yield
        self._waited += time.monotonic() - begin

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time inside at all."""
        begin = time.monotonic()
        yield
        self._since += time.monotonic() - begin

    def lap(self, step: int) -> tuple[float, float]:
        """Steps per second and waiting share since the last lap, `step` being done now."""
        now = time.monotonic()
        seconds = max(now - self._since, 1e-9)
        result = (step - self._step) / seconds, self._waited / seconds
        self._step, self._since, self._waited = step, now, 0.0
        return result
