"""Exporting voices trained here: what fits is written, what does not is refused by name."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from svc.checkpoint.exporters.writing import export_voice
from svc.checkpoint.importers.opening import import_voice
from svc.checkpoint.voice import SpeakerInfo, Voice
from svc.config import FeatureConfig, ModelConfig
from svc.errors import CheckpointError
from svc.features.spec import FeatureSpec, spec_from_config
from svc.models.vits.voice_model import VoiceModel

SMALL = {
    "hidden_channels": 8,
    "inter_channels": 4,
    "filter_channels": 8,
    "prior_layers": 1,
    "f0_predictor_layers": 1,
    "flow_wavenet_layers": 1,
    "speaker_channels": 4,
    "decoder": "nsf_hifigan",
    "decoder_channels": 32,
}
AS_SOVITS = ModelConfig(**SMALL, pitch_input="binned_41", loudness_input="rms")


def spec(sample_rate: int = 44_100, hop_length: int = 512) -> FeatureSpec:
    base = spec_from_config(FeatureConfig(pitch_estimator="dio"))
    return replace(
        base,
        sample_rate=sample_rate,
        hop_length=hop_length,
        content_encoder="contentvec768l12",
        content_layers=((12, 1.0),),
        content_normalisation="none",
        content_dim=768,
        content_weights="",
        content_alignment="left" if hop_length == 512 else "repeat",
        loudness_window="hop_start" if hop_length == 512 else "fft",
    )


def make(config: ModelConfig = AS_SOVITS, features: FeatureSpec | None = None) -> Voice:
    torch.manual_seed(0)
    infos = [SpeakerInfo(name, 1.0, 100.0, 200.0, 400.0) for name in ("anna", "bert")]
    voice = Voice(config, features or spec(), infos, {}, {"steps": 1234})
    with torch.device("meta"):
        shapes = VoiceModel(config, voice.shape).state_dict()
    voice.state = {name: torch.randn(value.shape) for name, value in shapes.items()}
    return voice


def test_a_voice_trained_in_that_shape(tmp_path: Path) -> None:
    voice = make()
    made = export_voice(voice, "sovits", tmp_path / "out")
    assert made.files[0].name == "G_1234.pth" and made.precision == "fp32"
    # Voices trained here get F0 in unvoiced frames another way than that program's, and its files cannot say so.
    assert len(made.notes) == 1 and "model.unvoiced_f0, which is filled here" in made.notes[0]
    back = import_voice(made.files[0])
    assert all(torch.equal(value, back.state[name]) for name, value in voice.state.items())
    assert [s.name for s in back.speakers] == ["anna", "bert"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pitch_input": "fourier"}, r"model\.pitch_input is fourier and it knows binned_41 or binned"),
        ({"loudness_input": "db"}, r"model\.loudness_input is db"),
        ({"decoder": "nsf_istft"}, r"model\.decoder is nsf_istft"),
        ({"flow_couplings": 2}, r"model\.flow_couplings is 2 and it knows 4"),
        ({"f0_predictor_layers": 2}, r"model\.f0_predictor_layers is 2 and it knows 1"),
        ({"posterior_layers": 3}, r"model\.posterior_layers is 3 and it knows 16"),
        ({"source_harmonics": 4}, r"model\.source_harmonics is 4"),
        ({"attention_window": 7}, r"model\.attention_window is 7"),
    ],
)
def test_settings_that_so_vits_does_not_have(tmp_path: Path, changes: dict, said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        export_voice(make(AS_SOVITS.model_copy(update=changes)), "sovits", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_content_encoder_is_named_first(tmp_path: Path) -> None:
    own = spec_from_config(FeatureConfig(pitch_estimator="dio"))
    for layout in ("sovits", "rvc"):
        with pytest.raises(CheckpointError, match=r"features\.content_encoder is moonshine"):
            export_voice(make(ModelConfig(**SMALL), own), layout, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"content_normalisation is adaptive"):
        export_voice(make(features=replace(spec(), content_normalisation="adaptive")), "sovits", tmp_path / "x")


def test_rates_that_rvc_does_not_have(tmp_path: Path) -> None:
    rvc = {
        "pitch_input": "binned",
        "loudness_input": "none",
        "voicing_input": False,
        "prior_scaled_input": True,
        "decoder_plain_ends": True,
        "predict_f0": False,
        "attention_window": 10,
        "content_kernel_size": 1,
        "flow_wavenet_layers": 3,
        "source_harmonics": 0,
        "unvoiced_f0": "zero",
    }
    config = ModelConfig(**{**SMALL, **rvc, "upsample_rates": (10, 6, 2, 2, 2)})
    made = export_voice(make(config, spec(48_000, 480)), "rvc", tmp_path / "v.pth", "fp16")
    assert import_voice(made.files[0]).spec.sample_rate == 48_000
    config = ModelConfig(**{**SMALL, **rvc})
    with pytest.raises(CheckpointError, match=r"sample_rate is 44100 and it knows 32000 or 40000 or 48000"):
        export_voice(make(config), "rvc", tmp_path / "w.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["v.pth"]
