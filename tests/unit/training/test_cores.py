"""The number of threads follows what other programs leave free."""

import time

import pytest
import torch

from svc.training import cores
from svc.training.cores import Cores, Spent


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[Spent]:
    """A machine of two cores; what it says next is what the list begins with."""
    said = [Spent(0.0, 0.0, 0.0)]
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(cores, "FIRST_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(cores.psutil, "cpu_count", lambda: 2)
    monkeypatch.setattr(cores, "spent", lambda: said.pop(0))
    return said


def test_all_cores_of_an_idle_machine_one_less_beside_another_program_and_all_again(machine: list[Spent]) -> None:
    machine += [
        Spent(1.0, 0.1, 0.0),  # somebody moves the mouse
        Spent(11.0, 20.1, 19.0),  # both cores are busy with the training
        Spent(21.0, 40.1, 29.0),  # one of them is somebody else's
        Spent(31.0, 50.6, 39.0),  # and no longer is
    ]
    chosen = Cores(2)
    threads = [torch.get_num_threads()]
    while machine:
        chosen.follow()
        threads.append(torch.get_num_threads())
    assert threads == [2, 2, 1, 2]


def test_a_busy_machine_leaves_a_core_from_the_start(machine: list[Spent]) -> None:
    machine += [Spent(1.0, 1.0, 0.0)]
    Cores(2)
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(("most", "environment"), [(2, "2"), (1, None)])
def test_what_the_user_set_stays(
    machine: list[Spent], monkeypatch: pytest.MonkeyPatch, most: int, environment: str | None
) -> None:
    if environment:
        monkeypatch.setenv("OMP_NUM_THREADS", environment)
    before = torch.get_num_threads()
    Cores(most).follow()
    assert torch.get_num_threads() == before
    assert len(machine) == 1, "the machine was not asked"


def test_this_program_counts_as_ours() -> None:
    before = cores.spent()
    began = time.process_time()
    while time.process_time() - began < 0.05:
        sum(range(10_000))
    after = cores.spent()
    assert after.ours > before.ours
    assert after.everybody >= before.everybody
