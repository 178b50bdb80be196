"""How long work tells its caller how far it is."""

from collections.abc import Callable

Progress = Callable[[float], None]
"""Called with the share that is done, 0..1."""


def part(progress: Progress | None, start: float, share: float) -> Progress | None:
    """A Progress for one part of the work, which begins at `start` and is `share` of the whole."""
    if progress is None:
        return None
    return lambda done: progress(start + share * done)
