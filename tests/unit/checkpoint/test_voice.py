import json
import os
import pickle
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from svc.checkpoint import voice as voice_module
from svc.checkpoint.voice import METADATA_KEY, SpeakerInfo, Voice, load_voice, save_voice, without_training_parts
from svc.config import ModelConfig
from svc.errors import CheckpointError
from svc.features.spec import FeatureSpec
from svc.models.vits.voice_model import ModelInput, VoiceModel, VoiceShape

CONFIG = ModelConfig(
    hidden_channels=8,
    inter_channels=4,
    filter_channels=12,
    prior_layers=1,
    posterior_layers=2,
    flow_wavenet_layers=1,
    flow_couplings=2,
    speaker_channels=6,
    decoder="nsf_hifigan",
    decoder_channels=16,
    upsample_rates=(8, 8),
    upsample_kernel_sizes=(16, 16),
)
SPEC = FeatureSpec(
    sample_rate=16_000,
    hop_length=64,
    n_fft=512,
    n_mels=40,
    mel_fmin_hz=0.0,
    mel_fmax_hz=None,
    content_encoder="moonshine",
    content_layers=((2, 0.5), (3, 0.5)),
    content_normalisation="adaptive",
    content_dim=10,
    content_weights="ab" * 32,
    pitch_estimator="fcpe",
    f0_min_hz=50.0,
    f0_max_hz=1100.0,
    f0_median_frames=0,
)
SPEAKERS = [SpeakerInfo("Zoë", 12.5, 160.0, 220.0, 440.0, -23.5), SpeakerInfo("b", 3.0, 80.0, 120.0, 300.0)]


@pytest.fixture
def voice() -> Voice:
    torch.manual_seed(0)
    model = VoiceModel(CONFIG, VoiceShape(10, 16_000, 64, 512, 2))
    return Voice(CONFIG, SPEC, list(SPEAKERS), model.state_dict(), {"steps": 10, "seeds": [1, 2]}, "CC0, own voice")


@pytest.fixture
def path(tmp_path: Path, voice: Voice) -> Path:
    target = tmp_path / "Stimme ü.safetensors"
    save_voice(target, voice)
    return target


def batch() -> ModelInput:
    generator = torch.Generator().manual_seed(1)
    return ModelInput(
        torch.randn(1, 10, 20, generator=generator),
        torch.full((1, 20), 200.0),
        torch.ones(1, 20),
        torch.full((1, 20), -20.0),
        torch.tensor([20]),
        torch.tensor([1]),
    )


def rewrite(path: Path, change: dict, drop: tuple[str, ...] = ()) -> None:
    """The file with other header fields, its checksum right again."""
    with safe_open(str(path), framework="pt") as file:
        tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
        header = json.loads(file.metadata()[METADATA_KEY])
    header.update(change)
    for key in (*drop, "sha256"):
        header.pop(key, None)
    header["sha256"] = voice_module._digest(header, tensors)
    save_file(tensors, str(path), metadata={METADATA_KEY: json.dumps(header)})


def test_round_trip_keeps_everything(path: Path, voice: Voice) -> None:
    loaded = load_voice(path)
    assert loaded.config == voice.config
    assert loaded.spec == voice.spec
    assert loaded.speakers == SPEAKERS
    assert loaded.provenance == {"steps": 10, "seeds": [1, 2]}
    assert loaded.note == "CC0, own voice"
    assert loaded.state.keys() == voice.state.keys()
    assert all(torch.equal(loaded.state[key], voice.state[key]) for key in voice.state)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_built_model_sings_like_the_saved_one(path: Path, voice: Voice) -> None:
    model = VoiceModel(CONFIG, voice.shape).eval()
    model.load_state_dict(voice.state)
    expected = model.infer(batch(), None, torch.zeros(1))
    built = load_voice(path).build("cpu")
    assert built.posterior is None
    assert not built.training
    assert not any("parametrizations" in key for key in built.state_dict())
    assert not any(p.requires_grad for p in built.parameters())
    torch.testing.assert_close(built.infer(batch(), None, torch.zeros(1)), expected, atol=1e-5, rtol=0)


def test_built_for_training_can_go_on(path: Path, voice: Voice) -> None:
    built = load_voice(path).build("cpu", inference=False)
    assert built.state_dict().keys() == voice.state.keys()
    assert all(p.requires_grad for p in built.parameters())


def test_building_leaves_random_numbers_alone(path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    load_voice(path).build("cpu")
    assert torch.equal(torch.rand(4), expected)


def test_half_precision_without_training_parts(tmp_path: Path, path: Path, voice: Voice) -> None:
    small = tmp_path / "small.safetensors"
    save_voice(small, voice, precision="fp16", training_parts=False)
    loaded = load_voice(small)
    assert loaded.state.keys() == without_training_parts(voice.state).keys()
    assert not loaded.has_training_parts
    assert {value.dtype for value in loaded.state.values()} == {torch.float16}
    weights = sum(v.numel() for k, v in voice.state.items() if not k.startswith("posterior."))
    data = small.read_bytes()
    assert len(data) == 8 + int.from_bytes(data[:8], "little") + 2 * weights
    half, full = loaded.build("cpu"), load_voice(path).build("cpu")
    assert {p.dtype for p in half.parameters()} == {torch.float32}
    a, b = (m.infer(batch(), None, torch.zeros(1)) for m in (half, full))
    assert 0 < (a - b).abs().max() < 1e-2
    assert loaded.build("cpu", inference=False).posterior is None


def test_every_flipped_bit_is_found(path: Path) -> None:
    data = path.read_bytes()
    generator = torch.Generator().manual_seed(0)
    header = 8 + int.from_bytes(data[:8], "little")
    places = torch.randint(8, len(data), (30,), generator=generator).tolist()
    places += torch.randint(8, header, (30,), generator=generator).tolist()
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(bytes(damaged))
        with pytest.raises(CheckpointError):
            load_voice(path)


def test_damage_in_weights_is_called_damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 4
    path.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match=r"damaged.*checksum"):
        load_voice(path)


@pytest.mark.parametrize("keep", [0, 5, 30, 2_000, -1])
def test_truncated(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"not a voice file|damaged or incomplete"):
        load_voice(path)


class Bomb:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("kind", ["pickle", "torch", "legacy"])
def test_pickles_are_not_opened(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "voice.safetensors"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb()))
    else:
        torch.save({"bomb": Bomb()}, path, _use_new_zipfile_serialization=kind == "torch")
    with pytest.raises(CheckpointError, match=r"is a pickle.*not opened"):
        load_voice(path)
    assert not (tmp_path / "exploded").exists()


def test_other_weights_are_no_voice(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, str(tmp_path / "other.safetensors"))
    with pytest.raises(CheckpointError, match="holds weights but no voice"):
        load_voice(tmp_path / "other.safetensors")


def test_text_and_missing_and_folder(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is a long enough text file")
    with pytest.raises(CheckpointError, match="is not a voice file"):
        load_voice(tmp_path / "text")
    with pytest.raises(CheckpointError, match="Cannot read the voice"):
        load_voice(tmp_path / "absent")
    with pytest.raises(CheckpointError, match="Cannot read the voice"):
        load_voice(tmp_path)


def test_newer_version(path: Path) -> None:
    rewrite(path, {"format_version": 2, "surprise": 1})
    with pytest.raises(CheckpointError, match=r"newer version.*format 2.*update"):
        load_voice(path)


@pytest.mark.parametrize("version", ["1", None, 0, True])
def test_unclear_version(path: Path, version: object) -> None:
    rewrite(path, {"format_version": version})
    with pytest.raises(CheckpointError, match="which version"):
        load_voice(path)


@pytest.mark.parametrize("part", ["model", "spec", "speakers", "provenance", "note"])
def test_incomplete_description(path: Path, part: str) -> None:
    rewrite(path, {}, drop=(part,))
    with pytest.raises(CheckpointError, match=part):
        load_voice(path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"spec": {"version": 1}}, "description"),
        ({"spec": {"version": 99}}, "version 99"),
        ({"model": {"hidden_chanels": 8}}, "hidden_channels"),
        ({"model": 3}, "settings|description"),
        ({"speakers": []}, "no speaker"),
        ({"speakers": [{"name": "a"}]}, "description"),
        ({"speakers": [1]}, "description"),
        ({"provenance": 3}, "description"),
    ],
)
def test_wrong_description(path: Path, change: dict, match: str) -> None:
    rewrite(path, change)
    with pytest.raises(CheckpointError, match=match):
        load_voice(path)


def test_missing_and_extra_weights_are_named(path: Path, voice: Voice) -> None:
    state = dict(voice.state)
    del state["flow.couplings.1.post.bias"]
    state["flow.extra"] = torch.zeros(1)
    broken = replace(voice, state=state)
    with pytest.raises(CheckpointError, match=r"missing flow\.couplings\.1\.post\.bias; unexpected flow\.extra"):
        broken.build("cpu")
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="missing"):
        save_voice(path, broken)
    assert path.read_bytes() == before


def test_many_missing_weights_are_counted(voice: Voice) -> None:
    state = {k: v for k, v in voice.state.items() if not k.startswith("decoder.")}
    with pytest.raises(CheckpointError, match=r"missing decoder.*and \d+ more"):
        replace(voice, state=state).check()


def test_shapes_that_do_not_fit(path: Path, voice: Voice) -> None:
    rewrite(path, {"speakers": [SPEAKERS[0].__dict__]})
    with pytest.raises(CheckpointError, match=r"speaker\.weight \[2, 6\] instead of \[1, 6\]"):
        load_voice(path)
    wide = replace(voice, config=CONFIG.model_copy(update={"filter_channels": 13}))
    with pytest.raises(CheckpointError, match=r"conv_1\.weight"):
        wide.check()


def test_settings_that_do_not_fit(voice: Voice) -> None:
    odd = replace(voice, config=CONFIG.model_copy(update={"upsample_rates": (8, 4)}))
    with pytest.raises(CheckpointError, match="upsample_rates"):
        odd.build("cpu")


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path, voice: Voice) -> None:
    voice.state["speaker.weight"][0, 0] = float("nan")
    with pytest.raises(CheckpointError, match=r"speaker\.weight.*not finite"):
        save_voice(tmp_path / "v", voice)
    voice.state["speaker.weight"][0, 0] = 1e6
    with pytest.raises(CheckpointError, match="fp16"):
        save_voice(tmp_path / "v", voice, precision="fp16")
    assert not list(tmp_path.iterdir())


def test_provenance_must_be_plain(tmp_path: Path, voice: Voice) -> None:
    with pytest.raises(CheckpointError, match="plain data"):
        save_voice(tmp_path / "v", replace(voice, provenance={"model": object()}))
    save_voice(tmp_path / "v", replace(voice, provenance={1: (2, 3)}))
    assert load_voice(tmp_path / "v").provenance == {"1": [2, 3]}


def test_a_failed_write_keeps_the_old_file(path: Path, voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        save_voice(path, voice)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_folder_in_the_way(tmp_path: Path, voice: Voice) -> None:
    with pytest.raises(CheckpointError, match="Cannot write"):
        save_voice(tmp_path, voice)


def test_speaker_index(voice: Voice) -> None:
    assert voice.speaker_index() == 0
    assert voice.speaker_index("b") == 1
    with pytest.raises(CheckpointError, match="choose one of Zoë, b"):
        voice.speaker_index("c")


def test_a_voice_from_before_levels_were_kept_has_none(path: Path) -> None:
    rewrite(path, {"speakers": [{k: v for k, v in asdict(s).items() if k != "level_db"} for s in SPEAKERS]})
    assert [speaker.level_db for speaker in load_voice(path).speakers] == [None, None]
