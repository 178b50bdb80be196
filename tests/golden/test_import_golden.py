"""Voices of so-vits-svc, its fork, RVC and Applio, imported, kept in our file, and sung with."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from svc.checkpoint.importers.assembly import Choices
from svc.checkpoint.importers.opening import import_voice
from svc.checkpoint.voice import Voice, load_voice, save_voice
from svc.errors import CheckpointError
from svc.models.vits.voice_model import ModelInput
from svc.pitch.editing import fill_unvoiced
from svc.safe_read import read_torch

SOVITS_AUDIO, RVC_AUDIO = 5e-4, 2e-4

# file, rate, hop, FFT, encoder, program, speakers, training parts
FILES = {
    "sv41_vec768_vol/G_2400.pth": (44_100, 512, 2048, "contentvec768l12", "so-vits-svc 4.1", 3, True),
    "sv41_vec768_vol/G_2400_release.pth": (44_100, 512, 2048, "contentvec768l12", "so-vits-svc 4.1", 3, False),
    "sv41_vec768_novol/G_800.pth": (44_100, 512, 2048, "contentvec768l12", "so-vits-svc 4.1", 3, True),
    "sv41_noautof0/G_1600.pth": (44_100, 512, 2048, "contentvec768l12", "so-vits-svc 4.1", 3, True),
    "sv41_tiny/G_4000.pth": (44_100, 512, 2048, "contentvec768l12", "so-vits-svc 4.1", 3, True),
    "sv41_snake/G_3200.pth": (44_100, 512, 2048, "contentvec768l12", "so-vits-svc 4.1", 3, True),
    "sv41_trflow/G_5600.pth": (44_100, 512, 2048, "contentvec768l12", "so-vits-svc 4.1", 3, True),
    "sv41_trflow_unshared/G_800.pth": (44_100, 512, 2048, "contentvec768l12", "so-vits-svc 4.1", 3, True),
    "sv40_vec256/G_1600.pth": (44_100, 512, 2048, "contentvec256l9", "so-vits-svc 4.0", 3, True),
    "svfork_40v1_vec768/G_120.pth": (44_100, 512, 2048, "contentvec768l12", "so-vits-svc-fork 4.0", 1, True),
    "rvc_v1_40k/goldA.pth": (40_000, 400, 2048, "contentvec256l9", "RVC v1", 109, False),
    "rvc_v2_40k/goldB.pth": (40_000, 400, 2048, "contentvec768l12", "RVC v2", 109, False),
    "rvc_v2_40k/G_2333333.pth": (40_000, 400, 2048, "contentvec768l12", "RVC training file", 109, True),
    "rvc_v2_32k/goldD.pth": (32_000, 320, 1024, "contentvec768l12", "RVC v2", 5, False),
    "rvc_v2_40k_nono/goldE.pth": (40_000, 400, 2048, "contentvec768l12", "RVC v2", 109, False),
    "rvc_v2_48k/goldC.pth": (48_000, 480, 2048, "contentvec768l12", "RVC v2", 109, False),
    "applio_v2_40k/goldF_150e_4650s.pth": (40_000, 400, 2048, "contentvec768l12", "Applio v2", 2, False),
    "ddpn_v2_40k/goldG.pth": (40_000, 400, 2048, "contentvec768l12", "rvc-webui (ddPn08) v2", 3, False),
}


def voice_file(shared: Path, name: str) -> Path:
    path = shared / "golden" / "voices" / name
    if not path.is_file():
        pytest.skip(f"reference file {path} is not here")
    return path


def golden_audio(voice: Voice, arrays: Any) -> tuple[np.ndarray, np.ndarray]:
    """What our file of the voice sings without noise, and what the program that made it sang."""

    def tensor(key: str) -> torch.Tensor:
        value = arrays[key]
        return torch.from_numpy(value.astype(np.float32) if value.dtype == np.float16 else value)[None]

    rvc = "in_phone" in arrays
    content = tensor("in_phone").transpose(1, 2) if rvc else tensor("in_c")
    frames = content.shape[2]
    volume = tensor("in_vol") if "in_vol" in arrays else torch.ones(1, frames)
    with_f0 = not rvc or "in_pitchf" in arrays
    f0_hz = tensor("in_pitchf" if rvc else "in_f0") if with_f0 else torch.full((1, frames), 220.0)
    voiced = (f0_hz > 0).float() if rvc else tensor("in_uv")
    if rvc and with_f0:
        # The model is fed a filled F0, and takes it back to the recorded zeros by its own rule.
        assert (voiced == 0).any()
        f0_hz = torch.where(f0_hz > 0, f0_hz, 200.0)
    loudness_db = 20 * torch.log10(volume)
    batch = ModelInput(content, f0_hz, voiced, loudness_db, torch.tensor([frames]), tensor("in_sid"))
    return voice.build().infer(batch, None, torch.zeros(1))[0, 0].numpy(), arrays["out_infer_wav"]


@pytest.mark.parametrize("name", FILES)
@torch.no_grad()
def test_import_and_sing(shared: Path, tmp_path: Path, name: str) -> None:
    path = voice_file(shared, name)
    rate, hop, n_fft, encoder, program, speakers, training = FILES[name]
    save_voice(tmp_path / "voice.safetensors", import_voice(path))
    voice = load_voice(tmp_path / "voice.safetensors")
    spec = voice.spec
    assert (spec.sample_rate, spec.hop_length, spec.n_fft, spec.content_encoder) == (rate, hop, n_fft, encoder)
    assert (spec.f0_min_hz, spec.f0_max_hz, spec.content_weights) == (50, 1100, "")
    assert voice.provenance["program"] == program
    assert voice.provenance["imported_from"] == path.name and len(voice.provenance["sha256"]) == 64
    assert (len(voice.speakers), voice.has_training_parts) == (speakers, training)
    golden = "golden_train.npz" if path.name == "G_2333333.pth" else "golden.npz"
    with np.load(path.with_name("golden.npz")) as inputs, np.load(path.with_name(golden)) as outputs:
        sung, expected = golden_audio(voice, {**inputs, **outputs})
    assert sung.shape == expected.shape and expected.std() > 0.01
    limit = RVC_AUDIO if "in_phone" in inputs.files else SOVITS_AUDIO
    assert np.abs(sung - expected).max() <= limit


def test_names_of_speakers(shared: Path) -> None:
    def names(file: str) -> list[str]:
        return [speaker.name for speaker in import_voice(voice_file(shared, file)).speakers]

    assert names("sv41_vec768_vol/G_2400.pth") == ["alto", "tenor", "bass"]
    assert names("ddpn_v2_40k/goldG.pth") == ["anna", "bert", "cleo"]
    assert names("applio_v2_40k/goldF_150e_4650s.pth") == ["goldF_150e_4650s", "speaker 1"]


def test_rule_for_unvoiced_frames(shared: Path) -> None:
    rvc, sovits = voice_file(shared, "rvc_v1_40k/goldA.pth"), voice_file(shared, "sv40_vec256/G_1600.pth")
    assert import_voice(rvc).config.unvoiced_f0 == "zero"
    assert import_voice(rvc, choices=Choices(unvoiced_f0="filled")).config.unvoiced_f0 == "filled_hz"
    assert import_voice(sovits).config.unvoiced_f0 == "filled_hz"
    assert import_voice(sovits, choices=Choices(unvoiced_f0="zero")).config.unvoiced_f0 == "zero"


def test_f0_in_unvoiced_frames_is_filled_as_the_programs_do(shared: Path) -> None:
    """so-vits-svc's Praat and RMVPE paths, and RVC since 2026, from raw F0 on; RVC until 2023 leaves zeros."""
    told = np.load(voice_file(shared, "f0_postprocess/golden.npz"))
    rule = import_voice(voice_file(shared, "sv41_vec768_vol/G_2400.pth"), None).config.unvoiced_f0
    praat = told["in_pm_f0"]
    np.testing.assert_allclose(fill_unvoiced(praat, rule), told["out_pm_f0"], rtol=1e-6)
    np.testing.assert_array_equal(praat > 0, told["out_pm_uv"] > 0)
    assert not told["out_pm_all_unvoiced_f0"].any()
    assert not fill_unvoiced(np.zeros(120, np.float32), rule).any()
    raw, frames = told["in_rmvpe_f0_100fps"], int(told["in_pad_to"])
    stretched = raw[np.arange(frames) * len(raw) // frames]
    np.testing.assert_allclose(fill_unvoiced(stretched, rule), told["out_rmvpe_f0"], rtol=1e-6)
    newer = import_voice(voice_file(shared, "rvc_v2_40k/goldB.pth"), None, Choices(unvoiced_f0="filled"))
    assert newer.config.unvoiced_f0 == rule
    np.testing.assert_allclose(fill_unvoiced(raw, rule), told["out_rvc_2026_f0_up0"], rtol=1e-6)
    np.testing.assert_array_equal(raw, told["out_rvc_2023_f0_up0"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sv41_vec768_vol/D_2400.pth", "a discriminator"),
        ("rvc_v2_40k/D_2333333.pth", "a discriminator"),
    ],
)
def test_what_is_not_supported_is_named(shared: Path, name: str, said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        import_voice(voice_file(shared, name))


def edited_sovits(shared: Path, folder: Path, name: str = "sv41_vec768_vol/G_2400_release.pth") -> tuple[Path, dict]:
    """A copy of a so-vits-svc voice to be changed: its path, and what the file holds."""
    path = voice_file(shared, name)
    shutil.copyfile(path.with_name("config.json"), folder / "config.json")
    return folder / "G.pth", read_torch(path)


def change_config(folder: Path, part: str, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    config[part] |= changes
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("part", "changes", "said"),
    [
        ("model", {"hidden_channels": 192}, r"hidden_channels 6 in the weights and 192 in the settings"),
        ("model", {"n_speakers": 4}, r"n_speakers 3 .* 4 "),
        ("model", {"vol_embedding": False}, r"vol_embedding True .* False"),
        ("model", {"use_automatic_f0_prediction": False}, r"use_automatic_f0_prediction True .* False"),
        (
            "model",
            {"upsample_rates": [8, 4, 4, 2, 2]},
            r"upsample_rates after the first \[8, 2, 2, 2\] .* \[4, 4, 2, 2\]",
        ),
        ("model", {"upsample_rates": [4, 8, 2, 2, 2]}, r"upsample_rates \[4, 8, 2, 2, 2\] and hop_length 512"),
        ("model", {"upsample_rates": ["8", 8, 2, 2, 2]}, r"no whole numbers"),
        ("model", {"resblock_dilation_sizes": [[1, 3], [1, 3], [1, 3]]}, r"convolutions per resblock"),
        ("model", {"speech_encoder": "other"}, r"'other', which is not supported"),
        ("model", {"speech_encoder": "whisper-ppg"}, r"reads 768 content values .* gives 1024 or 1280"),
        ("data", {"unit_interpolate_mode": "linear"}, r"unit_interpolate_mode 'linear'"),
        ("model", {"vocoder_name": "nsf-snake-hifigan"}, r"vocoder_name nsf-hifigan .* nsf-snake-hifigan"),
        ("model", {"use_transformer_flow": True}, r"use_transformer_flow False .* True"),
        ("model", {"speech_encoder": "vec256l9"}, r"reads 768 content values .* gives 256"),
        ("model", {"type_": "ms-istft"}, r"ms-istft"),
        ("data", {"hop_length": 320}, r"hop_length 320"),
        ("data", {"sampling_rate": "44100"}, r"lacks data.sampling_rate"),
        ("spk", {"fourth": 3}, r"'fourth' the number 3"),
    ],
)
def test_settings_that_disagree(shared: Path, tmp_path: Path, part: str, changes: dict, said: str) -> None:
    path, file = edited_sovits(shared, tmp_path)
    torch.save(file, path)
    assert import_voice(path).config.hidden_channels == 6
    change_config(tmp_path, part, **changes)
    with pytest.raises(CheckpointError, match=said) as caught:
        import_voice(path)
    assert str(tmp_path) in str(caught.value)


def test_settings_that_are_missing_or_broken(shared: Path, tmp_path: Path) -> None:
    path, file = edited_sovits(shared, tmp_path)
    torch.save(file, path)
    for text in ("{", "[]", '{"model": {}}', "\ud800".encode("utf-16", "surrogatepass").decode("latin-1")):
        (tmp_path / "config.json").write_text(text, encoding="latin-1")
        with pytest.raises(CheckpointError, match=r"config\.json"):
            import_voice(path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"needs the config\.json it was trained with"):
        import_voice(path)
    elsewhere = voice_file(shared, "sv41_vec768_vol/G_2400.pth").with_name("config.json")
    assert import_voice(path, config=elsewhere).spec.sample_rate == 44_100


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("flow.flows.2.post.bias", None, r"lacks flow\.couplings\.1\.post\.bias"),
        ("enc_p.f0_emb.weight", None, r"no kind this program knows"),
        ("emb_g.weight", None, r"pretrained base without speakers"),
        ("dec.cond.weight", None, r"lacks dec\.cond\.weight"),
        ("dec.extra.weight", torch.zeros(2), r"has decoder\.extra\.weight"),
        ("enc_p.proj.bias", torch.zeros(3), r"prior\.proj\.bias \(shape \(3,\) instead of \(12,\)\)"),
        ("enc_p.proj.bias", torch.full((12,), torch.nan), r"not finite in prior\.proj\.bias"),
        ("enc_p.proj.bias", [0.0], r"where a named tensor was expected"),
        ("dec.cond.weight", torch.zeros(0, 8, 1), r"dec\.cond\.weight of shape"),
    ],
)
def test_weights_that_do_not_fit(shared: Path, tmp_path: Path, key: str, value: Any, said: str) -> None:
    path, file = edited_sovits(shared, tmp_path)
    file["model"] = {name: tensor for name, tensor in file["model"].items() if name != key}
    if value is not None:
        file["model"][key] = value
    torch.save(file, path)
    with pytest.raises(CheckpointError, match=said):
        import_voice(path)


def test_copies_of_a_shared_flow_must_agree(shared: Path, tmp_path: Path) -> None:
    path, file = edited_sovits(shared, tmp_path, "sv41_tiny/G_4000.pth")
    key = "flow.flows.4.enc.cond_layer.bias"
    file["model"] = {name: value.clone() for name, value in file["model"].items()}
    file["model"][key] += 1
    torch.save(file, path)
    with pytest.raises(CheckpointError, match=r"flow\.flows\.4\.enc\.cond_layer\.bias that differs"):
        import_voice(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sr": "48k"}, r"sr 48k and 40000 Hz"),
        ({"f0": 0}, r"f0 True in the weights and False"),
        ({"version": "v1"}, r"content values of version v1 768 .* 256"),
        ({"config": [1, 2, 3]}, r"no list of 18 or 19 settings"),
        ({3: 32}, r"hidden_channels 16 .* 32"),
        ({12: [10, 5, 4, 2]}, r"upsample_rates after the first \[10, 2, 2\] .* \[5, 4, 2\]"),
        ({12: "no"}, r"unusable setting upsample_rates"),
        ({9: "2"}, r"resblocks of type 2"),
        ({"embedder_model": "japanese-hubert-base"}, r"'japanese-hubert-base'"),
        ({"embedder_output_layer": 9}, r"layer 9"),
        ({"speaker_info": {"109": "x"}}, r"names a speaker 109"),
    ],
)
def test_rvc_files_that_disagree(shared: Path, tmp_path: Path, changes: dict, said: str) -> None:
    file = read_torch(voice_file(shared, "rvc_v2_40k/goldB.pth"))
    for key, value in changes.items():
        (file["config"] if isinstance(key, int) else file)[key] = value
    torch.save(file, tmp_path / "v.pth")
    with pytest.raises(CheckpointError, match=said):
        import_voice(tmp_path / "v.pth")


def test_the_encoder_can_be_named(shared: Path, tmp_path: Path) -> None:
    file = read_torch(voice_file(shared, "rvc_v1_40k/goldA.pth"))
    file["embedder_model"] = "my-own"
    torch.save(file, tmp_path / "v.pth")
    assert import_voice(tmp_path / "v.pth", choices=Choices("hubert_soft")).spec.content_encoder == "hubert_soft"
    with pytest.raises(CheckpointError, match="reads 256 content values per frame, but contentvec768l12 gives 768"):
        import_voice(tmp_path / "v.pth", choices=Choices("contentvec768l12"))


@pytest.mark.parametrize("name", ["sv41_vec768_vol/G_2400.pth", "rvc_v2_48k/goldC.pth"])
def test_cut_short(shared: Path, tmp_path: Path, name: str) -> None:
    data = voice_file(shared, name).read_bytes()
    for length in (0, 8, 1000, len(data) // 2, len(data) - 30):
        (tmp_path / "v.pth").write_bytes(data[:length])
        with pytest.raises(CheckpointError):
            import_voice(tmp_path / "v.pth")
