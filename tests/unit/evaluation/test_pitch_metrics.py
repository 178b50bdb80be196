import importlib.util
import math

import numpy as np
import pytest

from svc.audio.reading import read_audio
from svc.evaluation.pitch_metrics import compare_f0, copy_synthesis, pitch_scores, track_f0

RATE = 16_000


def note(f0_hz, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(f0_hz, t.shape)) / rate
    return (0.1 * sum(np.sin(k * phase) / k for k in range(1, 10))).astype(np.float32)


@pytest.fixture(scope="module")
def judge(shared):
    """The independent judge, whose definitions these figures follow."""
    spec = importlib.util.spec_from_file_location("independent_judge", shared / "judges" / "judge.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_scores_equal_the_independent_judge(judge, shared):
    (path,) = (shared / "audio" / "singing" / "ravdess" / "Actor_01").glob("03-02-01-01-02-02-01.*")
    # Not judge.load: librosa compiles for half a minute first.
    source = read_audio(path).mono().resampled(RATE).samples[0, RATE // 2 : 2 * RATE].astype(np.float64)
    result = copy_synthesis(source, RATE).astype(np.float64)
    result[: RATE // 4] = 0
    for transpose in (0.0, 12.0):
        mine = pitch_scores(source, result, RATE, transpose)
        theirs = judge.pitch_scores(source, result, transpose)
        assert mine.f0_cents_median == pytest.approx(theirs["f0_cents_median"], abs=0.05)
        for name in ("rpa50", "octave", "vuv_error"):
            assert getattr(mine, name) == pytest.approx(theirs[name], abs=1e-3), name


def test_a_known_error_is_found():
    asked = np.array([0, 0] + [200.0] * 10)
    scores = compare_f0(asked, asked * 2 ** (30 / 1200))
    assert scores.f0_cents_median == pytest.approx(30) and scores.rpa50 == 1.0 and scores.octave == 0.0
    sung = asked * 2.0
    sung[0], sung[-1] = 100.0, 0.0
    scores = compare_f0(asked, sung, 0.0)
    assert scores.octave == 1.0 and scores.vuv_error == pytest.approx(2 / 12)
    assert compare_f0(asked, sung, 12.0).f0_cents_median == pytest.approx(0.0)


def test_without_common_voicing_there_is_no_pitch_figure():
    scores = compare_f0(np.zeros(50), np.full(50, 100.0))
    assert math.isnan(scores.f0_cents_median) and scores.rpa50 == 0 and scores.vuv_error == 1.0


def test_tracking_and_copy_synthesis():
    f0 = 220 * 2 ** (np.sin(np.linspace(0, 20, 44_100)) / 12)
    source = note(f0, rate=44_100)
    tracked = track_f0(source, 44_100)
    assert len(tracked) == pytest.approx(100, abs=1)
    copy = copy_synthesis(source, 44_100, 7.0)
    assert copy.shape == source.shape and copy.dtype == np.float32
    assert pitch_scores(source, copy, 44_100, 7.0).f0_cents_median < 10
