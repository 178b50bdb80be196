"""How long work tells its caller how far it is, and how messages name many things."""

from collections.abc import Callable

Progress = Callable[[float], None]
"""Called with the share that is done, 0..1."""


def part(progress: Progress | None, start: float, share: float) -> Progress | None:
    """A Progress for one part of the work, which begins at `start` and is `share` of the whole."""
    if progress is None:
        return None
    return lambda done: progress(start + share * done)


def some(names: list[str], most: int = 5) -> str:
    """The first `most` names for a sentence, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
