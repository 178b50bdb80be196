"""`svc separate`: songs to vocals and accompaniment."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from svc.cli.console import emit, failure, say, stage
from svc.cli.options import Device, Json, UsageError, pick_device
from svc.registry import SEPARATORS

Method = Annotated[str, Parameter(help=f"One of: {', '.join(SEPARATORS.names())}.")]


def separate(
    *inputs: Path,
    output: Path,
    method: Method = "spleeter",
    format: Literal["wav", "flac"] = "wav",
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Take songs apart into vocals and accompaniment; the two sum to the input.

    Parameters
    ----------
    inputs
        Songs or folders of songs.
    output
        Folder for vocals/NAME.wav and accompaniment/NAME.wav, the inputs' tree mirrored. Running again skips what
        is done.
    format
        wav is 32-bit float and sums to the input exactly; flac is smaller.
    """
    if not inputs:
        raise UsageError("Nothing to separate: name at least one song or folder.")
    from svc.separation.folder import separate_files

    say(f"{method}: {SEPARATORS.load(method).quality_note}")
    with stage("Separating") as update:
        chosen = pick_device(device)
        results = separate_files(inputs, output, method, device=chosen, progress=update, file_format=format)
    for r in results:
        if not r.ok:
            say(failure(r.path, r.reason))
        elif r.reason:
            say(f"Note: {r.path}: {r.reason}")
    emit({"method": method, "results": [_plain(r) for r in results]}, json, _table(results))
    return 0 if all(r.ok for r in results) else 1


def _status(result: Any) -> str:
    return "failed" if not result.ok else "skipped" if result.skipped else "done"


def _plain(result: Any) -> dict[str, Any]:
    return {
        "source": str(result.path),
        "status": _status(result),
        "reason": result.reason,
        "vocals": str(result.vocals) if result.vocals else None,
        "accompaniment": str(result.accompaniment) if result.accompaniment else None,
    }


def _table(results: list[Any]) -> str:
    """One line per song: its state, and both stems or the reason; then the counts."""
    lines = []
    for r in results:
        lines.append(f"{_status(r):<8}{r.path}  {f'{r.vocals}, {r.accompaniment}' if r.ok else r.reason}")
    states = [_status(r) for r in results]
    return "\n".join([*lines, ", ".join(f"{states.count(s)} {s}" for s in ("done", "skipped", "failed"))])
