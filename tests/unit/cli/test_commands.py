"""What info, check, separate, convert and weights print."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from cli_cases import FAST, RATE, Cli, sung, tiny_voice, write

from svc.checkpoint.voice import load_voice, save_voice
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset
from svc.weights import embedded_weights


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_voice(tmp_path_factory.mktemp("run") / "voice.safetensors")


def test_info_on_audio(cli: Cli, tmp_path: Path) -> None:
    song = write(tmp_path / "a.wav", np.stack([sung(0.5)] * 2, axis=1))
    facts = json.loads(cli("info", song, "--json").out)
    assert (facts["kind"], facts["channels"], facts["sample_rate"], facts["seconds"]) == ("audio", 2, RATE, 0.5)
    assert "channels: 2" in cli("info", song).out


def test_info_tells_the_level_of_a_voice_that_knows_it(cli: Cli, voice: Path, tmp_path: Path) -> None:
    made = load_voice(voice)
    made.speakers = [replace(speaker, level_db=-23.5) for speaker in made.speakers]
    save_voice(tmp_path / "v.safetensors", made)
    assert json.loads(cli("info", tmp_path / "v.safetensors", "--json").out)["speakers"][0]["level_db"] == -23.5


def test_info_on_a_voice_and_on_its_run_folder(cli: Cli, voice: Path) -> None:
    facts = json.loads(cli("info", voice, "--json").out)
    assert facts["kind"] == "voice" and facts["parameters"] > 1000
    assert facts["speakers"] == [
        {"name": "anna", "minutes": 1.0, "f0_low_hz": 150.0, "f0_median_hz": 220.0, "f0_high_hz": 400.0}
    ]
    assert facts["features"]["hop_length"] == 512
    assert json.loads(cli("info", voice.parent, "--json").out) == facts
    assert "anna" in cli("info", voice).out


def test_info_on_a_dataset(cli: Cli, tmp_path: Path) -> None:
    dataset = write_synthetic_dataset(tmp_path, SyntheticSize(singers=2, slice_seconds=1.0))
    facts = json.loads(cli("info", tmp_path, "--json").out)
    assert facts["kind"] == "dataset" and sorted(facts["minutes"]) == sorted(dataset.speakers)
    assert facts["slices"] == len(dataset.utterances)


def test_info_on_a_folder_that_is_no_dataset_says_how_to_make_one(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("info", tmp_path)
    assert outcome.code == 1 and "svc prepare" in outcome.sentences[0]


def test_check_finds_everything_and_a_voice(cli: Cli, voice: Path) -> None:
    outcome = cli("check", "--voice", voice, "--json")
    report = json.loads(outcome.out)
    assert outcome.code == 0 and report["ok"]
    states = {finding["what"]: finding["state"] for finding in report["findings"]}
    assert states["torch"] == states[voice.name] == "ok"
    assert all(states[weight.name] == "ok" for weight in embedded_weights())


def test_check_fails_on_a_voice_that_is_none(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "voice.safetensors").write_bytes(b"nothing")
    outcome = cli("check", "--voice", tmp_path / "voice.safetensors")
    assert outcome.code == 1 and "is not a voice file" in outcome.out


def test_separate_prints_a_table_and_json_and_skips_what_is_done(cli: Cli, tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", sung(0.5))
    arguments = ("separate", song, "--output", tmp_path / "out", "--method", "none", "--device", "cpu")
    first = cli(*arguments)
    assert first.code == 0 and "1 done, 0 skipped, 0 failed" in first.out and "none:" in first.err
    again = json.loads(cli(*arguments, "--json").out)
    assert [r["status"] for r in again["results"]] == ["skipped"]
    vocals, _ = soundfile.read(again["results"][0]["vocals"], dtype="float32")
    np.testing.assert_array_equal(vocals, soundfile.read(song, dtype="float32")[0])


def test_separate_says_how_to_get_a_model_that_is_not_here(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path / "pretrain"))
    song = write(tmp_path / "song.wav", sung(0.1))
    arguments = ("separate", song, "--output", tmp_path / "out", "--device", "cpu")
    for more, said in (
        (("--model", "uvr-denoise-lite"), "run  svc weights get uvr-denoise-lite"),
        (("--method", "lead"), "run  svc weights get roformer-karaoke"),
        (("--model", "nothing"), "There is no separation model 'nothing'"),
    ):
        outcome = cli(*arguments, *more)
        assert outcome.code == 1 and said in outcome.sentences[0] and not (tmp_path / "out").exists()
    assert cli(*arguments, "--method", "none", "--model", "x.ckpt").code == 2


def test_convert_prints_a_table_and_json_on_stdout_only(cli: Cli, voice: Path, tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", sung(1.0))
    arguments = ("convert", song, "--voice", voice, "--output", tmp_path / "out", *FAST)
    first = cli(*arguments)
    assert first.code == 0 and "1 done, 0 skipped, 0 failed" in first.out and "Converting" in first.err
    again = cli(*arguments, "--json")
    assert [r["status"] for r in json.loads(again.out)["results"]] == ["skipped"]
    report = json.loads(cli(*arguments, "--seed", "7", "--json").out)["results"][0]["report"]
    assert report["speaker"] == "anna" and report["seconds"] == 1.0


def test_weights_list_shows_licence_and_state(cli: Cli) -> None:
    out = cli("weights", "list").out
    for weight in embedded_weights():
        line = next(line for line in out.splitlines() if line.startswith(weight.name))
        assert weight.licence in line and weight.purpose in line and " ok " in line


def test_weights_that_are_damaged_or_missing_are_named(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("svc.weights.ASSETS", tmp_path)
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path / "none"))
    (tmp_path / embedded_weights()[0].name).write_bytes(b"not weights")
    outcome = cli("weights", "verify", "--json")
    assert outcome.code == 1 and len(outcome.sentences) == len(embedded_weights())
    states = [w["state"] for w in json.loads(outcome.out)["weights"]]
    assert states == ["damaged", *["missing"] * (len(embedded_weights()) - 1)]
    assert cli("weights", "list").code == 0


def test_weights_where_names_both_folders(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path))
    places = json.loads(cli("weights", "where", "--json").out)
    assert places["pretrain"] == str(tmp_path)
    assert all(Path(w["path"]).is_file() for w in places["weights"])
