"""Praat's frames on our grid, and what happens without the package."""

import sys

import numpy as np
import pytest

from svc.errors import MissingExtraError
from svc.pitch.praat import Praat


def test_times_are_right_on_a_rising_tone():
    pytest.importorskip("parselmouth")
    rate = 16_000
    f0 = 200 * 2 ** (np.arange(rate) / rate)
    wave = np.sin(2 * np.pi * np.cumsum(f0) / rate).astype(np.float32)
    times = np.arange(0.1, 0.9, 0.007)
    track = Praat().estimate(wave, rate, times)
    assert track.voiced.all()
    # An octave a second: one step of 5 ms off would be 6 cents.
    assert np.abs(1200 * np.log2(track.f0_hz / (200 * 2**times))).max() < 1.5


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    with pytest.raises(MissingExtraError, match=r"svc-toolkit\[praat\]"):
        Praat()
