"""`svc convert`: songs in, the same songs sung by a voice out."""

from pathlib import Path

from svc.cli.console import emit, say, stage
from svc.cli.options import Device, Json, Options, pick_device, require_exists
from svc.config import ConvertOptions


def convert(
    *inputs: Path,
    voice: Path,
    output: Path,
    device: Device = "auto",
    json: Json = False,
    options: Options | None = None,
) -> int:
    """Convert songs: files, folders (their tree is mirrored) or patterns such as 'songs/*.mp3'.

    Parameters
    ----------
    inputs
        What to convert.
    voice
        The voice file, runs/NAME/voice.safetensors.
    output
        A file for one input file, else a folder. Running again skips what is done.
    """
    from svc.config import build
    from svc.conversion.batch import convert_many
    from svc.conversion.converter import Converter
    from svc.errors import SvcError

    if not inputs:
        raise SvcError("Nothing to convert: name at least one song, folder or pattern.")
    chosen = build(ConvertOptions, options.model_dump() if options else {}, "the command line")
    require_exists(voice, "voice file")
    converter = Converter.load(voice, device=pick_device(device))
    with stage("Converting") as update:
        results = convert_many([str(path) for path in inputs], output, converter, chosen, progress=update)
    failed = [r for r in results if r.status == "failed"]
    for r in failed:
        say(f"Failed: {r.source}: {r.reason}")
    lines = [f"{r.status:<8} {r.output}" for r in results if r.status != "failed"]
    emit({"results": [r.to_dict() for r in results]}, json, "\n".join(lines))
    return 1 if failed else 0
