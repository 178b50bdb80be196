"""Units and k-means files made here; nothing in a file runs."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from svc.content.unit_files import read_centres
from svc.content.units import nearest_units, pulled_to_units, score_units
from svc.errors import CheckpointError, ConfigError

CENTRES = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


def test_nearest_is_the_least_distance() -> None:
    values = np.random.default_rng(1).standard_normal((9000, 3)).astype(np.float32)
    wanted = ((values[:, None].astype(np.float64) - CENTRES) ** 2).sum(-1).argmin(1)
    assert (nearest_units(values, CENTRES) == wanted).mean() > 0.9995
    np.testing.assert_array_equal(nearest_units(CENTRES, CENTRES), np.arange(5))
    assert len(nearest_units(values[:0], CENTRES)) == 0
    with pytest.raises(ConfigError, match="Units for 3 values do not fit content of 2 values"):
        nearest_units(values[:, :2], CENTRES)


def test_pulled_to_units() -> None:
    values = CENTRES + 0.01
    np.testing.assert_allclose(pulled_to_units(values, CENTRES, 0.0), values)
    np.testing.assert_allclose(pulled_to_units(values, CENTRES, 1.0), CENTRES)
    np.testing.assert_allclose(pulled_to_units(values, CENTRES, 0.25), CENTRES + 0.0075, atol=1e-6)
    with pytest.raises(ConfigError, match=r"between 0 and 1, not 1\.5"):
        pulled_to_units(values, CENTRES, 1.5)


def test_scores_of_units_that_tell_all_and_nothing() -> None:
    phones = {"a": ["AA1", "AA0", "S", "S"], "b": ["AA2", "S"], "gone": ["S"]}
    perfect = score_units(phones, {"a": [7, 7, 2, 2], "b": [7, 2, 2]})
    assert (perfect.phone_purity, perfect.cluster_purity) == (1.0, 1.0)
    assert perfect.pnmi == pytest.approx(1, abs=1e-6)
    assert (perfect.frames, perfect.frames_unmatched) == (6, 1)
    assert (perfect.utterances, perfect.utterances_missing) == (3, 1)
    none = score_units(phones, {"a": [1, 1, 1, 1], "b": [1, 1]})
    assert (none.phone_purity, none.cluster_purity) == (0.5, 1.0)
    assert none.pnmi == pytest.approx(0, abs=1e-6)
    assert none.unit_run == 3
    stressed = score_units(phones, {"a": [7, 7, 2, 2], "b": [7, 2]}, keep_stress=True)
    assert stressed.phone_purity == pytest.approx(4 / 6)
    with pytest.raises(ConfigError, match="No utterance"):
        score_units(phones, {"c": [1]})
    with pytest.raises(ConfigError, match="Only one phone"):
        score_units({"a": ["S", "S"]}, {"a": [1, 2]})


def test_torch_files(tmp_path: Path) -> None:
    path = tmp_path / "k.pt"
    facts = {"n_features_in_": 3, "_n_threads": 4}
    torch.save(facts | {"cluster_centers_": torch.from_numpy(CENTRES).half()}, path)
    np.testing.assert_allclose(read_centres(path)[""], CENTRES, atol=2e-3)
    torch.save({"cluster_centers_": torch.from_numpy(CENTRES).bfloat16()}, path)
    np.testing.assert_allclose(read_centres(path)[""], CENTRES, atol=2e-2)
    singers = {
        "a": facts | {"cluster_centers_": CENTRES},
        "b": facts | {"cluster_centers_": np.asfortranarray(CENTRES)},
    }
    torch.save(singers, path)
    read = read_centres(path)
    assert list(read) == ["a", "b"]
    for centres in read.values():
        np.testing.assert_array_equal(centres, CENTRES)
    torch.save({"a": facts | {"cluster_centers_": CENTRES.astype(np.float64)}}, path)
    np.testing.assert_array_equal(read_centres(path)["a"], CENTRES)


@pytest.mark.parametrize("order", ["C", "F"])
def test_joblib_files_of_other_sizes(tmp_path: Path, order: str) -> None:
    joblib = pytest.importorskip("joblib")
    cluster = pytest.importorskip("sklearn.cluster")
    fitted = cluster.MiniBatchKMeans(7, n_init=1, random_state=np.random.RandomState(3))
    fitted.fit(np.random.default_rng(2).standard_normal((300, 11)))
    fitted.cluster_centers_ = np.asarray(fitted.cluster_centers_, order=order)
    joblib.dump(fitted, tmp_path / "any.km")
    read = read_centres(tmp_path / "any.km")[""]
    np.testing.assert_array_equal(read, fitted.cluster_centers_.astype(np.float32))
    whole = (tmp_path / "any.km").read_bytes()
    for length in (1, 40, len(whole) // 2, len(whole) - 20):
        (tmp_path / "cut.km").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"cut\.km"):
            read_centres(tmp_path / "cut.km")


class Command:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_in_a_file_is_run(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "ran"
    bad = {"cluster_centers_": Command(marker)}
    (tmp_path / "bad.km").write_bytes(pickle.dumps(bad, protocol=protocol))
    torch.save(bad, tmp_path / "bad.pt")
    for name in ("bad.km", "bad.pt"):
        with pytest.raises(CheckpointError, match=rf"{name} asks for .*mkdir, which is refused"):
            read_centres(tmp_path / name)
    # A chain through a permitted name finds nothing to call either.
    hidden = b"\x80\x04csklearn.os\nsystem\n(X\x04\x00\x00\x00echotR."
    (tmp_path / "hidden.km").write_bytes(hidden)
    with pytest.raises(CheckpointError, match="no cluster_centers_"):
        read_centres(tmp_path / "hidden.km")
    assert not marker.exists()


def test_what_is_no_centres_is_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.pt"
    with pytest.raises(CheckpointError, match="There is no file"):
        read_centres(path)
    path.write_bytes(b"1 2 3 4\n")
    with pytest.raises(CheckpointError, match="is neither a k-means file"):
        read_centres(path)
    for value, sentence in (
        ({}, "has no cluster_centers_"),
        ({"a": {"other": 1}}, "no cluster_centers_ under 'a'"),
        ({"cluster_centers_": torch.zeros(3)}, r"shape \(3,\)"),
        ({"cluster_centers_": torch.zeros(0, 3)}, r"shape \(0, 3\)"),
        ({"cluster_centers_": torch.full((2, 2), torch.nan)}, "not all finite"),
        ({"a": {"cluster_centers_": np.array([[None]], dtype=object)}}, "are no array"),
        ({"cluster_centers_": [[1.0], [2.0, 3.0]]}, "are a list"),
    ):
        torch.save(value, path)
        with pytest.raises(CheckpointError, match=sentence):
            read_centres(path)


def test_neither_joblib_nor_sklearn_is_imported(shared: Path) -> None:
    path = shared / "golden/parts/kmeans/hubert_tiny_L2_km32.bin"
    code = (
        "import sys; from pathlib import Path; from svc.content.unit_files import read_centres\n"
        f"read_centres(Path({str(path)!r}))\n"
        "assert not {'sklearn', 'joblib', 'torch'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)
