"""`svc convert`: songs in, the same songs sung by a voice out."""

from pathlib import Path

from svc.cli.console import emit, failure, say, stage
from svc.cli.options import Device, Json, Options, UsageError, pick_device, voice_file
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
        The voice file, runs/NAME/voice.safetensors; or builtin, the base voice that ships: --speaker names one of its
        singers, --prompt anyone else.
    output
        A file for one input file, else a folder. Running again skips what is done.
    """
    from svc.settings import build

    if not inputs:
        raise UsageError("Nothing to convert: name at least one song, folder or pattern.")
    chosen = build(ConvertOptions, options.model_dump() if options else {}, "the command line")
    voice = voice_file(voice)
    from svc.conversion.batch import convert_many, format_table
    from svc.conversion.converter import Converter

    converter = Converter.load(voice, device=pick_device(device))
    if note := converter.lookup.note(chosen):
        say(note)
    with stage("Converting") as update:
        results = convert_many([str(path) for path in inputs], output, converter, chosen, progress=update)
    failed = [r for r in results if r.status == "failed"]
    for r in failed:
        say(failure(r.source, r.reason))
    emit({"results": [r.to_dict() for r in results]}, json, format_table(results))
    return 1 if failed else 0
