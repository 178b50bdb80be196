"""`svc weights` on files of the catalogue; downloads are tested in tests/unit/weights."""

import json
from pathlib import Path

import pytest
from cli_cases import Cli


@pytest.fixture(autouse=True)
def pretrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "pretrain"
    folder.mkdir()
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(folder))
    monkeypatch.setenv("SVC_OFFLINE", "1")
    return folder


def state(cli: Cli, name: str) -> str:
    entries = json.loads(cli("weights", "list", "--json").out)["catalogue"]
    return next(entry["state"] for entry in entries if entry["name"] == name)


def test_list_shows_the_catalogue_and_what_is_here(cli: Cli, pretrain: Path) -> None:
    out = cli("weights", "list").out
    assert "judge: measures only" in out and "CC BY-NC-SA 4.0" in out
    assert " by hand " in next(line for line in out.splitlines() if line.startswith("rmvpe "))
    assert " missing " in next(line for line in out.splitlines() if line.startswith("campplus "))
    assert state(cli, "rmvpe") == "missing" and state(cli, "whisper") == "any name"
    (pretrain / "rmvpe.pt").write_bytes(b"1")
    assert state(cli, "rmvpe") == "unpinned"
    (pretrain / "campplus_cn_common.bin").write_bytes(b"1")
    assert state(cli, "campplus") == "damaged"
    (pretrain / "nsf_hifigan").mkdir()
    (pretrain / "nsf_hifigan" / "model").write_bytes(b"1")
    assert state(cli, "nsf-hifigan") == "incomplete"


def test_get_pins_what_is_here_and_says_how_to_get_the_rest(cli: Cli, pretrain: Path) -> None:
    (pretrain / "rmvpe.pt").write_bytes(b"1")
    outcome = cli("weights", "get", "rmvpe", "campplus", "--json")
    assert outcome.code == 1 and "licence Apache-2.0" in outcome.err
    assert [s for s in outcome.sentences if "SVC_OFFLINE forbids" in s]
    results = json.loads(outcome.out)["results"]
    assert [r["status"] for r in results] == ["there", "failed"]
    assert state(cli, "rmvpe") == "pinned"
    done = cli("weights", "get", "rmvpe")
    assert done.code == 0 and done.out.split() == ["there", "rmvpe", str(pretrain / "rmvpe.pt")]


def test_get_without_or_with_an_unknown_name_is_wrong_usage(cli: Cli) -> None:
    assert cli("weights", "get").code == 2
    outcome = cli("weights", "get", "campplu")
    assert outcome.code == 2 and "Did you mean 'campplus'" in outcome.err


def test_verify_reads_again_and_names_a_changed_file(cli: Cli, pretrain: Path) -> None:
    path = pretrain / "rmvpe.pt"
    path.write_bytes(b"1")
    assert cli("weights", "verify").code == 0
    cli("weights", "get", "rmvpe")
    assert cli("weights", "verify").code == 0
    import os

    times = path.stat()
    path.write_bytes(b"2")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    outcome = cli("weights", "verify")
    assert outcome.code == 1 and str(path) in outcome.err and "first used" in outcome.err


def test_where_names_files_put_there_by_hand(cli: Cli, pretrain: Path) -> None:
    (pretrain / "mine").mkdir()
    path = pretrain / "mine" / "rmvpe.pt"
    path.write_bytes(b"1")
    assert str(path) in cli("weights", "where").out
