"""`svc compress`: a smaller voice file."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from svc.cli.console import emit
from svc.cli.options import Json, UsageError, voice_file


def compress(
    voice: Path,
    *,
    output: Path,
    precision: Literal["fp32", "fp16"] = "fp16",
    keep_training_parts: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Write a voice in half precision and without what only training needs; it converts as before.

    Parameters
    ----------
    voice
        The voice file, also one of so-vits-svc or RVC.
    output
        The voice file to write, ending in .safetensors.
    precision
        fp16 halves the size, fp32 keeps every bit.
    keep_training_parts
        Keep the posterior encoder, so that the voice can still be a --base of training.
    """
    voice = voice_file(voice)
    if output.suffix.lower() != ".safetensors":
        raise UsageError(f"'{output}' cannot be the voice file: give it a name that ends in .safetensors.")
    if output.exists() and output.samefile(voice):
        raise UsageError(f"{output} is the voice itself: choose another output, so that nothing is lost.")
    from svc.checkpoint.importers.opening import open_voice
    from svc.checkpoint.operations import compressed
    from svc.checkpoint.voice import save_voice

    small = compressed(open_voice(voice), keep_training_parts, precision)
    save_voice(output, small, precision, keep_training_parts)
    sizes = voice.stat().st_size, output.stat().st_size
    result = {"voice": str(output), "bytes": sizes[1], "bytes_before": sizes[0], "trainable": small.has_training_parts}
    trainable = "can be trained further" if small.has_training_parts else "converts, but cannot be a base of training"
    emit(result, json, f"{sizes[0] / 1e6:.1f} MB -> {sizes[1] / 1e6:.1f} MB, {trainable}: {output}")
    return 0
