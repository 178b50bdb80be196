"""What a person sees on stderr while a command works, and JSON on stdout."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def say(text: str) -> None:
    """One line for a person, on stderr."""
    print(text, file=sys.stderr, flush=True)


def failure(source: Path, reason: str) -> str:
    """The line for something that failed: the reason, with the file in front where it is not named in it."""
    return f"Failed: {reason}" if str(source) in reason else f"Failed: {source}: {reason}"


def emit(result: dict[str, Any], as_json: bool, text: str) -> None:
    """The result on stdout: as JSON, or as text for a person."""
    print(json.dumps(result, ensure_ascii=False, indent=2, default=str) if as_json else text, flush=True)


@contextmanager
def stage(title: str) -> Iterator[Callable[..., None]]:
    """A progress bar for one stage; yields `update(fraction, note="")`.

    Without a terminal it prints a line at the start, at each quarter and at the end.
    """
    if not sys.stderr.isatty():
        yield from _plain_stage(title)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as bars:
        task = bars.add_task(title, total=1.0, note="")

        def update(fraction: float, note: str = "") -> None:
            bars.update(task, completed=min(1.0, fraction), note=note)

        yield update
        bars.update(task, completed=1.0)


def _plain_stage(title: str) -> Iterator[Callable[..., None]]:
    start, shown = time.monotonic(), 0
    say(f"{title} ...")

    def update(fraction: float, note: str = "") -> None:
        nonlocal shown
        quarter = int(min(1.0, fraction) * 4)
        if quarter > shown:
            shown = quarter
            if quarter < 4:
                say(f"{title} {25 * quarter} %  {note}".rstrip())

    yield update
    say(f"{title} done in {time.monotonic() - start:.0f} s")
