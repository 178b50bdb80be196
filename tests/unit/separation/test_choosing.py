"""Models by path, by catalogue name and by file name; the three of the preset 'lead', none of them left out."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_roformer import CONFIG, state_of, write

from svc.audio.signal import Audio
from svc.config import PrepareConfig
from svc.data.recording import source_name
from svc.errors import ConfigError, WeightError
from svc.separation.choosing import choose, create_separator
from svc.separation.lead import Lead
from svc.separation.model_files import DENOISE, DEREVERB, LEAD, VOCALS, Stem, stem_of
from svc.separation.roformer import Roformer
from svc.weights import catalogue

SONG = Audio(np.random.default_rng(0).uniform(-0.5, 0.5, (2, 4000)).astype(np.float32), 44_100)


@pytest.fixture
def pretrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path / "pretrain"))
    (tmp_path / "pretrain" / "roformer").mkdir(parents=True)
    return tmp_path / "pretrain"


def model(folder: Path, name: str, target: str = "vocals", seed: int = 0) -> Path:
    """A small RoFormer that says it gives `target`."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value + 0.01 * seed for key, value in state_of().items()}
    config: dict[str, Any] = {**CONFIG, "training": {"instruments": [target, "rest"], "target_instrument": target}}
    write(folder, state, config, name)
    return folder / f"{name}.ckpt"


def test_without_a_model_the_method_is_meant(pretrain: Path) -> None:
    assert choose("basic").method == "basic" and choose().method == "refined"
    assert choose().identity().startswith("refined:2:") and choose("basic").identity() == "basic"
    assert choose("spleeter").identity() == "spleeter"
    with pytest.raises(WeightError, match="no model for the separation method 'roformer'"):
        choose("roformer")
    path = model(pretrain / "roformer", "one")
    assert choose("roformer").files == (path,)
    with pytest.raises(ConfigError, match="Did you mean 'roformer'"):
        choose("roformr")


def test_a_file_settles_the_method(pretrain: Path, tmp_path: Path) -> None:
    path = model(tmp_path / "elsewhere", "mine")
    chosen = choose(model=str(path))
    assert (chosen.method, chosen.files) == ("roformer", (path,)) and str(chosen) == "roformer (mine.ckpt)"
    separator = create_separator("spleeter", str(path))
    assert isinstance(separator, Roformer) and separator.path == path
    with pytest.raises(ConfigError, match="a model of the method 'roformer', not of 'vr'"):
        choose("vr", str(path))
    with pytest.raises(ConfigError, match="'basic' has no models"):
        choose("basic", str(path))
    with pytest.raises(WeightError, match=r"no model file .*gone\.ckpt"):
        choose(model=str(tmp_path / "gone.ckpt"))
    (tmp_path / "song.wav").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"no separation model by its ending: use one of \.ckpt \(roformer\)"):
        choose(model=str(tmp_path / "song.wav"))


def test_a_name_means_a_file_in_pretrain(pretrain: Path) -> None:
    path = model(pretrain / "roformer", "mine")
    model(pretrain / "roformer", "other")
    assert choose(model="mine").files == choose("roformer", "mine.ckpt").files == (path,)
    with pytest.raises(WeightError, match="no separation model 'their': it is no file"):
        choose(model="their")
    (pretrain / "vr").mkdir()
    torch.save({}, pretrain / "vr" / "mine.pth")
    with pytest.raises(WeightError, match="the name of several files"):
        choose(model="mine")
    assert choose("roformer", "mine").files == (path,)


def test_a_name_of_the_catalogue_needs_all_its_files(pretrain: Path) -> None:
    with pytest.raises(WeightError, match="run  svc weights get roformer-vocals"):
        choose(model="roformer-vocals")
    path = model(pretrain / "roformer", "MelBandRoformer")
    yaml = path.with_suffix(".yaml")
    shutil.move(yaml, pretrain / "kept.yaml")
    with pytest.raises(WeightError, match=r"MelBandRoformer\.yaml .*svc weights get roformer-vocals"):
        choose(model="roformer-vocals")
    shutil.move(pretrain / "kept.yaml", yaml)
    assert choose(model="roformer-vocals").files == (path,)
    with pytest.raises(ConfigError, match="'rmvpe' of the weight catalogue is no one separation model"):
        (pretrain / "rmvpe.pt").write_bytes(b"x")
        choose(model="rmvpe")


def test_commands_of_the_catalogue_name_what_choose_understands(pretrain: Path) -> None:
    """Every `--model NAME` in the catalogue is an entry with a model file, so choosing it asks for that file."""
    named = [entry for entry in catalogue() if f"--model {entry.name}" in entry.use]
    assert len(named) >= 10
    for entry in named:
        with pytest.raises(WeightError, match=f"svc weights get {entry.name}"):
            choose(model=entry.name)


def test_another_file_makes_prepare_separate_again(pretrain: Path) -> None:
    path = model(pretrain / "roformer", "mine")
    config = PrepareConfig(separate="roformer")
    before = source_name(config)
    assert source_name(PrepareConfig(separate_model=str(path))) == before
    model(pretrain / "roformer", "mine", seed=1)
    assert source_name(config) != before
    with pytest.raises(ConfigError, match="'none' has no models"):
        source_name(PrepareConfig(separate="none", separate_model=str(path)))


def test_a_model_for_something_else_must_be_named(pretrain: Path) -> None:
    path = model(pretrain / "roformer", "clean", "noreverb")
    for take in (lambda: choose("roformer"), Roformer):
        with pytest.raises(WeightError, match="separates dry sound from reverberation: name it as the model"):
            take()
    stems = choose(model="clean").create().separate(SONG)
    vocals = model(pretrain / "roformer", "voice")
    assert choose("roformer").files == (vocals,) and Roformer().path == vocals
    np.testing.assert_allclose(stems.vocals.samples, Roformer().separate(SONG).vocals.samples, atol=1e-6)
    shutil.copy(path, pretrain / "roformer" / "wet.ckpt")
    (pretrain / "roformer" / "wet.yaml").write_text(path.with_suffix(".yaml").read_text().replace("noreverb", "reverb"))
    wet = choose(model="wet").create().separate(SONG)
    np.testing.assert_allclose(wet.accompaniment.samples, stems.vocals.samples, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "file", "karaoke", "wanted"),
    [
        ("Vocals", "a.onnx", False, Stem(True, VOCALS)),
        ("Instrumental", "a.onnx", False, Stem(False, VOCALS)),
        ("Vocals", "a.onnx", True, Stem(True, LEAD)),
        ("Instrumental", "a.pth", True, Stem(False, LEAD)),
        ("karaoke", "a.ckpt", False, Stem(True, LEAD)),
        ("vocals", "mel_karaoke.ckpt", False, Stem(True, LEAD)),
        ("No Reverb", "a.pth", False, Stem(True, DEREVERB)),
        ("No Echo", "a.pth", False, Stem(True, DEREVERB)),
        ("Reverb", "a.onnx", False, Stem(False, DEREVERB)),
        ("dry", "dereverb_x.ckpt", False, Stem(True, DEREVERB)),
        ("dry", "denoise_x.ckpt", False, Stem(True, DENOISE)),
        ("Noise", "a.pth", False, Stem(False, DENOISE)),
    ],
)
def test_stems(name: str, file: str, karaoke: bool, wanted: Stem) -> None:
    assert stem_of(name, Path(file), karaoke) == wanted


def test_lead_says_what_is_missing_and_how_to_get_it(pretrain: Path) -> None:
    with pytest.raises(WeightError, match=r"lead from backing vocals.*run  svc weights get roformer-karaoke"):
        choose("lead")
    model(pretrain / "roformer", "k", "karaoke")
    with pytest.raises(WeightError, match=r"dry sound from reverberation.*run  svc weights get roformer-dereverb"):
        choose("lead")
    model(pretrain / "roformer", "d", "noreverb")
    chosen = choose("lead")
    assert [choice.method for choice in chosen.options["stages"]] == ["refined", "roformer", "roformer"]
    voice = model(pretrain / "roformer", "v")
    assert [path.name for path in choose("lead").files] == ["v.ckpt", "k.ckpt", "d.ckpt"]
    assert choose("lead", str(voice)).files == choose("lead").files
    model(pretrain / "roformer", "d2", "noreverb")
    with pytest.raises(WeightError, match=r"several models that separate dry.*d\.ckpt, d2\.ckpt"):
        choose("lead")


def test_lead_is_its_stages_one_after_the_other(pretrain: Path) -> None:
    for seed, (name, target) in enumerate((("v", "vocals"), ("k", "karaoke"), ("d", "noreverb"))):
        model(pretrain / "roformer", name, target, seed)
    stems = choose("lead").create().separate(SONG)
    by_hand = SONG
    for name in ("v", "k", "d"):
        by_hand = choose(model=name).create().separate(by_hand).vocals
    np.testing.assert_allclose(stems.vocals.samples, by_hand.samples, atol=1e-6)
    np.testing.assert_allclose(stems.vocals.samples + stems.accompaniment.samples, SONG.samples, atol=1e-6)
    assert isinstance(choose("lead").create(), Lead) and len(choose("lead").identity().split(":")) == 4


def test_a_stage_of_another_rate_and_one_that_hears_the_song_first(pretrain: Path, shared: Path) -> None:
    """A VR model reads what comes out of the stage before it from the start, for its loudest bin."""
    model(pretrain / "roformer", "v")
    slow = model(pretrain / "roformer", "k", "karaoke")
    yaml = slow.with_suffix(".yaml")
    yaml.write_text(yaml.read_text().replace("sample_rate: 44100", "sample_rate: 22050"))
    (pretrain / "vr").mkdir()
    golden = shared / "golden" / "parts" / "vr_cascadednet"
    for path in golden.iterdir():
        if path.suffix in (".pth", ".json") and path.name != "outputs.json":
            shutil.copyfile(path, pretrain / "vr" / path.name)
    listed = pretrain / "vr" / "model_data_new.json"
    data = {key: {**entry, "primary_stem": "No Reverb"} for key, entry in json.loads(listed.read_text()).items()}
    listed.write_text(json.dumps(data))
    song = Audio(np.random.default_rng(1).uniform(-0.5, 0.5, (2, 30_011)).astype(np.float32), 44_100)
    stems = choose("lead").create().separate(song)
    by_hand = song
    for name in ("v", "k"):
        by_hand = choose(model=name).create().separate(by_hand).vocals
    by_hand = choose("vr", next((pretrain / "vr").glob("*.pth")).name).create().separate(by_hand).vocals
    np.testing.assert_allclose(stems.vocals.samples, by_hand.samples, atol=1e-5)
    assert stems.vocals.length == song.length
