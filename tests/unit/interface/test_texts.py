"""Words: every language has the same ones, and no tab writes its own."""

import ast
from pathlib import Path

import pytest

import svc.interface
from svc.interface.texts import closest, field_words, languages, say, text, words

LABELS = {"label", "info", "placeholder", "value", "title"}
SHOWN = ("Button", "Tab", "Accordion", "Markdown", "DownloadButton", "UploadButton", "TabItem")
FOLDER = Path(svc.interface.__file__).parent


def test_english_and_chinese_are_there() -> None:
    assert list(languages())[:1] == ["en"] and languages()["zh"] == "中文"


def test_every_language_has_every_text_with_the_same_placeholders() -> None:
    import string

    def fields(sentence: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}

    english = words("en")
    assert len(english) > 200
    for language in languages():
        own = words(language)
        assert sorted(set(english) - set(own)) == [], language
        assert sorted(key for key in set(own) - set(english) if not key.startswith("field.")) == [], language
        for key in set(english) - set(field_words()):
            assert fields(english[key]) == fields(own[key]), key


def test_chinese_is_chinese() -> None:
    same = [k for k, v in words("zh").items() if v == words("en").get(k) and k not in ("convert.title",)]
    assert same == []
    assert not [k for k, v in words("zh").items() if v.isascii() and not k.startswith("language.")]


@pytest.mark.parametrize("path", sorted([*FOLDER.glob("tabs/*.py"), *FOLDER.glob("*.py")]), ids=lambda p: p.name)
def test_no_label_is_a_literal(path: Path) -> None:
    for call in (n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)):
        function = call.func
        if not (isinstance(function, ast.Attribute) and getattr(function.value, "id", "") == "gr"):
            continue
        values = [k.value for k in call.keywords if k.arg in LABELS - {"value"}]
        if function.attr in SHOWN:
            values += call.args[:1] + [k.value for k in call.keywords if k.arg == "value"]
        for value in values:
            literal = isinstance(value, ast.JoinedStr) or (isinstance(value, ast.Constant) and value.value)
            assert not literal, f"{path.name}:{call.lineno} writes a label: use page.text(key)"


def test_say_fills_in_and_unknown_keys_are_errors() -> None:
    assert say("zh", "jobs.place", place=2) == "排队中，第 2 位"
    assert say("xx", "jobs.place", place=2).startswith("Waiting")
    pytest.importorskip("gradio", reason="the page needs gradio (pip install 'svc-toolkit[webui]')")
    with pytest.raises(KeyError):
        text("no.such.key")


@pytest.mark.parametrize(
    ("wish", "language"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("zh-TW", "zh"), ("de-DE,de;q=0.9", "en"), ("", "en"), ("fr,zh;q=0.5", "zh")],
)
def test_the_browsers_wish(wish: str, language: str) -> None:
    assert closest(wish) == language
