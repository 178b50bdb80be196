"""Any voice file: ours, or one of another program, told by what it holds and never by its name."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from svc.checkpoint.importers.assembly import USUAL, Choices
from svc.checkpoint.importers.rvc import import_rvc
from svc.checkpoint.importers.sovits import import_sovits
from svc.checkpoint.voice import Voice, load_voice
from svc.errors import CheckpointError
from svc.safe_read import read_torch

_INSTEAD = "convert it with the program that made it, or train a voice from the same recordings"
# First match wins: beginning of a weight's name, what that makes the file, what to do.
REFUSED = (
    ("discriminators.", "a discriminator, not a voice", "choose the G_*.pth beside it"),
    ("denoise_fn.", "a diffusion model, not a voice", "choose the G_*.pth of the voice"),
    ("enc_p_.", "a so-vits-svc 3 voice, which is not supported", _INSTEAD),
    ("text_encoder.", "a so-vits-svc 4.0-v2 voice, which is not supported", _INSTEAD),
    ("posterior_encoder.", "a so-vits-svc 4.0-v2 voice, which is not supported", _INSTEAD),
    ("enc_p.hub.", "a so-vits-svc 5.0 voice, which is not supported", _INSTEAD),
    ("speaker_classifier.", "a so-vits-svc 5.0 voice, which is not supported", _INSTEAD),
    ("dec.mrfs.", "an Applio voice with the MRF HiFi-GAN vocoder, which is not supported", _INSTEAD),
    ("dec.downsample_blocks.", "an Applio voice with the RefineGAN vocoder, which is not supported", _INSTEAD),
    ("dec.subband_conv_post.", "a so-vits-svc-fork voice with the ms-istft decoder, which is not supported", _INSTEAD),
)


def open_voice(path: Path, config: Path | None = None, choices: Choices = USUAL) -> Voice:
    """The voice in the file at `path`, of this program or of another; see `import_voice`."""
    return import_voice(path, config, choices) if is_foreign(path) else load_voice(path)


def is_foreign(path: Path) -> bool:
    """Whether the file begins like one that torch.save wrote, which no voice of ours does."""
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError:
        return False
    return start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[8:9] != b"{")


def import_voice(path: Path, config: Path | None = None, choices: Choices = USUAL) -> Voice:
    """The voice of so-vits-svc 4.x, its fork, RVC or Applio in the file at `path`.

    config: the config.json of a so-vits-svc voice, looked for beside the file when None. Nothing in the file is run.
    Raises CheckpointError in one sentence for files that cannot be used: damaged, incomplete, in disagreement with
    their settings, of a program that is not supported, or no voice at all.
    """
    path = Path(path)
    file = read_torch(path, stand_ins=(), allow=_allowed())
    if not isinstance(file, dict):
        raise CheckpointError(f"{path} is not a voice: choose the G_*.pth or exported .pth file of one.")
    weights = file.get("weight", file.get("model", file.get("model_g", file)))
    _refuse_known(path, file, weights)
    if ("weight" in file and "config" in file) or _has(weights, "enc_p.emb_phone."):
        voice = import_rvc(path, file, choices)
    elif _has(weights, "pre.") and _has(weights, "enc_p.f0_emb."):
        voice = import_sovits(path, file, config, choices)
    else:
        raise CheckpointError(
            f"{path} holds weights of no kind this program knows: choose the G_*.pth of a so-vits-svc 4 voice with its "
            "config.json, or the exported .pth of an RVC voice."
        )
    voice.provenance |= {"imported_from": path.name, "sha256": _sha256(path)}
    return voice


def _allowed() -> list[Any]:
    """Harmless names that ddPn08's files ask for."""
    from collections import OrderedDict

    return [(OrderedDict, "typing.OrderedDict")]


def _has(weights: Any, prefix: str) -> bool:
    return isinstance(weights, Mapping) and any(isinstance(name, str) and name.startswith(prefix) for name in weights)


def _refuse_known(path: Path, file: dict[str, Any], weights: Any) -> None:
    for prefix, what, instead in REFUSED:
        if _has(weights, prefix):
            raise CheckpointError(f"{path} is {what}: {instead}.")
    vocoder = file.get("vocoder", "HiFi-GAN")
    if vocoder != "HiFi-GAN":
        raise CheckpointError(
            f"{path} is an Applio voice with the vocoder '{vocoder}', which is not supported: {_INSTEAD}."
        )
    if "model_g" in file:
        raise CheckpointError(f"{path} is a so-vits-svc 5.0 voice, which is not supported: {_INSTEAD}.")
    if not isinstance(weights, Mapping):
        raise CheckpointError(f"{path} is not a voice: choose the G_*.pth or exported .pth file of one.")


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        total = hashlib.sha256()
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()
