"""metrics.jsonl, TensorBoard, pictures; signals and the clock."""

import json
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from svc.training import progress
from svc.training.interruption import StopRequest
from svc.training.progress import Clock
from svc.training.tracking import Tracker, comparison_figure, drop_lines_after, figure_pixels, read_metrics


def test_lines_of_steps_made_again_and_torn_lines_go(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": s, "mel": s / 2}) + "\n" for s in (1, 2, 3, 4)) + '{"step": 5, "me')
    assert [line["step"] for line in read_metrics(path)] == [1, 2, 3, 4]
    drop_lines_after(path, 3)
    assert path.read_text().endswith('{"step": 3, "mel": 1.5}\n')
    with Tracker(tmp_path, start_step=2) as tracker:
        tracker.log(3, "train", {"mel": 9.0})
    assert [(line["step"], line["mel"]) for line in read_metrics(path)] == [(1, 0.5), (2, 1.0), (3, 9.0)]


def test_everything_reaches_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Tracker(tmp_path) as tracker:
        tracker.log(7, "train", {"mel": 2.5})
        tracker.audio(7, "clip", np.zeros(800, np.float32), 8000)
        tracker.sample("step_00000007", "clip", np.zeros(800, np.float32), 8000)
        figure = comparison_figure({"a": np.zeros((5, 20))}, {"f": np.full(20, 200.0)}, 100.0, -11.5)
        tracker.picture(7, "clip", figure)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert events.Scalars("train/mel")[0].value == 2.5
    assert events.Tags()["audio"] == ["audio/clip"]
    assert events.Tags()["images"] == ["pictures/clip"]
    assert (tmp_path / "samples" / "step_00000007" / "clip.wav").exists()


def test_an_inactive_tracker_writes_nothing(tmp_path: Path) -> None:
    with Tracker(tmp_path / "run", active=False) as tracker:
        tracker.log(1, "train", {"mel": 1.0})
        tracker.audio(1, "x", np.zeros(8, np.float32), 8000)
        tracker.sample("step_00000001", "x", np.zeros(8, np.float32), 8000)
    assert not (tmp_path / "run").exists()


def test_pictures_show_their_curves() -> None:
    mel = np.full((8, 30), -11.5)
    silent = figure_pixels(comparison_figure({"mel": mel}, {"f": np.zeros(30)}, 86.0, -11.5))
    sung = figure_pixels(comparison_figure({"mel": mel}, {"f": np.full(30, 220.0)}, 86.0, -11.5))
    assert silent.shape == sung.shape
    assert silent.shape[2] == 3 and silent.dtype == np.uint8
    assert (silent != sung).any()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_become_a_request_and_handlers_return(number: int) -> None:
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.requested
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_ends_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), StopRequest():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


def test_other_threads_install_no_handlers() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with StopRequest() as stop:
            stop.request()
            seen.append((signal.getsignal(signal.SIGINT), stop.requested))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, True)]


def test_clock_counts_waiting_and_not_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    clock = Clock(step=10)
    with clock.waiting():
        now[0] += 1.0
    now[0] += 3.0
    with clock.paused():
        now[0] += 50.0
    assert clock.lap(18) == (2.0, 0.25)
    now[0] += 2.0
    assert clock.lap(19) == (0.5, 0.0)
