from itertools import pairwise

import numpy as np
import pytest

import svc.pitch.fcpe as fcpe_module
from svc.errors import WeightError
from svc.pitch.estimator import WINDOW_SECONDS, F0Track, windows
from svc.pitch.fcpe import Fcpe
from svc.pitch.world import Dio

RATE = 16_000


@pytest.mark.parametrize("seconds", [0.01, 1, 19.5, 20, 29.9, 30.1, 61.3, 600])
@pytest.mark.parametrize(("grid", "context"), [(100, 1.0), (32, 2.56), (32, 1.0)])
def test_windows_cover_everything_once_with_context(seconds, grid, context):
    frames = int(seconds * 100)
    made = list(windows(frames, 100, grid, context))
    assert made[0][2] == 0 and made[-1][3] > frames
    for (_, _, _, last), (_, _, first, _) in pairwise(made):
        assert last == first
    for start, stop, first, last in made:
        assert all(edge % grid == 0 for edge in (start, stop, first, last))
        assert (start == 0 or first - start >= context * 100) and stop - last >= context * 100
        assert last - first <= 1.5 * WINDOW_SECONDS * 100 + 2 * grid


def voice(seconds):
    t = np.arange(int(seconds * RATE)) / RATE
    f0 = 200 * 2 ** (0.5 * np.sin(2 * np.pi * 0.13 * t))
    phase = 2 * np.pi * np.cumsum(f0 / RATE)
    tone = sum(np.sin(h * phase) / h for h in range(1, 12)) * (np.sin(2 * np.pi * 0.5 * t) > -0.6)
    return (0.2 * tone).astype(np.float32)


def test_windows_leave_no_seams():
    wave, times = voice(43), np.arange(0, 43, 0.0116)
    whole = Dio().estimate(wave, RATE, times)
    # The same sound three seconds later: every window border falls elsewhere.
    later = Dio().estimate(np.concatenate([np.zeros(3 * RATE, np.float32), wave]), RATE, times + 3)
    both = whole.voiced & later.voiced
    assert (whole.voiced == later.voiced).mean() > 0.999
    assert np.abs(1200 * np.log2(whole.f0_hz[both] / later.f0_hz[both])).max() < 1


def test_fcpe_agrees_between_a_slice_and_its_recording():
    wave = voice(24)
    whole = Fcpe().estimate(wave, RATE, np.arange(14.5, 18.5, 0.0116))
    part = Fcpe().estimate(wave[14 * RATE : 19 * RATE], RATE, np.arange(14.5, 18.5, 0.0116) - 14)
    both = whole.voiced & part.voiced
    assert (whole.voiced == part.voiced).mean() > 0.98
    assert np.abs(1200 * np.log2(whole.f0_hz[both] / part.f0_hz[both])).max() < 10


class Scripted(Dio):
    """Returns prepared frames at 0, 5, 10 ... ms."""

    def __init__(self, frames):
        super().__init__()
        self.frames = np.asarray(frames, float)

    def _measure(self, samples, sample_rate):
        return self.frames


def at(frames, times) -> F0Track:
    return Scripted(frames).estimate(np.ones(100, np.float32), 1000, np.asarray(times))


def test_interpolation_is_logarithmic_and_does_not_cross_voicing_or_leaps():
    assert at([100, 121], [0.0025]).f0_hz[0] == pytest.approx(110, rel=1e-6)
    assert at([0, 100, 0], [0.001, 0.003, 0.005, 0.007, 0.008]).f0_hz.tolist() == [0, 100, 100, 100, 0]
    assert at([100, 300], [0.002, 0.003]).f0_hz.tolist() == [100, 300]
    assert at([100, 110], [-1.0]).f0_hz.tolist() == [100]


def test_readings_outside_the_range_are_unvoiced():
    assert at([30, 30, 2500], [0.0, 0.01]).f0_hz.tolist() == [0, 0]


def test_fcpe_reports_a_foreign_weight_file(monkeypatch):
    monkeypatch.setattr(fcpe_module, "WEIGHTS_SHA256", "0" * 64)
    fcpe_module._load.cache_clear()
    with pytest.raises(WeightError, match="reinstall"):
        Fcpe().estimate(np.ones(RATE, np.float32), RATE, np.zeros(1))
    fcpe_module._load.cache_clear()


def test_fcpe_measures_twice_only_above_its_trusted_range(monkeypatch):
    speeds = []
    monkeypatch.setattr(
        Fcpe, "_at_speed", lambda self, s, r, slower: (speeds.append(slower), (np.zeros(200), np.zeros(200)))[1]
    )
    Fcpe(50, 1100).estimate(np.ones(RATE, np.float32), RATE, np.zeros(1))
    assert speeds == [1]
    Fcpe(50, 1200).estimate(np.ones(RATE, np.float32), RATE, np.zeros(1))
    assert speeds == [1, 1, 2]


def test_fcpe_prints_nothing_even_for_too_loud_audio(capsys):
    Fcpe().estimate(3 * voice(1), RATE, np.zeros(1))
    assert capsys.readouterr().out == ""
