"""k-means files and unit scores against fairseq's, so-vits-svc's and scikit-learn's."""

import json
from pathlib import Path

import numpy as np
import pytest

from svc.content.unit_files import read_centres
from svc.content.units import joint_distribution, nearest_units, pulled_to_units, score_units

NAMES = {
    "ref pur": "phone_purity",
    "hyp pur": "cluster_purity",
    "H(ref)": "phone_entropy",
    "H(hyp)": "unit_entropy",
    "MI": "mutual_information",
    "MI/H(ref)": "pnmi",
    "ref segL": "phone_run",
    "hyp segL": "unit_run",
    "frm tot": "frames",
    "frm diff": "frames_unmatched",
    "utt tot": "utterances",
    "utt miss": "utterances_missing",
}
CHANGES = {
    "plain": lambda row: row,
    "upsample2": lambda row: [unit for unit in row for _ in range(2)],
    "pad2": lambda row: [row[0]] * 2 + row + [row[-1]] * 2,
}


def test_units_of_a_joblib_file(shared: Path) -> None:
    folder = shared / "golden/parts/kmeans"
    golden = np.load(folder / "golden.npz")
    centres = read_centres(folder / "hubert_tiny_L2_km32.bin")[""]
    assert centres.shape == (32, 24)
    units = nearest_units(golden["features"], centres)
    sure = golden["margin"] > 1e-3
    assert sure.all()
    np.testing.assert_array_equal(units[sure], golden["labels"][sure])
    distance = ((golden["features"].astype(np.float64) - centres[units]) ** 2).sum()
    assert distance == pytest.approx(float(golden["inertia"]), rel=1e-5)


@pytest.mark.parametrize("case", CHANGES)
def test_scores(case: str, shared: Path) -> None:
    folder = shared / "golden/parts/kmeans"
    phones = dict(line.split("\t") for line in (folder / "phones.tsv").read_text().splitlines())
    listed = [line.split("\t")[0] for line in (folder / "valid.tsv").read_text().splitlines()[1:]]
    names = [name.split(".")[0].split("/")[-1] for name in listed]
    rows = [[int(unit) for unit in line.split()] for line in (folder / "valid.km").read_text().splitlines()]
    units = {name: CHANGES[case](row) for name, row in zip(names, rows, strict=True)}
    scores = score_units({name: row.split(",") for name, row in phones.items()}, units)
    wanted = json.loads((folder / "quality.json").read_text())[case]
    for theirs, ours in NAMES.items():
        assert getattr(scores, ours) == pytest.approx(wanted[theirs], abs=1e-9), theirs


def test_joint_distribution(shared: Path) -> None:
    golden = np.load(shared / "golden/parts/kmeans/golden.npz")
    ours = joint_distribution(golden["frames_phone"].tolist(), golden["frames_cluster"].tolist())
    np.testing.assert_allclose(np.sort(ours.ravel()), np.sort(golden["p_xy"].ravel()), atol=1e-12)


@pytest.mark.parametrize("name", ["kmeans_10000.pt", "kmeans_10000_numpy1.pt"])
def test_units_of_a_so_vits_file(name: str, shared: Path) -> None:
    folder = shared / "golden/voices/kmeans"
    golden = np.load(folder / "golden.npz")
    centres = read_centres(folder / name)
    assert set(centres) == {"alto", "tenor"}
    for singer, own in centres.items():
        np.testing.assert_array_equal(own, golden[f"centers_{singer}"])
        content = golden[f"in_{singer}_c"].T
        np.testing.assert_array_equal(nearest_units(content, own), golden[f"out_{singer}_pred"])
        blended = pulled_to_units(content, own, 0.5)
        np.testing.assert_allclose(blended, golden[f"out_{singer}_blend_0.5"].T, atol=1e-6)
