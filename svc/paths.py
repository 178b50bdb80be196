"""The only place that knows where things lie on disk."""

import os
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"


def pretrain_dir() -> Path:
    """Downloaded or user-supplied weights: $SVC_PRETRAIN_DIR, else ./pretrain."""
    return Path(os.environ.get("SVC_PRETRAIN_DIR", "pretrain"))


def runs_dir() -> Path:
    """Where training runs are written: $SVC_RUNS_DIR, else ./runs."""
    return Path(os.environ.get("SVC_RUNS_DIR", "runs"))


def raw_dir() -> Path:
    """Where users drop raw songs: ./dataset_raw."""
    return Path("dataset_raw")


def shared_dir() -> Path:
    """Reference material for development tests: $SVC_SHARED_DIR, else ../shared."""
    return Path(os.environ.get("SVC_SHARED_DIR", "../shared"))


def asset(name: str) -> Path:
    """Path of an embedded asset file; the file ships with the package."""
    return ASSETS / name
