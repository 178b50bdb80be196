"""The job queue: states, cancelling, pausing, restarts of the server, and users who do not see each other."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from job_kinds import TEST_KINDS

from svc.errors import ConfigError, SvcError
from svc.interface.jobs.queue import JobQueue
from svc.interface.jobs.record import JobView

Open = Callable[..., JobQueue]
# Only ever waited for in vain: a busy machine takes long to start a process.
PATIENCE = 240.0


@pytest.fixture
def open_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens queues on one folder, as a server does that is started again."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    opened: list[JobQueue] = []

    def start(**settings: object) -> JobQueue:
        for queue in opened:
            queue.close()
        queue = JobQueue(tmp_path / "jobs", TEST_KINDS, **settings)
        queue.start()
        opened.append(queue)
        return queue

    yield start
    for queue in opened:
        queue._stop_at_exit = True
        queue.close()


def add(queue: JobQueue, kind: str, owner: str = "anna", **settings: object) -> JobView:
    return queue.submit(owner, kind, settings, title=kind, home=queue.folder.parent / owner)


def until(queue: JobQueue, view: JobView, *states: str, owner: str = "anna") -> JobView:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        now = queue.view(owner, view.id)
        if now.state in states:
            return now
        time.sleep(0.05)
    raise AssertionError(f"still {now.state} {now.error}, log: {queue.log(owner, view.id)}")


def counted(queue: JobQueue, view: JobView) -> None:
    """Wait until the job has done some of its work: on a busy machine a process takes seconds to begin."""
    end = time.monotonic() + PATIENCE
    while queue.view("anna", view.id).fraction <= 0:
        assert time.monotonic() < end
        time.sleep(0.02)


def child_of(queue: JobQueue, view: JobView) -> int:
    note = queue.folder_of("anna", view.id).work / "child"
    end = time.monotonic() + PATIENCE
    while not (note.exists() and note.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return int(note.read_text())


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_job_is_done_and_its_output_and_messages_are_there(open_queue: Open, tmp_path: Path) -> None:
    queue = open_queue()
    song = tmp_path / "x17.wav"
    song.touch()
    view = queue.submit(
        "anna",
        "quick",
        {"text": "hello"},
        title="t",
        home=tmp_path,
        inputs={"song": song},
        labels={song: "my song.wav"},
    )
    done = until(queue, view, "done", "failed")
    assert done.state == "done" and done.fraction == 1.0
    assert done.outputs["a.txt"].read_text() == "hello"
    assert [event["text"] for event in queue.events("anna", view.id)] == ["reading my song.wav"]


def test_one_runs_and_the_others_wait_with_their_place(open_queue: Open) -> None:
    queue = open_queue()
    first = add(queue, "slow")
    until(queue, first, "running")
    second, third = add(queue, "quick"), add(queue, "quick", owner="ben")
    time.sleep(0.5)
    assert queue.view("anna", second.id).place == 1 and queue.view("ben", third.id).place == 2
    queue.cancel("anna", first.id)
    until(queue, second, "done")
    until(queue, third, "done", owner="ben")


@pytest.mark.parametrize("kind", ["slow", "slow_warm"])
def test_cancel_is_quick_and_leaves_no_process(open_queue: Open, kind: str) -> None:
    queue = open_queue()
    view = add(queue, kind)
    until(queue, view, "running")
    child = child_of(queue, view)
    began = time.monotonic()
    cancelled = queue.cancel("anna", view.id)
    # The job would go on for a quarter of an hour: it was ended, and nobody waited for it.
    assert time.monotonic() - began < PATIENCE
    assert cancelled.state == "cancelled" and gone(child)
    # The queue goes on, with a new process where one was kept.
    assert until(queue, add(queue, "warm"), "done", "failed").state == "done"


def test_the_warm_worker_serves_one_job_after_the_other(open_queue: Open) -> None:
    queue = open_queue()
    pids = {until(queue, add(queue, "warm"), "done").result["pid"] for _ in range(3)}
    assert len(pids) == 1 and pids != {os.getpid()}


def test_too_much_memory_ends_the_job_with_a_sentence(open_queue: Open) -> None:
    queue = open_queue(memory_limit_bytes=250_000_000)
    failed = until(queue, add(queue, "hungry"), "failed", "done")
    assert failed.state == "failed" and "250 MB" in failed.error


def test_errors_are_sentences_and_details_stay_in_the_log(open_queue: Open, tmp_path: Path) -> None:
    queue = open_queue()
    song = tmp_path / "x18.wav"
    song.touch()
    refused = queue.submit(
        "anna", "refused", {}, title="t", home=tmp_path, inputs={"song": song}, labels={song: "mine.wav"}
    )
    assert until(queue, refused, "failed").error == "mine.wav cannot be used: choose another."
    broken = until(queue, add(queue, "broken"), "failed")
    assert broken.error == "" and broken.error_id
    assert "secret detail" in queue.log("anna", broken.id) and broken.error_id in queue.log("anna", broken.id)


def test_a_process_that_vanishes_is_interrupted_and_can_be_tried_again(open_queue: Open) -> None:
    queue = open_queue()
    view = until(queue, add(queue, "dies"), "interrupted")
    assert view.error == "jobs.vanished"
    queue.retry("anna", view.id)
    assert until(queue, view, "interrupted").attempt == 2


def test_pause_and_resume_go_on_where_it_was(open_queue: Open, tmp_path: Path) -> None:
    queue = open_queue()
    view = add(queue, "counting", until=str(tmp_path / "go on"))
    until(queue, view, "running")
    counted(queue, view)
    queue.pause("anna", view.id)
    paused = until(queue, view, "paused")
    assert 0 < paused.fraction < 1
    (tmp_path / "go on").touch()
    queue.resume("anna", view.id)
    done = until(queue, view, "done")
    assert done.result["began"] > 0 and done.result["count"] == 150


def test_finish_ends_early_with_a_result(open_queue: Open, tmp_path: Path) -> None:
    queue = open_queue()
    view = add(queue, "counting", until=str(tmp_path / "never"))
    until(queue, view, "running")
    counted(queue, view)
    queue.finish("anna", view.id)
    assert 0 < until(queue, view, "done").result["count"] <= 20


def test_a_job_that_is_asked_in_its_first_moment_is_not_interrupted(open_queue: Open, tmp_path: Path) -> None:
    """Its process is still loading Python then, and a signal ends it."""
    queue = open_queue()
    view = add(queue, "counting", until=str(tmp_path / "never"))
    until(queue, view, "running")
    queue.pause("anna", view.id)
    assert until(queue, view, "paused", "interrupted").state == "paused"
    queue.resume("anna", view.id)
    until(queue, view, "running")
    queue.finish("anna", view.id)
    assert until(queue, view, "done", "interrupted").state == "done"


def test_a_clock_that_is_set_does_not_lose_a_running_job(open_queue: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = open_queue()
    view = until(queue, add(queue, "slow"), "running")
    child = child_of(queue, view)
    before = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: before + 3600.0, raising=False)
    monkeypatch.setattr("psutil.boot_time", lambda: before + 3600.0)
    again = open_queue()
    assert again.view("anna", view.id).state == "running"
    again.cancel("anna", view.id)
    assert gone(child)


def test_a_restarted_server_finds_waiting_running_and_done_jobs(open_queue: Open, tmp_path: Path) -> None:
    queue = open_queue()
    done = until(queue, add(queue, "quick"), "done")
    running = until(queue, add(queue, "counting", until=str(tmp_path / "go on")), "running")
    waiting = add(queue, "quick")
    again = open_queue()
    assert again.view("anna", done.id).state == "done"
    assert again.view("anna", running.id).state == "running"
    (tmp_path / "go on").touch()
    assert until(again, running, "done").result["count"] == 150
    until(again, waiting, "done")


def test_a_job_killed_while_the_server_was_away_is_interrupted_and_resumes(open_queue: Open, tmp_path: Path) -> None:
    queue = open_queue()
    view = until(queue, add(queue, "counting", until=str(tmp_path / "go on")), "running")
    counted(queue, view)
    pid = queue.folder_of("anna", view.id).state().pid
    queue.close()
    os.killpg(pid, 9)
    again = open_queue()
    assert until(again, view, "interrupted").error == "jobs.vanished"
    (tmp_path / "go on").touch()
    again.resume("anna", view.id)
    assert until(again, view, "done").result["began"] > 0


def test_users_do_not_see_each_others_jobs(open_queue: Open) -> None:
    queue = open_queue()
    view = until(queue, add(queue, "quick"), "done")
    assert queue.listing("ben") == [] and len(queue.listing("anna")) == 1
    for action in (queue.view, queue.cancel, queue.retry, queue.pause, queue.finish, queue.remove, queue.events):
        with pytest.raises(SvcError, match="no such job"):
            action("ben", view.id)
    queue.remove("anna", view.id)
    assert queue.listing("anna") == [] and not (queue.folder / view.id).exists()


def test_two_servers_do_not_share_a_folder(open_queue: Open, tmp_path: Path) -> None:
    open_queue()
    with pytest.raises(ConfigError, match="Another web page"):
        JobQueue(tmp_path / "jobs", TEST_KINDS).start()
