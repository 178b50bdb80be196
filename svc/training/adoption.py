"""Settings of a run that starts from a voice of another program: features and model are the voice's own."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from svc.checkpoint.importers.assembly import Choices
from svc.checkpoint.importers.opening import open_voice
from svc.checkpoint.voice import Voice
from svc.config import Config
from svc.errors import CheckpointError
from svc.features.spec import config_from_spec
from svc.safe_read import read_torch
from svc.settings import build, merge

# Discriminators of so-vits-svc, RVC v1 and RVC v2 by how many a D_*.pth holds, and our names for them.
FOREIGN_DISCRIMINATORS = {6: "mpd_msd", 7: "mpd_msd_rvc_v1", 9: "mpd_msd_rvc_v2"}


def open_base(path: Path) -> Voice:
    """The voice to start from: ours, or a foreign one, a pretrained base without speakers included."""
    return open_voice(path, choices=Choices(without_speakers=True))


def is_imported(voice: Voice) -> bool:
    """Whether a voice was made by another program."""
    return "imported_from" in voice.provenance


def adopt(config: Config, voice: Voice) -> Config:
    """`config` with the features and the model of an imported `voice`, unchanged for a voice of ours.

    Such a voice's structure and features are those of its program: no recipe can know them. Raises ConfigError for
    features that cannot be prepared here.
    """
    if not is_imported(voice):
        return config
    features = config_from_spec(voice.spec).model_dump()
    data = config.model_dump(exclude={"features", "model"})
    return build(Config, data | {"features": features, "model": voice.config.model_dump()}, "the base voice's settings")


def adopt_discriminators(config: Config, path: Path) -> Config:
    """`config` with the discriminators that a foreign D_*.pth at `path` holds."""
    name = foreign_name(foreign_discriminators(path), path)
    data = merge(config.model_dump(), {"train": {"discriminator": name, "extra_discriminators": ()}})
    return build(Config, data, "the base discriminators' settings")


def foreign_discriminators(path: Path) -> Mapping[str, Any]:
    """The tensors of a D_*.pth under their own names; CheckpointError for a file that holds none. Nothing is run."""
    file = read_torch(path)
    state = file.get("model", file) if isinstance(file, Mapping) else None
    if not isinstance(state, Mapping) or not any(str(name).startswith("discriminators.") for name in state):
        raise CheckpointError(f"{path} holds no discriminators: choose the D_*.pth beside the voice's G_*.pth.")
    return state


def foreign_name(state: Mapping[str, Any], path: Path) -> str:
    """Our name for the discriminators in `state`."""
    count = len({match[1] for name in state if (match := re.match(r"discriminators\.(\d+)\.", str(name)))})
    if count not in FOREIGN_DISCRIMINATORS:
        raise CheckpointError(
            f"{path} holds {count} discriminators, where so-vits-svc has 6 and RVC 7 or 9: train without it."
        )
    return FOREIGN_DISCRIMINATORS[count]
