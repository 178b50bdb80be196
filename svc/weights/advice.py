"""The command that brings a missing weight file, for the sentence that says it is missing."""

from collections.abc import Sequence

from svc.weights.catalogue import catalogue
from svc.weights.entry import WeightEntry


def get_line(file_names: Sequence[str], name: str = "") -> str:
    """The `svc weights get` line for a file or folder called one of `file_names`, or for the entry `name`.

    An entry with a download is preferred; without one the command says where people get the file. "" for a file
    that no entry lists.
    """
    fitting = _entries(file_names, name)
    loadable = [entry for entry in fitting if any(file.sources for file in entry.files)]
    if loadable:
        return f"run  svc weights get {loadable[0].name}  or "
    return f"see  svc weights get {fitting[0].name}  and " if fitting else ""


def source_of(file_names: Sequence[str]) -> str:
    """Where people have a file called one of `file_names` from, as " (from ...)"; "" where that is not known."""
    origins = [entry.origin for entry in _entries(file_names, "") if entry.origin]
    return f" (from {origins[0]})" if origins else ""


def _entries(file_names: Sequence[str], name: str) -> list[WeightEntry]:
    return [
        entry
        for entry in catalogue()
        if entry.name == name or any(file.path.split("/")[0] in file_names for file in entry.files)
    ]
