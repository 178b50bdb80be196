import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from svc.config import ModelConfig
from svc.models.vits.voice_model import VoiceShape
from svc.models.vocoders.nsf_hifigan import NsfHifigan
from svc.models.vocoders.nsf_snake_hifigan import NsfSnakeHifigan

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


@torch.no_grad()
@pytest.mark.parametrize("kind", [NsfHifigan, NsfSnakeHifigan])
@pytest.mark.parametrize("per_frame", [False, True], ids=["one speaker", "speaker per frame"])
def test_chunks_equal_the_whole(kind: type[NsfHifigan], per_frame: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    config = CONFIG.model_copy(update={"resblock_kernel_sizes": (3, 5), "resblock_dilations": ((1, 3), (1, 2))})
    decoder = kind(config, SHAPE).eval()
    for parameter in decoder.parameters():
        # Without such gains what is far away would not be heard, and the test could not fail.
        parameter.mul_(1.5)
    z, f0_hz, voiced, speaker, start = inputs(90)
    if per_frame:
        speaker = speaker + 0.1 * torch.arange(90)
    noise = torch.randn(1, 90 * 512)
    plain = decoder(z, f0_hz, voiced, speaker, start, noise)
    decoder.fuse()
    whole = decoder(z, f0_hz, voiced, speaker, start, noise)
    torch.testing.assert_close(whole, plain, atol=2e-5, rtol=0)
    calls = []
    one_pass = decoder.generate_whole

    def counted(*parts: torch.Tensor) -> torch.Tensor:
        calls.append(parts[0].shape[2])
        return one_pass(*parts)

    monkeypatch.setattr("svc.models.vocoders.nsf_hifigan.CHUNK_SAMPLES", 512)
    monkeypatch.setattr(decoder, "generate_whole", counted)
    pieces = decoder(z, f0_hz, voiced, speaker, start, noise)
    torch.testing.assert_close(pieces, whole, atol=2e-5, rtol=0)
    assert len(calls) > 1 and max(calls) <= 3 * decoder.reach
    # With less around each chunk than the reach the result is another one.
    monkeypatch.setattr(decoder, "reach", 3)
    assert (decoder(z, f0_hz, voiced, speaker, start, noise) - whole).abs().max() > 1e-4


def test_memory_of_a_fused_decoder_is_flat() -> None:
    """The largest tensor does not grow with the length beyond the source's sines and the audio."""
    decoder = NsfHifigan(CONFIG, SHAPE).eval()
    decoder.fuse()
    largest = {}
    for frames in (400, 1600):
        with torch.inference_mode(), _Largest() as seen:
            decoder.generate(torch.zeros(1, 4, frames), torch.zeros(1, 1, frames * 512), torch.zeros(1, 6, 1))
        largest[frames] = seen.elements
    assert largest[1600] <= max(1600 * 512, largest[400] * 1.1)


class _Largest(TorchDispatchMode):
    """Elements of the largest tensor that is made."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.elements = max(self.elements, made.numel())
        return made


def test_without_f0_there_is_no_source() -> None:
    decoder = NsfHifigan(CONFIG.model_copy(update={"pitch_input": "none", "predict_f0": False}), SHAPE).eval()
    assert not [key for key in decoder.state_dict() if key.startswith(("source.", "noise_convs."))]
    z, f0_hz, *rest = inputs(4)
    with torch.no_grad():
        assert torch.equal(decoder(z, f0_hz, *rest), decoder(z, 2 * f0_hz, *rest))


@torch.no_grad()
def test_source_noise_can_be_off() -> None:
    quiet = NsfHifigan(CONFIG.model_copy(update={"source_noise": False}), SHAPE).eval()
    quiet.source.linear.weight.fill_(1.0)
    noise = torch.randn(1, 3 * 512)
    assert torch.equal(quiet(*inputs(3), noise), quiet(*inputs(3)))
