"""`svc pitch` and what goes back with `svc convert --f0-file`."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli_cases import FAST, Cli, sung, tiny_voice, write

from svc.pitch.curve_file import read_curve


def test_the_curve_is_that_of_the_song(cli: Cli, tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", sung(4.0))
    arguments = ("pitch", song, "--output", tmp_path / "c.csv", "--method", "dio", "--device", "cpu")
    facts = json.loads(cli(*arguments, "--json").out)
    times, track = read_curve(tmp_path / "c.csv")
    assert facts["frames"] == len(times) == 401 and facts["voiced_share"] == pytest.approx(
        track.voiced.mean(), abs=1e-4
    )
    note = np.floor(times) == 1
    assert np.median(track.f0_hz[note & track.voiced]) == pytest.approx(220 * 2 ** (4 / 12), rel=0.01)
    assert "% voiced" in cli(*arguments).out
    cli(*arguments, "--step-ms", "50")
    assert len(read_curve(tmp_path / "c.csv")[0]) == 81


def test_silence_is_told(cli: Cli, tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", np.zeros(4000, np.float32))
    outcome = cli("pitch", song, "--output", tmp_path / "c.csv", "--method", "dio", "--device", "cpu")
    assert outcome.code == 0 and "nothing in" in outcome.err
    voice = tiny_voice(tmp_path / "voice.safetensors")
    convert = ("convert", song, "--voice", voice, "--output", tmp_path / "out", *FAST, "--f0-file", tmp_path / "c.csv")
    assert "has no voiced line" in cli(*convert).sentences[0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--output", "c.csv", "--method", "fcp"), "Did you mean 'fcpe'?"),
        (("--output", "c.csv", "--separate", "spleter"), "Did you mean 'spleeter'?"),
        (("--output", "c.csv", "--step-ms", "0"), "give 1 to 100 milliseconds"),
        (("--output", "c.wav"), "give it the ending .csv"),
    ],
)
def test_wrong_usage(cli: Cli, arguments: tuple[str, ...], expected: str) -> None:
    outcome = cli("pitch", "song.wav", *arguments)
    assert outcome.code == 2 and expected in outcome.err and len(outcome.err.splitlines()) == 1


def test_an_edited_curve_is_what_is_sung_and_an_edit_counts(cli: Cli, tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", sung(1.0))
    voice, curve = tiny_voice(tmp_path / "voice.safetensors"), tmp_path / "c.csv"
    assert cli("pitch", song, "--output", curve, "--device", "cpu", "--method", "dio").code == 0
    convert = ("convert", song, "--voice", voice, "--output", tmp_path / "out", *FAST, "--transpose", "0", "--json")

    def result(*more: object) -> bytes:
        facts = json.loads(cli(*convert, *more).out)["results"][0]
        assert facts["status"] == "done", facts
        return Path(facts["output"]).read_bytes()

    measured = result()
    as_written = result("--f0-file", curve)
    lines = curve.read_text().splitlines()
    edited = [f"{t},{float(hz) * 1.5},{v}" for t, hz, v in (line.split(",") for line in lines[1:])]
    curve.write_text("\n".join([lines[0], *edited]) + "\n")
    higher = result("--f0-file", curve)
    assert as_written != higher and measured != higher
    again = json.loads(cli(*convert, "--f0-file", curve).out)["results"][0]
    assert again["status"] == "skipped"


def test_one_curve_is_for_one_song(cli: Cli, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / "songs" / f"{name}.wav", sung(0.5))
    (tmp_path / "c.csv").write_text("0,220\n")
    voice = tiny_voice(tmp_path / "voice.safetensors")
    arguments = ("convert", tmp_path / "songs", "--voice", voice, "--output", tmp_path / "out", *FAST)
    outcome = cli(*arguments, "--f0-file", tmp_path / "c.csv")
    assert outcome.code == 2 and "the melody of one song, not of 2" in outcome.err
    gone = cli("convert", tmp_path / "songs/a.wav", *arguments[2:], "--f0-file", tmp_path / "gone.csv")
    assert gone.code == 1 and "gone.csv is not a readable text file" in gone.sentences[0]
