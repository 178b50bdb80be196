"""Leaving slices out of a prepared dataset."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from svc.config import FeatureConfig
from svc.data.manifest import PreparedDataset, SpeakerStats, StoredRecording, Utterance
from svc.data.selection import exclude_slices
from svc.errors import DatasetError
from svc.features.spec import spec_from_config

SHA = "ab" * 32


@pytest.fixture
def dataset(tmp_path: Path) -> PreparedDataset:
    """Four slices of 10 frames: three to train on with F0 100, 200 and 300 Hz, one held out."""
    spec = spec_from_config(FeatureConfig(pitch_estimator="dio"))
    store = tmp_path / "store" / "ab"
    store.mkdir(parents=True)
    frames, hop = 40, spec.hop_length
    names = {}
    arrays = {
        "audio": np.zeros(frames * hop, np.int16),
        "content": np.zeros((frames, spec.content_dim), np.float16),
        "pitch": np.repeat(np.float32([100, 200, 300, 400]), 10),
        "loudness": np.zeros(frames, np.float32),
    }
    for stage, array in arrays.items():
        np.save(store / f"{stage}-abcd.npy", array)
        names[stage] = f"store/ab/{stage}-abcd.npy"
    slices = [
        Utterance(f"s{i}", "anna", "a.wav", SHA, i * 10 * hop, 10 * hop, 10, split, 0.0, 0.0, 0.0)
        for i, split in enumerate(["train", "train", "train", "validation"])
    ]
    made = PreparedDataset(
        directory=tmp_path,
        spec=spec,
        speakers=["anna"],
        utterances=slices,
        recordings={SHA: StoredRecording(audio_scale=1.0, **names)},
        speaker_stats={"anna": SpeakerStats("anna", 1.0, 100.0, 200.0, 400.0)},
    )
    made.save()
    return made


def test_excluded_slices_are_in_no_split_and_change_the_fingerprint(dataset: PreparedDataset) -> None:
    before = PreparedDataset.open(dataset.directory)
    exclude_slices(dataset.directory, ["s0", "s3"])
    after = PreparedDataset.open(dataset.directory)
    assert [u.id for u in after.split("train")] == ["s1", "s2"] and after.split("validation") == []
    assert [u.id for u in after.utterances] == ["s0", "s1", "s2", "s3"]
    assert after.fingerprint() != before.fingerprint()
    stats = after.speaker_stats["anna"]
    assert stats.minutes == pytest.approx(20 * dataset.spec.hop_length / 44_100 / 60, abs=1e-3)
    assert (stats.f0_low_hz, stats.f0_high_hz) == (200.0, 300.0)
    exclude_slices(dataset.directory, [])
    back = PreparedDataset.open(dataset.directory)
    assert back.fingerprint() == before.fingerprint() and len(back.split("train")) == 3


def test_unknown_slices_and_a_singer_without_any_are_refused(dataset: PreparedDataset) -> None:
    with pytest.raises(DatasetError, match="no slice x"):
        exclude_slices(dataset.directory, ["x"])
    with pytest.raises(DatasetError, match="No slice of anna is left"):
        exclude_slices(dataset.directory, ["s0", "s1", "s2"])
    assert PreparedDataset.open(dataset.directory).excluded == frozenset()


def test_manifests_from_before_know_no_choice(dataset: PreparedDataset) -> None:
    assert replace(dataset).excluded == frozenset() and len(dataset.kept) == 4
