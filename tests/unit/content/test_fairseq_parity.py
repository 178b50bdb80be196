"""The comparing half of scripts/check_fairseq_parity.py, with a stand-in for fairseq."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from svc.content.hubert_files import read_hubert
from svc.errors import MissingExtraError, SvcError

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_fairseq_parity", ROOT / "scripts/check_fairseq_parity.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["hubert_fairseq_base/checkpoint_best_legacy_500.pt", "hubert_fairseq_large"])
def file(request: pytest.FixtureRequest, shared: Path) -> Path:
    path = shared / "golden/parts" / request.param
    return path if path.is_file() else next(path.glob("*.pt"))


class StandIn:
    """fairseq's interface over our network; `fault` is added to one layer, `layer` (None: the last)."""

    def __init__(self, path: Path, fault: float = 0.0, layer: int | None = None) -> None:
        self.network = read_hubert(path).network()
        self.final_proj = self.network.final_proj
        self.fault, self.layer = fault, layer
        self.asked: list[int | None] = []

    def extract_features(self, source: torch.Tensor, padding_mask: torch.Tensor, mask: bool, output_layer: int | None):
        assert not mask and not padding_mask.any() and padding_mask.shape == source.shape
        self.asked.append(output_layer)
        outputs = self.network(source)
        found = outputs[-1 if output_layer is None else output_layer].clone()
        if output_layer == self.layer:
            found[0, 3, 5] += self.fault
        return found, None


def test_equal_models_do_not_differ(script: ModuleType, file: Path) -> None:
    original = StandIn(file)
    found = script.compare(original, read_hubert(file).network(), script.clips_of(None, 1.0)[2:])
    assert [d.name for d in found] == ["layer 1", "layer 2", "layer 3", "layer 4", "last", "last, projected"]
    assert original.asked == [1, 2, 3, 4, None]
    assert max(d.largest for d in found) == 0 and min(d.scale for d in found) > 0
    assert "within 5e-05" in script.report(found, script.TOLERANCE)


def test_a_fault_in_one_value_is_found_where_it_is(script: ModuleType, file: Path) -> None:
    found = script.compare(StandIn(file, 1e-3, 2), read_hubert(file).network(), script.clips_of(None, 1.0)[2:])
    off = {d.name: d.largest for d in found if d.largest > 0}
    assert off == {"layer 2": pytest.approx(1e-3, rel=1e-2)}
    assert "in layer 2: NOT within" in script.report(found, script.TOLERANCE)


def test_values_that_are_no_numbers_are_a_difference(script: ModuleType, file: Path) -> None:
    found = script.compare(StandIn(file, float("nan"), 3), read_hubert(file).network(), script.clips_of(None, 1.0)[2:])
    assert {d.name: d.largest for d in found}["layer 3"] == float("inf")


def test_the_exit_code_says_it(script: ModuleType, file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from svc.audio.signal import Audio
    from svc.audio.writing import write_audio

    song = write_audio(tmp_path / "a.wav", Audio(script.clips_of(None, 1.0)[2][None], 22_050), "24")
    for fault, code in ((0.0, 0), (1e-3, 1)):
        monkeypatch.setattr(script, "load_original", lambda path, fault=fault: StandIn(path, fault))
        assert script.main([str(file), "--audio", str(song), "--seconds", "0.2"]) == code


def test_shapes_that_differ_and_a_missing_package_are_said(
    script: ModuleType, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    class Shorter(StandIn):
        def extract_features(self, **asked: Any):
            found, _ = super().extract_features(**asked)
            return found[:, 1:], None

    with pytest.raises(SvcError, match="layer 1: fairseq gives"):
        script.compare(Shorter(file), read_hubert(file).network(), script.clips_of(None, 1.0)[2:])
    monkeypatch.setitem(sys.modules, "fairseq", None)
    with pytest.raises(MissingExtraError, match=r"svc-toolkit\[fairseq\]"):
        script.load_original(file)
    assert script.main([str(file)]) == 1
    assert "fairseq-fixed" in capsys.readouterr().err
