"""docs/cli.md is what scripts/make_reference.py writes."""

import importlib.util
from pathlib import Path

from svc.config import Config, ConvertOptions
from svc.settings import Settings

ROOT = Path(__file__).parents[3]


def load_script():
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "scripts" / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def field_names(group: type[Settings], prefix: str = "") -> list[str]:
    names = []
    for name, field in group.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            names += field_names(field.annotation, f"{prefix}{name}.")
        else:
            names.append(f"{prefix}{name}")
    return names


def test_the_reference_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == load_script().render(), "run  python scripts/make_reference.py"


def test_every_setting_and_option_has_a_row_with_its_meaning() -> None:
    rows = {line.split("`")[1]: line for line in load_script().render().splitlines() if line.startswith("| `")}
    options = [f"--{name.replace('_', '-')}" for name in ConvertOptions.model_fields]
    for name in [*field_names(Config), *options]:
        assert rows[name].split("|")[-2].strip(), name
