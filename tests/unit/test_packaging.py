"""What an installed wheel needs is named in pyproject.toml."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_every_package_is_listed() -> None:
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "svc").rglob("__init__.py")}
    assert len(folders) > 10
    wanted = {".".join(folder.parts) for folder in folders} | {"svc.configs"}
    assert set(settings["packages"]) == wanted


def test_recipes_are_valid_and_each_says_when_to_use_it() -> None:
    from svc.config import load_config

    recipes = sorted((ROOT / "configs").glob("*.yaml"))
    assert {path.stem for path in recipes} >= {"fast", "quality", "debug", "demo"}
    for path in recipes:
        load_config(path)
        assert path.read_text(encoding="utf-8").startswith("# Use when:")


def test_public_names_resolve() -> None:
    import svc

    for name in svc.__all__:
        assert getattr(svc, name) is not None
    with pytest.raises(AttributeError):
        _ = svc.nothing_of_that_name
