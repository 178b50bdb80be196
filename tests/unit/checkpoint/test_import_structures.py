"""Random voices of the published layouts in other sizes: read from their shapes, compared with their settings."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_voices import FULL_RVC, TINY, TINY_RVC, Sizes, rvc_file, rvc_state, write_sovits

from svc.checkpoint.importers.assembly import Choices
from svc.checkpoint.importers.opening import import_voice
from svc.checkpoint.voice import Voice
from svc.errors import CheckpointError
from svc.models.vits.voice_model import ModelInput

SOVITS = {
    "plain": TINY,
    "volume": replace(TINY, volume=True, speakers=1),
    "no auto F0": replace(TINY, auto_f0=False, content=256, speaker=7, bins=513),
    "wide": replace(TINY, inter=10, hidden=12, heads=3, filters=20, layers=3, kernel=5, window=6, speakers=9),
    "tiny": replace(TINY, depthwise=True, shared_flow=True, width=48),
    "attention flow": replace(TINY, flow_attention=True, flow_layers=3, couplings=3),
    "shared attention flow": replace(TINY, flow_attention=True, flow_layers=2, shared_flow=True, volume=True),
    "snake": replace(TINY, snake=True, width=36),
    "other upsampling": replace(TINY, rates=(8, 8, 4, 2), kernels=(16, 16, 8, 4), blocks=(3, 5), rate=48_000),
    "two dilations": replace(TINY, dilations=(1, 2), blocks=(5,), flow_layers=5, couplings=2, sines=5),
    "Whisper": replace(TINY, content=1024),
}
RVC = {
    "40k": TINY_RVC,
    "v1 32k": replace(TINY_RVC, content=256, rates=(10, 4, 2, 2, 2), kernels=(16, 16, 4, 4, 4), rate=32_000, bins=513),
    "48k": replace(TINY_RVC, rates=(12, 10, 2, 2), kernels=(24, 20, 4, 4), rate=48_000, speakers=109, hidden=6),
    "wide": replace(TINY_RVC, hidden=12, inter=4, heads=4, layers=1, filters=16, speaker=5, width=64, flow_layers=2),
}


def sing(voice: Voice) -> torch.Tensor:
    """Audio of a few frames with made-up features."""
    generator = torch.Generator().manual_seed(1)
    frames, spec = 6, voice.spec
    batch = ModelInput(
        content=torch.randn(1, spec.content_dim, frames, generator=generator),
        f0_hz=torch.full((1, frames), 220.0),
        voiced=torch.ones(1, frames),
        loudness_db=torch.full((1, frames), -20.0),
        lengths=torch.tensor([frames]),
        speaker_id=torch.tensor([len(voice.speakers) - 1]),
    )
    with torch.inference_mode():
        return voice.build().infer(batch, None, torch.zeros(1))


def check_sizes(voice: Voice, sizes: Sizes) -> None:
    config = voice.config
    assert (config.hidden_channels, config.inter_channels, config.filter_channels) == (
        sizes.hidden,
        sizes.inter,
        sizes.filters,
    )
    assert (config.prior_layers, config.prior_heads, config.prior_kernel_size) == (
        sizes.layers,
        sizes.heads,
        sizes.kernel,
    )
    assert (config.attention_window, config.speaker_channels) == (sizes.window, sizes.speaker)
    assert (config.flow_couplings, config.flow_wavenet_layers) == (sizes.couplings, sizes.flow_layers)
    assert (config.upsample_rates, config.upsample_kernel_sizes) == (sizes.rates, sizes.kernels)
    assert (config.resblock_kernel_sizes, config.decoder_channels) == (sizes.blocks, sizes.width)
    assert (voice.spec.content_dim, voice.spec.hop_length) == (sizes.content, sizes.hop)
    assert (voice.spec.sample_rate, voice.spec.n_fft) == (sizes.rate, 2 * (sizes.bins - 1))
    assert len(voice.speakers) == sizes.speakers


def sums(state: dict[str, torch.Tensor]) -> list[float]:
    """A fingerprint of every tensor, whatever its name."""
    return sorted(float(value.double().abs().sum()) for value in state.values())


@pytest.mark.parametrize("name", SOVITS)
def test_sovits_of_any_size(tmp_path: Path, name: str) -> None:
    sizes = SOVITS[name]
    path = write_sovits(tmp_path, sizes, seed=len(name))
    voice = import_voice(path)
    check_sizes(voice, sizes)
    config = voice.config
    assert config.loudness_input == ("rms" if sizes.volume else "none")
    assert voice.spec.loudness_window == ("hop_start" if sizes.volume else "fft")
    assert (config.predict_f0, config.flow_shared, config.wavenet_depthwise) == (
        sizes.auto_f0,
        sizes.shared_flow,
        sizes.depthwise,
    )
    assert config.flow_network == ("attention" if sizes.flow_attention else "wavenet")
    assert config.decoder == ("nsf_snake_hifigan" if sizes.snake else "nsf_hifigan")
    assert (voice.spec.content_alignment, config.source_harmonics) == ("nearest", sizes.sines - 1)
    assert [speaker.name for speaker in voice.speakers] == [f"singer {i}" for i in range(sizes.speakers)]
    file = torch.load(path, weights_only=True)["model"]
    skipped = ("flow.flows.0.enc", "flow.flows.2.enc", "flow.flows.4.enc", "flow.flows.6.enc")
    kept = {
        key: value
        for key, value in file.items()
        if not key.endswith(".filter") and not (sizes.shared_flow and key.startswith(skipped))
    }
    assert sums(voice.state) == sums(kept)
    audio = sing(voice)
    assert audio.shape == (1, 1, 6 * sizes.hop) and torch.isfinite(audio).all() and audio.std() > 1e-4


@pytest.mark.parametrize("with_f0", [True, False], ids=["F0", "no F0"])
@pytest.mark.parametrize("name", RVC)
def test_rvc_of_any_size(tmp_path: Path, name: str, with_f0: bool) -> None:
    sizes = RVC[name]
    file = rvc_file(sizes, seed=len(name), with_f0=with_f0)
    torch.save(file, tmp_path / "v.pth")
    voice = import_voice(tmp_path / "v.pth")
    check_sizes(voice, sizes)
    assert voice.config.pitch_input == ("binned" if with_f0 else "none")
    assert voice.spec.content_alignment == "repeat"
    assert voice.spec.content_encoder == ("contentvec256l9" if sizes.content == 256 else "contentvec768l12")
    assert sums(voice.state) == sums({key: value.float() for key, value in file["weight"].items()})
    audio = sing(voice)
    assert audio.shape == (1, 1, 6 * sizes.hop) and torch.isfinite(audio).all() and audio.std() > 1e-4


@pytest.mark.parametrize("with_f0", [True, False], ids=["F0", "no F0"])
@pytest.mark.parametrize("name", ["40k", "v1 32k", "48k"])
def test_rvc_training_files_tell_their_rate_by_their_shape(tmp_path: Path, name: str, with_f0: bool) -> None:
    sizes = RVC[name]
    state = rvc_state(sizes, 3, with_f0, training=True)
    torch.save({"model": state, "iteration": 1, "optimizer": {}, "learning_rate": 1e-4}, tmp_path / "G_1.pth")
    voice = import_voice(tmp_path / "G_1.pth")
    check_sizes(voice, sizes)
    assert voice.has_training_parts


@pytest.mark.parametrize(
    ("sizes", "changes"),
    [
        (TINY, {"hidden": 12}),
        (TINY, {"inter": 8}),
        (TINY, {"filters": 24}),
        (TINY, {"layers": 3}),
        (TINY, {"heads": 4}),
        (TINY, {"kernel": 5}),
        (TINY, {"content": 256}),
        (TINY, {"speaker": 11}),
        (TINY, {"speakers": 2}),
        (TINY, {"width": 64}),
        (TINY, {"flow_layers": 3}),
        (TINY, {"blocks": (3, 7, 9)}),
        (TINY, {"dilations": (1, 3)}),
        (TINY, {"rates": (4, 4, 4, 4, 2), "kernels": (16, 16, 4, 4, 4)}),
        (TINY, {"bins": 513}),
        (TINY, {"volume": True}),
        (TINY, {"auto_f0": False}),
        (TINY, {"snake": True}),
        (TINY, {"depthwise": True}),
        (TINY, {"shared_flow": True}),
        (TINY, {"flow_attention": True}),
        (SOVITS["attention flow"], {"flow_layers": 2}),
        (SOVITS["attention flow"], {"couplings": 4}),
        (SOVITS["snake"], {"snake": False}),
    ],
)
def test_settings_of_another_voice_are_an_error_that_names_both(
    tmp_path: Path, sizes: Sizes, changes: dict[str, Any]
) -> None:
    path, other = write_sovits(tmp_path, sizes), tmp_path / "other"
    other.mkdir()
    write_sovits(other, replace(sizes, **changes))
    with pytest.raises(CheckpointError, match="disagree") as caught:
        import_voice(path, config=other / "config.json")
    assert str(path) in str(caught.value) and str(other / "config.json") in str(caught.value)
    assert "in the weights and" in str(caught.value) and "in the settings" in str(caught.value)


def test_rvc_rates_that_do_not_give_ten_milliseconds(tmp_path: Path) -> None:
    file = rvc_file(TINY_RVC)
    file["config"][12] = [5, 10, 2, 2]
    torch.save(file, tmp_path / "v.pth")
    with pytest.raises(CheckpointError, match=r"make 200 samples of each 10 ms .* 40000 Hz"):
        import_voice(tmp_path / "v.pth")


def test_every_tensor_is_asked_for(tmp_path: Path) -> None:
    path = write_sovits(tmp_path, TINY)
    file = torch.load(path, weights_only=True)
    names = [name for name in file["model"] if not name.startswith("enc_q.")]
    for name in names[:: max(1, len(names) // 5)]:
        torch.save({"model": {key: value for key, value in file["model"].items() if key != name}}, path)
        with pytest.raises(CheckpointError) as caught:
            import_voice(path)
        assert "\n" not in str(caught.value)


def test_compressed_and_half(tmp_path: Path) -> None:
    path = write_sovits(tmp_path, SOVITS["shared attention flow"], without="enc_q.")
    file = torch.load(path, weights_only=True)
    file["model"] = {name: value.half() for name, value in file["model"].items()}
    torch.save(file, path)
    voice = import_voice(path)
    assert not voice.has_training_parts and not voice.config.wavenet_depthwise
    assert all(value.dtype == torch.float32 for value in voice.state.values())
    settings = json.loads((tmp_path / "config.json").read_text())
    settings["model"]["use_depthwise_conv"] = True  # nothing is left in the file that could contradict
    (tmp_path / "config.json").write_text(json.dumps(settings))
    assert not import_voice(path).has_training_parts


def test_filters_of_a_snake_decoder_are_checked(tmp_path: Path) -> None:
    path = write_sovits(tmp_path, SOVITS["snake"])
    file = torch.load(path, weights_only=True)
    file["model"]["dec.snakes.1.downsample.lowpass.filter"] = torch.ones(1, 1, 12) / 12
    torch.save(file, path)
    with pytest.raises(CheckpointError, match=r"another filter in dec\.snakes\.1"):
        import_voice(path)


def test_a_base_without_speakers(tmp_path: Path) -> None:
    path = write_sovits(tmp_path, TINY, without="emb_g.")
    with pytest.raises(CheckpointError, match="pretrained base without speakers"):
        import_voice(path)
    voice = import_voice(path, choices=Choices(without_speakers=True))
    assert [speaker.name for speaker in voice.speakers] == ["base"] and sing(voice).std() > 1e-4


def test_branches_of_sovits_41(tmp_path: Path) -> None:
    path = write_sovits(tmp_path, replace(TINY, volume=True))
    stable, latest = import_voice(path), import_voice(path, choices=Choices(branch="latest"))
    assert (stable.spec.loudness_window, stable.config.source_noise) == ("hop_start", True)
    assert (latest.spec.loudness_window, latest.config.source_noise) == ("hop", False)
    assert stable.provenance["not in the file"]["branch"].startswith("4.1-Stable")
    assert latest.provenance["not in the file"]["branch"].startswith("4.1-Latest")
    rvc = tmp_path / "v.pth"
    torch.save(rvc_file(TINY_RVC), rvc)
    assumed = import_voice(rvc).provenance["not in the file"]
    assert assumed["F0 in unvoiced frames"].startswith("zero")
    assert assumed["content encoder"].startswith("contentvec768l12")


def test_the_published_full_sizes() -> None:
    # 36.46 M values of RVC v2 at 40 kHz, and its 560 names.
    state = rvc_state(FULL_RVC, training=True)
    assert len(state) == 560 and round(sum(value.numel() for value in state.values()) / 1e6, 2) == 36.46


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("model", "p_dropout", "x"),
        ("model", "speech_encoder", ["vec768l12"]),
        ("data", "n_mel_channels", [80]),
        ("data", "mel_fmin", {}),
        ("data", "mel_fmax", True),
        ("data", "unit_interpolate_mode", ["left"]),
        ("model", "n_heads", {}),
    ],
)
def test_settings_of_the_wrong_kind_are_one_sentence(tmp_path: Path, part: str, name: str, value: Any) -> None:
    path = write_sovits(tmp_path, TINY)
    settings = json.loads((tmp_path / "config.json").read_text())
    settings[part][name] = value
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError) as caught:
        import_voice(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("facts", "encoder"),
    [
        ({"embedder_model": "contentvec"}, "contentvec768l12"),
        ({"embedder_model": "chinese-hubert-base"}, "chinese_hubert_base"),
        ({"embedder_model": ["contentvec"]}, None),
        ({"embedder_model": "japanese-hubert-base"}, None),
    ],
)
def test_embedders_of_applio(tmp_path: Path, facts: dict[str, Any], encoder: str | None) -> None:
    torch.save(rvc_file(TINY_RVC) | facts, tmp_path / "v.pth")
    if encoder is not None:
        assert import_voice(tmp_path / "v.pth").spec.content_encoder == encoder
        return
    with pytest.raises(CheckpointError, match="--content-encoder"):
        import_voice(tmp_path / "v.pth")
