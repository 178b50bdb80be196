"""Files put into pretrain/ by hand: found by content, pinned on first use."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from svc import weights
from svc.errors import ConfigError, WeightError
from svc.weights import find_weight, weight_path
from svc.weights.catalogue import GROUPS, catalogue, is_distinctive
from svc.weights.entry import RemoteFile
from svc.weights.package import parse_source
from svc.weights.pretrained import Ledger

CONTENT = b"some weights"
HASH = hashlib.sha256(CONTENT).hexdigest()
KNOWN = RemoteFile("sub/net.pt", (), HASH, len(CONTENT))


def write(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_known_file_is_found_under_any_name(pretrain: Path) -> None:
    assert Ledger().find(KNOWN) is None
    write(pretrain / "sub" / "net.pt", b"other weights")
    write(pretrain / "same size.pt", CONTENT[::-1])
    write(pretrain / "net.pt.part")
    write(pretrain / ".hidden" / "net.pt")
    assert Ledger().find(KNOWN) is None
    renamed = write(pretrain / "deep" / "er" / "foo")
    assert Ledger().find(KNOWN) == renamed
    assert Ledger().find(RemoteFile("x.th", (), HASH[:8])) is None
    same_ending = write(pretrain / "y.th")
    assert Ledger().find(RemoteFile("x.th", (), HASH[:8])) == same_ending


def test_an_embedded_file_is_found_by_content_too(pretrain: Path, tmp_path: Path, monkeypatch) -> None:
    embedded = weights.RESEMBLYZER
    copy = write(pretrain / "copy.bin", embedded.path().read_bytes())
    monkeypatch.setattr("svc.weights.ASSETS", tmp_path / "none")
    assert embedded.path() == copy


def test_a_file_is_read_once_for_each_change(pretrain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    real = weights.sha256_of
    monkeypatch.setattr("svc.weights.pretrained.sha256_of", lambda path: read.append(path) or real(path))
    path = write(pretrain / "foo")
    assert [Ledger().find(KNOWN) for _ in range(3)] == [path] * 3 and read == [path]
    write(path, CONTENT[::-1])
    os.utime(path, ns=(1, 1))
    assert Ledger().find(KNOWN) is None and read == [path, path]
    os.utime(write(path), ns=(1, 1))
    changed = Ledger()
    assert changed.find(KNOWN) is None, "same size and time: the change is not seen"
    changed.forget()
    assert changed.find(KNOWN) == path


def test_an_unknown_hash_is_found_by_name_then_pinned_on_use(pretrain: Path) -> None:
    assert find_weight("rmvpe") is None
    with pytest.raises(WeightError, match=r"rmvpe\.pt .* is not in .*: get rmvpe\.pt from the assets of RVC"):
        weight_path("rmvpe")
    mine = write(pretrain / "mine" / "rmvpe.pt")
    assert find_weight("rmvpe") == mine and not (pretrain / "weights.json").exists()
    assert weight_path("rmvpe") == mine
    assert json.loads((pretrain / "weights.json").read_text())["pinned"]["rmvpe.pt"]["sha256"] == HASH
    moved = mine.rename(pretrain / "called otherwise.pt")
    assert weight_path("rmvpe") == moved
    moved.unlink()
    write(pretrain / "rmvpe.pt", b"another rmvpe")
    with pytest.raises(WeightError, match=r"first used.*delete .*weights\.json if the new one is meant"):
        weight_path("rmvpe")
    (pretrain / "weights.json").unlink()
    assert weight_path("rmvpe") == pretrain / "rmvpe.pt"


def test_a_name_that_many_files_have_is_only_taken_at_its_place(pretrain: Path) -> None:
    write(pretrain / "else" / "config.json")
    assert find_weight("nsf-hifigan", "config.json") is None
    own = write(pretrain / "nsf_hifigan" / "config.json")
    assert find_weight("nsf-hifigan", "config.json") == own


def test_a_missing_file_with_an_address_names_the_command() -> None:
    with pytest.raises(WeightError, match=r"run  svc weights get campplus  or get campplus_cn_common\.bin from 3D-Sp"):
        weight_path("campplus")


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'rmvpe'"):
        find_weight("rmvpee")
    with pytest.raises(ConfigError, match="no file called 'b'"):
        find_weight("rmvpe", "b")
    with pytest.raises(ConfigError, match="give the path of your own file"):
        find_weight("whisper")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1}', '{"format": 1, "pinned": {"a": 1}, "seen": {}}', '{"format": 9}']
)
def test_a_damaged_ledger_is_refused(pretrain: Path, text: str) -> None:
    write(pretrain / "weights.json", text.encode())
    with pytest.raises(WeightError, match=r"weights\.json (is damaged|was written by another version).*delete it"):
        Ledger()


def test_a_folder_that_cannot_be_written_still_serves(pretrain: Path, caplog, monkeypatch) -> None:
    path = write(pretrain / "foo")

    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr("svc.weights.pretrained.os.replace", refuse)
    assert Ledger().find(KNOWN) == path and "hashes are not kept" in caplog.text


def test_the_catalogue_is_consistent() -> None:
    entries = catalogue()
    files = [file for entry in entries for file in entry.files]
    assert len(entries) > 25 and len({entry.name for entry in entries}) == len(entries)
    # Lists that several models of one program need are in each of their entries, as the same file.
    assert len({file.path for file in files}) == len(set(files))
    for entry in entries:
        assert entry.purpose and entry.name == entry.name.lower()
        assert entry.judge == (entry in GROUPS["Judges"]) == entry.name.startswith("judge-")
    for file in files:
        assert not Path(file.path).is_absolute() and ".." not in file.path and "\\" not in file.path
        assert set(file.sha256) <= set("0123456789abcdef") and len(file.sha256) in (0, 8, 64)
        for source in file.sources:
            assert source.startswith(("https://", "hf:", "pypi:"))
            if source.startswith("pypi:"):
                assert parse_source(source) and len(file.sha256) == 64 and file.bytes
    assert is_distinctive(RemoteFile("rmvpe.pt")) and not is_distinctive(RemoteFile("x/config.json"))
