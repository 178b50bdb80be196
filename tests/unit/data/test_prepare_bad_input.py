import errno
import json

import numpy as np
import pytest
from recordings import RATE, small_config, sung, write

from svc.data.prepare import prepare_dataset
from svc.errors import ConfigError, DatasetError
from svc.features.store import FeatureStore


def prepare_with(tmp_path, bad: dict[str, object], **changes):
    """Prepare one good recording beside bad ones; the dataset and the report's rows by name."""
    raw = tmp_path / "ann"
    write(raw / "good.wav", sung(2.5, seed=1))
    for name, content in bad.items():
        if isinstance(content, bytes):
            (raw / name).write_bytes(content)
        else:
            write(raw / name, content)
    dataset = prepare_dataset(raw, tmp_path / "out", small_config(**changes))
    rows = {r["name"]: r for r in json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))["recordings"]}
    return dataset, rows


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.wav", b"", "empty"),
        ("text.wav", b"this is not a song " * 50, "not audio"),
        ("silence.wav", np.zeros(3 * RATE, np.float32), "silent"),
        ("blip.wav", sung(0.2, seed=2), "too short"),
        ("nan.wav", np.concatenate([sung(2, seed=2), np.full(9, np.nan, np.float32)]), "NaN"),
        ("nine.wav", np.stack([sung(2, seed=2)] * 9), "9 channels"),
    ],
)
def test_a_bad_file_is_named_with_its_reason_and_the_rest_is_used(tmp_path, name, content, reason):
    dataset, rows = prepare_with(tmp_path, {name: content})
    assert {u.recording for u in dataset.utterances} == {"good.wav"}
    assert reason in rows[name]["error"] and rows["good.wav"]["error"] is None
    text = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert name in text and reason in text


def test_a_truncated_mp3_is_named(tmp_path):
    from svc.audio.signal import Audio
    from svc.audio.writing import write_audio

    write_audio(tmp_path / "whole.mp3", Audio(np.tile(sung(4, seed=3), 2)[None], RATE))
    data = (tmp_path / "whole.mp3").read_bytes()
    dataset, rows = prepare_with(tmp_path, {"cut.mp3": data[: len(data) // 2 - 50]})
    assert "cut off" in rows["cut.mp3"]["error"]
    assert {u.recording for u in dataset.utterances} == {"good.wav"}


def test_eight_channels_are_mixed_down(tmp_path):
    dataset, rows = prepare_with(tmp_path, {"eight.wav": np.stack([sung(2.5, seed=2)] * 8)})
    assert rows["eight.wav"]["error"] is None
    assert {u.recording for u in dataset.utterances} == {"good.wav", "eight.wav"}


def test_copies_are_used_once_and_named(tmp_path):
    good = sung(2.5, seed=1)
    dataset, rows = prepare_with(
        tmp_path, {"hcopy.wav": good, "louder.flac": np.clip(2 * good, -1, 1), "other.wav": sung(2.5, seed=9)}
    )
    assert "same file as good.wav" in rows["hcopy.wav"]["error"]
    assert "same performance as good.wav" in rows["louder.flac"]["error"]
    assert {u.recording for u in dataset.utterances} == {"good.wav", "other.wav"}


def test_nothing_usable_is_an_error_that_says_why(tmp_path):
    raw = tmp_path / "ann"
    write(raw / "a.wav", np.zeros(RATE * 2, np.float32))
    with pytest.raises(DatasetError, match=r"a\.wav: silent.*report\.md"):
        prepare_dataset(raw, tmp_path / "out", small_config())
    assert "a.wav" in (tmp_path / "out" / "report.md").read_text("utf-8")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_noise_without_a_voice_is_dropped_unless_told_otherwise(tmp_path):
    noise = (0.1 * np.random.default_rng(0).standard_normal(3 * RATE)).astype(np.float32)
    dataset, rows = prepare_with(tmp_path, {"noise.wav": noise}, pitch_estimator="fcpe")
    assert {u.recording for u in dataset.utterances} == {"good.wav"}
    pieces = rows["noise.wav"]["slices"]
    assert [p["verdict"] for p in pieces] == ["drop"] * len(pieces) and pieces
    assert pieces[0]["findings"][0]["code"] == "no_voice" and pieces[0]["findings"][0]["advice"]
    kept, _ = prepare_with(tmp_path, {"noise.wav": noise}, pitch_estimator="fcpe", keep_flagged=True)
    assert "no_voice" in next(u for u in kept.utterances if u.recording == "noise.wav").flags


def test_a_singer_with_little_sound_is_warned_about(tmp_path):
    dataset, _ = prepare_with(tmp_path, {})
    assert len(dataset.warnings) == 1 and "ann: only 2 s" in dataset.warnings[0]
    assert dataset.warnings[0] in (tmp_path / "out" / "report.md").read_text("utf-8")


def test_folders_without_audio(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "readme.txt").write_text("hello")
    with pytest.raises(DatasetError, match="no audio"):
        prepare_dataset(tmp_path / "empty", tmp_path / "out", small_config())
    with pytest.raises(DatasetError, match="does not exist"):
        prepare_dataset(tmp_path / "missing", tmp_path / "out", small_config())


def test_full_disk(tmp_path, monkeypatch):
    raw = tmp_path / "ann"
    write(raw / "a.wav", sung(2.5, seed=1))

    def full(self, *args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FeatureStore, "save", full)
    with pytest.raises(DatasetError, match="disk is full"):
        prepare_dataset(raw, tmp_path / "out", small_config())


def test_output_that_cannot_be_written(tmp_path):
    raw = tmp_path / "ann"
    write(raw / "a.wav", sung(2.5, seed=1))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatasetError, match="Cannot write"):
        prepare_dataset(raw, tmp_path / "file" / "out", small_config())


def test_unknown_encoder_name_is_named():
    with pytest.raises(ConfigError, match="moonshine"):
        small_config(content_encoder="moonshin")
