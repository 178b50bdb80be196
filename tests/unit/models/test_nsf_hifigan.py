import torch

from svc.config import ModelConfig
from svc.models.vits.voice_model import VoiceShape
from svc.models.vocoders.nsf_hifigan import NsfHifigan

CONFIG = ModelConfig(inter_channels=4, speaker_channels=6, decoder="nsf_hifigan", decoder_channels=32)
SHAPE = VoiceShape(10, 44_100, 512, 2048, 1)


def inputs(frames: int) -> tuple:
    generator = torch.Generator().manual_seed(2)
    z = torch.randn(1, 4, frames, generator=generator)
    f0_hz = 150 + 100 * torch.rand(1, frames, generator=generator)
    return z, f0_hz, torch.ones(1, frames), torch.randn(1, 6, 1, generator=generator), torch.zeros(1)


def test_full_size_matches_the_published_shape() -> None:
    decoder = NsfHifigan(ModelConfig(decoder_channels=512, speaker_channels=768), SHAPE)
    # so-vits-svc 4.1: `dec` has 305 tensors, 14,802,060 values.
    assert len(decoder.state_dict()) == 305
    assert sum(value.numel() for value in decoder.state_dict().values()) == 14_802_060


@torch.no_grad()
def test_one_frame_more_is_one_hop_more() -> None:
    torch.manual_seed(0)
    decoder = NsfHifigan(CONFIG, SHAPE).eval()
    for frames in (1, 2, 7):
        audio = decoder(*inputs(frames))
        assert audio.shape == (1, 1, frames * 512)
        assert audio.abs().max() < 1


@torch.no_grad()
def test_a_window_with_context_equals_the_whole() -> None:
    torch.manual_seed(0)
    decoder = NsfHifigan(CONFIG, SHAPE).eval()
    decoder.fuse()
    decoder.source.linear.weight.mul_(20)
    z, f0_hz, voiced, speaker, start = inputs(60)
    whole = decoder(z, f0_hz, voiced, speaker, start)
    _, phase = decoder.source(f0_hz[:, :20], start)
    part = decoder(z[..., 20:50], f0_hz[:, 20:50], voiced[:, 20:50], speaker, phase)
    inner = slice(35 * 512, 36 * 512)
    torch.testing.assert_close(part[..., 15 * 512 : 16 * 512], whole[..., inner], atol=5e-5, rtol=0)
    wrong = decoder(z[..., 20:50], f0_hz[:, 20:50], voiced[:, 20:50], speaker, phase + 0.5)
    assert (wrong[..., 15 * 512 : 16 * 512] - whole[..., inner]).abs().max() > 1e-3


def test_plain_ends_have_no_weight_norm_and_no_last_bias() -> None:
    keys = set(NsfHifigan(CONFIG.model_copy(update={"decoder_plain_ends": True}), SHAPE).state_dict())
    assert {"conv_pre.weight", "conv_pre.bias", "conv_post.weight"} <= keys
    assert "conv_post.bias" not in keys
    assert "ups.0.parametrizations.weight.original0" in keys


def test_gradient_reaches_the_latent_and_the_source() -> None:
    decoder = NsfHifigan(CONFIG, SHAPE)
    z, *rest = inputs(3)
    z.requires_grad_()
    decoder(z, *rest, torch.randn(1, 3 * 512)).square().mean().backward()
    assert z.grad.abs().max() > 0
    assert decoder.source.linear.weight.grad.abs().max() > 0
