import json
import pickle

import pytest

from svc.data.manifest import PreparedDataset
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset
from svc.errors import DatasetError, SpecMismatchError


@pytest.fixture
def dataset(tmp_path):
    return write_synthetic_dataset(tmp_path / "data", SyntheticSize(recordings=2, slices=2, slice_seconds=0.5))


def rewrite(dataset, change):
    path = dataset.directory / "manifest.json"
    data = json.loads(path.read_text("utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def test_round_trip(dataset):
    again = PreparedDataset.open(dataset.directory)
    assert again == dataset and again.fingerprint() == dataset.fingerprint()
    assert [u.split for u in again.split("validation")] == ["validation"] * 2
    copied = pickle.loads(pickle.dumps(again))
    assert (copied.audio(copied.utterances[0]) == again.audio(again.utterances[0])).all()


def test_missing_damaged_and_foreign_manifests_are_refused(tmp_path, dataset):
    with pytest.raises(DatasetError, match="svc prepare"):
        PreparedDataset.open(tmp_path)
    rewrite(dataset, lambda data: data.update(version=99))
    with pytest.raises(DatasetError, match="version 99"):
        PreparedDataset.open(dataset.directory)
    (dataset.directory / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(DatasetError, match="cannot be read"):
        PreparedDataset.open(dataset.directory)


def test_missing_fields_and_foreign_specs_are_refused(dataset):
    rewrite(dataset, lambda data: data["utterances"][0].pop("samples"))
    with pytest.raises(DatasetError, match="damaged"):
        PreparedDataset.open(dataset.directory)
    rewrite(dataset, lambda data: data["spec"].update(version=99))
    with pytest.raises(SpecMismatchError):
        PreparedDataset.open(dataset.directory)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "store/ab/../../x.npy", "store/ab/audio-12.txt"])
def test_a_manifest_cannot_point_outside_its_store(dataset, name):
    rewrite(dataset, lambda data: next(iter(data["recordings"].values())).update(audio=name))
    with pytest.raises(DatasetError, match="not part of it"):
        PreparedDataset.open(dataset.directory)


def test_missing_and_damaged_stored_files_are_named(dataset):
    u = dataset.utterances[0]
    content = dataset.directory / dataset.recordings[u.recording_sha256].content
    content.write_bytes(b"\x93NUMPY")
    with pytest.raises(DatasetError, match="prepare  again"):
        dataset.features(u)
    content.unlink()
    with pytest.raises(DatasetError, match="is missing"):
        PreparedDataset.open(dataset.directory)


def test_fingerprint_follows_the_split(dataset):
    before = dataset.fingerprint()
    rewrite(dataset, lambda data: data["utterances"][0].update(split="validation"))
    assert PreparedDataset.open(dataset.directory).fingerprint() != before
