import sys
from pathlib import Path

import pytest

FOLDER = str(Path(__file__).resolve().parents[3] / "benchmarks")


@pytest.fixture(scope="session", autouse=True)
def _benchmarks_importable():
    """Benchmarks are programs, not a package: their helper modules lie beside them."""
    sys.path.insert(0, FOLDER)
    yield
    sys.path.remove(FOLDER)
