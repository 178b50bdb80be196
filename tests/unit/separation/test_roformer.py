"""RoFormers from users' files: what fits is loaded, everything else is one sentence and nothing of it runs."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from svc.audio.signal import Audio
from svc.errors import CheckpointError, SvcError, WeightError
from svc.separation.roformer import Roformer
from svc.separation.roformer_network import RoformerNetwork, RoformerShape, consecutive_bands

SHAPE = RoformerShape(
    dim=8,
    depth=1,
    time_depth=2,
    freq_depth=1,
    heads=2,
    dim_head=4,
    channels=2,
    stems=1,
    bands=consecutive_bands([4, 5, 24]),
    final_norm=True,
    mask_hidden=(8,),
    n_fft=64,
    hop_length=16,
    win_length=64,
)
CONFIG: dict[str, Any] = {
    "audio": {"chunk_size": 1000, "sample_rate": 44_100},
    "model": {"stereo": True, "stft_n_fft": 64, "stft_hop_length": 16, "stft_win_length": 64},
    "training": {"instruments": ["vocals", "other"], "target_instrument": "vocals"},
    "inference": {"batch_size": 1, "num_overlap": 2},
}


def state_of(shape: RoformerShape = SHAPE) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(RoformerNetwork(shape).state_dict())


def write(folder: Path, state: Any, config: dict[str, Any] | None = None, name: str = "tiny") -> Path:
    torch.save(state, folder / f"{name}.ckpt")
    text = yaml.safe_dump(config or CONFIG) + "bands: !!python/tuple\n- 1\n- 2\n"
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def vocals(folder: Path, length: int = 3000) -> np.ndarray:
    song = np.random.default_rng(0).standard_normal((2, length)).astype(np.float32)
    return Roformer(folder=folder).separate(Audio(song, 44_100)).vocals.samples


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {f"model.{name}": value for name, value in state.items()},
    ],
)
def test_wrapped_weights_are_the_same(tmp_path: Path, wrap: Any) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = vocals(write(tmp_path / "a", state_of()))
    np.testing.assert_array_equal(plain, vocals(write(tmp_path / "b", wrap(state_of()))))
    assert np.abs(plain).max() > 0


def test_half_precision_files_are_read(tmp_path: Path) -> None:
    write(tmp_path, {name: value.half() for name, value in state_of().items()})
    assert vocals(tmp_path).dtype == np.float32


def test_other_sizes(tmp_path: Path) -> None:
    shape = replace(SHAPE, dim=12, heads=3, depth=2, stems=2, mask_hidden=(5, 7), skip_connection=True)
    config = {**CONFIG, "model": {**CONFIG["model"], "skip_connection": True}}
    config["training"] = {"instruments": ["other", "Vocals"], "target_instrument": None}
    separator = Roformer(folder=write(tmp_path, state_of(shape), config))
    assert separator.network.shape == shape
    assert separator.settings.stem == 1


def test_a_model_of_the_accompaniment_leaves_the_vocals(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    config = {**CONFIG, "training": {"target_instrument": "Instrumental"}}
    of_voice = vocals(write(tmp_path / "a", state_of()))
    of_rest = vocals(write(tmp_path / "b", state_of(), config))
    song = np.random.default_rng(0).standard_normal((2, 3000)).astype(np.float32)
    np.testing.assert_allclose(of_voice + of_rest, song, atol=1e-4)


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    write(tmp_path, {"state_dict": state_of(), "hook": Evil(marker)})
    with pytest.raises(CheckpointError, match="refused"):
        Roformer(folder=tmp_path)
    assert not marker.exists()


def test_a_yaml_that_would_run_code_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    write(tmp_path, state_of())
    with open(tmp_path / "tiny.yaml", "a", encoding="utf-8") as file:
        file.write(f"hook: !!python/object/apply:os.mkdir ['{marker.as_posix()}']\n")
    with pytest.raises(CheckpointError, match=r"tiny\.yaml cannot be read safely"):
        Roformer(folder=tmp_path)
    assert not marker.exists()


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    write(tmp_path, state_of())
    path = tmp_path / "tiny.ckpt"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match="cut short"):
        Roformer(folder=tmp_path)


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in state_of().items() if key != name}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (without("final_norm.gamma"), "tiny"),
        (without("layers.0.0.layers.1.0.to_out.0.weight"), "to_out"),
        (without("layers.0.0.layers.0.0.to_gates.weight"), "to_gates"),
        ({**state_of(), "surplus": torch.zeros(1)}, "surplus"),
        ({**state_of(), "band_split.to_features.2.1.bias": torch.zeros(9)}, "band_split.to_features.2.1.bias"),
        ({**state_of(), "band_split.to_features.2.0.gamma": torch.zeros(())}, "tiny"),
        ({**state_of(), "band_split.to_features.2.1.bias": "text"}, "instead of a tensor"),
        ({"something": torch.zeros(3)}, "lacks"),
        ([1, 2], "no named tensors"),
        ({}, "no named tensors"),
    ],
)
def test_weights_that_do_not_fit_are_one_sentence(tmp_path: Path, state: Any, said: str) -> None:
    write(tmp_path, state)
    with pytest.raises(SvcError, match=said) as caught:
        Roformer(folder=tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("model", {"stft_n_fft": 128}, "bins"),
        ("model", {"stft_n_fft": "a lot"}, "stft_n_fft"),
        ("model", {"linear_transformer_depth": 1}, "linear attention"),
        ("model", {"stft_hop_length": 0}, "stft_hop_length"),
        ("audio", {"chunk_size": -1}, "chunk_size"),
        ("inference", {"num_overlap": 1 << 30}, "num_overlap"),
        ("training", {"target_instrument": None}, "2 stems"),
        ("training", {"target_instrument": "drums"}, "drums"),
    ],
)
def test_a_yaml_that_does_not_fit_is_one_sentence(tmp_path: Path, part: str, change: Any, said: str) -> None:
    write(tmp_path, state_of(), {**CONFIG, part: {**CONFIG[part], **change}})
    with pytest.raises(SvcError, match=said) as caught:
        Roformer(folder=tmp_path)
    assert "\n" not in str(caught.value)


def test_the_model_is_found_or_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path))
    folder = tmp_path / "roformer"
    with pytest.raises(WeightError, match="roformer"):
        Roformer()
    folder.mkdir()
    write(folder, state_of())
    assert Roformer().path == folder / "tiny.ckpt"
    write(folder, state_of(), name="other")
    with pytest.raises(WeightError, match=r"other\.ckpt, tiny\.ckpt"):
        Roformer()
    assert Roformer(model="other").path == folder / "other.ckpt"
    with pytest.raises(WeightError, match="third"):
        Roformer(model="third")
    (folder / "other.yaml").unlink()
    (folder / "tiny.yaml").unlink()
    with pytest.raises(WeightError, match=r"other\.yaml"):
        Roformer(model="other")
