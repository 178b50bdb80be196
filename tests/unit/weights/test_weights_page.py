"""docs/weights.md is what scripts/make_weights_page.py writes, and its commands exist."""

import importlib.util
import re
from pathlib import Path

from svc.cli.app import COMMANDS
from svc.registry import CONTENT_ENCODERS, PITCH_ESTIMATORS, SEPARATORS
from svc.weights.catalogue import catalogue

ROOT = Path(__file__).parents[3]


def load_script():
    spec = importlib.util.spec_from_file_location("make_weights_page", ROOT / "scripts" / "make_weights_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")
    assert page == load_script().render(), "run  python scripts/make_weights_page.py"


def test_every_entry_and_file_has_a_row() -> None:
    rows = [line for line in load_script().render().splitlines() if line.startswith("| `")]
    for entry in catalogue():
        mine = [row for row in rows if row.startswith(f"| `{entry.name}` |")]
        assert len(mine) == 1 + len(entry.files)
        assert ("`svc weights get" in mine[0]) == entry.downloadable


def test_commands_name_components_that_there_are() -> None:
    known = {
        "--features.content-encoder": CONTENT_ENCODERS,
        "--features.pitch-estimator": PITCH_ESTIMATORS,
        "--method": SEPARATORS,
    }
    named = [(flag, name) for entry in catalogue() for flag, name in re.findall(r"(--[\w.-]+) ([\w-]+)", entry.use)]
    checked = [(flag, name) for flag, name in named if flag in known]
    assert checked
    for flag, name in checked:
        assert name in known[flag].names(), f"{flag} {name}"


def test_every_command_line_is_of_a_command_that_there_is() -> None:
    found = {word for entry in catalogue() for word in re.findall(r"^svc ([\w-]+)", entry.use)}
    assert {"vocode", "separate"} <= found <= set(COMMANDS)
