"""The first FCPE's file: found, checked, refused."""

import os

import numpy as np
import pytest
import torch
from pitch_files import FCPE as TINY
from pitch_files import fcpe_old_state

from svc.errors import CheckpointError, WeightError
from svc.pitch.fcpe_old import FcpeOld, load_network, log_mel


@pytest.fixture(scope="module")
def state() -> dict:
    torch.manual_seed(1)
    return fcpe_old_state()


def test_missing_found_by_content_and_by_name(tmp_path, monkeypatch, state):
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path))
    with pytest.raises(WeightError, match=r"see  svc weights get fcpe-old .*put your fcpe\.pt \(from .* into"):
        FcpeOld()
    torch.save({"model": {"unet.encoder.bn.weight": torch.ones(1)}}, tmp_path / "another.pt")
    torch.save({"config": {}, "model": state}, tmp_path / "some.pt")
    assert FcpeOld().weights.name == "some.pt" and load_network(tmp_path / "some.pt").shape == TINY
    torch.save({"config": {}, "model": state}, tmp_path / "fcpe.pt")
    assert FcpeOld().weights.name == "fcpe.pt"


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 401, 16_000])
def test_frames_of_any_length(samples):
    assert log_mel(torch.zeros(samples)).shape == (128, samples // 160 + 1)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_hostile_and_cut_files(tmp_path, state):
    path = tmp_path / "fcpe.pt"
    torch.save({"config": Bomb(str(tmp_path / "boom")), "model": state}, path)
    with pytest.raises(CheckpointError, match="mkdir"):
        load_network(path)
    assert not (tmp_path / "boom").exists()
    torch.save({"model": state}, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match="damaged"):
        load_network(path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda s: s.pop("norm.bias"), r"lacks norm\.bias"),
        (lambda s: s.pop("cent_table"), "lacks the tensor 'cent_table'"),
        (lambda s: s.update(more=torch.zeros(1)), "has more"),
        (lambda s: s.update({"stack.3.bias": torch.zeros(2)}), r"stack\.3\.bias \(shape"),
        (lambda s: s.pop("decoder._layers.0.attn.fast_attention.projection_matrix"), "not the first FCPE"),
    ],
)
def test_wrong_tensors_are_named(tmp_path, state, change, match):
    changed = dict(state)
    change(changed)
    torch.save({"config": {}, "model": changed}, tmp_path / "fcpe.pt")
    with pytest.raises(CheckpointError, match=match):
        load_network(tmp_path / "fcpe.pt")


def test_noise_gives_finite_f0_in_range(tmp_path, state):
    torch.save({"config": {}, "model": state}, tmp_path / "fcpe.pt")
    wave = np.random.default_rng(0).normal(0, 0.1, 9000).astype(np.float32)
    estimator = FcpeOld(50, 1100, weights=tmp_path / "fcpe.pt", threshold=0.0)
    track = estimator.estimate(wave, 16_000, np.arange(0, 0.5, 0.01))
    assert np.isfinite(track.f0_hz).all() and track.voiced.any()
    assert track.f0_hz[track.voiced].min() >= 50 and track.f0_hz.max() <= 1100
