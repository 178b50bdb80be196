"""The control for speaker curves: its template can be used, and a curve of other singers is refused."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from svc.conversion.lineup import read_speaker_curve
from svc.errors import ConfigError
from svc.interface.files import UserFiles
from svc.interface.singers import require_speakers, take_curve, template
from svc.interface.takes import settings_words
from svc.interface.texts import say


class Page:
    """As much of a Page as a curve needs."""

    def __init__(self, home: Path) -> None:
        self._files = UserFiles(home, home / "cache", 10)

    def files(self, request: Any) -> UserFiles:
        return self._files

    def say(self, request: Any, key: str, **values: object) -> str:
        return say("en", key, **values)


def upload(folder: Path, text: str) -> str:
    path = folder / "cache" / "who.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


def voice(*names: str) -> Any:
    return SimpleNamespace(label="Duo", speakers=[{"name": name} for name in names])


def test_the_template_is_a_curve_of_the_voice(tmp_path: Path) -> None:
    stored = take_curve(Page(tmp_path), None, upload(tmp_path, template(["Mia, the first", "tom", "third"])))
    assert stored.kind == "curve" and stored.label == "who.csv"
    curve = read_speaker_curve(stored.path)
    assert curve.speakers == ("Mia, the first", "tom") and curve.at([0.0, 32.0, 40.0])[1].tolist() == [0.5, 0.5]
    require_speakers(stored, voice("tom", "Mia, the first"))
    with pytest.raises(ConfigError, match=r"'who\.csv' names 'tom', who is not in the voice 'Duo'"):
        require_speakers(stored, voice("Mia, the first", "anna"))


def test_what_is_no_curve_names_the_line_and_not_the_server(tmp_path: Path) -> None:
    page = Page(tmp_path)
    for text, told in (("time,mia,tom\n0,1\n", "Line 2 of the speaker curve 'who.csv'"), ("mia\n", "no header")):
        with pytest.raises(ConfigError) as raised:
            take_curve(page, None, upload(tmp_path, text))
        assert told in str(raised.value) and str(tmp_path) not in str(raised.value)
    assert page.files(None).listing() == []


def test_a_take_tells_its_curve() -> None:
    told = settings_words(Page(Path("/nowhere")), None, {"options": {}, "curve": "who.csv"})
    assert told == f"{say('en', 'convert.curve')}: who.csv"
