"""Training states: whole or absent, verified, and never silently replaced."""

import os
from pathlib import Path

import pytest
import torch

from svc.checkpoint import resume
from svc.checkpoint.resume import list_states, load_latest, load_state, save_state
from svc.errors import CheckpointError


def contents(value: float) -> dict:
    return {"weights": {"a": torch.full((1000,), value)}, "name": "x", "list": [1, 2.5], "flag": True}


def steps(folder: Path) -> list[int]:
    return [state.step for state in list_states(folder)]


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_round_trip_keeps_tensors_and_values_and_the_last_two(tmp_path: Path) -> None:
    for step in (5, 10, 15):
        save_state(tmp_path, step, contents(step))
    assert steps(tmp_path) == [10, 15]
    state = load_latest(tmp_path)
    assert state["step"] == 15
    assert torch.equal(state["weights"]["a"], torch.full((1000,), 15.0))
    assert (state["name"], state["list"], state["flag"]) == ("x", [1, 2.5], True)
    assert load_latest(tmp_path / ".." / tmp_path.name)["step"] == 15


def test_writing_a_step_again_replaces_it(tmp_path: Path) -> None:
    save_state(tmp_path, 5, contents(1))
    save_state(tmp_path, 10, contents(1))
    save_state(tmp_path, 10, contents(2))
    assert steps(tmp_path) == [5, 10]
    assert float(load_latest(tmp_path)["weights"]["a"][0]) == 2


def test_damaged_newest_is_named_and_the_one_before_offered(tmp_path: Path) -> None:
    save_state(tmp_path, 5, contents(5))
    newest = save_state(tmp_path, 10, contents(10))
    damage(newest)
    with pytest.raises(CheckpointError, match=r"damaged.*step 5.*--resume-previous") as error:
        load_latest(tmp_path)
    assert str(newest) in str(error.value)
    assert steps(tmp_path) == [5, 10], "nothing is changed by the refusal"
    assert load_latest(tmp_path, previous=True)["step"] == 5
    assert steps(tmp_path) == [5]
    assert (tmp_path / f"skipped_{newest.name}").exists(), "set aside, not deleted"
    save_state(tmp_path, 7, contents(7))
    assert load_latest(tmp_path)["step"] == 7


@pytest.mark.parametrize("cut", [0, 100, -1])
def test_truncated_state_is_recognised(tmp_path: Path, cut: int) -> None:
    path = save_state(tmp_path, 10, contents(10))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match=r"damaged.*only one"):
        load_latest(tmp_path)


def test_a_pickle_with_the_right_checksum_is_not_executed(tmp_path: Path) -> None:
    import hashlib
    import pickle

    class Evil:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "executed"),)

    data = pickle.dumps(Evil())
    path = tmp_path / f"state_00000003-{hashlib.sha256(data).hexdigest()[:16]}.pt"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_state(list_states(tmp_path)[0])
    assert not (tmp_path / "executed").exists()


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "STATE_VERSION", 99)
    save_state(tmp_path, 1, contents(1))
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="version 99"):
        load_latest(tmp_path)


def test_a_full_disk_keeps_earlier_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_state(tmp_path, 1, contents(1))

    def no_space(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(resume.os, "fsync", no_space)
    with pytest.raises(CheckpointError, match=r"No space left.*--resume"):
        save_state(tmp_path, 2, contents(2))
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == [list_states(tmp_path)[0].path.name]
    assert load_latest(tmp_path)["step"] == 1


def test_half_written_files_are_no_states_and_are_cleared(tmp_path: Path) -> None:
    (tmp_path / ".state_00000009.part").write_bytes(b"half")
    save_state(tmp_path, 1, contents(1))
    assert load_latest(tmp_path)["step"] == 1
    assert not list(tmp_path.glob(".*.part"))


def test_nothing_to_resume_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no training state.*without --resume"):
        load_latest(tmp_path / "missing")
    save_state(tmp_path, 1, contents(1))
    with pytest.raises(CheckpointError, match="no state before"):
        load_latest(tmp_path, previous=True)
