"""Static mixes, and smaller voice files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from svc.checkpoint.operations import compressed, mix_voices
from svc.checkpoint.voice import SpeakerInfo, Voice, load_voice, save_voice
from svc.config import ModelConfig
from svc.data.synthetic import SyntheticSize, synthetic_spec
from svc.errors import CheckpointError
from svc.models.vits.voice_model import ModelInput, VoiceModel

CONFIG = ModelConfig(
    hidden_channels=8,
    inter_channels=4,
    filter_channels=8,
    prior_layers=1,
    posterior_layers=1,
    flow_couplings=1,
    flow_wavenet_layers=1,
    f0_predictor_layers=1,
    speaker_channels=4,
    decoder="nsf_hifigan",
    decoder_channels=8,
    upsample_rates=(16, 16),
    upsample_kernel_sizes=(32, 32),
    resblock_kernel_sizes=(3,),
    resblock_dilations=((1,),),
)


def make(seed: int, name: str = "anna", config: ModelConfig = CONFIG, content_dim: int = 4, speakers: int = 1) -> Voice:
    spec = synthetic_spec(SyntheticSize(content_dim=content_dim))
    infos = [
        SpeakerInfo(name if i == 0 else f"{name}{i}", 2.0, 100.0, 200.0 * (seed + 1), 400.0) for i in range(speakers)
    ]
    voice = Voice(config, spec, infos, {}, note=f"note {seed}")
    torch.manual_seed(seed)
    voice.state = VoiceModel(config, voice.shape).state_dict()
    for value in voice.state.values():
        value += 0.3 * torch.randn_like(value)
    return voice


def sing(voice: Voice) -> np.ndarray:
    generator = torch.Generator().manual_seed(1)
    frames = 20
    batch = ModelInput(
        content=torch.randn(1, voice.spec.content_dim, frames, generator=generator),
        f0_hz=torch.full((1, frames), 200.0),
        voiced=torch.ones(1, frames),
        loudness_db=torch.full((1, frames), -20.0),
        lengths=torch.tensor([frames]),
        speaker_id=torch.tensor([0]),
    )
    with torch.no_grad():
        return voice.build().infer(batch, None, torch.zeros(1))[0, 0].numpy()


def folded(voice: Voice) -> dict[str, torch.Tensor]:
    return voice.build().state_dict()


def test_every_weight_that_is_computed_with_is_the_mean() -> None:
    parts = [make(0), make(1, "bert")]
    mixed = mix_voices(parts, [3.0, 7.0], ["a", "b"])
    ours, first, second = folded(mixed), folded(parts[0]), folded(parts[1])
    assert any("decoder.ups" in name for name in ours)
    for name, value in ours.items():
        torch.testing.assert_close(value, 0.3 * first[name] + 0.7 * second[name], atol=1e-5, rtol=1e-4)
    mixed.check()
    assert mixed.has_training_parts and mixed.note == "note 0 / note 1"
    (speaker,) = mixed.speakers
    assert speaker.name == "anna + bert" and speaker.f0_median_hz == pytest.approx(200 * 2**0.7)
    assert [part["file"] for part in mixed.provenance["mixed_from"]] == ["a", "b"]
    assert len({part["sha256"] for part in mixed.provenance["mixed_from"]}) == 2
    assert np.isfinite(sing(mixed)).all()


def test_the_level_of_a_mix_lies_between_those_that_are_known() -> None:
    parts = [make(0), make(1), make(2)]
    for voice, level_db in zip(parts, (-10.0, None, -30.0)):
        voice.speakers = [replace(info, level_db=level_db) for info in voice.speakers]
    assert mix_voices(parts, [1.0, 5.0, 3.0], ["a", "b", "c"]).speakers[0].level_db == pytest.approx(-25.0)
    assert mix_voices([make(0), make(1)], [1.0, 1.0], ["a", "b"]).speakers[0].level_db is None


def test_a_mix_of_one_is_that_voice_bit_by_bit(tmp_path: Path) -> None:
    parts = [make(0), make(1)]
    mixed = mix_voices(parts, [0.0, 2.0], ["a", "b"])
    assert all(torch.equal(value, parts[1].state[name]) for name, value in mixed.state.items())
    assert mixed.speakers == parts[1].speakers
    # Written and read, the mix of two equal voices sounds as they do.
    twin = mix_voices([make(1), make(1)], [1.0, 1.0], ["a", "b"])
    save_voice(tmp_path / "v.safetensors", twin)
    np.testing.assert_allclose(sing(load_voice(tmp_path / "v.safetensors")), sing(parts[1]), atol=1e-5)


def test_a_mix_with_a_stripped_voice_is_stripped() -> None:
    mixed = mix_voices([make(0), compressed(make(1), precision="fp32")], [1.0, 1.0], ["a", "b"])
    assert not mixed.has_training_parts
    mixed.check()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (make(1, config=CONFIG.model_copy(update={"hidden_channels": 16})), r"model\.hidden_channels: 8 and 16"),
        (make(1, content_dim=5), r"content_dim: 5 instead of 4"),
        (make(1, speakers=2), "1 speakers and b has 2"),
    ],
    ids=["settings", "features", "speakers"],
)
def test_other_families_are_refused(other: Voice, said: str) -> None:
    with pytest.raises(CheckpointError, match=said) as caught:
        mix_voices([make(0), other], [1.0, 1.0], ["a", "b"])
    assert "a " in str(caught.value) and "b" in str(caught.value)


@pytest.mark.parametrize("weights", [[0.0, 0.0], [-1.0, 2.0], [float("nan"), 1.0], [float("inf"), 1.0], [1.0]])
def test_weights_that_mean_nothing(weights: list[float]) -> None:
    with pytest.raises(CheckpointError, match="weight"):
        mix_voices([make(0), make(1)], weights, ["a", "b"])


def test_a_dropout_is_not_another_family() -> None:
    other = replace(make(1), config=CONFIG.model_copy(update={"dropout": 0.3}))
    assert mix_voices([make(0), other], [1.0, 1.0], ["a", "b"]).config == CONFIG


def test_compressed_voices_are_smaller_and_sing_alike(tmp_path: Path) -> None:
    voice = make(0)
    sizes = {}
    for name, parts, precision in (("whole", True, "fp32"), ("half", True, "fp16"), ("small", False, "fp16")):
        small = compressed(voice, parts, precision)
        save_voice(tmp_path / name, small, precision, parts)
        back = load_voice(tmp_path / name)
        assert back.has_training_parts == parts
        assert all(torch.equal(value, back.state[key]) for key, value in small.state.items())
        sizes[name] = (tmp_path / name).stat().st_size
        np.testing.assert_allclose(sing(back), sing(voice), atol=0 if name == "whole" else 5e-3)
    assert sizes["small"] < sizes["half"] < 0.7 * sizes["whole"]


def test_a_weight_that_no_half_holds() -> None:
    voice = make(0)
    voice.state["prior.proj.bias"][0] = 1e6
    with pytest.raises(CheckpointError, match=r"prior\.proj\.bias is too large for fp16"):
        compressed(voice)


def test_training_from_a_stripped_voice_is_refused(tmp_path: Path) -> None:
    from svc.training.warm_start import start_from_voice

    voice = make(0)
    save_voice(tmp_path / "v.safetensors", compressed(voice), "fp16", False)
    model = VoiceModel(voice.config, voice.shape)
    with pytest.raises(CheckpointError, match=r"v\.safetensors lacks .* training parts"):
        start_from_voice(model, tmp_path / "v.safetensors", voice.spec, ["anna"], print)
