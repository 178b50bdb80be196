"""`svc import`: a voice of so-vits-svc, RVC or Applio as a voice file of ours."""

from pathlib import Path
from typing import Literal

from svc.cli.console import emit
from svc.cli.options import Json, UsageError, require_exists


def import_voice(
    file: Path,
    *,
    output: Path,
    config: Path | None = None,
    index: Path | None = None,
    content_encoder: str | None = None,
    unvoiced_f0: Literal["filled", "zero"] | None = None,
    sovits_branch: Literal["stable", "latest"] | None = None,
    precision: Literal["fp32", "fp16"] = "fp32",
    json: Json = False,
) -> int:
    """Turn a voice of so-vits-svc 4.x, its fork, RVC or Applio into a voice file.

    Parameters
    ----------
    file
        G_*.pth of so-vits-svc, or the exported .pth of RVC or Applio.
    output
        The voice file to write, ending in .safetensors.
    config
        The config.json of a so-vits-svc voice; by default the one beside the file.
    index
        Its retrieval index (added_*.index of RVC) or clusters (kmeans_*.pt of so-vits-svc), kept beside the voice file.
    content_encoder
        Encoder the voice was trained on, where the file does not say: contentvec768l12, contentvec256l9, hubert_soft,
        hubert_base, chinese_hubert_base, chinese_hubert_large, dphubert, wavlm_base_plus, whisper.
    unvoiced_f0
        F0 the voice gets where nothing is voiced, which files do not tell: by default filled for so-vits-svc, zero for
        RVC; voices of RVC made since 2026 want filled.
    sovits_branch
        Branch of so-vits-svc 4.1 the voice was trained with, which files do not tell and which measure volume
        differently: by default stable (4.1-Stable); latest is 4.1-Latest.
    precision
        fp16 halves the size of the file.
    """
    require_exists(file, "file")
    if index is not None:
        require_exists(index, "index")
    if output.suffix.lower() != ".safetensors":
        raise UsageError(f"'{output}' cannot be the voice file: give it a name that ends in .safetensors.")
    from svc.checkpoint.importers.assembly import Choices
    from svc.checkpoint.importers.opening import import_voice as read
    from svc.checkpoint.voice import save_voice
    from svc.checkpoint.voice_index import adopt_index
    from svc.cli.info import describe_voice, lines

    voice = read(file, config, Choices(content_encoder, unvoiced_f0, sovits_branch))
    save_voice(output, voice, precision)
    result = {"voice": str(output), **describe_voice(voice)}
    if index is not None:
        result["index"] = str(adopt_index(index, voice.spec, output))
    emit(result, json, "\n".join(lines(result)))
    return 0
