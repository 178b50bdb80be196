"""Fixtures shared by all tests."""

import contextlib
import os
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """One thread per test process: results do not depend on the machine's load, and processes do not fight."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with contextlib.suppress(ImportError):
        from hypothesis import HealthCheck, settings

        # A loaded machine is slow at everything: no example is measured with a clock. The same examples every time:
        # a change must not fail by a chance that it did not make; `--hypothesis-profile searching` draws new ones.
        untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
        settings.register_profile("searching", untimed)
        settings.register_profile("steady", untimed, derandomize=True)
        settings.load_profile(config.getoption("--hypothesis-profile", None) or "steady")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference folder, or a skip that names it."""
    root = Path(os.environ.get("SVC_SHARED_DIR", Path(__file__).resolve().parents[2] / "shared"))
    if not root.is_dir():
        pytest.skip(f"reference folder {root} is not here (set SVC_SHARED_DIR)")
    return root


@pytest.fixture(autouse=True)
def _single_thread() -> None:
    import torch

    torch.set_num_threads(1)
