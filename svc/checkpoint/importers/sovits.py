"""Voices of so-vits-svc 4.0 and 4.1 and of so-vits-svc-fork: a G_*.pth file and its config.json."""

import json
import math
from pathlib import Path
from typing import Any

from svc.checkpoint.importers.assembly import (
    UNVOICED_RULES,
    USUAL,
    Choices,
    Sound,
    UnvoicedF0,
    assemble,
    require_encoder,
    unvoiced_note,
)
from svc.checkpoint.importers.keys import sovits_state
from svc.checkpoint.importers.structure import (
    Comparison,
    Structure,
    Weights,
    check_copies,
    check_filters,
    read_structure,
)
from svc.checkpoint.voice import Voice
from svc.errors import CheckpointError

SPEECH_ENCODERS = {
    "vec768l12": "contentvec768l12",
    "vec256l9": "contentvec256l9",
    "hubertsoft": "hubert_soft",
    "cnhubertlarge": "chinese_hubert_large",
    "dphubert": "dphubert",
    "wavlmbase+": "wavlm_base_plus",
    "whisper-ppg": "whisper",
}
# Further names of the same networks: in another container, and Whisper in its large size.
OTHER_NAMES = {
    "vec768l12-onnx": "vec768l12",
    "vec256l9-onnx": "vec256l9",
    "hubertsoft-onnx": "hubertsoft",
    "whisper-ppg-large": "whisper-ppg",
}
LARGEST_CONFIG = 4_000_000


def import_sovits(
    path: Path,
    file: dict[str, Any],
    config: Path | None = None,
    choices: Choices = USUAL,
) -> Voice:
    """The voice in `file`, what safe_read.read_torch found at `path`.

    config: its config.json, looked for beside it when None. choices: the content encoder overrides what the
    settings say; F0 in unvoiced frames is filled by default, and the branch 4.1-Stable.
    Raises CheckpointError in one sentence for what is missing, disagrees or is not supported.
    """
    weights = Weights(path, file.get("model"))
    if "emb_g.weight" not in weights and not choices.without_speakers:
        raise CheckpointError(
            f"{path} is a pretrained base without speakers, not a voice: choose the G_*.pth of a trained voice, or "
            "train one from this base (svc train --base)."
        )
    settings_path = config or path.with_name("config.json")
    settings = read_settings(settings_path, path)
    model, data = settings["model"], settings["data"]
    structure = read_structure(weights, "pre", 3, "enc_p.enc_")
    check_copies(weights)
    check_filters(weights)
    _refuse_variants(path, weights, model)
    _compare(path, settings_path, weights, structure, settings)
    rates = tuple(model["upsample_rates"])
    program = _program(model, data)
    with_volume, latest = "emb_vol.weight" in weights, choices.branch == "latest"
    encoder = choices.content_encoder or _encoder(path, program, structure, model, data)
    require_encoder(path, encoder, structure)
    unvoiced = choices.unvoiced_f0 or "filled"
    fields = {
        **structure.model_settings(),
        "dropout": float(model.get("p_dropout", 0.1)),
        "predict_f0": structure.f0_predictor_layers > 0,
        "upsample_rates": rates,
        "resblock_dilations": model["resblock_dilation_sizes"],
        "unvoiced_f0": UNVOICED_RULES[unvoiced],
        "pitch_input": "binned_41" if program == "so-vits-svc 4.1" else "binned",
        "loudness_input": "rms" if with_volume else "none",
        "source_noise": not latest,
    }
    sound = Sound(
        sample_rate=int(data["sampling_rate"]),
        hop_length=math.prod(rates),
        n_fft=int(data["filter_length"]),
        content_encoder=encoder,
        content_dim=structure.content_dim,
        content_alignment=_alignment(settings_path, program, data),
        loudness_window="fft" if not with_volume else "hop" if latest else "hop_start",
        n_mels=int(data.get("n_mel_channels") or 80),
        mel_fmin_hz=float(data.get("mel_fmin") or 0.0),
        mel_fmax_hz=float(data["mel_fmax"]) if data.get("mel_fmax") else None,
    )
    provenance = {
        "program": program,
        "content_expansion": sound.content_alignment,
        "not in the file": _not_recorded(program, unvoiced, latest, encoder),
        "epochs": file["iteration"] if type(file.get("iteration")) is int else None,
    }
    state = sovits_state(weights.state, len(structure.resblock_kernel_sizes))
    names = _names(path, settings_path, settings, structure.speakers) if structure.speakers else ["base"]
    return assemble(path, fields, sound, names, state, provenance)


def read_settings(config: Path, path: Path) -> dict[str, Any]:
    """The settings in `config`, with dicts under "model" and "data"; CheckpointError if it is no such file."""
    if not config.is_file():
        raise CheckpointError(
            f"{path} needs the config.json it was trained with, and there is no {config}: "
            "put it beside the file, or name it with  svc import FILE --config."
        )
    try:
        if config.stat().st_size > LARGEST_CONFIG:
            raise ValueError("too large")
        settings = json.loads(config.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{config} is not readable JSON: name the config.json of this voice.") from error
    if not isinstance(settings, dict) or not all(isinstance(settings.get(part), dict) for part in ("model", "data")):
        raise CheckpointError(f"{config} has no 'model' and 'data' settings: name the config.json of this voice.")
    for part, name, kind in (
        ("model", "upsample_rates", list),
        ("model", "resblock_dilation_sizes", list),
        ("data", "sampling_rate", int),
        ("data", "filter_length", int),
        ("data", "hop_length", int),
    ):
        if not isinstance(settings[part].get(name), kind) or not settings[part][name]:
            raise CheckpointError(f"{config} lacks {part}.{name}: name the config.json the voice was trained with.")
    for part, name in (("model", "p_dropout"), ("data", "n_mel_channels"), ("data", "mel_fmin"), ("data", "mel_fmax")):
        value = settings[part].get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise CheckpointError(
                f"{config} has {part}.{name} {value!r}, which is no number: name the config.json of this voice."
            )
    if not all(type(rate) is int and 1 <= rate <= 512 for rate in settings["model"]["upsample_rates"]):
        raise CheckpointError(f"{config} has upsample_rates that are no whole numbers: name this voice's config.json.")
    return settings


def _refuse_variants(path: Path, weights: Weights, model: dict[str, Any]) -> None:
    kind = model.get("type_", "hifi-gan")
    if kind != "hifi-gan":
        raise CheckpointError(
            f"{path} is a so-vits-svc-fork voice with the decoder '{kind}', which is not supported: "
            "convert it with the fork, or train a voice from the same recordings."
        )
    if model.get("resblock", "1") != "1" or weights.has("dec.resblocks.0.convs.0."):
        raise CheckpointError(
            f"{path} has resblocks of type 2, which are not supported: train a voice from the same recordings."
        )


def _compare(path: Path, config: Path, weights: Weights, found: Structure, settings: dict[str, Any]) -> None:
    model, data = settings["model"], settings["data"]
    attention = found.flow_network == "attention"
    both = Comparison(str(path), str(config))
    for name, value in (
        ("inter_channels", found.inter_channels),
        ("hidden_channels", found.hidden_channels),
        ("filter_channels", found.filter_channels),
        ("n_heads", found.prior_heads),
        ("n_layers", found.prior_layers),
        ("kernel_size", found.prior_kernel_size),
        ("gin_channels", found.speaker_channels),
        ("ssl_dim", found.content_dim),
        ("n_speakers", found.speakers or None),
        ("n_flow_layer", found.flow_couplings if attention else found.flow_wavenet_layers),
        ("n_layers_trans_flow", found.flow_wavenet_layers if attention else None),
        ("use_transformer_flow", attention),
        ("vocoder_name", "nsf-snake-hifigan" if found.decoder == "nsf_snake_hifigan" else "nsf-hifigan"),
        ("upsample_initial_channel", found.decoder_channels),
        ("upsample_kernel_sizes", found.upsample_kernel_sizes),
        ("resblock_kernel_sizes", found.resblock_kernel_sizes),
        ("vol_embedding", "emb_vol.weight" in weights),
        ("use_automatic_f0_prediction", found.f0_predictor_layers > 0),
        # A compressed file with attention in its flow holds no WaveNet that could tell.
        ("use_depthwise_conv", found.wavenet_depthwise if found.posterior_layers or not attention else None),
        ("flow_share_parameter", found.flow_shared),
    ):
        both.check(name, value, model.get(name) if value is not None else None)
    rates = model["upsample_rates"]
    both.check("upsample_rates after the first", found.upsample_tail, rates[1:])
    dilations = model["resblock_dilation_sizes"]
    lengths = [len(item) if isinstance(item, list) else 0 for item in dilations]
    both.check("convolutions per resblock", [found.resblock_convolutions] * len(found.resblock_kernel_sizes), lengths)
    if found.spectrogram_bins is not None:
        both.check("filter_length", 2 * (found.spectrogram_bins - 1), data["filter_length"])
    both.finish()
    if math.prod(rates) != data["hop_length"]:
        raise CheckpointError(
            f"{config} has upsample_rates {rates} and hop_length {data['hop_length']}, which is not their product: "
            "use the settings this file was trained with."
        )


def _program(model: dict[str, Any], data: dict[str, Any]) -> str:
    if "type_" in model or "contentvec_final_proj" in data:
        return "so-vits-svc-fork 4.0"
    return "so-vits-svc 4.1" if "speech_encoder" in model else "so-vits-svc 4.0"


def _alignment(path: Path, program: str, data: dict[str, Any]) -> str:
    """How the program repeats the encoder's frames; 4.0 knew one rule, which 4.1 keeps where the settings name none."""
    rule = "nearest" if program == "so-vits-svc-fork 4.0" else data.get("unit_interpolate_mode", "left")
    if rule not in ("left", "nearest"):
        raise CheckpointError(
            f"{path} has data.unit_interpolate_mode '{rule}', where left or nearest was expected: "
            "use the settings this file was trained with."
        )
    return rule


def _not_recorded(program: str, unvoiced_f0: UnvoicedF0, latest: bool, encoder: str) -> dict[str, str]:
    """What was assumed, and how to say otherwise."""
    found = {"F0 in unvoiced frames": unvoiced_note(unvoiced_f0)}
    if program == "so-vits-svc 4.1":
        name = "4.1-Latest" if latest else "4.1-Stable"
        found["branch"] = f"{name}; change it with svc import --sovits-branch"
    if program == "so-vits-svc 4.0":
        found["content encoder"] = f"{encoder}; change it with svc import --content-encoder"
    return found


def _encoder(path: Path, program: str, found: Structure, model: dict[str, Any], data: dict[str, Any]) -> str:
    """The content encoder a voice was trained on, as its settings say."""
    if program == "so-vits-svc-fork 4.0":
        # Absent means the projection of layer 9, the fork's older default.
        return "contentvec256l9" if data.get("contentvec_final_proj", True) else "contentvec768l12"
    told = model.get("speech_encoder", "vec256l9" if found.content_dim == 256 else None)
    if told is None:
        raise CheckpointError(
            f"{path} reads {found.content_dim} content values per frame and its settings do not say of which encoder: "
            "name it with  svc import --content-encoder."
        )
    told = OTHER_NAMES.get(str(told), str(told))
    if told not in SPEECH_ENCODERS:
        raise CheckpointError(
            f"{path} was trained on the speech encoder '{told}', which is not supported for imported voices "
            f"(these are: {', '.join(SPEECH_ENCODERS)}): convert it with so-vits-svc, or train a voice from the "
            "same recordings."
        )
    return SPEECH_ENCODERS[told]


def _names(path: Path, config: Path, settings: dict[str, Any], speakers: int) -> list[str]:
    """One name per row of the speaker table; rows without a name are numbered."""
    table = settings.get("spk")
    names = [f"speaker {i}" for i in range(speakers)]
    if not isinstance(table, dict):
        return names
    for name, number in table.items():
        if type(number) is not int or not 0 <= number < speakers:
            raise CheckpointError(
                f"{config} gives speaker '{name}' the number {number}, but {path} holds {speakers} speakers: "
                "use the settings this file was trained with."
            )
        names[number] = str(name)
    return names
