"""SwiftF0's grid, and what happens without the package."""

import sys

import numpy as np
import pytest

from svc.errors import MissingExtraError
from svc.pitch import swift_f0


def test_frames_between():
    f0 = np.array([0, 200, 242, 0, 300, 650, 0], dtype=np.float64)
    expected = [0, 0, 200, 220, 242, 242, 0, 0, 300, 300, 650, 650, 0, 0]
    np.testing.assert_allclose(swift_f0.between(f0), expected, rtol=1e-4)


def test_without_the_package_the_extra_is_named(monkeypatch):
    swift_f0._detector.cache_clear()
    monkeypatch.setitem(sys.modules, "swift_f0", None)
    with pytest.raises(MissingExtraError, match=r"svc-toolkit\[pitch\]"):
        swift_f0.SwiftF0()
    swift_f0._detector.cache_clear()
