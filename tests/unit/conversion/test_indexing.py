"""An index from a prepared singer."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from svc.conversion import indexing
from svc.conversion.indexing import build_index, k_means
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset
from svc.errors import DatasetError


def test_frames_are_the_singers_own_of_training_and_sound(tmp_path: Path) -> None:
    dataset = write_synthetic_dataset(tmp_path, SyntheticSize(singers=2))
    index = build_index(dataset, clusters=10)
    assert list(index.singers) == dataset.speakers and index.dim == dataset.spec.content_dim
    for singer, sounds in index.singers.items():
        mine = [u for u in dataset.split("train") if u.speaker == singer]
        content = np.concatenate([dataset.features(u).content for u in mine])
        rows = {row.tobytes() for row in content}
        assert all(row.tobytes() in rows for row in sounds.frames.vectors)
        # 62.5 frames a second are more than 50, but less than twice as many: all that sound.
        assert 0.3 * len(content) < len(sounds.frames.vectors) <= len(content)
        assert sounds.clusters.shape == (10, index.dim)
    held_out = np.concatenate([dataset.features(u).content for u in dataset.split("validation")])
    stored = {row.tobytes() for sounds in index.singers.values() for row in sounds.frames.vectors}
    assert not stored & {row.tobytes() for row in held_out}


def test_the_same_dataset_gives_the_same_index(tmp_path: Path) -> None:
    dataset = write_synthetic_dataset(tmp_path)
    first, second = (build_index(dataset, clusters=7).singers["singer0"] for _ in range(2))
    np.testing.assert_array_equal(first.clusters, second.clusters)
    np.testing.assert_array_equal(first.frames.vectors, second.frames.vectors)


def test_a_large_dataset_is_thinned_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = write_synthetic_dataset(tmp_path)
    monkeypatch.setattr(indexing, "SILENT_BELOW_LOUD_DB", 500.0)
    monkeypatch.setattr(indexing, "LARGEST_INDEX", 100)
    thin = build_index(dataset, clusters=500).singers["singer0"]
    assert 60 <= len(thin.frames.vectors) <= 104
    assert len(thin.clusters) == -(-len(thin.frames.vectors) // indexing.FRAMES_PER_CLUSTER)


def test_a_singer_without_frames(tmp_path: Path) -> None:
    dataset = write_synthetic_dataset(tmp_path)
    with pytest.raises(DatasetError, match="no sounding training slices of 'nobody'"):
        build_index(replace(dataset, speakers=["singer0", "nobody"]), clusters=2)


def test_clusters_find_what_lies_apart() -> None:
    random = np.random.default_rng(0)
    centres = random.standard_normal((6, 5)).astype(np.float32) * 20
    data = (centres[random.integers(0, 6, 600)] + 0.1 * random.standard_normal((600, 5))).astype(np.float32)
    found = k_means(data, 12, seed=3)
    distances = np.square(data[:, None] - found[None]).sum(axis=2).min(axis=1)
    assert distances.max() < 1.0
    np.testing.assert_array_equal(k_means(data[:4], 4), k_means(data[:4], 4))
    same = np.ones((9, 5), dtype=np.float32)
    np.testing.assert_array_equal(k_means(same, 3), same[:3])
