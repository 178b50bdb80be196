"""What comes from the F0 editor is checked like any other input; what goes to it is the curve of the file."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from svc.errors import AudioError
from svc.interface.drawing import MOST_FRAMES, curve_of, drawn, for_editor, label_of, write_drawn
from svc.interface.texts import say, words
from svc.pitch.curve_file import read_curve, write_curve
from svc.pitch.estimator import F0Track


class Page:
    """As much of a Page as drawing needs."""

    def __init__(self, cache: Path) -> None:
        self.settings = SimpleNamespace(cache_folder=cache)

    def say(self, request: Any, key: str, **values: object) -> str:
        return say("en", key, **values)


def curve(f0_hz: list[Any], **more: Any) -> dict[str, Any]:
    return {"label": "song.wav", "step": 0.01, "frames": len(f0_hz), "f0_hz": f0_hz, **more}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("{not json", "is not understood"),
        ("[" * 100_000, "is not understood"),
        ("", "is not understood"),
        ("null", "is not there"),
        ([1, 2], "is not there"),
        (curve([]), "is not there"),
        (curve([220.0] * (MOST_FRAMES + 1)), f"more than {MOST_FRAMES}"),
        (curve([220.0, 230.0], frames=3), "has 2 values in place of 3"),
        ('{"f0_hz": [220, NaN]}', "not a number"),
        (curve([220.0, float("inf")]), "not a number"),
        (curve([220.0, "230"]), "not a number"),
        (curve([220.0, True]), "not a number"),
        (curve([220.0, 10**400]), "not a number"),
        (curve([220.0, -1.0]), "is -1 Hz at 0.01 s"),
        (curve([5.0]), "is 5 Hz at 0.00 s"),
        (curve([30_000.0]), "is 30000 Hz"),
        (curve([0.0, 0.0]), "unvoiced everywhere"),
        (curve([220.0], step=0), "has a step of 0 seconds"),
        (curve([220.0], step="soon"), "has a step of soon seconds"),
        (curve([220.0], step=1.0), "has a step of 1.0 seconds"),
    ],
)
def test_what_is_no_curve_gets_one_sentence(data: Any, told: str) -> None:
    for form in (data, data if isinstance(data, str) else json.dumps(data)):
        with pytest.raises(AudioError) as raised:
            drawn(form)
        sentence = str(raised.value)
        assert told in sentence and sentence.startswith("The drawn F0 ") and "\n" not in sentence


def test_a_drawn_curve_becomes_the_csv_it_says(tmp_path: Path) -> None:
    path = Path(write_drawn(Page(tmp_path), json.dumps(curve([0, 220.5, 230, 0])), "../../my song.csv"))
    assert path.name == "my song.csv" and path.is_relative_to(tmp_path)
    times, track = read_curve(path)
    assert times == pytest.approx([0, 0.01, 0.02, 0.03])
    assert track.f0_hz == pytest.approx([0, 220.5, 230, 0]) and track.voiced.tolist() == [False, True, True, False]


def test_an_even_file_is_shown_as_it_is_and_comes_back_the_same(tmp_path: Path) -> None:
    f0_hz = np.array([0, 220.25, 221.5, 0, 440.0], dtype=np.float32)
    write_curve(tmp_path / "f0.csv", np.arange(5) * 0.005, F0Track(f0_hz, f0_hz > 0))
    shown = curve_of(tmp_path / "f0.csv", "f0.csv", 1.5)
    assert (shown["step"], shown["frames"], shown["made"]) == (0.005, 5, 1.5)
    times, track = drawn(json.dumps(shown))
    assert track.f0_hz == pytest.approx(f0_hz) and times[-1] == pytest.approx(0.02)


def test_an_uneven_file_is_shown_in_steps_of_10_ms(tmp_path: Path) -> None:
    (tmp_path / "f0.csv").write_text("0.1,200\n0.13,200\n0.2,400\n")
    shown = curve_of(tmp_path / "f0.csv", "f0.csv", 0.0)
    assert (shown["step"], shown["frames"]) == (0.01, 21)
    assert shown["f0_hz"][5] == 0 and shown["f0_hz"][10:13] == [200, 200, 200] and 200 < shown["f0_hz"][15] < 400


def test_a_file_too_long_to_draw_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "f0.csv").write_text("0,200\n90000,200\n")
    with pytest.raises(AudioError, match="too long to be drawn"):
        curve_of(tmp_path / "f0.csv", "f0.csv", 0.0)


def test_the_editor_gets_every_word_and_only_valid_json() -> None:
    given = json.loads(for_editor(Page(Path()), None, {"label": "a"}, force=True))
    wanted = {key.removeprefix("draw.editor.") for key in words("en") if key.startswith("draw.editor.")}
    assert set(given["words"]) == wanted and given["force"] and given["curve"] == {"label": "a"}
    script = (Path(__file__).parents[3] / "svc/interface/f0_editor.js").read_text(encoding="utf-8")
    assert "http" not in script and all(f'"{name}"' in script for name in wanted - {"canvas"} | {"canvas"})


@pytest.mark.parametrize("data", ["", "[]", "{}", "[" * 100_000, "null"])
def test_a_curve_without_a_name_has_none(data: str) -> None:
    assert label_of(data) == ""
