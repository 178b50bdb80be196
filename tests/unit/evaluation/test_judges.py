import math
import sys

import pytest

from svc.evaluation.judges import edit_distance, judges_dir, load_judges, plain_words, word_error_rate


def test_words_and_errors():
    assert plain_words("Kids are talking, by the DOOR!") == ["kids", "are", "talking", "by", "the", "door"]
    reference = ["kids", "are", "talking", "by", "the", "door"]
    assert word_error_rate(reference, reference) == 0
    assert word_error_rate(["kids", "talking", "by", "a", "door", "now"], reference) == pytest.approx(3 / 6)
    assert word_error_rate([], reference) == 1.0
    assert math.isnan(word_error_rate(["a"], []))
    assert edit_distance(list("kitten"), list("sitting")) == 3


def test_missing_judges_are_named_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    monkeypatch.setitem(sys.modules, "distillmos", None)
    judges = load_judges(tmp_path)
    assert judges.verifier is None and judges.words is None and judges.naturalness is None
    assert set(judges.missing) == {"resnet34", "whisper", "distillmos"}
    assert "faster_whisper" in judges.missing["whisper"] and "svc-toolkit[judges]" in judges.missing["whisper"]
    assert str(tmp_path) in judges.missing["resnet34"] or "onnxruntime" in judges.missing["resnet34"]


def test_a_foreign_verifier_file_is_refused(tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "verifier.onnx").write_bytes(b"something else")
    assert "sha256" in load_judges(tmp_path).missing["resnet34"]


def test_folder_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SVC_JUDGES", str(tmp_path))
    assert judges_dir() == tmp_path
