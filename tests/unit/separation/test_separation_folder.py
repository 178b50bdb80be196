import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from svc.errors import ConfigError
from svc.separation import folder as folder_module
from svc.separation.folder import separate_files


def write_song(path: Path, seed: int = 0, length: int = 20_001, rate: int = 44_100, level: float = 0.3) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).uniform(-level, level, (length, 2)).astype(np.float32)
    soundfile.write(path, samples, rate, subtype="FLOAT" if path.suffix == ".wav" else None)
    return soundfile.read(path, dtype="float32")[0]


def stems(out: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    return tuple(soundfile.read(out / part / name, dtype="float32")[0] for part in ("vocals", "accompaniment"))


def test_the_tree_is_mirrored_and_stems_sum_to_the_song(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw songs", tmp_path / "out"
    song = write_song(raw / "Ünï" / "a b.flac", rate=48_000)
    write_song(raw / "top.wav", 1)
    single = write_song(tmp_path / "single.wav", 2)
    results = separate_files([raw, tmp_path / "single.wav"], out, "basic")
    assert [(r.ok, r.skipped) for r in results] == [(True, False)] * 3
    vocals, rest = stems(out, "Ünï/a b.wav")
    np.testing.assert_allclose(vocals + rest, song, atol=1e-6)
    assert np.abs(vocals).max() > 0.01
    assert soundfile.info(out / "vocals" / "Ünï" / "a b.wav").samplerate == 48_000
    np.testing.assert_allclose(sum(stems(out, "single.wav")), single, atol=1e-6)
    assert (out / "vocals" / "top.wav").is_file()


def test_running_again_does_only_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    for index in range(4):
        write_song(raw / f"{index}.wav", index)
    separate_files([raw], out, "none")
    write_song(raw / "1.wav", 10)
    (out / "accompaniment" / "2.wav").unlink()
    (out / "vocals" / "3.wav").write_bytes(b"cut")
    results = separate_files([raw], out, "none")
    assert [result.skipped for result in results] == [True, False, False, False]
    assert all(result.ok for result in results)
    assert all(result.skipped for result in separate_files([raw], out, "none"))
    assert not any(result.skipped for result in separate_files([raw], out, "basic"))
    record = out / folder_module.RECORD_NAME
    record.write_text("{ damaged", encoding="utf-8")
    assert not any(result.skipped for result in separate_files([raw], out, "basic"))
    assert len(json.loads(record.read_text(encoding="utf-8"))["files"]) == 4


def test_a_bad_file_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    write_song(raw / "a.wav", 1)
    (raw / "b.wav").write_text("this is text")
    write_song(raw / "c.wav", 3)
    empty = tmp_path / "empty"
    empty.mkdir()
    seen: list[float] = []
    results = separate_files([raw, empty, tmp_path / "gone.wav"], out, "none", progress=seen.append)
    by_name = {result.path.name: result for result in results}
    assert {name: result.ok for name, result in by_name.items()} == {
        "a.wav": True,
        "b.wav": False,
        "c.wav": True,
        "empty": False,
        "gone.wav": False,
    }
    assert "b.wav" in by_name["b.wav"].reason
    assert "no audio" in by_name["empty"].reason
    assert "does not exist" in by_name["gone.wav"].reason
    assert not (out / "vocals" / "b.wav").exists()
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_nothing_half_written_stays_when_it_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    write_song(tmp_path / "a.wav", length=300_000)

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        separate_files([tmp_path / "a.wav"], out, "none", progress=stop)
    assert not [path for path in out.rglob("*") if path.is_file()]
    assert separate_files([tmp_path / "a.wav"], out, "none")[0].ok


def test_names_that_would_meet_are_kept_apart(tmp_path: Path) -> None:
    one, other, out = tmp_path / "one", tmp_path / "other", tmp_path / "out"
    write_song(one / "song.wav", 1)
    write_song(one / "song.flac", 2)
    write_song(one / "alone.wav", 3)
    write_song(other / "song.wav", 4)
    results = separate_files([one, other, one / "alone.wav"], out, "none")
    assert [result.vocals.name for result in results] == [
        "alone.wav",
        "song.flac.wav",
        "song.wav.wav",
        "song.wav-2.wav",
    ]
    assert all(result.vocals.is_file() for result in results)


def test_stems_of_an_earlier_run_are_no_input(tmp_path: Path) -> None:
    write_song(tmp_path / "song.wav")
    separate_files([tmp_path], tmp_path / "out", "none")
    separate_files([tmp_path], tmp_path, "none")
    results = separate_files([tmp_path], tmp_path, "none")
    assert sorted(result.path.relative_to(tmp_path).as_posix() for result in results if not result.skipped) == []
    assert (tmp_path / "vocals" / "song.wav").is_file()


def test_flac_says_when_a_stem_was_limited(tmp_path: Path) -> None:
    write_song(tmp_path / "loud.wav", level=1.5)
    write_song(tmp_path / "quiet.wav")
    loud, quiet = separate_files(
        [tmp_path / "loud.wav", tmp_path / "quiet.wav"], tmp_path / "out", "none", file_format="flac"
    )
    assert loud.ok
    assert "limited" in loud.reason
    assert quiet.reason == ""
    assert soundfile.info(quiet.vocals).subtype == "PCM_24"


def test_unknown_method_and_format_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="separation method"):
        separate_files([tmp_path], tmp_path / "out", "spleetr")
    with pytest.raises(ConfigError, match="format"):
        separate_files([tmp_path], tmp_path / "out", "none", file_format="mp3")
    assert not (tmp_path / "out").exists()
