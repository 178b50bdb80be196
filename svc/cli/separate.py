"""`svc separate`: songs to vocals and accompaniment."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from svc.cli.console import emit, failure, say, stage
from svc.cli.options import Device, Json, UsageError, pick_device
from svc.registry import DEFAULT_SEPARATOR, SEPARATORS

Method = Annotated[
    str | None,
    Parameter(help=f"One of: {', '.join(SEPARATORS.names())}. Default: the model's, else {DEFAULT_SEPARATOR}."),
]
Model = Annotated[
    str | None,
    Parameter(help="A model file, a name of `svc weights list`, or the name of a file in pretrain/METHOD/."),
]


def separate(
    *inputs: Path,
    output: Path,
    method: Method = None,
    model: Model = None,
    format: Literal["wav", "flac"] = "wav",
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Take songs apart into vocals and accompaniment; the two sum to the input.

    A model that parts the lead from backing vocals, or a voice from noise or reverberation, writes what is wanted as
    vocals and the rest as accompaniment.

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
    from svc.separation.choosing import choose
    from svc.separation.folder import separate_files

    chosen = choose(method or DEFAULT_SEPARATOR, model)
    say(f"{chosen}: {SEPARATORS.load(chosen.method).quality_note.partition(': ')[2]}")
    with stage("Separating") as update:
        results = separate_files(inputs, output, chosen, pick_device(device), progress=update, file_format=format)
    for r in results:
        if not r.ok:
            say(failure(r.path, r.reason))
        elif r.reason:
            say(f"Note: {r.path}: {r.reason}")
    files = [str(path) for path in chosen.files]
    result = {"method": chosen.method, "models": files, "results": [_plain(r) for r in results]}
    emit(result, json, _table(results))
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
