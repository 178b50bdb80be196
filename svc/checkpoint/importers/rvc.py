"""Voices of RVC v1 and v2, of Applio and of ddPn08's variant: exported user files, and G_*.pth of training."""

import math
from pathlib import Path
from typing import Any

from svc.checkpoint.importers.assembly import (
    UNVOICED_RULES,
    USUAL,
    Choices,
    Sound,
    assemble,
    require_encoder,
    unvoiced_note,
)
from svc.checkpoint.importers.keys import rvc_state
from svc.checkpoint.importers.structure import Comparison, Structure, Weights, check_copies, read_structure
from svc.checkpoint.voice import Voice
from svc.errors import CheckpointError

# The files call RVC's "hubert_base.pt", which is ContentVec, by these names.
CONTENTVEC_NAMES = ("contentvec", "hubert_base", "hubert-base")
VERSION_DIMS = {"v1": 256, "v2": 768}
# Applio's other embedder that is known here, with 768 values of layer 12.
EMBEDDERS = {"chinese-hubert-base": "chinese_hubert_base"}
DEFAULT_ENCODERS = {256: "contentvec256l9", 768: "contentvec768l12"}
FRAME_RATE = 100
RATES = {"32k": 32_000, "40k": 40_000, "48k": 48_000}
SETTINGS_NAMES = (
    "spec_channels",
    "segment_size",
    "inter_channels",
    "hidden_channels",
    "filter_channels",
    "n_heads",
    "n_layers",
    "kernel_size",
    "p_dropout",
    "resblock",
    "resblock_kernel_sizes",
    "resblock_dilation_sizes",
    "upsample_rates",
    "upsample_initial_channel",
    "upsample_kernel_sizes",
    "spk_embed_dim",
    "gin_channels",
)
# Training files lack settings: the published shapes (upsampling kernels and rates, rate in Hz, spectrogram bins).
PUBLISHED = (
    ((16, 16, 4, 4, 4), (10, 4, 2, 2, 2), 32_000, 513),
    ((16, 16, 4, 4), (10, 10, 2, 2), 40_000, 1025),
    ((16, 16, 4, 4, 4), (10, 6, 2, 2, 2), 48_000, 1025),
    ((20, 16, 4, 4), (10, 8, 2, 2), 32_000, 513),
    ((24, 20, 4, 4), (12, 10, 2, 2), 48_000, 1025),
)
DILATIONS = ((1, 3, 5), (1, 3, 5), (1, 3, 5))


def import_rvc(
    path: Path,
    file: dict[str, Any],
    choices: Choices = USUAL,
) -> Voice:
    """The voice in `file`, what safe_read.read_torch found at `path`: with "weight" and "config", or with "model".

    choices: the content encoder is ContentVec by default unless the file names another; F0 in unvoiced frames is zero
    by default, since most voices were made by programs with that rule. Raises CheckpointError in one sentence for what
    is missing, disagrees or is unsupported.
    """
    exported = "weight" in file
    weights = Weights(path, file["weight"] if exported else file.get("model"))
    with_f0 = weights.has("enc_p.emb_pitch.")
    if with_f0 != weights.has("dec.m_source."):
        odd = "a pitch table but no harmonic source" if with_f0 else "a harmonic source but no pitch table"
        raise CheckpointError(f"{path} has {odd}: get the file again from its source.")
    structure = read_structure(weights, "enc_p.emb_phone", 2, "enc_p.encoder")
    check_copies(weights)
    told = _told(path, file) if exported else _published(path, structure)
    _compare(path, file, structure, told)
    encoder = choices.content_encoder or _encoder(path, file, structure)
    require_encoder(path, encoder, structure)
    rates = tuple(told["upsample_rates"])
    unvoiced = choices.unvoiced_f0 or "zero"
    fields = {
        **structure.model_settings(),
        "dropout": float(told["p_dropout"]),
        "predict_f0": False,
        "upsample_rates": rates,
        "resblock_dilations": told["resblock_dilation_sizes"],
        "unvoiced_f0": UNVOICED_RULES[unvoiced],
        "pitch_input": "binned" if with_f0 else "none",
        "loudness_input": "none",
        "voicing_input": False,
        "prior_scaled_input": True,
        "decoder_plain_ends": True,
    }
    sound = Sound(
        sample_rate=told["sample_rate"],
        hop_length=math.prod(rates),
        n_fft=2 * (told["spec_channels"] - 1),
        content_encoder=encoder,
        content_dim=structure.content_dim,
        content_alignment="repeat",
        n_mels=125 if told["sample_rate"] == 40_000 else 128 if told["sample_rate"] == 48_000 else 80,
    )
    state = rvc_state(weights.state, len(structure.resblock_kernel_sizes))
    names = _names(path, file, structure.speakers)
    assumed = {"F0 in unvoiced frames": unvoiced_note(unvoiced)}
    if file.get("embedder_model") is None and file.get("embedder_name") is None:
        assumed["content encoder"] = f"{encoder}; change it with svc import --content-encoder"
    return assemble(path, fields, sound, names, state, _provenance(file) | {"not in the file": assumed})


def _told(path: Path, file: dict[str, Any]) -> dict[str, Any]:
    """The settings of an exported file under their names; it has 18, or 19 with the width of the content."""
    config = file.get("config")
    if not isinstance(config, (list, tuple)) or len(config) not in (18, 19):
        raise CheckpointError(f"{path} has no list of 18 or 19 settings: export the voice again.")
    told: dict[str, Any] = dict(zip(SETTINGS_NAMES, config))
    told["emb_channels"] = config[17] if len(config) == 19 else None
    told["sample_rate"] = config[-1]
    lists = ("upsample_rates", "upsample_kernel_sizes", "resblock_kernel_sizes", "resblock_dilation_sizes")
    bad = [name for name in lists if not isinstance(told[name], (list, tuple)) or not told[name]]
    bad += [name for name in ("spec_channels", "sample_rate") if type(told[name]) is not int]
    bad += [] if isinstance(told["p_dropout"], (int, float)) else ["p_dropout"]
    if not bad and not all(type(rate) is int and 1 <= rate <= 512 for rate in told["upsample_rates"]):
        bad.append("upsample_rates")
    if bad:
        raise CheckpointError(f"{path} has an unusable setting {bad[0]} ({told[bad[0]]!r}): export the voice again.")
    if str(told["resblock"]) != "1":
        raise CheckpointError(f"{path} has resblocks of type {told['resblock']}, which are not supported.")
    return told


def _published(path: Path, found: Structure) -> dict[str, Any]:
    """Settings of a training file, from the published shape it has."""
    known = [
        (rates, rate)
        for kernels, rates, rate, bins in PUBLISHED
        if (kernels, bins) == (found.upsample_kernel_sizes, found.spectrogram_bins)
        and found.upsample_tail in (None, rates[1:])
    ]
    if len(known) != 1:
        raise CheckpointError(
            f"{path} is an RVC training file of a shape that was never published, and tells no sample rate: "
            "export the voice with the program that trained it, and import that file."
        )
    rates, rate = known[0]
    return {
        "spec_channels": found.spectrogram_bins,
        "p_dropout": 0.0,
        "resblock_dilation_sizes": DILATIONS,
        "upsample_rates": rates,
        "sample_rate": rate,
    }


def _compare(path: Path, file: dict[str, Any], found: Structure, told: dict[str, Any]) -> None:
    both = Comparison(f"The weights of {path}", "its settings")
    for name, value in (
        ("inter_channels", found.inter_channels),
        ("hidden_channels", found.hidden_channels),
        ("filter_channels", found.filter_channels),
        ("n_heads", found.prior_heads),
        ("n_layers", found.prior_layers),
        ("kernel_size", found.prior_kernel_size),
        ("gin_channels", found.speaker_channels),
        ("upsample_initial_channel", found.decoder_channels),
        ("upsample_kernel_sizes", found.upsample_kernel_sizes),
        ("resblock_kernel_sizes", found.resblock_kernel_sizes),
        ("emb_channels", found.content_dim),
    ):
        both.check(name, value, told.get(name))
    if found.upsample_tail is not None:
        both.check("upsample_rates after the first", found.upsample_tail, told["upsample_rates"][1:])
    lengths = [len(item) if isinstance(item, (list, tuple)) else 0 for item in told["resblock_dilation_sizes"]]
    both.check("convolutions per resblock", [found.resblock_convolutions] * len(found.resblock_kernel_sizes), lengths)
    if found.spectrogram_bins is not None:
        both.check("spec_channels", found.spectrogram_bins, told["spec_channels"])
    if "weight" in file:
        both.check("f0", found.source_harmonics is not None, bool(file.get("f0", 1)))
        version = file.get("version", "v1")
        # ddPn08's files carry the width apart from the version.
        if told.get("emb_channels") is None and version in VERSION_DIMS:
            both.check(f"content values of version {version}", found.content_dim, VERSION_DIMS[version])
    both.finish()
    hop = math.prod(told["upsample_rates"])
    if hop * FRAME_RATE != told["sample_rate"]:
        raise CheckpointError(
            f"The weights of {path} make {hop} samples of each 10 ms frame (upsample_rates "
            f"{list(told['upsample_rates'])}), and its settings say {told['sample_rate']} Hz: export the voice again."
        )
    rate = file.get("sr")
    rate = RATES.get(rate) if isinstance(rate, str) else rate
    if rate is not None and rate != told["sample_rate"]:
        raise CheckpointError(
            f"{path} says sr {file['sr']} and {told['sample_rate']} Hz in its list of settings: export the voice again."
        )


def _encoder(path: Path, file: dict[str, Any], found: Structure) -> str:
    """ContentVec of the width the weights read, unless the file names another embedder."""
    told = file.get("embedder_model") or file.get("embedder_name")
    layer = file.get("embedder_output_layer")
    default = DEFAULT_ENCODERS.get(found.content_dim)
    if str(told) in EMBEDDERS and found.content_dim == 768 and layer in (None, 12):
        return EMBEDDERS[str(told)]
    known = told is None or str(told).removesuffix("768") in CONTENTVEC_NAMES
    if default is None or not known or layer not in (None, 9 if found.content_dim == 256 else 12):
        raise CheckpointError(
            f"{path} was trained on the embedder '{told}' (layer {layer or 'not told'}, {found.content_dim} values), "
            "which is not supported for imported voices: convert it with the program that made it, "
            "or name an encoder with  svc import --content-encoder."
        )
    return default


def _names(path: Path, file: dict[str, Any], speakers: int) -> list[str]:
    """The first row is the voice, called like its file; further rows are those of the file's table, or numbers."""
    names = [str(file.get("model_name") or path.stem), *(f"speaker {i}" for i in range(1, speakers))]
    table = file.get("speaker_info")
    for number, name in table.items() if isinstance(table, dict) else ():
        if not str(number).isdigit() or int(number) >= speakers:
            raise CheckpointError(
                f"{path} names a speaker {number} ('{name}'), but holds {speakers} speakers: export the voice again."
            )
        names[int(number)] = str(name)
    return names


def _provenance(file: dict[str, Any]) -> dict[str, Any]:
    program = "RVC training file" if "weight" not in file else f"RVC {file.get('version', 'v1')}"
    if "embedder_model" in file or "vocoder" in file:
        program = f"Applio {file.get('version', 'v1')}"
    elif "embedder_name" in file:
        program = f"rvc-webui (ddPn08) {file.get('version', 'v1')}"
    kept = ("info", "epoch", "step", "creation_date", "author", "dataset_length", "embedder_model", "embedder_name")
    facts = {name: file[name] for name in kept if isinstance(file.get(name), (str, int, float))}
    return {"program": program, **facts}
