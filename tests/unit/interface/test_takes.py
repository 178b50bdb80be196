"""Takes and presets: what is told of them, and which transposition is suggested."""

from types import SimpleNamespace
from typing import Any

import pytest

from svc.config import ConvertOptions
from svc.interface.presets import differences, with_preset
from svc.interface.takes import note, settings_words, suggestion
from svc.interface.texts import say
from svc.interface.voices import VoiceEntry


class Page:
    def say(self, request: Any, key: str, **values: object) -> str:
        return say("en", key, **values)


def entry(**changes: Any) -> VoiceEntry:
    facts = {"id": "own-1", "label": "a", "path": None, "speakers": [], "sample_rate": 44_100, "made": 0.0, "size": 1}
    return VoiceEntry(**{**facts, **changes})


@pytest.mark.parametrize(("f0_hz", "name"), [(440.0, "A4"), (261.6, "C4"), (0.0, "?"), (float("nan"), "?")])
def test_notes(f0_hz: float, name: str) -> None:
    assert note(f0_hz) == name


def test_only_what_is_not_usual_is_told_and_no_file_of_the_server() -> None:
    options = ConvertOptions(transpose=3, noise_scale=0.5, f0_file="/secret/f0.csv").model_dump(mode="json")
    assert differences(options) == {"transpose": 3.0, "noise_scale": 0.5}
    told = settings_words(Page(), None, {"options": options, "preview_seconds": 20.0, "f0": "mine.csv"})
    assert told.startswith(say("en", "convert.beginning")) and "Transpose 3" in told and "mine.csv" in told
    assert settings_words(Page(), None, {"options": {}}) == say("en", "convert.usual")


def test_what_a_client_asks_for_goes_over_the_preset() -> None:
    assert with_preset(entry(preset={"transpose": 5.0, "seed": 1}), {"transpose": 2}) == {"transpose": 2, "seed": 1}


def test_whole_octaves_are_suggested() -> None:
    song = {"low_hz": 98.0, "median_hz": 130.8, "high_hz": 196.0}
    singer = {"name": "anna", "f0_low_hz": 220.0, "f0_median_hz": 311.1, "f0_high_hz": 440.0}
    words, octaves = suggestion(Page(), SimpleNamespace(), song, singer)
    assert octaves == 12 and "+12" in words and "+15" in words and "G2" in words and "anna" in words
    words, octaves = suggestion(Page(), SimpleNamespace(), song, {"name": "x"})
    assert octaves == 0 and words == say("en", "convert.range_song", low="G2", high="G3")
