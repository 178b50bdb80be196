"""Training states on disk: written whole or not at all, verified before use.

A state is `state_<step>-<digest>.pt`: `torch.save` of tensors and plain values only, read back with
`weights_only=True`, named after the first 16 hex digits of its SHA-256. The name holds the checksum, so
that one rename publishes both, and a file that was cut short or altered is recognised.
"""

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from svc.errors import CheckpointError

STATE_VERSION = 1
KEPT_STATES = 2
_NAME = re.compile(r"state_(\d{8})-([0-9a-f]{16})\.pt")


@dataclass(frozen=True, order=True)
class StateFile:
    """A training state found on disk: its step, its digest and its path."""

    step: int
    digest: str
    path: Path


class _HashingWriter:
    """A binary file that hashes what is written to it, in order."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def save_state(folder: Path, step: int, state: dict[str, Any], keep: int = KEPT_STATES) -> Path:
    """Write `state` (tensors, numbers, strings, lists, dicts) as the state of `step`; keep the last `keep`.

    The new file is complete on disk before it gets its name, and older ones are removed only afterwards,
    so a process killed at any moment leaves a loadable state. Raises CheckpointError when it cannot be written.
    """
    part = folder / f".state_{step:08d}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            writer: Any = _HashingWriter(file)
            torch.save({"version": STATE_VERSION, "step": step, **state}, writer)
            file.flush()
            os.fsync(file.fileno())
        path = folder / f"state_{step:08d}-{writer.sha256.hexdigest()[:16]}.pt"
        os.replace(part, path)
        _sync_folder(folder)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise CheckpointError(
            f"The training state of step {step} could not be written to {folder} ({error}): "
            "free some disk space and continue with --resume; earlier states are still there."
        ) from error
    _remove_old(folder, path, keep)
    return path


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable (a no-op where folders cannot be opened, as on Windows)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove_old(folder: Path, newest: Path, keep: int) -> None:
    same_step = [s for s in list_states(folder) if s.path.name[:14] == newest.name[:14] and s.path != newest]
    older = [s for s in list_states(folder) if s.path.name[:14] != newest.name[:14]]
    for state in same_step + (older[: max(0, len(older) - (keep - 1))]):
        with contextlib.suppress(OSError):
            state.path.unlink()
    for leftover in folder.glob(".state_*.part"):
        with contextlib.suppress(OSError):
            leftover.unlink()


def list_states(folder: Path) -> list[StateFile]:
    """The training states in `folder`, oldest first; empty when there is no such folder."""
    if not folder.is_dir():
        return []
    found = []
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match:
            found.append(StateFile(int(match[1]), match[2], path))
    return sorted(found)


def load_state(file: StateFile) -> dict[str, Any]:
    """The contents of a state on the CPU. Raises CheckpointError when the file is damaged or of another version."""
    try:
        if _sha256(file.path)[:16] != file.digest:
            raise CheckpointError(f"The training state {file.path} is damaged (its checksum does not fit its name).")
        state = torch.load(file.path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"The training state {file.path} cannot be read ({error}).") from error
    version = state.get("version") if isinstance(state, dict) else None
    if version != STATE_VERSION:
        raise CheckpointError(
            f"The training state {file.path} has version {version}, this program knows {STATE_VERSION}: "
            "continue it with the version of the toolkit that wrote it."
        )
    return state


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def load_latest(folder: Path, previous: bool = False) -> dict[str, Any]:
    """The newest state in `folder`, or the one before it.

    Raises CheckpointError when there is none; when the newest is damaged, the error names it and the step
    of the one before, which is used only when asked for. A state passed over by `previous` is set aside as
    `skipped_*`, so that it neither counts as newest again nor is lost.
    """
    states = list_states(folder)
    if not states:
        raise CheckpointError(f"There is no training state in {folder}: start without --resume, or name another run.")
    if previous:
        return _load_previous(states, folder)
    newest = states[-1]
    try:
        return load_state(newest)
    except CheckpointError as error:
        if len(states) < 2:
            raise CheckpointError(
                f"{error} It is the only one: start a new run; the voices written so far are in {folder.parent}."
            ) from error
        raise CheckpointError(
            f"{error} The one before it is of step {states[-2].step}: continue from there with --resume-previous."
        ) from error


def _load_previous(states: list[StateFile], folder: Path) -> dict[str, Any]:
    if len(states) < 2:
        raise CheckpointError(f"There is no state before {states[-1].path.name} in {folder}: use plain --resume.")
    state = load_state(states[-2])
    os.replace(states[-1].path, folder / f"skipped_{states[-1].path.name}")
    return state
