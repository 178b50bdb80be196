"""Uploads and paths: only what is allowed is read, and names never become paths."""

import os
from pathlib import Path

import numpy as np
import pytest
from cli_cases import sung, write

from svc.errors import AudioError, CheckpointError
from svc.interface.files import FileRefused, UserFiles, clean_label, clean_words, resolve_allowed, slug
from svc.interface.voices import add_voice, change_voice, find_voice, list_voices, remove_voice

BAD_PATHS = ["../../etc/passwd", "/etc/passwd", "", " ", "a\0b", "~/x", "..", "songs/../../x", "file:///etc/passwd"]


@pytest.fixture
def files(tmp_path: Path) -> UserFiles:
    (tmp_path / "cache").mkdir()
    return UserFiles(tmp_path / "users" / "u1", tmp_path / "cache", limit_mb=1)


@pytest.mark.parametrize("path", BAD_PATHS)
def test_paths_outside_are_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "x").touch()
    with pytest.raises(FileRefused, match="not in a folder"):
        resolve_allowed(path, [tmp_path / "root"])


def test_links_that_lead_outside_are_refused_and_inside_is_found(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "songs").mkdir(parents=True)
    (root / "songs" / "a.wav").touch()
    os.symlink("/etc", root / "link")
    assert resolve_allowed("songs/a.wav", [root]) == (root / "songs" / "a.wav").resolve()
    assert resolve_allowed(root / "songs", [tmp_path / "other", root]) == (root / "songs").resolve()
    with pytest.raises(FileRefused):
        resolve_allowed("link/passwd", [root])
    with pytest.raises(FileRefused):
        resolve_allowed("songs/a.wav", [])


def test_a_song_is_stored_under_an_id_with_its_name_as_a_label(files: UserFiles, tmp_path: Path) -> None:
    upload = write(tmp_path / "cache" / "h" / "..ev il;$(x) 歌.wav", sung(0.5))
    stored = files.add_audio(upload)
    assert stored.label == "..ev il;$(x) 歌.wav" and stored.seconds == 0.5
    assert stored.path.parent.parent == files.folder and stored.path.name == "data.wav"
    upload.unlink()
    assert files.get(stored.id).path.stat().st_size == stored.size
    assert [f.id for f in files.listing("audio")] == [stored.id]
    files.remove(stored.id)
    assert files.listing() == []
    with pytest.raises(FileRefused, match="no longer there"):
        files.get(stored.id)


def test_text_named_mp3_gets_a_sentence_with_its_own_name(files: UserFiles, tmp_path: Path) -> None:
    fake = tmp_path / "cache" / "song.mp3"
    fake.write_text("words " * 100)
    with pytest.raises(AudioError, match=r"song\.mp3") as caught:
        files.add_audio(fake)
    assert str(tmp_path) not in str(caught.value)


def test_too_large_and_foreign_files_are_refused(files: UserFiles, tmp_path: Path) -> None:
    large = write(tmp_path / "cache" / "large.wav", np.zeros(600_000, np.float32))
    with pytest.raises(FileRefused, match="larger than 1 MB"):
        files.add_audio(large)
    outside = write(tmp_path / "outside.wav", sung(0.5))
    with pytest.raises(FileRefused, match="not in a folder"):
        files.add_audio(outside)


@pytest.mark.parametrize("file_id", ["", "../u2", "x" * 24, "a/b", "." * 24])
def test_ids_that_are_none_are_refused(files: UserFiles, file_id: str) -> None:
    with pytest.raises(FileRefused):
        files.get(file_id)


def test_labels_and_slugs() -> None:
    assert clean_label("C:\\a\\b\nc.wav") == "bc.wav" and clean_label("/") == "unnamed"
    assert clean_words(" AC/DC\n") == "AC/DC" and clean_words("") == "unnamed" and len(clean_words("x" * 999)) == 120
    assert slug("../A b/歌") == "A b_歌" and slug("...") == "singer"


def test_voices_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cli_cases import tiny_voice

    monkeypatch.setenv("SVC_RUNS_DIR", str(tmp_path / "runs"))
    source = tiny_voice(tmp_path / "runs" / "shared" / "voice.safetensors")
    home, other = tmp_path / "u1", tmp_path / "u2"
    own = add_voice(home, source, "Anna / 安娜")
    assert [v.label for v in list_voices(home)] == ["Anna / 安娜", "shared", "base"]
    assert [v.label for v in list_voices(other)] == ["shared", "base"]
    entry = find_voice(home, own)
    assert entry.own and entry.speakers[0]["name"] == "anna" and entry.sample_rate == 44_100
    change_voice(home, own, preset={"transpose": 3})
    assert find_voice(home, own).preset == {"transpose": 3}
    with pytest.raises(CheckpointError):
        find_voice(other, own)
    for given in ("server-shared", "builtin"):
        with pytest.raises(CheckpointError, match="belongs to the server"):
            remove_voice(home, given)
    remove_voice(home, own)
    assert len(list_voices(home)) == 2
    (tmp_path / "bad").write_bytes(b"x" * 40)
    with pytest.raises(CheckpointError, match="not a voice file"):
        add_voice(home, tmp_path / "bad", "bad")
