"""The base voice that ships: whether settings fit it, and the settings that a short training from it wants."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from svc.checkpoint.voice import Voice
from svc.config import Config, ModelConfig
from svc.features.spec import FeatureSpec
from svc.settings import merge
from svc.weights import embedded_weights

VOICE_FILE = "base_voice.safetensors"
DISCRIMINATOR_FILE = "base_discriminator.safetensors"
# Model settings that a base brings with it: parts and ways of training that no recipe has to ask for.
ADOPTED = ("prompt_encoder", "formant_input", "latent", "content_reader_channels")
# The singer's data are few and the base sings already: small steps, discriminators from the first one on, and nothing
# of what made the base fit for everyone.
FINE_TUNING: dict[str, Any] = {
    "learning_rate": 2e-4,
    "discriminator_learning_rate": 1e-4,
    "warmup_steps": 20,
    "prior_mel_every": 2,
    "shift_augment": 0.0,
    "prompt_probability": 0.0,
    "validate_every": 250,
    "losses": {"prior_mel": 20.0, "frame_mel": 0.0, "prompt": 0.0},
}
# Without a posterior every frame of a slice is decoded: frames that no loss hears would teach nothing.
# A share of lines of others keeps the words that a few minutes of one singer would take away, some of them are sung by
# the singer, and what knows the words and not the singer stays as it is: measured on test T1, docs/results.md.
DIRECT: dict[str, Any] = {
    "slice_frames": 96,
    "segment_frames": 96,
    "learning_rate": 3e-4,
    "adversarial_every": 2,
    "replay_share": 0.5,
    "crossed_share": 0.75,
    "held_parts": ("content_input", "prior"),
    "losses": {"adversarial": 2.0, "highs": 45.0},
}


@dataclass(frozen=True)
class BuiltinBase:
    """The shipped files: the voice, and its discriminators where they ship too."""

    voice: Path
    discriminator: Path | None = None


def find_builtin_base() -> BuiltinBase | None:
    """The base of this version, its hashes checked; None where it ships none. WeightError for a damaged file."""
    files = {weight.name: weight for weight in embedded_weights()}
    if VOICE_FILE not in files:
        return None
    other = files.get(DISCRIMINATOR_FILE)
    return BuiltinBase(files[VOICE_FILE].path(), other.path() if other else None)


def why_not(voice: Voice, config: Config, spec: FeatureSpec) -> str | None:
    """What keeps a training with these settings and features from starting at `voice`, in words; None when it can."""
    different = differences(voice.config, config.model)
    if different:
        return ", ".join(f"model.{name} is {theirs} there and {ours} here" for name, theirs, ours in different)
    theirs, ours = voice.spec.to_dict(), spec.to_dict()
    names = [name for name in ours if ours[name] != theirs.get(name)]
    return f"it was made for other features: {', '.join(names)}" if names else None


def differences(theirs: ModelConfig, ours: ModelConfig) -> list[tuple[str, Any, Any]]:
    """(name, theirs, ours) of the model settings that differ and would have to agree."""
    a, b = theirs.model_dump(), ours.model_dump()
    return [(name, a[name], b[name]) for name in b if a[name] != b[name] and name != "dropout"]


def settings_from(theirs: ModelConfig, with_discriminator: bool) -> dict[str, Any]:
    """Settings to lay over a recipe (nested): the base's own parts, and the schedule of a short training."""
    train = merge(FINE_TUNING, DIRECT) if theirs.latent == "direct" else dict(FINE_TUNING)
    if with_discriminator:
        train["adversarial_start_step"] = 0
    return {"model": {name: getattr(theirs, name) for name in ADOPTED}, "train": train}
