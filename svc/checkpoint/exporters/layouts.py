"""Whether another program's layout can hold a voice, and the settings it wants beside the weights."""

import math
from dataclasses import dataclass, fields
from typing import Any

from svc.checkpoint.importers.rvc import RATES
from svc.checkpoint.importers.sovits import SPEECH_ENCODERS
from svc.checkpoint.voice import Voice
from svc.config import ModelConfig
from svc.errors import CheckpointError

SOVITS, RVC = "so-vits-svc 4.1", "RVC v2"
RVC_ENCODERS = {"contentvec256l9": "v1", "contentvec768l12": "v2"}
# What the programs' code fixes, so that no file of theirs can say otherwise.
_SOVITS_FIXED = {
    "attention_window": 4,
    "content_kernel_size": 5,
    "content_reader_channels": 0,
    "voicing_input": True,
    "prior_scaled_input": False,
    "decoder_plain_ends": False,
    "source_harmonics": 8,
}
_RVC_FIXED = {
    "attention_window": 10,
    "content_kernel_size": 1,
    "content_reader_channels": 0,
    "voicing_input": False,
    "loudness_input": "none",
    "prior_scaled_input": True,
    "decoder_plain_ends": True,
    "predict_f0": False,
    "flow_couplings": 4,
    "flow_wavenet_layers": 3,
    "flow_network": "wavenet",
    "flow_shared": False,
    "wavenet_depthwise": False,
}
_POSTERIOR_LAYERS = 16
# Fields of FeatureSpec, beside those of the content, that a conversion depends on.
_HEARD = ("sample_rate", "hop_length", "n_fft", "loudness_window")
WHISPER_LARGE = 1280


@dataclass(frozen=True)
class Allowed:
    """A setting and the values a layout can express."""

    name: str
    value: Any
    values: tuple[Any, ...]


def require_sovits(voice: Voice) -> None:
    """CheckpointError in one sentence unless so-vits-svc 4.1 could have made a voice of this shape."""
    config = voice.config
    checks = [Allowed(f"model.{name}", getattr(config, name), (value,)) for name, value in _SOVITS_FIXED.items()]
    checks += [
        Allowed("model.decoder", config.decoder, ("nsf_hifigan", "nsf_snake_hifigan")),
        Allowed("model.pitch_input", config.pitch_input, ("binned_41", "binned")),
        Allowed("model.loudness_input", config.loudness_input, ("rms", "none")),
        Allowed("model.unvoiced_f0", config.unvoiced_f0, ("filled_hz", "filled")),
    ]
    checks.append(Allowed("features.content_alignment", voice.spec.content_alignment, ("left", "nearest")))
    if config.predict_f0:
        checks.append(Allowed("model.f0_predictor_layers", config.f0_predictor_layers, (config.prior_layers,)))
    if config.flow_network == "wavenet":
        checks.append(Allowed("model.flow_couplings", config.flow_couplings, (4,)))
    _require(voice, SOVITS, [*checks, *_shared_checks(voice, tuple(SPEECH_ENCODERS.values()))])


def require_rvc(voice: Voice) -> None:
    """CheckpointError in one sentence unless RVC could have made a voice of this shape."""
    config, spec = voice.config, voice.spec
    checks = [Allowed(f"model.{name}", getattr(config, name), (value,)) for name, value in _RVC_FIXED.items()]
    checks += [
        Allowed("model.decoder", config.decoder, ("nsf_hifigan",)),
        Allowed("model.pitch_input", config.pitch_input, ("binned", "none")),
        Allowed("features.sample_rate", spec.sample_rate, tuple(RATES.values())),
        Allowed("features.hop_length", spec.hop_length, (spec.sample_rate // 100,)),
    ]
    if config.pitch_input != "none":
        checks.append(Allowed("model.source_harmonics", config.source_harmonics, (0,)))
    _require(voice, RVC, [*checks, *_shared_checks(voice, tuple(RVC_ENCODERS))])


def _shared_checks(voice: Voice, encoders: tuple[str, ...]) -> list[Allowed]:
    config, spec = voice.config, voice.spec
    checks = [
        Allowed("features.content_encoder", spec.content_encoder, encoders),
        Allowed("features.content_normalisation", spec.content_normalisation, ("none",)),
        Allowed("the product of model.upsample_rates", math.prod(config.upsample_rates), (spec.hop_length,)),
    ]
    if voice.has_training_parts:
        checks.append(Allowed("model.posterior_layers", config.posterior_layers, (_POSTERIOR_LAYERS,)))
    return checks


def differences(voice: Voice, again: Voice) -> dict[str, tuple[Any, Any]]:
    """Settings of `voice` that do not come back from an export read `again`: name -> (ours, what came back).

    Settings without an effect on what the model computes are left out.
    """
    idle = {"decoder_layers", "dropout"}
    idle |= set() if voice.has_training_parts else {"posterior_layers"}
    idle |= set() if voice.config.predict_f0 else {"f0_predictor_layers"}
    idle |= set() if voice.config.pitch_input != "none" else {"source_harmonics"}
    pairs = {
        f"model.{name}": (getattr(voice.config, name), getattr(again.config, name))
        for name in ModelConfig.model_fields
        if name not in idle
    }
    for item in fields(voice.spec):
        if item.name in _HEARD or item.name.startswith("content_"):
            pairs[f"features.{item.name}"] = (getattr(voice.spec, item.name), getattr(again.spec, item.name))
    # No foreign file says which copy of the encoder it was trained with.
    pairs.pop("features.content_weights")
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _require(voice: Voice, program: str, checks: list[Allowed]) -> None:
    # The content encoder first: where it differs, nothing else would help.
    order = sorted(checks, key=lambda check: check.name != "features.content_encoder")
    for check in order:
        if check.value not in check.values:
            wanted = " or ".join(str(value) for value in check.values)
            raise CheckpointError(
                f"The layout of {program} cannot hold this voice: {check.name} is {check.value} and it knows {wanted} "
                "only; share the voice.safetensors instead."
            )


def sovits_settings(voice: Voice) -> dict[str, Any]:
    """The config.json of a so-vits-svc 4.1 voice; the training part holds that program's defaults."""
    config, spec = voice.config, voice.spec
    attention = config.flow_network == "attention"
    encoders = {ours: theirs for theirs, ours in SPEECH_ENCODERS.items()}
    encoder = encoders[spec.content_encoder]
    if encoder == "whisper-ppg" and spec.content_dim == WHISPER_LARGE:
        encoder = "whisper-ppg-large"
    return {
        "train": dict(_SOVITS_TRAINING, vol_aug=config.loudness_input == "rms"),
        "data": {
            "training_files": "filelists/train.txt",
            "validation_files": "filelists/val.txt",
            "max_wav_value": 32768.0,
            "sampling_rate": spec.sample_rate,
            "filter_length": spec.n_fft,
            "hop_length": spec.hop_length,
            "win_length": spec.n_fft,
            "n_mel_channels": spec.n_mels,
            "mel_fmin": spec.mel_fmin_hz,
            "mel_fmax": spec.mel_fmax_hz,
            "unit_interpolate_mode": spec.content_alignment,
        },
        "model": {
            "inter_channels": config.inter_channels,
            "hidden_channels": config.hidden_channels,
            "filter_channels": config.filter_channels,
            "n_heads": config.prior_heads,
            "n_layers": config.prior_layers,
            "kernel_size": config.prior_kernel_size,
            "p_dropout": config.dropout,
            "resblock": "1",
            "resblock_kernel_sizes": list(config.resblock_kernel_sizes),
            "resblock_dilation_sizes": [list(item) for item in config.resblock_dilations],
            "upsample_rates": list(config.upsample_rates),
            "upsample_initial_channel": config.decoder_channels,
            "upsample_kernel_sizes": list(config.upsample_kernel_sizes),
            "n_layers_q": 3,
            "n_layers_trans_flow": config.flow_wavenet_layers if attention else 3,
            "n_flow_layer": config.flow_couplings if attention else config.flow_wavenet_layers,
            "use_spectral_norm": False,
            "gin_channels": config.speaker_channels,
            "ssl_dim": spec.content_dim,
            "n_speakers": len(voice.speakers),
            "vocoder_name": "nsf-snake-hifigan" if config.decoder == "nsf_snake_hifigan" else "nsf-hifigan",
            "speech_encoder": encoder,
            "speaker_embedding": False,
            "vol_embedding": config.loudness_input == "rms",
            "use_depthwise_conv": config.wavenet_depthwise,
            "flow_share_parameter": config.flow_shared,
            "use_automatic_f0_prediction": config.predict_f0,
            "use_transformer_flow": attention,
        },
        "spk": named_speakers(voice),
    }


def rvc_settings(voice: Voice) -> list[Any]:
    """The list of 18 settings of an RVC file."""
    config, spec = voice.config, voice.spec
    dropout = config.dropout
    return [
        spec.n_fft // 2 + 1,
        32,
        config.inter_channels,
        config.hidden_channels,
        config.filter_channels,
        config.prior_heads,
        config.prior_layers,
        config.prior_kernel_size,
        int(dropout) if dropout == int(dropout) else dropout,
        "1",
        list(config.resblock_kernel_sizes),
        [list(item) for item in config.resblock_dilations],
        list(config.upsample_rates),
        config.decoder_channels,
        list(config.upsample_kernel_sizes),
        len(voice.speakers),
        config.speaker_channels,
        spec.sample_rate,
    ]


def named_speakers(voice: Voice) -> dict[str, int]:
    """Name -> number of the speakers that have a name of their own; a voice with none has its first."""
    names = {s.name: i for i, s in enumerate(voice.speakers) if s.name != f"speaker {i}"}
    return names or {voice.speakers[0].name: 0}


_SOVITS_TRAINING = {
    "log_interval": 200,
    "eval_interval": 800,
    "seed": 1234,
    "epochs": 10000,
    "learning_rate": 0.0001,
    "betas": [0.8, 0.99],
    "eps": 1e-9,
    "batch_size": 6,
    "fp16_run": False,
    "half_type": "fp16",
    "lr_decay": 0.999875,
    "segment_size": 10240,
    "init_lr_ratio": 1,
    "warmup_epochs": 0,
    "c_mel": 45,
    "c_kl": 1.0,
    "use_sr": True,
    "max_speclen": 512,
    "port": "8001",
    "keep_ckpts": 3,
    "all_in_mem": False,
}
