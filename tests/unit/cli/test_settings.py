"""From flags to a Config: recipe, then --group.name, then the command's own short flags."""

from pathlib import Path

import pytest

from svc.cli.app import app
from svc.cli.options import resolve_config
from svc.config import ConvertOptions
from svc.errors import ConfigError


def parsed(*arguments: str):
    """The bound arguments of a command line that is parsed and not run."""
    _, bound, _ = app.parse_args(list(arguments), exit_on_error=False, print_error=False)
    return bound.arguments


def test_flags_override_the_recipe_and_short_flags_override_flags() -> None:
    bound = parsed("train", "raw", "--run", "x", "--train.batch-size", "3", "--train.max-steps", "7")
    config = resolve_config("debug", bound["settings"], {"train.max_steps": 5, "train.max_minutes": None})
    assert (config.train.batch_size, config.train.max_steps, config.train.max_minutes) == (3, 5, None)
    assert config.train.slice_frames == resolve_config("debug", None, {}).train.slice_frames == 32


def test_nested_lists_and_tables_are_flags_too() -> None:
    flags = ("--train.losses.mel", "10", "--features.content-layers.3", "0.5", "--model.upsample-rates", "16", "32")
    settings = parsed("train", "raw", "--run", "x", *flags)["settings"]
    config = resolve_config("fast", settings, {})
    assert config.train.losses.mel == 10 and config.train.losses.kl == 1
    assert config.features.content_layers == {"3": 0.5}
    assert config.model.upsample_rates == (16, 32)


def test_every_option_of_a_conversion_is_a_flag() -> None:
    flags = ("--transpose", "-3", "--speaker", "anna", "--seed", "4", "--vocals-only", "--protect", "0.1")
    bound = parsed("convert", "a.wav", "b.wav", "--voice", "v", "--output", "o", *flags)
    wanted = ConvertOptions(transpose=-3, speaker="anna", seed=4, vocals_only=True, protect=0.1)
    assert bound["options"] == wanted
    assert bound["inputs"] == (Path("a.wav"), Path("b.wav"))


def test_an_unknown_key_of_a_recipe_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("train:\n  losses: {mell: 3}\n")
    with pytest.raises(ConfigError, match=r"Unknown setting 'train\.losses\.mell' in .*mine\.yaml.*'mel'\?"):
        resolve_config(str(tmp_path / "mine.yaml"), None, {})
