"""A tiny dataset and recipe for the training tests."""

from pathlib import Path

import pytest
from training_cases import RECIPES

from svc.config import Config, load_config
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two singers, one held-out recording each."""
    folder = tmp_path_factory.mktemp("tiny_data")
    write_synthetic_dataset(folder, SyntheticSize(singers=2, slice_seconds=1.0))
    return folder


@pytest.fixture
def tiny_config() -> Config:
    """debug.yaml without discriminators and validation, which most of these tests do not need."""
    quiet = {"validation_clips": 0, "losses": {"adversarial": 0, "feature_matching": 0}, "max_steps": 4, "log_every": 1}
    return load_config(RECIPES / "debug.yaml", {"train": quiet})
