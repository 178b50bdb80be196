"""Learning units: the same from the same seed, as good as scikit-learn's, every centre used; the files they go to."""

from pathlib import Path

import numpy as np
import pytest

from svc.content.phone_labels import OUTSIDE, read_labels
from svc.content.unit_files import read_centres, read_facts, write_centres
from svc.content.unit_learning import FrameSample, learn_units
from svc.content.units import nearest_units
from svc.errors import CheckpointError, ConfigError, DatasetError


def clouds(count: int, each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    middles = rng.standard_normal((count, 8)) * 6
    return (middles[:, None] + rng.standard_normal((count, each, 8))).reshape(-1, 8).astype(np.float32), middles


def test_clouds_are_found() -> None:
    values, middles = clouds(10, 300)
    learnt = learn_units(values, 10, seed=1)
    nearest = ((learnt.centres[:, None] - middles) ** 2).sum(-1).argmin(1)
    assert sorted(nearest) == list(range(10)) and learnt.explained > 0.95
    np.testing.assert_array_equal(learn_units(values, 10, seed=1).centres, learnt.centres)
    assert len(set(nearest_units(values, learnt.centres))) == 10


def test_as_near_as_scikit_learn() -> None:
    cluster = pytest.importorskip("sklearn.cluster", reason="scikit-learn is not installed")
    values = np.random.default_rng(2).standard_normal((4000, 16)).astype(np.float32)
    told: list[float] = []
    ours = learn_units(values, 40, seed=0, progress=told.append)
    theirs = cluster.KMeans(40, n_init=1, random_state=0).fit(values)
    assert ours.distance * len(values) == pytest.approx(theirs.inertia_, rel=0.02)
    units = nearest_units(values, ours.centres)
    assert ((values - ours.centres[units]) ** 2).sum(1).mean() == pytest.approx(ours.distance, rel=1e-3)
    assert told == sorted(told) and told[-1] == 1.0


def test_a_centre_without_frames_gets_new_ones() -> None:
    """Twenty copies of one frame and three others: seeds fall on copies only while others are left out."""
    values = np.concatenate([np.zeros((2000, 2)), [[9, 0], [0, 9], [9, 9]]]).astype(np.float32)
    learnt = learn_units(values, 4, seed=3)
    assert learnt.distance == 0 and len(set(nearest_units(values, learnt.centres))) == 4


@pytest.mark.parametrize(
    ("values", "count", "match"),
    [
        (np.zeros((3, 2)), 4, "3 frames are too few"),
        (np.zeros((9, 2)), 4, "Only 1 frames differ"),
        (np.zeros((9, 2)), 1, "at least 2"),
        (np.full((9, 2), np.nan), 2, "NaN"),
    ],
)
def test_what_cannot_be_learnt(values: np.ndarray, count: int, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        learn_units(values, count)


def test_the_sample_is_bounded_even_and_repeatable() -> None:
    def sample(seed: int) -> np.ndarray:
        kept = FrameSample(1000, seed)
        for start in range(0, 20_000, 700):
            kept.add(np.arange(start, min(20_000, start + 700), dtype=np.float32)[:, None])
        assert kept.seen == 20_000
        return kept.frames()[:, 0]

    frames = sample(0)
    assert len(frames) == 1000 and len(set(frames)) == 1000
    assert frames.mean() == pytest.approx(10_000, rel=0.06)
    np.testing.assert_array_equal(frames, sample(0))
    assert not np.array_equal(frames, sample(1))
    few = FrameSample(10)
    few.add(np.ones((3, 2)))
    assert few.frames().shape == (3, 2)
    with pytest.raises(ConfigError, match="one encoder at a time"):
        few.add(np.ones((3, 5)))


def test_files_of_our_own(tmp_path: Path) -> None:
    centres = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    path = tmp_path / "deep" / "u.safetensors"
    write_centres(path, centres, {"encoder": "moonshine"})
    np.testing.assert_array_equal(read_centres(path)[""], centres)
    assert read_facts(path) == {"version": 1, "encoder": "moonshine"}
    assert [p.name for p in path.parent.iterdir()] == ["u.safetensors"]
    write_centres(path, centres, {"version": 2})
    with pytest.raises(CheckpointError, match="another version"):
        read_facts(path)
    path.write_bytes(path.read_bytes()[:40])
    for read in (read_centres, read_facts):
        with pytest.raises(CheckpointError, match="damaged"):
            read(path)
    assert read_facts(tmp_path / "k.bin") == {}


def test_npz_files(tmp_path: Path) -> None:
    path = tmp_path / "u.npz"
    np.savez(path, cluster_centers_=np.ones((2, 3)))
    assert read_centres(path)[""].dtype == np.float32
    np.savez(path, cluster_centers_=np.array([{"a": 1}], dtype=object))
    with pytest.raises(CheckpointError, match="objects"):
        read_centres(path)
    np.savez(path, other=np.ones((2, 3)))
    with pytest.raises(CheckpointError, match="no cluster_centers_"):
        read_centres(path)


def test_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.lab"
    path.write_text("0 5000000 p@xx^xx-pau+k=a_xx%\n5000000 10000000 k\n12000000 13000000 a\n")
    labels = read_labels(path)
    assert labels.at([0.0, 0.49, 0.5, 1.1, 1.25, 1.3, -1]) == ["pau", "pau", "k", OUTSIDE, "a", OUTSIDE, OUTSIDE]
    path.write_text("0.0 0.5 a\n\n0.5\t1.5\tb\n")
    assert read_labels(path).at([0.7]) == ["b"]
    for text, match in (("0 1\n", "Line 1"), ("0 x a\n", "Line 1"), ("5 1 a\n", "back in time"), ("\n", "no labels")):
        path.write_text(text)
        with pytest.raises(DatasetError, match=match):
            read_labels(path)
    with pytest.raises(DatasetError, match="not a readable text"):
        read_labels(tmp_path / "gone.lab")
