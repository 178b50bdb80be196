import numpy as np
import pytest
from recordings import sung

from svc.data import doctor, report

GOOD = {
    "seconds": 8.0,
    "voiced_share": 0.7,
    "f0_low_hz": 180.0,
    "f0_median_hz": 220.0,
    "f0_high_hz": 300.0,
    "level_db": -22.0,
    "snr_db": 50.0,
    "clipped_share": 0.0,
    "second_voice_share": 0.02,
}
ROOM = {"snr_db": 50.0, "quick_decays_per_second": 4.0}


@pytest.mark.parametrize(
    ("measures", "recording", "code", "drop"),
    [
        ({"voiced_share": 0.01}, {}, "no_voice", True),
        ({"level_db": -50.0}, {}, "too_quiet", False),
        ({"level_db": -62.0}, {}, "too_quiet", True),
        ({"snr_db": 18.0}, {}, "noisy", False),
        ({"snr_db": 8.0}, {}, "noisy", True),
        ({"snr_db": None}, {"snr_db": 9.0}, "noisy", True),
        ({"clipped_share": 0.001}, {}, "clipped", False),
        ({"clipped_share": 0.05}, {}, "clipped", True),
        ({}, {"quick_decays_per_second": 0.3}, "reverberant", False),
        ({"second_voice_share": 0.5}, {}, "second_voice", False),
    ],
)
def test_each_fault_is_found_with_reason_and_advice(measures, recording, code, drop):
    found = doctor.judge_slice(GOOD | measures, ROOM | recording)
    assert [(f.code, f.drop) for f in found] == [(code, drop)]
    assert len(found[0].reason) > 15 and len(found[0].advice) > 15


def test_good_slices_have_no_findings():
    assert doctor.judge_slice(GOOD, ROOM) == []
    unknown = {"snr_db": None, "second_voice_share": None}
    assert doctor.judge_slice(GOOD | unknown, {"snr_db": None, "quick_decays_per_second": None}) == []


def test_unusable_recordings_are_told_before_any_network_hears_them():
    assert "too short" in doctor.unusable_recording(0.4, 0.5)
    assert "silent" in doctor.unusable_recording(10, 1e-5)
    assert doctor.unusable_recording(1.0, 0.1) is None


def test_near_duplicates_need_alike_pictures_lengths_and_waveforms():
    waves = [sung(1, seed=1), sung(1, seed=1), sung(1, seed=2), sung(1, seed=1)]
    picture = np.zeros(8)
    picture[0] = 1
    pictures = [picture.tolist()] * 4
    assert doctor.near_duplicates(pictures, [5.0, 5.05, 5.0, 9.0], waves.__getitem__) == {1: 0}
    assert doctor.near_duplicates(pictures, [5.0] * 4, waves.__getitem__) == {1: 0, 3: 0}
    other = np.roll(picture, 1).tolist()
    assert doctor.near_duplicates([pictures[0], other], [5.0, 5.0], waves.__getitem__) == {}
    assert doctor.near_duplicates([], [], waves.__getitem__) == {}


def test_report_names_every_fault():
    found = doctor.judge_slice(GOOD | {"snr_db": 8.0}, ROOM)[0]
    finding = {"code": found.code, "drop": found.drop, "reason": found.reason, "advice": found.advice}
    piece = {"start_seconds": 3.0, "verdict": "drop", "findings": [finding], **GOOD}
    row = {"name": "a|b.wav", "singer": "ann", "error": None, "slices": [piece]}
    bad = {"name": "c.wav", "singer": "ann", "error": "is empty", "slices": []}
    singer = {
        "name": "ann",
        "recordings": 2,
        "unused_recordings": 1,
        "minutes": 1.5,
        "slices": 3,
        "dropped_slices": 1,
        "validation_slices": 1,
        "f0_hz": [100.0, 200.0, 300.0],
    }
    text = report.render({"singers": [singer], "warnings": ["w"], "notes": ["n"], "recordings": [row, bad]})
    assert "| ann | 2 (1) | 1.5 | 3 (1) | 1 | 100 / 200 / 300 Hz |" in text
    assert "| c.wav | is empty |" in text
    assert "noisy: 1 slice(s), left out" in text and found.advice in text
    assert "- a|b.wav, 3.0 to 11.0 s: " + found.reason in text
    assert "- w" in text and "- n" in text
