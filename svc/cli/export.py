"""`svc export`: a voice in the layout of another program."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from svc.cli.console import emit, say
from svc.cli.options import Json, UsageError, voice_file


def export(
    voice: Path,
    *,
    layout: Annotated[Literal["sovits", "rvc"], Parameter(name="--format")],
    output: Path,
    precision: Literal["auto", "fp32", "fp16"] = "auto",
    json: Json = False,
) -> int:
    """Write a voice for so-vits-svc 4.1 (G_*.pth and config.json) or RVC v2 (a .pth file for users).

    Parameters
    ----------
    voice
        The voice file, also one of so-vits-svc or RVC. It must have the shape of the program's voices, as imported
        ones have; others are refused.
    layout
        sovits or rvc.
    output
        A new folder for sovits, a file ending in .pth for rvc.
    precision
        auto keeps every bit, fp16 halves the size.
    """
    voice = voice_file(voice)
    if layout == "rvc" and output.suffix.lower() != ".pth":
        raise UsageError(f"'{output}' cannot be the RVC voice: give it a name that ends in .pth.")
    if output.exists() and output.samefile(voice):
        raise UsageError(f"{output} is the voice itself: choose another output, so that nothing is lost.")
    from svc.checkpoint.exporters.writing import export_voice
    from svc.checkpoint.importers.opening import open_voice

    made = export_voice(open_voice(voice), layout, output, precision)
    for note in made.notes:
        say(f"Note: {note}")
    files = [str(path) for path in made.files]
    emit({"files": files, "precision": made.precision, "notes": made.notes}, json, "\n".join(files))
    return 0
