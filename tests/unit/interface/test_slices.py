"""Slices of a preparation: what is advised, what a person chooses, and what a training makes of it."""

import math
from pathlib import Path

import pytest

from svc.errors import ConfigError
from svc.interface.curves import read_curves, thinned
from svc.interface.disk import append_json, write_json
from svc.interface.kinds.gathering import FreeNames
from svc.interface.kinds.prepare import DATASET
from svc.interface.slices import choose, excluded_in, note_name, report_of, slices_of

BAD = {"code": "noisy", "drop": True, "reason": "r", "advice": "a"}
SO_SO = {**BAD, "drop": False}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    rows = [
        {"id": f"id{i}", "start_seconds": 2.0 * i, "seconds": 2.0, "level_db": -20.0, "findings": found}
        for i, found in enumerate([[], [BAD], [SO_SO]])
    ]
    (tmp_path / DATASET).mkdir()
    write_json(tmp_path / DATASET / "report.json", {"recordings": [{"name": "a.wav", "slices": rows, "error": None}]})
    return tmp_path


def test_advice_is_the_first_choice_and_a_persons_one_replaces_it(work: Path) -> None:
    slices = slices_of(report_of(work))
    assert [piece.number for piece in slices] == [1, 2, 3]
    assert excluded_in(work, slices) == {"id1"}
    choose(work, {"id0"})
    assert excluded_in(work, slices) == {"id0"}
    choose(work, set())
    assert excluded_in(work, slices) == set()


def test_curves_of_a_run_leave_out_a_torn_line(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    for step in range(1, 1001):
        append_json(metrics, {"step": step, "kind": "train", "mel": float(step), "data_wait": 0.5})
    append_json(metrics, {"step": 10, "kind": "validation", "mel_distance": 1.0})
    with open(metrics, "a") as file:
        file.write('{"step": 11, "ki')
    curves = read_curves(metrics)
    assert list(curves) == [("validation", "mel_distance"), ("train", "mel")]
    points = thinned(curves["train", "mel"])
    assert len(points) <= 160 and math.isclose(points[0][1], 4.0) and points[-1][1] > 990


def test_names_are_free_and_never_paths() -> None:
    names = FreeNames()
    given = [names.free(label, ".wav") for label in ("song", "Song", "../../etc/passwd", "a/b", "")]
    assert given == ["song.wav", "Song (2).wav", "etc_passwd.wav", "a_b.wav", "singer.wav"]
    assert all("/" not in name and not name.startswith(".") for name in given)


def test_notes() -> None:
    assert note_name(440.0) == "A4 (440 Hz)" and note_name(261.63) == "C4 (262 Hz)" and note_name(0.0) == "?"


def test_settings_of_a_request_name_no_file() -> None:
    pytest.importorskip("gradio", reason="the page needs gradio (pip install 'svc-toolkit[webui]')")
    from svc.config import Config, ConvertOptions
    from svc.interface.asked import asked

    assert asked(Config, {"train": {"max_steps": 4}}) == {"train": {"max_steps": 4}} and asked(Config, None) == {}
    for model, data in (
        (Config, {"prepare": {"separate_model": "/etc/passwd"}}),
        (ConvertOptions, {"index": "x.index"}),
        (ConvertOptions, {"f0_file": "f0.csv"}),
        (Config, {"train": {"sorcery": 1}}),
        (Config, ["max_steps"]),
    ):
        with pytest.raises(ConfigError):
            asked(model, data)
