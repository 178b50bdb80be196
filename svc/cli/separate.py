"""`svc separate`: songs to vocals and accompaniment."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from svc.cli.console import emit, say, stage
from svc.cli.options import Device, Json, pick_device
from svc.registry import SEPARATORS

Method = Annotated[str, Parameter(help=f"One of: {', '.join(SEPARATORS.names())}.")]


def separate(
    *inputs: Path, output: Path, method: Method = "spleeter", device: Device = "auto", json: Json = False
) -> int:
    """Take songs apart into vocals and accompaniment; the two sum to the input.

    Parameters
    ----------
    inputs
        Songs or folders of songs.
    output
        Folder for NAME.vocals.wav and NAME.accompaniment.wav. Running again skips what is done.
    """
    from svc.errors import SvcError
    from svc.separation.folder import separate_files

    if not inputs:
        raise SvcError("Nothing to separate: name at least one song or folder.")
    say(f"{method}: {SEPARATORS.load(method).quality_note}")
    with stage("Separating") as update:
        results = separate_files(list(inputs), output, method, device=pick_device(device), progress=update)
    failed = [r for r in results if not r.ok]
    for r in failed:
        say(f"Failed: {r.source}: {r.reason}")
    emit({"results": [r.to_dict() for r in results]}, json, "\n".join(f"ok  {r.vocals}" for r in results if r.ok))
    return 1 if failed else 0
