"""Voices of so-vits-svc and RVC, imported, exported again, and compared with the files they came from."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_import_golden import RVC_AUDIO, SOVITS_AUDIO, golden_audio, voice_file

from svc.checkpoint.exporters.writing import export_voice
from svc.checkpoint.importers.assembly import Choices
from svc.checkpoint.importers.opening import import_voice
from svc.checkpoint.voice import without_training_parts
from svc.errors import CheckpointError
from svc.safe_read import read_torch

SOVITS = (
    "sv41_vec768_vol/G_2400.pth",
    "sv41_vec768_vol/G_2400_release.pth",
    "sv41_vec768_novol/G_800.pth",
    "sv41_noautof0/G_1600.pth",
    "sv41_tiny/G_4000.pth",
    "sv41_snake/G_3200.pth",
    "sv41_trflow/G_5600.pth",
    "sv41_trflow_unshared/G_800.pth",
    "sv40_vec256/G_1600.pth",
    "svfork_40v1_vec768/G_120.pth",
)
RVC = (
    "rvc_v1_40k/goldA.pth",
    "rvc_v2_40k/goldB.pth",
    "rvc_v2_32k/goldD.pth",
    "rvc_v2_48k/goldC.pth",
    "rvc_v2_40k_nono/goldE.pth",
    "applio_v2_40k/goldF_150e_4650s.pth",
    "ddpn_v2_40k/goldG.pth",
)


# Equal weights in a file of equal settings are the same voice; these are read back and sung with all the same.
SUNG = ("G_2400_release.pth", "G_4000.pth", "G_3200.pth", "G_120.pth", "goldA.pth", "goldE.pth", "goldF_150e_4650s.pth")


def weights(path: Path) -> dict[str, torch.Tensor]:
    from collections import OrderedDict

    file = read_torch(path, allow=[(OrderedDict, "typing.OrderedDict")])
    return dict(file.get("weight", file.get("model")))


def require_same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert set(ours) == set(theirs) and len(theirs) > 300
    different = [name for name in theirs if not torch.equal(ours[name], theirs[name].to(ours[name].dtype))]
    assert not different and all(ours[name].shape == theirs[name].shape for name in theirs)


def check_audio(voice: Any, folder: Path, limit: float) -> None:
    with np.load(folder / "golden.npz") as arrays:
        if "in_pitchf" in arrays or "in_f0" in arrays:
            sung, expected = golden_audio(voice, arrays)
            assert np.abs(sung - expected).max() <= limit


@pytest.mark.parametrize("name", SOVITS)
@torch.no_grad()
def test_sovits_there_and_back(shared: Path, tmp_path: Path, name: str) -> None:
    path = voice_file(shared, name)
    voice = import_voice(path)
    made = export_voice(voice, "sovits", tmp_path / "out")
    assert [file.name for file in made.files] == [f"{path.stem.removesuffix('_release')}.pth", "config.json"]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "G_" + path.stem.split("_")[1] + ".pth",
        "config.json",
    ]
    require_same(weights(made.files[0]), weights(path))
    assert (voice.config.pitch_input == "binned") == any("1103" in note for note in made.notes)
    if path.name not in SUNG:
        return
    back = import_voice(made.files[0])
    assert all(torch.equal(value, back.state[key]) for key, value in voice.state.items())
    assert back.spec == voice.spec and [s.name for s in back.speakers] == [s.name for s in voice.speakers]
    changed = {"pitch_input": "binned_41"} if voice.config.pitch_input == "binned" else {}
    assert back.config == voice.config.model_copy(update=changed)
    check_audio(back, path.parent, SOVITS_AUDIO)


def test_sovits_settings_are_those_of_the_original(shared: Path, tmp_path: Path) -> None:
    for name in ("sv41_trflow_unshared/G_800.pth", "sv41_tiny/G_4000.pth"):
        path = voice_file(shared, name)
        made = export_voice(import_voice(path), "sovits", tmp_path / path.parent.name)
        ours, theirs = (json.loads(p.read_text()) for p in (made.files[1], path.with_name("config.json")))
        assert ours["model"] == theirs["model"] and ours["data"] == theirs["data"] and ours["spk"] == theirs["spk"]
        assert set(ours["train"]) == set(theirs["train"])
        file = read_torch(made.files[0])
        assert set(file) == {"model", "iteration", "optimizer", "learning_rate"}
        assert type(file["iteration"]) is int and file["optimizer"]["state"] == {}


@pytest.mark.parametrize("name", RVC)
@torch.no_grad()
def test_rvc_there_and_back(shared: Path, tmp_path: Path, name: str) -> None:
    path = voice_file(shared, name)
    voice = import_voice(path)
    made = export_voice(voice, "rvc", tmp_path / "out" / path.name)
    assert made.precision == "fp16" and made.files == (tmp_path / "out" / path.name,)
    require_same(weights(made.files[0]), weights(path))
    ours = read_torch(made.files[0])
    if path.parent.name.startswith("rvc_"):
        theirs = read_torch(path)
        ours["config"][15] = theirs["config"][15]  # the rows of the table count, whatever the list says
        assert {key: ours[key] for key in ("config", "sr", "f0", "version", "info")} == {
            key: theirs[key] for key in ("config", "sr", "f0", "version", "info")
        }
    if path.name not in SUNG:
        return
    back = import_voice(made.files[0])
    assert all(torch.equal(value, back.state[key]) for key, value in voice.state.items())
    assert (back.spec, back.config) == (voice.spec, voice.config)
    assert [s.name for s in back.speakers] == [s.name for s in voice.speakers]
    check_audio(back, path.parent, RVC_AUDIO)


def test_an_rvc_training_file_becomes_a_users_file(shared: Path, tmp_path: Path) -> None:
    voice = import_voice(voice_file(shared, "rvc_v2_40k/G_2333333.pth"))
    made = export_voice(voice, "rvc", tmp_path / "v.pth")
    assert made.precision == "fp32" and any("training parts" in note for note in made.notes)
    back = import_voice(made.files[0])
    assert set(back.state) == set(without_training_parts(voice.state)) < set(voice.state)
    assert all(torch.equal(value, voice.state[key]) for key, value in back.state.items())
    half = export_voice(voice, "rvc", tmp_path / "half.pth", "fp16")
    assert half.files[0].stat().st_size < 0.7 * made.files[0].stat().st_size
    assert all(value.dtype == torch.float16 for value in weights(half.files[0]).values())


def test_the_files_ask_for_nothing_but_tensors(shared: Path, tmp_path: Path) -> None:
    made = export_voice(import_voice(voice_file(shared, RVC[0])), "rvc", tmp_path / "v.pth")
    torch.load(made.files[0], weights_only=True)
    made = export_voice(import_voice(voice_file(shared, SOVITS[0])), "sovits", tmp_path / "v")
    torch.load(made.files[0], weights_only=True)


def test_voices_that_a_layout_cannot_hold(shared: Path, tmp_path: Path) -> None:
    sovits, rvc = (import_voice(voice_file(shared, name)) for name in (SOVITS[0], RVC[1]))
    for voice, layout, output, said in (
        (rvc, "sovits", "a", r"so-vits-svc 4\.1 cannot hold this voice: model\.attention_window is 10 and it knows 4"),
        (sovits, "rvc", "a.pth", r"RVC v2 cannot hold this voice: model\.attention_window is 4 and it knows 10"),
    ):
        with pytest.raises(CheckpointError, match=said):
            export_voice(voice, layout, tmp_path / output)
    sovits.config = sovits.config.model_copy(update={"unvoiced_f0": "zero"})
    with pytest.raises(CheckpointError, match=r"unvoiced_f0 is zero and it knows filled_hz or filled"):
        export_voice(sovits, "sovits", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_what_files_do_not_record_is_said(shared: Path, tmp_path: Path) -> None:
    latest = import_voice(voice_file(shared, SOVITS[1]), choices=Choices(branch="latest"))
    notes = " ".join(export_voice(latest, "sovits", tmp_path / "a").notes)
    assert "features.loudness_window, which is hop here" in notes and "model.source_noise" in notes
    filled = import_voice(voice_file(shared, RVC[0]), choices=Choices(unvoiced_f0="filled"))
    assert "model.unvoiced_f0, which is filled_hz here" in export_voice(filled, "rvc", tmp_path / "b.pth").notes[0]


def test_what_is_there_is_not_overwritten(shared: Path, tmp_path: Path) -> None:
    voice = import_voice(voice_file(shared, SOVITS[3]))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "config.json").write_text("mine")
    with pytest.raises(CheckpointError, match="not an empty folder"):
        export_voice(voice, "sovits", tmp_path / "full")
    assert (tmp_path / "full" / "config.json").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert len(export_voice(voice, "sovits", tmp_path / "empty").files) == 2
    with pytest.raises(CheckpointError, match="Cannot write"):
        export_voice(voice, "sovits", tmp_path / "full" / "config.json" / "x")
    voice.state["prior.proj.bias"][0] = 1e6
    with pytest.raises(CheckpointError, match="too large for fp16"):
        export_voice(voice, "sovits", tmp_path / "half", "fp16")
