"""Every word of the page, by key and language. A language is one file in languages/.

Labels are translated in the browser: `text(key)` marks them, and gradio's own words follow the same language. What the
server writes (progress, sentences) is made with `say(language, key, ...)`.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from svc.config import Config, ConvertOptions
from svc.settings import Settings

FOLDER = Path(__file__).parent / "languages"
FALLBACK = "en"
# Classes whose fields have controls: their English words are the fields' own names and descriptions.
FIELD_MODELS: tuple[type[Settings], ...] = (ConvertOptions, Config)


@lru_cache
def languages() -> dict[str, str]:
    """Language code -> its name in itself, for every file of the folder, English first."""
    found = {path.stem: _read(path)["language.name"] for path in sorted(FOLDER.glob("*.json"))}
    return {FALLBACK: found[FALLBACK], **found}


@lru_cache
def words(language: str) -> dict[str, str]:
    """All texts of one language by key."""
    own = _read(FOLDER / f"{language}.json")
    return {**field_words(), **own} if language == FALLBACK else own


def _read(path: Path) -> dict[str, str]:
    return dict(_flat("", json.loads(path.read_text(encoding="utf-8"))))


def _flat(prefix: str, data: dict[str, Any]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, list):  # a setting: its label and its help
            value = dict(zip(("label", "help"), value, strict=True))
        pairs += _flat(f"{name}.", value) if isinstance(value, dict) else [(name, value)]
    return pairs


@lru_cache
def field_words() -> dict[str, str]:
    """English label and help of every setting: field.<path>.label and field.<path>.help."""
    found: dict[str, str] = {}
    for model in FIELD_MODELS:
        for path, field in fields_of(model):
            name = path.rpartition(".")[2].replace("_", " ")
            found[field_key(model, path, "label")] = name[0].upper() + name[1:]
            found[field_key(model, path, "help")] = field.description or ""
    return found


def fields_of(model: type[Settings], prefix: str = "") -> list[tuple[str, Any]]:
    """(dotted path, pydantic field) of every setting of `model` and of the groups in it, groups included."""
    found: list[tuple[str, Any]] = []
    for name, field in model.model_fields.items():
        found.append((f"{prefix}{name}", field))
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            found += fields_of(field.annotation, f"{prefix}{name}.")
    return found


def field_key(model: type[Settings], path: str, what: str) -> str:
    """Key of a setting's "label" or "help"."""
    scope = "convert_options" if model is ConvertOptions else "config"
    return f"field.{scope}.{path}.{what}"


def text(key: str) -> Any:
    """The mark of a label for gradio, which shows it in the reader's language. KeyError for an unknown key."""
    from gradio.i18n import I18nData

    if key not in words(FALLBACK):
        raise KeyError(f"There is no text '{key}' in {FOLDER / FALLBACK}.json")
    return I18nData(key)


def say(language: str, key: str, **values: object) -> str:
    """The text of `key` in `language` with {names} filled in; English where that language lacks it."""
    known = words(language) if language in languages() else {}
    return known.get(key, words(FALLBACK)[key]).format(**values)


def translations() -> dict[str, dict[str, str]]:
    """What gr.I18n is told: the browser's name of a language -> its texts."""
    made: dict[str, dict[str, str]] = {}
    for language in languages():
        known = {**words(FALLBACK), **words(language)}
        for code in (known["language.browser"], language):
            made[code] = known
    return made


def closest(wanted: str) -> str:
    """The language of the page nearest to a browser's wish, such as "zh-CN,zh;q=0.9,en;q=0.8"."""
    for part in wanted.split(","):
        code = part.split(";")[0].strip().lower()
        for language in languages():
            if code == language.lower() or code.split("-")[0] == language.lower().split("-")[0]:
                return language
    return FALLBACK
