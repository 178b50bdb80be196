"""Songs to vocals and accompaniment; what is done is kept over pauses."""

from pathlib import Path
from typing import Any

from svc.errors import SvcError
from svc.interface.jobs.context import JobContext
from svc.interface.kinds.gathering import link, link_songs

STEMS = ("vocals", "accompaniment")


def separate(context: JobContext) -> dict[str, Any]:
    """Inputs "song-000" ...; settings "method", "model" (a name, or None), "format" (wav or flac).

    Makes outputs/vocals/NAME.<format> and outputs/accompaniment/NAME.<format>. Returns "files": for each song its name,
    state ("done" or "failed"), reason, and the names of both outputs. Raises SvcError when not one could be separated.
    """
    from svc.conversion.converter import resolve_device
    from svc.separation.choosing import choose
    from svc.separation.folder import separate_files

    device = resolve_device(context.device)
    songs = link_songs(context, context.work / "songs")
    if not songs:
        raise SvcError("There is nothing to separate: add some songs.")
    choice = choose(context.settings["method"], context.settings.get("model"))
    context.stage("separation")
    results = separate_files(
        list(songs), context.work / "stems", choice, device, context.progress, context.settings.get("format", "wav")
    )
    files = []
    for result in results:
        name = songs[result.path]
        entry: dict[str, Any] = {"name": name, "state": "done" if result.ok else "failed"}
        entry["reason"] = context.clean(result.reason.replace(str(result.path), name))
        for stem, path in zip(STEMS, (result.vocals, result.accompaniment)):
            if result.ok and path is not None:
                output = f"{stem}/{path.name}"
                link(path, context.outputs / output)
                entry[stem] = output
        files.append(entry)
    if not any(entry["state"] == "done" for entry in files):
        raise SvcError(str(files[0]["reason"]))
    return {"files": files, "method": str(choice.method), "models": [Path(path).name for path in choice.files]}
