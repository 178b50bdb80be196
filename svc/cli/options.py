"""Parameters that several commands share, and how settings on the command line become a Config."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from svc.config import Config, ConvertOptions, load_config
from svc.errors import SvcError
from svc.paths import recipe
from svc.settings import Settings

SETTINGS = Group("Settings (override the recipe)", sort_key=100)

Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"], Parameter(help="Where to compute; auto takes a GPU if there is one.")
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as JSON on stdout.")]
Recipe = Annotated[str, Parameter(help="A recipe's name (fast, quality, ...) or a YAML file.")]
Overrides = Annotated[Config, Parameter(name="*", group=SETTINGS)]
Options = Annotated[ConvertOptions, Parameter(name="*")]
Separate = Annotated[
    str | None, Parameter(help="refined, spleeter, demucs, basic, or none for recordings that hold vocals only.")
]


# The name of the base voice that ships, wherever a voice file is asked for.
BUILTIN = "builtin"


class UsageError(SvcError):
    """A command line that cannot be meant: exit code 2."""


def resolve_config(
    config: str, overrides: Settings | None, changes: dict[str, Any], of_base: dict[str, Any] | None = None
) -> Config:
    """The recipe, then flags like --train.batch-size, then the command's own short flags (None: not given).

    `of_base` are settings (nested) that a base voice brings: over a recipe that ships, under a file of the user's.
    """
    from svc.settings import merge

    data = overrides.model_dump(exclude_unset=True) if overrides is not None else {}
    for dotted, value in changes.items():
        if value is not None:
            group, _, name = dotted.partition(".")
            data = merge(data, {group: {name: value}})
    path = recipe(config)
    if path == Path(config):
        return load_config(path, data, beneath=of_base)
    return load_config(path, merge(of_base or {}, data))


def pick_device(name: str) -> str:
    """A torch device name; SvcError when the one asked for is not there."""
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[name]:
        raise SvcError(f"There is no {name} device on this machine: use --device cpu, or --device auto.")
    return name


def voice_file(path: Path, what: str = "voice file") -> Path:
    """`path` of a voice, which has to be there; 'builtin' is the base voice that ships."""
    if path == Path(BUILTIN) and not path.exists():
        from svc.weights import BASE_VOICE

        return BASE_VOICE.path()
    return require_exists(path, what)


def require_exists(path: Path, what: str) -> Path:
    """`path`, or an error that says which `what` is not there."""
    if not path.exists():
        raise SvcError(f"The {what} '{path}' does not exist: check the name.")
    return path
