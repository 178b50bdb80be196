"""From a foreign generator's facts to a Voice, with every weight accounted for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from svc.checkpoint.importers.structure import Structure
from svc.checkpoint.voice import SpeakerInfo, Voice
from svc.config import FeatureConfig, ModelConfig
from svc.errors import CheckpointError, ConfigError
from svc.features.spec import FeatureSpec
from svc.safe_read import check_keys
from svc.settings import build

# Values per frame, and the layer they come from, of the encoders foreign voices were trained on.
ENCODERS = {
    "contentvec256l9": (256, 9),
    "contentvec768l12": (768, 12),
    "hubert_soft": (256, 12),
    "hubert_base": (768, 12),
    "chinese_hubert_base": (768, 12),
    "chinese_hubert_large": (1024, 25),
    "dphubert": (768, 12),
    "wavlm_base_plus": (768, 12),
    "whisper": (1024, 25),
}
# The same of an encoder's other size.
LARGER = {"whisper": (1280, 33)}
UnvoicedF0 = Literal["filled", "zero"]
# Programs that fill F0 in unvoiced frames draw lines in Hz.
UNVOICED_RULES = {"filled": "filled_hz", "zero": "zero"}
SPEAKERS = "speaker.weight"
Branch = Literal["stable", "latest"]
# The seed of the one singer that a base without a speaker table gets.
BASE_SPEAKER_SEED = 0


@dataclass(frozen=True)
class Choices:
    """What no foreign file records, as its owner knows it; None is the usual rule of the program.

    content_encoder: the encoder the voice was trained on, one of ENCODERS. unvoiced_f0: F0 in unvoiced frames.
    branch: of so-vits-svc 4.1 (4.1-Stable, the default, or 4.1-Latest), which measure volume differently.
    without_speakers: accept a pretrained base that has no speaker table yet, to train from.
    """

    content_encoder: str | None = None
    unvoiced_f0: UnvoicedF0 | None = None
    branch: Branch | None = None
    without_speakers: bool = False


USUAL = Choices()


@dataclass(frozen=True)
class Sound:
    """Rates and transforms of a foreign voice, and the encoder whose content it was trained on."""

    sample_rate: int
    hop_length: int
    n_fft: int
    content_encoder: str
    content_dim: int
    content_alignment: str
    loudness_window: str = "fft"
    n_mels: int = 80
    mel_fmin_hz: float = 0.0
    mel_fmax_hz: float | None = None


def assemble(
    path: Path,
    settings: dict[str, Any],
    sound: Sound,
    names: list[str],
    state: dict[str, Tensor],
    provenance: dict[str, Any],
) -> Voice:
    """A Voice whose weights are exactly those its settings ask for.

    settings: fields of ModelConfig; names: one per row of the speaker table; state: tensors under our names.
    Raises CheckpointError naming weights that are missing, extra or of another shape.
    """
    try:
        config = build(ModelConfig, settings, str(path))
    except ConfigError as error:
        raise CheckpointError(f"{path} has a structure this program cannot build: {error}") from error
    if SPEAKERS not in state:
        state = state | {SPEAKERS: _speaker_of_a_base(config.speaker_channels)}
    speakers = [SpeakerInfo(name, 0.0, 0.0, 0.0, 0.0) for name in names]
    voice = Voice(config, feature_spec(path, sound), speakers, state, provenance)
    check_keys(state, _wanted(path, voice), str(path))
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise CheckpointError(f"{path} holds values that are not finite in {name}: take an earlier checkpoint.")
    return voice


def unvoiced_note(unvoiced_f0: UnvoicedF0) -> str:
    """What is assumed of F0 in unvoiced frames, and how to say otherwise."""
    rule = "filled with lines in Hz" if unvoiced_f0 == "filled" else "zero"
    return f"{rule}; change it with svc import --unvoiced-f0"


def _speaker_of_a_base(channels: int) -> Tensor:
    """The row (1, channels) of a base without a speaker table, drawn as a new table's rows are."""
    return torch.randn(1, channels, generator=torch.Generator().manual_seed(BASE_SPEAKER_SEED))


def _wanted(path: Path, voice: Voice) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights, from a model that has none."""
    from svc.models.vits.voice_model import VoiceModel

    try:
        with torch.device("meta"):
            model = VoiceModel(voice.config, voice.shape, voice.has_training_parts)
    except ConfigError as error:
        raise CheckpointError(f"{path} has a structure this program cannot build: {error}") from error
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def feature_spec(path: Path, sound: Sound) -> FeatureSpec:
    """What the voice is fed; content_weights "" because no file says which copy of the encoder was used."""
    dim, layer = next(size for size in _sizes(sound.content_encoder) if size[0] == sound.content_dim)
    defaults = FeatureConfig()
    for name, value in (("sample rate", sound.sample_rate), ("FFT size", sound.n_fft), ("hop", sound.hop_length)):
        if not 64 <= value <= 192_000:
            raise CheckpointError(f"{path} has a {name} of {value}: get the file and its settings again.")
    return FeatureSpec(
        sample_rate=sound.sample_rate,
        hop_length=sound.hop_length,
        n_fft=sound.n_fft,
        n_mels=sound.n_mels,
        mel_fmin_hz=sound.mel_fmin_hz,
        mel_fmax_hz=sound.mel_fmax_hz,
        content_encoder=sound.content_encoder,
        content_layers=((layer, 1.0),),
        content_normalisation="none",
        content_dim=dim,
        content_weights="",
        pitch_estimator=defaults.pitch_estimator,
        f0_min_hz=50.0,
        f0_max_hz=1_100.0,
        f0_median_frames=0,
        content_alignment=sound.content_alignment,
        loudness_window=sound.loudness_window,
    )


def encoders_of(dim: int) -> list[str]:
    """The encoders of foreign voices that give `dim` values per frame."""
    return [name for name in ENCODERS if dim in (size for size, _ in _sizes(name))]


def _sizes(encoder: str) -> list[tuple[int, int]]:
    return [ENCODERS[encoder], *([LARGER[encoder]] if encoder in LARGER else [])]


def require_encoder(path: Path, name: str, structure: Structure) -> None:
    """CheckpointError unless `name` is an encoder foreign voices use and gives as many values as the weights read."""
    if name not in ENCODERS:
        raise CheckpointError(
            f"{path}: '{name}' is no content encoder an imported voice can use: choose one of {', '.join(ENCODERS)}."
        )
    dims = [dim for dim, _ in _sizes(name)]
    if structure.content_dim not in dims:
        raise CheckpointError(
            f"{path} reads {structure.content_dim} content values per frame, but {name} gives "
            f"{' or '.join(map(str, dims))}: "
            "name the encoder it was trained on."
        )
