import argparse
import io
import os
import pickle
import runpy
import sys
import types
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from svc.errors import CheckpointError
from svc.safe_read import StandIn, check_keys, read_safetensors, read_torch

DICTIONARY = "fairseq.data.dictionary.Dictionary"


class Attack:
    """Unpickled by an unrestricted reader, this makes a folder."""

    def __init__(self, target: Path, call) -> None:
        self.target, self.call = str(target), call

    def __reduce__(self):
        return self.call, (self.target,)


@pytest.fixture
def dictionary_class(monkeypatch):
    """A class that pickles under the name of fairseq's Dictionary and is gone when the file is read."""
    module = types.ModuleType("fairseq.data.dictionary")
    kind = type("Dictionary", (), {"__module__": module.__name__, "__setstate__": lambda *_: os.abort()})
    module.Dictionary = kind
    for name in ("fairseq", "fairseq.data"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return kind


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("call", [os.mkdir, os.system, eval])
def test_a_pickle_that_would_run_code_runs_nothing(tmp_path, zipped, call):
    target = tmp_path / "made"
    file = tmp_path / "bad.pt"
    torch.save({"model": Attack(target, call)}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"bad.pt asks for .*(mkdir|system|eval), which is refused"):
        read_torch(file, stand_ins=[DICTIONARY])
    assert not target.exists()


def test_a_bare_pickle_that_would_run_code_runs_nothing(tmp_path):
    target = tmp_path / "made"
    file = tmp_path / "bad.pt"
    file.write_bytes(pickle.dumps(Attack(target, os.mkdir), protocol=2))
    with pytest.raises(CheckpointError, match=r"mkdir, which is refused"):
        read_torch(file)
    file.write_bytes(pickle.dumps(Attack(target, os.mkdir), protocol=4))
    with pytest.raises(CheckpointError, match=r"bad.pt is damaged"):
        read_torch(file)
    assert not target.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_stand_ins_keep_state_and_are_inert(tmp_path, dictionary_class, zipped):
    entry = dictionary_class()
    entry.symbols = ["a", "b"]
    file = tmp_path / "good.pt"
    content = {"task": entry, "args": argparse.Namespace(heads=4), "model": OrderedDict(x=torch.arange(3.0))}
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    read = read_torch(file, stand_ins=[DICTIONARY, "argparse.Namespace"])
    assert isinstance(read["task"], StandIn) and read["task"].symbols == ["a", "b"]
    assert not isinstance(read["args"], argparse.Namespace) and read["args"].heads == 4
    assert torch.equal(read["model"]["x"], torch.arange(3.0))
    with pytest.raises(CheckpointError, match=r"asks for fairseq\.data\.dictionary\.Dictionary, which is refused"):
        read_torch(file, stand_ins=["argparse.Namespace"])


def test_a_stand_in_that_is_called_only_keeps_its_arguments(tmp_path):
    program, made = tmp_path / "program.py", tmp_path / "made"
    program.write_text(f"open({str(made)!r}, 'w').close()")
    file = tmp_path / "bad.pt"
    torch.save({"model": Attack(program, runpy.run_path)}, file)
    read = read_torch(file, stand_ins=["runpy.run_path"])["model"]
    assert isinstance(read, StandIn) and read.arguments == (str(program),)
    assert not made.exists()
    runpy.run_path(str(program))
    assert made.exists()


def test_allowed_classes_are_built(tmp_path):
    file = tmp_path / "good.pt"
    torch.save({"segment": Fraction(39, 5)}, file)
    assert read_torch(file, allow=[Fraction])["segment"] == Fraction(39, 5)
    with pytest.raises(CheckpointError, match=r"asks for fractions\.Fraction"):
        read_torch(file)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.95])
def test_truncated_file(tmp_path, zipped, kept):
    file = tmp_path / "short.pt"
    torch.save({"model": {"x": torch.zeros(2000)}}, file, _use_new_zipfile_serialization=zipped)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(CheckpointError, match=r"short\.pt is damaged, cut short or not"):
        read_torch(file)


def test_not_a_checkpoint(tmp_path):
    for name, data in {"text": b"hello", "page": b"<!DOCTYPE html><html>", "noise": bytes(range(256)) * 20}.items():
        file = tmp_path / name
        file.write_bytes(data)
        with pytest.raises(CheckpointError, match=f"{name} "):
            read_torch(file)
        with pytest.raises(CheckpointError, match=f"{name} is damaged"):
            read_safetensors(file)
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros(3))
    (tmp_path / "zip").write_bytes(buffer.getvalue())
    with pytest.raises(CheckpointError, match="not a file of torch"):
        read_torch(tmp_path / "zip")


def test_torchscript_is_refused(tmp_path):
    file = tmp_path / "script.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), file)
    with pytest.raises(CheckpointError, match="TorchScript program, which is refused"):
        read_torch(file)


def test_missing_file(tmp_path):
    for read in (read_torch, read_safetensors):
        with pytest.raises(CheckpointError, match=r"There is no file .*nowhere"):
            read(tmp_path / "nowhere")


def test_safetensors(tmp_path):
    save_file({"x": torch.arange(4.0)}, tmp_path / "x.safetensors")
    assert torch.equal(read_safetensors(tmp_path / "x.safetensors")["x"], torch.arange(4.0))
    data = (tmp_path / "x.safetensors").read_bytes()
    (tmp_path / "x.safetensors").write_bytes(data[:-3])
    with pytest.raises(CheckpointError, match="cut short"):
        read_safetensors(tmp_path / "x.safetensors")


def test_check_keys():
    wanted = {"a": (2, 3), "b": (1,)}
    check_keys({"a": torch.zeros(2, 3), "b": torch.zeros(1)}, wanted, "x.pt")
    with pytest.raises(CheckpointError, match=r"^x.pt lacks b and has c, which do not belong there: "):
        check_keys({"a": torch.zeros(2, 3), "c": torch.zeros(1)}, wanted, "x.pt")
    with pytest.raises(CheckpointError, match=r"does not fit in a \(shape \(3, 2\) instead of \(2, 3\)\)"):
        check_keys({"a": torch.zeros(3, 2), "b": torch.zeros(1)}, wanted, "x.pt")
    with pytest.raises(CheckpointError, match=r"b \(a str instead of a tensor\)"):
        check_keys({"a": torch.zeros(2, 3), "b": "b"}, wanted, "x.pt")
    with pytest.raises(CheckpointError, match="and 5 more"):
        check_keys({}, {str(i): (1,) for i in range(9)}, "x.pt")
    with pytest.raises(CheckpointError, match="holds a list"):
        check_keys([], wanted, "x.pt")
