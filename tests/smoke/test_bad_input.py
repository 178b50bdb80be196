"""Bad input, through the real command line: one clear sentence, a non-zero exit code, and nothing lost."""

import builtins
import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from cli_cases import FAST, RATE, Cli, Outcome, snapshot, sung, tiny_voice, write

DIO = ("--features.pitch-estimator", "dio")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


@pytest.fixture(scope="session")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_voice(tmp_path_factory.mktemp("voice") / "voice.safetensors")


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared dataset of one short recording."""
    from svc.config import load_config
    from svc.data.prepare import prepare_dataset

    folder = tmp_path_factory.mktemp("dataset")
    write(folder / "anna" / "one.wav", sung(6.0))
    changes = {"prepare": {"separate": "none"}, "features": {"pitch_estimator": "dio"}}
    prepare_dataset(folder / "anna", folder / "prepared", load_config(None, changes))
    return folder / "prepared"


@pytest.fixture(autouse=True)
def _runs_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SVC_RUNS_DIR", str(tmp_path / "runs"))


def empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def text(path: Path) -> Path:
    path.write_text("This is a shopping list: milk, bread, eggs.\n" * 40)
    return path


def truncated_mp3(path: Path) -> Path:
    from svc.audio.signal import Audio
    from svc.audio.writing import write_audio

    path = path.with_suffix(".mp3")
    write_audio(path, Audio(sung(4.0)[None], RATE))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def not_a_number(path: Path) -> Path:
    samples = sung(2.0)
    samples[RATE] = np.nan
    return write(path, samples, subtype="FLOAT")


def nine_channels(path: Path) -> Path:
    return write(path, np.tile(sung(1.0)[:, None], (1, 9)))


UNREADABLE = [empty, text, truncated_mp3, not_a_number, nine_channels]
unreadable = pytest.mark.parametrize("make", UNREADABLE, ids=lambda make: make.__name__)


def require_one_sentence(outcome: Outcome, name: str, code: int = 1) -> str:
    """The one sentence on stderr, which names `name` and says what to do."""
    assert outcome.code == code, outcome.err
    assert len(outcome.sentences) == 1, outcome.err
    sentence = outcome.sentences[0]
    assert name in sentence
    assert "Traceback" not in outcome.err and "Errno" not in outcome.err
    assert sentence.count(name) == 1, "the file is named once"
    assert ":" in sentence.partition(" ")[2], "what to do follows a colon"
    return sentence


@unreadable
def test_convert_names_the_bad_song_and_converts_the_other(make, cli: Cli, voice: Path, tmp_path: Path) -> None:
    bad = make(tmp_path / "bad.wav")
    good = write(tmp_path / "good.wav", sung(1.0))
    out = tmp_path / "out"
    out.mkdir()
    (out / bad.name).write_bytes(b"an earlier result")
    outcome = cli("convert", bad, good, "--voice", voice, "--output", out, *FAST)
    require_one_sentence(outcome, str(bad))
    assert sorted(path.name for path in out.iterdir()) == sorted([".svc-batch.json", bad.name, "good.wav"])
    assert (out / bad.name).read_bytes() == b"an earlier result"
    assert "failed" in outcome.out and "1 done, 0 skipped, 1 failed" in outcome.out


@unreadable
def test_prepare_names_the_bad_recording(make, cli: Cli, tmp_path: Path) -> None:
    bad = make(tmp_path / "bad.wav")
    raw = tmp_path / "anna"
    raw.mkdir()
    bad = bad.rename(raw / bad.name)
    outcome = cli("prepare", raw, "--output", tmp_path / "dataset", *FAST, *DIO)
    assert outcome.code == 1 and len(outcome.sentences) == 1
    assert bad.name in outcome.sentences[0]
    assert "manifest.json" not in snapshot(tmp_path / "dataset")


@unreadable
def test_separate_names_the_bad_song(make, cli: Cli, tmp_path: Path) -> None:
    bad = make(tmp_path / "bad.wav")
    good = write(tmp_path / "good.wav", sung(1.0))
    outcome = cli("separate", bad, good, "--output", tmp_path / "out", "--method", "none", "--device", "cpu")
    require_one_sentence(outcome, str(bad))
    assert sorted(snapshot(tmp_path / "out")) == ["accompaniment/good.wav", "separation.json", "vocals/good.wav"]


def test_the_sentence_on_bad_samples_says_where(cli: Cli, voice: Path, tmp_path: Path) -> None:
    bad = not_a_number(tmp_path / "bad.wav")
    outcome = cli("convert", bad, "--voice", voice, "--output", tmp_path / "out", *FAST)
    assert "near 1.0 seconds" in require_one_sentence(outcome, str(bad))


def test_an_unreadable_recording_among_good_ones_is_named_and_the_rest_prepared(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path / "anna" / "good.wav", sung(6.0))
    bad = empty(tmp_path / "anna" / "bad.wav")
    outcome = cli("prepare", tmp_path / "anna", "--output", tmp_path / "dataset", *FAST, *DIO, "--json")
    require_one_sentence(outcome, str(bad))
    made = json.loads(outcome.out)
    assert made["slices"] >= 1 and [r["name"] for r in made["left_out"]] == ["bad.wav"]


def test_silence_is_no_recording_to_learn_from(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path / "anna" / "silence.wav", np.zeros(5 * RATE, np.float32))
    outcome = cli("prepare", tmp_path / "anna", "--output", tmp_path / "dataset", *FAST, *DIO)
    assert "silent" in require_one_sentence(outcome, "silence.wav")


def test_silence_is_converted_to_silence(cli: Cli, voice: Path, tmp_path: Path) -> None:
    import soundfile

    song = write(tmp_path / "silence.wav", np.zeros(RATE, np.float32))
    assert cli("convert", song, "--voice", voice, "--output", tmp_path / "out.wav", *FAST).code == 0
    samples, _ = soundfile.read(tmp_path / "out.wav")
    assert len(samples) == RATE and np.abs(samples).max() < 1e-3


def test_a_clip_of_a_fifth_of_a_second(cli: Cli, voice: Path, tmp_path: Path) -> None:
    import soundfile

    clip = write(tmp_path / "anna" / "clip.wav", sung(0.2))
    outcome = cli("prepare", tmp_path / "anna", "--output", tmp_path / "dataset", *FAST, *DIO)
    assert "too short" in require_one_sentence(outcome, "clip.wav")
    assert cli("convert", clip, "--voice", voice, "--output", tmp_path / "out.wav", *FAST).code == 0
    assert soundfile.info(tmp_path / "out.wav").frames == soundfile.info(clip).frames


def test_eight_channels_stay_eight(cli: Cli, voice: Path, tmp_path: Path) -> None:
    import soundfile

    song = write(tmp_path / "wide.wav", np.tile(sung(1.0)[:, None], (1, 8)))
    outcome = cli("convert", song, "--voice", voice, "--output", tmp_path / "out.wav", *FAST)
    assert outcome.code == 0 and not outcome.sentences
    info = soundfile.info(tmp_path / "out.wav")
    assert (info.channels, info.frames) == (8, RATE)


@pytest.mark.parametrize("command", ["prepare", "convert", "separate", "train"])
def test_a_folder_without_audio(command: str, cli: Cli, voice: Path, tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "notes.txt").write_text("la la la")
    rest = {
        "prepare": ("--output", tmp_path / "out"),
        "convert": ("--voice", voice, "--output", tmp_path / "out"),
        "separate": ("--output", tmp_path / "out"),
        "train": ("--run", "papers", "--config", "debug"),
    }
    outcome = cli(command, folder, *rest[command], "--device", "cpu")
    assert "no audio" in require_one_sentence(outcome, str(folder))


def test_two_files_of_the_same_name(cli: Cli, voice: Path, tmp_path: Path) -> None:
    raw = tmp_path / "anna"
    write(raw / "one" / "song.wav", sung(2.0))
    write(raw / "two" / "song.wav", sung(2.0, 247.0))
    write(raw / "three.wav", sung(2.0, 262.0))
    outcome = cli("convert", raw, raw / "one" / "song.wav", "--voice", voice, "--output", tmp_path / "out", *FAST)
    assert outcome.code == 0
    assert {"one/song.wav", "two/song.wav", "three.wav"} <= set(snapshot(tmp_path / "out"))
    flat = tmp_path / "flat"
    both = (raw / "one" / "song.wav", raw / "two" / "song.wav")
    assert cli("convert", *both, "--voice", voice, "--output", flat, *FAST).code == 0
    assert {"song.wav", "song-2.wav"} <= set(snapshot(flat))
    assert cli("prepare", raw, "--output", tmp_path / "dataset", *FAST, *DIO).code == 0
    manifest = json.loads((tmp_path / "dataset" / "manifest.json").read_text())
    assert {u["recording"] for u in manifest["utterances"]} == {"one/song.wav", "two/song.wav", "three.wav"}


class FullFile:
    """A file on a disk without space."""

    def __init__(self, file) -> None:
        self._file = file

    def write(self, data) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name: str):
        return getattr(self._file, name)

    def __enter__(self) -> "FullFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def fill_the_disk(how: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Writing to, or renaming, any file below `folder` fails as it does when the disk is full."""
    real_open = builtins.open

    def full_open(file, mode="r", *args, **kwargs):
        opened = real_open(file, mode, *args, **kwargs)
        inside = isinstance(file, str | Path) and str(file).startswith(str(folder))
        return FullFile(opened) if inside and set(mode) & set("wax+") else opened

    def full_replace(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if how == "write":
        monkeypatch.setattr(builtins, "open", full_open)
        monkeypatch.setattr(io, "open", full_open)
    else:
        monkeypatch.setattr(os, "replace", full_replace)


@pytest.mark.parametrize("how", ["write", "rename"])
@pytest.mark.parametrize("command", ["convert", "prepare", "separate", "train"])
def test_no_disk_space(
    command: str, how: str, cli: Cli, voice: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = write(tmp_path / "anna" / "song.wav", sung(3.0))
    out = tmp_path / "out"
    out.mkdir()
    (out / "song.wav").write_bytes(b"an earlier result")
    arguments = {
        "convert": (song, "--voice", voice, "--output", out, *FAST),
        "prepare": (song.parent, "--output", out, *FAST, *DIO),
        "separate": (song, "--output", out, "--method", "none"),
        "train": (dataset, "--run", "full", "--config", "debug", "--max-steps", 2, "--device", "cpu"),
    }
    before = snapshot(out)
    with monkeypatch.context() as patched:
        fill_the_disk(how, patched, tmp_path)
        outcome = cli(command, *arguments[command])
    assert outcome.code == 1, outcome.err
    assert len(outcome.sentences) == 1, outcome.err
    sentence = outcome.sentences[0]
    assert "space" in sentence or "full" in sentence
    assert str(tmp_path / "runs" / "full" if command == "train" else out) in sentence
    assert snapshot(out) == before, "nothing is lost, nothing is left"
    assert not [name for name in snapshot(tmp_path / "runs") if name.endswith((".part", ".tmp"))]


@pytest.mark.parametrize("command", ["convert", "prepare", "separate", "train"])
def test_read_only_output(
    command: str, cli: Cli, voice: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = write(tmp_path / "anna" / "song.wav", sung(3.0))
    out = tmp_path / "out"
    out.mkdir()
    arguments = {
        "convert": (song, "--voice", voice, "--output", out, *FAST),
        "prepare": (song.parent, "--output", out, *FAST, *DIO),
        "separate": (song, "--output", out, "--method", "none"),
        "train": (dataset, "--run", "ro", "--config", "debug", "--max-steps", 2, "--device", "cpu"),
    }
    real_open, real_mkdir = builtins.open, os.mkdir

    def refuse(path: object) -> None:
        if isinstance(path, str | Path) and str(path).startswith((str(out), str(tmp_path / "runs"))):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    def open_or_refuse(file, mode="r", *args, **kwargs):
        if set(mode) & set("wax+"):
            refuse(file)
        return real_open(file, mode, *args, **kwargs)

    def mkdir_or_refuse(path, *args, **kwargs) -> None:
        if not Path(path).is_dir():
            refuse(path)
        real_mkdir(path, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(builtins, "open", open_or_refuse)
        patched.setattr(io, "open", open_or_refuse)
        patched.setattr(os, "mkdir", mkdir_or_refuse)
        outcome = cli(command, *arguments[command])
    assert outcome.code == 1 and len(outcome.sentences) == 1, outcome.err
    assert str(tmp_path / "runs" if command == "train" else out) in outcome.sentences[0]
    assert snapshot(out) == {}


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("train: {bach_size: 3}", "batch_size"),
        ("trian: {}", "train"),
        ("features: {content_encoder: moonshin}", "moonshine"),
        ("features: {pitch_estimator: fcp}", "fcpe"),
        ("train: {batch_size: 0}", "greater than or equal to 1"),
        ("just words", "named settings"),
        ("a: [1", "not valid YAML"),
    ],
)
def test_a_recipe_that_cannot_be_meant(recipe: str, expected: str, cli: Cli, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(recipe)
    outcome = cli("train", dataset, "--run", "never", "--config", tmp_path / "mine.yaml", "--device", "cpu")
    assert outcome.code == 2 and len(outcome.err.splitlines()) == 1, outcome.err
    assert expected in outcome.err
    assert not (tmp_path / "runs").exists()


def newer(path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(str(path), "pt") as file:
        header = json.loads(file.metadata()["svc_voice"])
    save_file(load_file(path), path, {"svc_voice": json.dumps({**header, "format_version": 99})})


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)


def pickled(path: Path) -> None:
    import torch

    class Program:
        def __reduce__(self):
            return print, ("it ran",)

    torch.save({"weight": Program()}, path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [(newer, "update the toolkit"), (flipped, "damaged"), (pickled, "print, which is refused"), (cut, "damaged")],
    ids=["newer version", "flipped bit", "pickle", "cut"],
)
def test_a_voice_that_cannot_be_used(spoil, expected: str, cli: Cli, voice: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(voice.read_bytes())
    spoil(bad)
    song = write(tmp_path / "song.wav", sung(1.0))
    out = tmp_path / "out"
    out.mkdir()
    (out / "song.wav").write_bytes(b"an earlier result")
    outcome = cli("convert", song, "--voice", bad, "--output", out, *FAST)
    assert expected in require_one_sentence(outcome, str(bad))
    assert snapshot(out) == {"song.wav": b"an earlier result"}
    assert expected in require_one_sentence(cli("info", bad), str(bad))


def test_a_voice_of_another_spec(cli: Cli, dataset: Path, tmp_path: Path) -> None:
    other = tiny_voice(tmp_path / "other.safetensors", hop_length=256)
    arguments = ("--run", "other", "--config", "debug", "--base", other, "--device", "cpu")
    require_one_sentence(cli("train", dataset, *arguments), str(other))
    outcome = cli("check", "--voice", other, "--dataset", dataset)
    assert outcome.code == 1 and "hop" in outcome.out


def test_little_audio_is_warned_about_and_trained_on(cli: Cli, dataset: Path, tmp_path: Path) -> None:
    write(tmp_path / "anna" / "short.wav", sung(6.0))
    arguments = ("--run", "short", "--config", "debug", "--max-steps", 2, *FAST, *DIO)
    outcome = cli("train", tmp_path / "anna", *arguments, "--json")
    assert outcome.code == 0, outcome.err
    warnings = [line for line in outcome.err.splitlines() if line.startswith("Warning:")]
    assert len(warnings) == 1 and "anna" in warnings[0] and "add recordings" in warnings[0]
    made = json.loads(outcome.out)
    assert made["steps"] == 2 and Path(made["voice"]).is_file()
    assert cli("info", made["voice"]).code == 0
    again = cli("train", tmp_path / "anna", *arguments)
    assert "--resume" in require_one_sentence(again, str(tmp_path / "runs" / "short"))
