from dataclasses import replace

import pytest
import torch

from svc.config import ModelConfig
from svc.errors import ConfigError
from svc.models.vits.f0_predictor import log_f0
from svc.models.vits.segments import cut_segments
from svc.models.vits.voice_model import ModelInput, TrainOutput, VoiceModel, VoiceShape
from svc.registry import DECODERS

HOP, FRAMES, SEGMENT = 64, 30, 8
CONFIG = ModelConfig(
    hidden_channels=8,
    inter_channels=4,
    filter_channels=12,
    prior_layers=1,
    posterior_layers=2,
    flow_wavenet_layers=1,
    flow_couplings=2,
    speaker_channels=6,
    dropout=0.0,
    decoder="nsf_hifigan",
    decoder_channels=16,
    decoder_layers=1,
    upsample_rates=(8, 8),
    upsample_kernel_sizes=(16, 16),
)
SHAPE = VoiceShape(content_dim=10, sample_rate=16_000, hop_length=HOP, n_fft=256, speakers=2)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def make(decoder: str = "nsf_hifigan", **changes: object) -> VoiceModel:
    """A tiny model whose flow is not the identity."""
    model = VoiceModel(CONFIG.model_copy(update={"decoder": decoder, **changes}), SHAPE)
    with torch.no_grad():
        for coupling in model.flow.couplings:
            torch.nn.init.normal_(coupling.post.weight, std=0.3)
    return model


def batch() -> ModelInput:
    generator = torch.Generator().manual_seed(5)
    return ModelInput(
        content=torch.randn(3, 10, FRAMES, generator=generator),
        f0_hz=150 + 200 * torch.rand(3, FRAMES, generator=generator),
        voiced=(torch.rand(3, FRAMES, generator=generator) > 0.3).float(),
        loudness_db=-60 * torch.rand(3, FRAMES, generator=generator),
        lengths=torch.tensor([FRAMES, 19, 5]),
        speaker_id=torch.tensor([0, 1, 1]),
        spectrogram=torch.rand(3, SHAPE.bins, FRAMES, generator=generator),
    )


def item(whole: ModelInput, i: int) -> ModelInput:
    """One item without its padding."""
    n = int(whole.lengths[i])
    return ModelInput(
        **{
            name: value[i : i + 1, ..., :n] if value.dim() > 1 else value[i : i + 1]
            for name, value in vars(whole).items()
            if value is not None
        }
    )


@pytest.mark.parametrize("decoder", DECODERS.names())
def test_training_output(decoder: str) -> None:
    model = make(decoder)
    out = model(batch(), SEGMENT, prior_audio=True)
    assert isinstance(out, TrainOutput)
    assert out.audio.shape == out.prior_audio.shape == (3, 1, SEGMENT * HOP)
    for name in ("z_p", "posterior_log_std", "prior_mean", "prior_log_std"):
        value = getattr(out, name)
        assert value.shape == (3, 4, FRAMES)
        assert value[1, :, 19:].abs().max() == 0, name
        assert value[1, :, :19].abs().max() > 0, name
    assert out.mask.sum((1, 2)).tolist() == [FRAMES, 19, 5]
    assert out.predicted_lf0.shape == out.target_lf0.shape == (3, FRAMES)
    assert out.target_lf0[1, 19:].abs().max() == 0
    torch.testing.assert_close(out.target_lf0[0], log_f0(batch().f0_hz[0]))
    found = {name: value for name, value in vars(out).items() if value is not None}
    assert found.keys() >= {"audio", "z_p", "prior_mean", "predicted_lf0"}
    assert all(value.dtype == torch.float32 for name, value in found.items() if name != "starts")


@pytest.mark.parametrize("decoder", DECODERS.names())
def test_every_weight_learns(decoder: str) -> None:
    model = make(decoder)
    out = model(batch(), SEGMENT)
    loss = out.audio.square().mean() + out.predicted_lf0.square().mean()
    loss = (
        loss + (out.z_p - out.prior_mean).square().mean() + (out.prior_log_std + out.posterior_log_std).square().mean()
    )
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # A key's bias cancels in the softmax.
        assert parameter.grad.abs().max() > 0 or name.endswith("conv_k.bias"), name


def test_segments_lie_inside_their_items() -> None:
    model = make()
    starts = torch.stack([model(batch(), SEGMENT).starts for _ in range(40)])
    assert starts.dtype == torch.int64
    assert starts.min() >= 0
    assert (starts.max(0).values <= torch.tensor([FRAMES - SEGMENT, 19 - SEGMENT, 0])).all()
    assert (starts[:, 1] == 0).any()
    assert (starts[:, 1] == 19 - SEGMENT).any()


def test_cut_segments() -> None:
    values = torch.arange(20.0).view(2, 10)
    starts = torch.tensor([0, 6])
    assert cut_segments(values, starts, 3).tolist() == [[0, 1, 2], [16, 17, 18]]
    deep = torch.stack([values, -values], 1)
    assert cut_segments(deep, starts, 3)[1].tolist() == [[16, 17, 18], [-16, -17, -18]]


def test_segment_is_decoded_from_its_own_frames() -> None:
    model = make().eval()
    seen = {}
    original = model.decoder.forward

    def spy(*args: torch.Tensor) -> torch.Tensor:
        seen["f0_hz"], seen["voiced"], seen["phase"] = args[1], args[2], args[4]
        return original(*args)

    model.decoder.forward = spy  # type: ignore[method-assign]
    given = batch()
    out = model(given, SEGMENT)
    for i, start in enumerate(out.starts.tolist()):
        assert torch.equal(seen["f0_hz"][i], given.f0_hz[i, start : start + SEGMENT])
        assert torch.equal(seen["voiced"][i], given.voiced[i, start : start + SEGMENT])
    assert len(set(seen["phase"].tolist())) == 3
    assert (seen["phase"] >= 0).all()
    assert (seen["phase"] < 1).all()


def test_one_generator_decides_everything_random() -> None:
    model = make().eval()
    outs = [model(batch(), SEGMENT, torch.Generator().manual_seed(seed)) for seed in (7, 7, 8)]
    for name, value in vars(outs[0]).items():
        if value is not None:
            assert torch.equal(value, getattr(outs[1], name)), name
    assert not torch.equal(outs[0].audio, outs[2].audio)
    assert not torch.equal(outs[0].z_p, outs[2].z_p)


@pytest.mark.parametrize("decoder", DECODERS.names())
@pytest.mark.parametrize("predict_f0", [False, True])
def test_padded_batch_equals_single_items(decoder: str, predict_f0: bool) -> None:
    model = make(decoder).eval()
    whole = batch()
    noise = torch.randn(3, 4, FRAMES)
    with torch.no_grad():
        z, f0_hz = model.infer_latent(whole, noise, predict_f0)
        for i in range(3):
            n = int(whole.lengths[i])
            single, f0_single = model.infer_latent(item(whole, i), noise[i : i + 1, :, :n], predict_f0)
            # The finest pitch codes turn rounding of a predicted F0 into more.
            limit = 5e-4 if predict_f0 else 1e-5
            torch.testing.assert_close(z[i : i + 1, :, :n], single, atol=limit, rtol=limit)
            torch.testing.assert_close(f0_hz[i : i + 1, :n], f0_single, atol=2e-3, rtol=1e-5)


@pytest.mark.parametrize("decoder", DECODERS.names())
def test_infer_is_latent_then_decode(decoder: str) -> None:
    model = make(decoder).eval()
    whole = batch()
    noise, start, source_noise = torch.randn(3, 4, FRAMES), torch.tensor([0.0, 0.4, 0.9]), torch.randn(3, FRAMES * HOP)
    with torch.no_grad():
        audio = model.infer(whole, noise, start, source_noise)
        assert audio.shape == (3, 1, FRAMES * HOP)
        assert audio.abs().max() <= 1.0 or decoder != "nsf_hifigan"
        z, f0_hz = model.infer_latent(whole, noise)
        again = model.decode(z, f0_hz, whole.voiced, model.speaker_vector(whole), start, source_noise)
        assert torch.equal(audio, again)
        assert torch.equal(audio, model.infer(whole, noise, start, source_noise))
        for other in (
            model.infer(whole, None, start, source_noise),
            model.infer(whole, noise, start + 0.3, source_noise),
            model.infer(replace(whole, speaker_id=1 - whole.speaker_id), noise, start, source_noise),
            model.infer(whole, noise, start, source_noise, predict_f0=True),
        ):
            assert (other - audio).abs().max() > 1e-5


def test_no_noise_is_the_mean() -> None:
    model = make().eval()
    with torch.no_grad():
        mean, _ = model.infer_latent(batch())
        zero, _ = model.infer_latent(batch(), torch.zeros(3, 4, FRAMES))
    assert torch.equal(mean, zero)


@pytest.mark.parametrize("decoder", DECODERS.names())
def test_fused_model_sings_the_same(decoder: str) -> None:
    model = make(decoder).eval()
    with torch.no_grad():
        before = model.infer(batch(), None, torch.zeros(3))
        model.fuse()
        after = model.infer(batch(), None, torch.zeros(3))
    assert not any("parametrizations" in key for key in model.state_dict())
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("decoder", DECODERS.names())
def test_bfloat16_autocast(decoder: str) -> None:
    model = make(decoder)
    generators = [torch.Generator().manual_seed(1) for _ in range(2)]
    full = model(batch(), SEGMENT, generators[0])
    with torch.autocast("cpu", torch.bfloat16):
        half = model(batch(), SEGMENT, generators[1])
    for name, value in vars(full).items():
        if value is not None:
            assert getattr(half, name).dtype == value.dtype, name
    torch.testing.assert_close(half.z_p, full.z_p, atol=0.1, rtol=0.1)
    (half.audio.square().mean() + half.z_p.square().mean()).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_without_predictor() -> None:
    model = make(predict_f0=False)
    out = model(batch(), SEGMENT)
    assert out.predicted_lf0 is None
    assert out.target_lf0 is None
    with pytest.raises(ConfigError, match="no F0 predictor"):
        model.infer(batch(), None, torch.zeros(3), predict_f0=True)


def test_without_training_parts() -> None:
    model = VoiceModel(CONFIG, SHAPE, training_parts=False)
    assert not any(key.startswith("posterior.") for key in model.state_dict())
    assert model.infer(batch(), None, torch.zeros(3)).shape == (3, 1, FRAMES * HOP)
    with pytest.raises(ConfigError, match="training parts"):
        model(batch(), SEGMENT)


def test_what_cannot_train_says_so() -> None:
    model = make()
    with pytest.raises(ConfigError, match=r"segment_frames"):
        model(batch(), FRAMES + 1)
    with pytest.raises(ConfigError, match="spectrograms"):
        model(replace(batch(), spectrogram=None), SEGMENT)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"inter_channels": 5}, "inter_channels"),
        ({"prior_heads": 3}, "prior_heads"),
        ({"upsample_rates": (8, 4)}, "hop length is 64"),
        ({"upsample_rates": (8, 8), "upsample_kernel_sizes": (16,)}, "upsample_kernel_sizes"),
        ({"upsample_kernel_sizes": (16, 15)}, "even number"),
        ({"resblock_dilations": ((1, 3),)}, "resblock_dilations"),
        ({"decoder_channels": 3}, "decoder_channels"),
    ],
)
def test_settings_that_do_not_fit(changes: dict, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        VoiceModel(CONFIG.model_copy(update=changes), SHAPE)


def test_parameter_names_do_not_change_by_accident() -> None:
    names = {".".join(key.split(".")[:2]) for key in make().state_dict()}
    assert names == {
        "speaker.weight",
        "content_input.content",
        "content_input.voicing",
        "content_input.loudness",
        "prior.pitch",
        "prior.transformer",
        "prior.proj",
        "posterior.pre",
        "posterior.enc",
        "posterior.proj",
        "flow.couplings",
        "f0_predictor.prenet",
        "f0_predictor.f0_prenet",
        "f0_predictor.cond",
        "f0_predictor.decoder",
        "f0_predictor.proj",
        "decoder.source",
        "decoder.conv_pre",
        "decoder.cond",
        "decoder.ups",
        "decoder.noise_convs",
        "decoder.resblocks",
        "decoder.conv_post",
    }


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("decoder", DECODERS.names())
def test_cuda_step_does_not_wait_for_the_device(decoder: str) -> None:
    model = make(decoder).cuda()
    given = batch().to("cuda")
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.autocast("cuda", torch.bfloat16):
            out = model(given, SEGMENT)
        (out.audio.square().mean() + out.z_p.square().mean()).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.isfinite(out.audio).all()


def test_no_f0_in_unvoiced_frames_when_the_voice_was_trained_so() -> None:
    whole, start = batch(), torch.zeros(3)
    gaps = replace(whole, f0_hz=whole.f0_hz * whole.voiced)
    model = make(unvoiced_f0="zero").eval()
    filled = make().eval()
    filled.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model.infer(whole, None, start), filled.infer(gaps, None, start))
        assert not torch.equal(model.infer(whole, None, start), filled.infer(whole, None, start))

    def trained(net: VoiceModel, given: ModelInput) -> torch.Tensor:
        return net(given, SEGMENT, torch.Generator().manual_seed(1)).audio

    assert torch.equal(trained(model, whole), trained(model, gaps))


@pytest.mark.parametrize(
    "changes",
    [
        {"pitch_input": "binned", "voicing_input": False, "loudness_input": "none", "content_kernel_size": 1},
        {"pitch_input": "binned_41", "loudness_input": "rms", "wavenet_depthwise": True, "flow_shared": True},
        {"prior_scaled_input": True, "decoder_plain_ends": True, "predict_f0": False},
    ],
)
def test_forms_of_imported_voices_can_be_trained(changes: dict) -> None:
    model = make(**changes)
    out = model(batch(), SEGMENT)
    total = out.audio.square().mean() + out.prior_mean.square().mean() + out.z_p.square().mean()
    total.backward()
    assert torch.isfinite(total)
    trained = {name for name, value in model.named_parameters() if value.grad is not None and value.grad.any()}
    assert any(name.startswith("flow.") for name in trained) and "prior.proj.weight" in trained
    if changes.get("flow_shared"):
        assert any(name.startswith("flow.shared.") for name in trained)


def test_an_even_content_kernel_is_refused() -> None:
    with pytest.raises(ConfigError, match="content_kernel_size must be odd"):
        make(content_kernel_size=4)
