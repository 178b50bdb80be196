import os
from dataclasses import replace

import numpy as np
import pytest

from svc.config import FeatureConfig
from svc.features.spec import spec_from_config
from svc.features.store import FeatureStore, load_array

STAGES = ("separated", "audio", "content", "pitch", "loudness")
SHA = "ab" * 32


@pytest.fixture(scope="module")
def spec():
    return spec_from_config(FeatureConfig())


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        ({"pitch_estimator": "dio"}, {"pitch"}),
        ({"f0_max_hz": 900.0}, {"pitch"}),
        ({"pitch_weights": "1" * 64}, {"pitch"}),
        ({"f0_median_frames": 3}, {"pitch"}),
        ({"content_layers": ((3, 1.0),)}, {"content"}),
        ({"content_weights": "1" * 64}, {"content"}),
        ({"content_normalisation": "none"}, {"content"}),
        ({"n_fft": 1024}, {"loudness"}),
        ({"n_mels": 100}, set()),
        ({"mel_fmin_hz": 40.0}, set()),
        ({"hop_length": 256}, {"content", "pitch", "loudness"}),
        ({"sample_rate": 32_000}, {"audio", "content", "pitch", "loudness"}),
    ],
)
def test_a_setting_changes_exactly_the_stages_that_depend_on_it(tmp_path, spec, change, redone):
    before, after = FeatureStore(tmp_path, spec), FeatureStore(tmp_path, replace(spec, **change))
    assert {s for s in STAGES if before.key(s) != after.key(s)} == redone


def test_another_separator_changes_everything(tmp_path, spec):
    first, second = FeatureStore(tmp_path, spec, "none"), FeatureStore(tmp_path, spec, "basic")
    assert all(first.key(s) != second.key(s) for s in STAGES)


def test_round_trip_and_extra_settings(tmp_path, spec):
    store = FeatureStore(tmp_path, spec)
    assert store.load(SHA, "pitch") is None and store.load_json(SHA, "slices") is None
    path = store.save(SHA, "pitch", np.arange(5, dtype=np.float32))
    assert store.name(path).startswith("store/abababababababab/pitch-")
    np.testing.assert_array_equal(store.load(SHA, "pitch"), np.arange(5))
    store.save_json(SHA, "slices", {"a": 1}, {"longest": 5})
    assert store.load_json(SHA, "slices", {"longest": 5}) == {"a": 1}
    assert store.load_json(SHA, "slices", {"longest": 6}) is None


def test_damaged_files_count_as_missing(tmp_path, spec):
    store = FeatureStore(tmp_path, spec)
    path = store.save(SHA, "loudness", np.zeros(1000, np.float32))
    path.write_bytes(path.read_bytes()[:500])
    assert store.load(SHA, "loudness") is None
    path.write_bytes(b"")
    assert store.load(SHA, "loudness") is None
    json_path = store.save_json(SHA, "slices", {"a": 1})
    json_path.write_text("{")
    assert store.load_json(SHA, "slices") is None


def test_a_pickled_array_is_not_loaded(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert load_array(tmp_path / "x.npy") is None


def test_nothing_is_left_behind_when_writing_fails(tmp_path, spec, monkeypatch):
    store = FeatureStore(tmp_path, spec)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space"):
        store.save(SHA, "pitch", np.zeros(3))
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_leftovers_of_dead_processes_are_removed(tmp_path, spec):
    store = FeatureStore(tmp_path, spec)
    kept = store.save(SHA, "pitch", np.zeros(3))
    dead = kept.with_name(".content-ab.npy.999999999.tmp")
    alive = kept.with_name(f".content-ab.npy.{os.getpid()}.tmp")
    dead.touch()
    alive.touch()
    store.remove_leftovers()
    assert kept.exists() and alive.exists() and not dead.exists()
