"""RMVPE's file: found, checked, refused; long audio in windows."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pitch_files import RMVPE as TINY

from svc.audio.signal import Audio
from svc.checkpoint.voice import SpeakerInfo, Voice
from svc.config import ConvertOptions, FeatureConfig, load_config
from svc.conversion.converter import Converter
from svc.errors import CheckpointError, SpecMismatchError, WeightError
from svc.features.extractor import FeatureExtractor
from svc.features.spec import spec_from_config
from svc.models.vits.voice_model import VoiceModel
from svc.paths import recipe
from svc.pitch.rmvpe import Rmvpe, load_network
from svc.pitch.rmvpe_network import RmvpeNetwork
from svc.weights import sha256_of


@pytest.fixture(scope="module")
def state() -> dict:
    torch.manual_seed(1)
    return RmvpeNetwork(TINY).eval().state_dict()


@pytest.fixture
def pretrain(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path))
    return tmp_path


def test_missing_file_is_one_sentence(pretrain):
    with pytest.raises(WeightError, match=r"see  svc weights get rmvpe .*put your rmvpe\.pt \(from .* into"):
        Rmvpe()


def test_found_by_name_and_by_content(pretrain, state):
    torch.save({"model": {"something.else": torch.zeros(2)}}, pretrain / "a.pt")
    (pretrain / "deep").mkdir()
    torch.save({"model": state}, pretrain / "deep" / "model.pt")
    assert Rmvpe().weights == pretrain / "deep" / "model.pt"
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, pretrain / "rmvpe.pt")
    assert Rmvpe().weights == pretrain / "rmvpe.pt"


def test_a_foreign_file_of_the_right_name_is_passed_over_or_named(pretrain, state):
    torch.save({"config": {}}, pretrain / "rmvpe.pt")
    with pytest.raises(CheckpointError, match="not a network of RMVPE"):
        Rmvpe().estimate(np.full(16_000, 0.1, np.float32), 16_000, np.zeros(1))
    torch.save(state, pretrain / "other.pth")
    assert Rmvpe().weights.name == "other.pth"


def test_both_kinds_of_file_give_the_same_network_of_the_sizes_in_the_tensors(tmp_path, state):
    torch.save(state, tmp_path / "flat.pt")
    torch.save({"model": {**state, "unet.tf.layers.0.conv.0.weight": torch.zeros(3)}}, tmp_path / "wrapped.pt")
    mel = torch.randn(1, 128, 13)
    with torch.inference_mode():
        flat, wrapped = (load_network(tmp_path / name)(mel) for name in ("flat.pt", "wrapped.pt"))
    assert load_network(tmp_path / "flat.pt").shape == TINY
    assert flat.shape == (1, 13, 360) and torch.equal(flat, wrapped)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_that_would_run_code_runs_nothing(tmp_path):
    torch.save({"model": Bomb(str(tmp_path / "boom"))}, tmp_path / "rmvpe.pt")
    with pytest.raises(CheckpointError, match="mkdir"):
        load_network(tmp_path / "rmvpe.pt")
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda s: s.pop("fc.1.bias"), r"lacks fc\.1\.bias"),
        (lambda s: s.pop("fc.0.gru.weight_hh_l0"), r"lacks the tensor 'fc\.0\.gru\.weight_hh_l0'"),
        (lambda s: s.update(more=torch.zeros(1)), "has more"),
        (lambda s: s.update({"cnn.weight": torch.zeros(3, 2, 3, 3)}), r"cnn\.weight \(shape"),
    ],
)
def test_wrong_tensors_are_named(tmp_path, state, change, match):
    changed = dict(state)
    change(changed)
    torch.save(changed, tmp_path / "rmvpe.pt")
    with pytest.raises(CheckpointError, match=match):
        load_network(tmp_path / "rmvpe.pt")


def test_truncated_file(tmp_path, state):
    torch.save(state, tmp_path / "rmvpe.pt")
    whole = (tmp_path / "rmvpe.pt").read_bytes()
    (tmp_path / "rmvpe.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="damaged"):
        load_network(tmp_path / "rmvpe.pt")


def test_long_audio_is_measured_in_windows(tmp_path, state, monkeypatch):
    torch.save(state, tmp_path / "rmvpe.pt")
    estimator = Rmvpe(32, 2000, weights=tmp_path / "rmvpe.pt", threshold=0.0)
    longest = []
    measure = estimator._measure
    monkeypatch.setattr(estimator, "_measure", lambda s, r: longest.append(len(s) / r) or measure(s, r))
    wave = np.random.default_rng(0).normal(0, 0.1, 65 * 8000).astype(np.float32)
    track = estimator.estimate(wave, 8000, np.arange(0, 65, 0.01))
    assert len(longest) == 3 and max(longest) <= 36
    assert track.voiced.all()


def test_the_hash_of_the_file_tells_features_apart(pretrain, state):
    torch.save(state, pretrain / "rmvpe.pt")
    first = spec_from_config(FeatureConfig(pitch_estimator="rmvpe"))
    assert first.pitch_weights == sha256_of(pretrain / "rmvpe.pt")
    torch.save({"model": state}, pretrain / "rmvpe.pt")
    second = spec_from_config(FeatureConfig(pitch_estimator="rmvpe"))
    assert first.fingerprint() != second.fingerprint()
    with pytest.raises(SpecMismatchError, match="pitch_weights"):
        first.require(second, "The dataset")
    with pytest.raises(SpecMismatchError, match=r"another file of 'rmvpe'.*put that one back"):
        FeatureExtractor(first).pitch(np.zeros(1000, np.float32))
    assert len(FeatureExtractor(second).pitch(np.zeros(1024, np.float32))) == 2
    any_file = replace(first, pitch_weights="")
    any_file.require(second, "The dataset")
    assert len(FeatureExtractor(any_file).pitch(np.zeros(1024, np.float32))) == 2


def test_a_voice_converts_with_another_file_when_the_estimator_is_named(pretrain, state):
    """Without naming it the voice asks for the very file it was trained with."""
    torch.save(state, pretrain / "rmvpe.pt")
    spec = replace(spec_from_config(FeatureConfig(pitch_estimator="rmvpe")), pitch_weights="0" * 64)
    config = load_config(recipe("debug")).model
    voice = Voice(config, spec, [SpeakerInfo("anna", 1.0, 150.0, 220.0, 400.0)], {})
    voice.state = VoiceModel(config, voice.shape).state_dict()
    converter = Converter(voice)
    audio = Audio(np.full((1, 30_000), 0.01, np.float32), 44_100)
    with pytest.raises(SpecMismatchError, match="name the pitch estimator 'rmvpe'"):
        converter.convert(audio, ConvertOptions(transpose=0.0))
    assert converter.convert(audio, ConvertOptions(transpose=0.0, pitch_estimator="rmvpe")).length == 30_000
