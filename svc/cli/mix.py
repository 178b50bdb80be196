"""`svc mix`: voices of one family as one voice."""

from pathlib import Path

from svc.cli.console import emit
from svc.cli.options import Json, UsageError, voice_file


def mix(
    *voices: Path,
    output: Path,
    weights: tuple[float, ...] = (),
    json: Json = False,
) -> int:
    """Mix voices that were trained from one base into one, which sounds in between.

    Parameters
    ----------
    voices
        The voice files, two or more, with the same model settings and features.
    output
        The voice file to write, ending in .safetensors.
    weights
        One weight for each voice, such as 0.3 0.7; alike when left out.
    """
    if len(voices) < 2:
        raise UsageError("A mix needs two voices or more.")
    if weights and len(weights) != len(voices):
        raise UsageError(f"--weights has {len(weights)} numbers for {len(voices)} voices: give one for each.")
    if output.suffix.lower() != ".safetensors":
        raise UsageError(f"'{output}' cannot be the voice file: give it a name that ends in .safetensors.")
    from svc.checkpoint.importers.opening import open_voice
    from svc.checkpoint.operations import mix_voices
    from svc.checkpoint.voice import save_voice

    opened = [open_voice(voice_file(path)) for path in voices]
    mixed = mix_voices(opened, list(weights) or [1.0] * len(voices), [str(path) for path in voices])
    save_voice(output, mixed)
    names = [speaker.name for speaker in mixed.speakers]
    result = {"voice": str(output), "speakers": names, "mixed_from": mixed.provenance["mixed_from"]}
    parts = ", ".join(f"{part['weight']:.0%} {part['file']}" for part in mixed.provenance["mixed_from"])
    emit(result, json, f"{parts} -> {output}")
    return 0
