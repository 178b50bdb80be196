"""Which base voice a training starts from, and the settings that come with it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from svc.cli.console import say
from svc.config import Config, ModelConfig

Resolve = Callable[[dict[str, Any]], Config]
"""From settings of the base (nested) to a Config in which recipe files and flags of the user still come first."""


@dataclass(frozen=True)
class Start:
    """Where a training begins: a base voice, its discriminators, an interrupted run."""

    base: Path | None = None
    discriminator: Path | None = None
    resume: bool | str = False


def from_builtin(start: Start, dataset: Path, config: Config, resolve: Resolve) -> tuple[Config, Start]:
    """Config and start of a training that may begin at the built-in base.

    Where this version ships none, or settings or features are other than its own, that is said and training starts
    from random weights.
    """
    from svc.checkpoint.voice import load_voice
    from svc.data.manifest import PreparedDataset
    from svc.training.builtin_base import find_builtin_base, settings_from, why_not
    from svc.training.warm_start import discriminator_names

    if start.resume:
        return config, start
    found = find_builtin_base()
    if found is None:
        say("This version ships no base voice: training starts from random weights.")
        return config, start
    judges = start.discriminator or found.discriminator
    if judges is not None and start.discriminator is None:
        names = [config.train.discriminator, *config.train.extra_discriminators]
        judges = judges if discriminator_names(judges) == list(dict.fromkeys(names)) else None
    voice = load_voice(found.voice)
    adapted = resolve(settings_from(voice.config, judges is not None))
    reason = why_not(voice, adapted, PreparedDataset.open(dataset).spec)
    if reason:
        say(f"The built-in base voice does not fit ({reason}): training starts from random weights.")
        return config, start
    say("Training starts from the built-in base voice; --base none starts from random weights.")
    return adapted, replace(start, base=found.voice, discriminator=judges)


def from_own(start: Start, place: Path, config: Config, resolve: Resolve) -> Config:
    """Config of a training from a voice of the user's, or of a run in `place` that is continued.

    A base of this toolkit may have parts that the recipe does not ask for, and brings the schedule of a short training.
    """
    if start.resume:
        return _continued(place, config, resolve)
    return config if start.base is None else _with_base(config, start, resolve)


def _with_base(config: Config, start: Start, resolve: Resolve) -> Config:
    from svc.training.adoption import is_imported, open_base
    from svc.training.builtin_base import differences, settings_from

    assert start.base is not None
    voice = open_base(start.base)
    if is_imported(voice):
        return config
    adapted = resolve(settings_from(voice.config, start.discriminator is not None))
    # Where settings differ even so, training refuses the base and names them.
    return config if differences(voice.config, adapted.model) else adapted


def _continued(place: Path, config: Config, resolve: Resolve) -> Config:
    """A run started from a base with more parts than the recipe asks for goes on with its settings."""
    from svc.training.builtin_base import settings_from

    model, with_judges = _started_with(place)
    if model is None or model == config.model:
        return config
    adapted = resolve(settings_from(model, with_judges))
    return adapted if adapted.model == model else config


def _started_with(place: Path) -> tuple[ModelConfig | None, bool]:
    """Model settings of the run in `place`, and whether discriminators were used from its first step on."""
    from svc.config import load_config
    from svc.errors import ConfigError

    file = place / "config.yaml"
    try:
        config = load_config(file) if file.is_file() else None
    except ConfigError:
        return None, False
    return (config.model, config.train.adversarial_start_step == 0) if config else (None, False)
