import pytest
import torch

from svc.models.vits.f0_predictor import F0Predictor, f0_from_log, log_f0, normalise_log_f0
from svc.models.vits.flow import Flow
from svc.models.vits.normalisation import ChannelNorm, fuse_weight_norm, weight_norm
from svc.models.vits.pitch_embedding import BinnedPitch, FourierPitch, coarse_f0
from svc.models.vits.posterior_encoder import PosteriorEncoder
from svc.models.vits.prior_encoder import ContentInput, PriorEncoder
from svc.models.vits.transformer import Transformer
from svc.models.vits.wavenet import WaveNet


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    """No parameter left at zero or one."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return module


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("per_frame", [False, True])
def test_flow_inverts_itself(shared: bool, depthwise: bool, per_frame: bool) -> None:
    flow = shaken(Flow(6, 8, 3, lambda: WaveNet(8, 5, 2, 4, depthwise=depthwise), shared))
    x = torch.randn(2, 6, 17)
    mask = (torch.arange(17) < torch.tensor([[17], [9]]))[:, None].float()
    speaker = torch.randn(2, 4, 17 if per_frame else 1)
    z = flow(x * mask, mask, speaker)
    assert (z - x * mask).abs().max() > 0.1
    assert z[1, :, 9:].abs().max() == 0
    torch.testing.assert_close(flow(z, mask, speaker, reverse=True), x * mask, atol=1e-5, rtol=0)
    assert any(key.startswith("shared.") for key in flow.state_dict()) == shared
    assert any(".enc." in key for key in flow.state_dict()) != shared


def test_flow_keeps_volume() -> None:
    flow = shaken(Flow(4, 6, 2, lambda: WaveNet(6, 3, 1, 2)))
    mask, speaker = torch.ones(1, 1, 3), torch.randn(1, 2, 1)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: flow(x.view(1, 4, 3), mask, speaker).flatten(), torch.randn(12)
    )
    assert jacobian.det().abs().item() == pytest.approx(1.0, abs=1e-4)


def test_untrained_flow_only_reorders() -> None:
    flow = Flow(4, 6, 2, lambda: WaveNet(6, 3, 1, 2))
    x = torch.randn(1, 4, 5)
    assert torch.equal(flow(x, torch.ones(1, 1, 5), torch.randn(1, 2, 1)), x)


def test_flow_needs_even_channels() -> None:
    with pytest.raises(ValueError, match="even"):
        Flow(5, 6, 2, lambda: WaveNet(6, 3, 1, 2))


@pytest.mark.parametrize(("dilation_rate", "reach"), [(1, 6), (2, 2 + 4 + 8)])
def test_wavenet_reach_and_speaker(dilation_rate: int, reach: int) -> None:
    net = shaken(WaveNet(4, 5, 3, 3, dilation_rate))
    mask, speaker = torch.ones(1, 1, 61), torch.randn(1, 3, 1)
    x = torch.randn(1, 4, 61)
    changed = x.clone()
    changed[:, :, 30] += 1
    moved = (net(x, mask, speaker) - net(changed, mask, speaker)).abs().amax((0, 1)).nonzero().flatten()
    assert (moved.min().item(), moved.max().item()) == (30 - reach, 30 + reach)
    assert (net(x, mask, speaker) - net(x, mask, speaker + 1)).abs().max() > 1e-2


def test_wavenet_without_speaker() -> None:
    net = WaveNet(4, 3, 2)
    assert net.cond_layer is None
    assert net(torch.randn(1, 4, 9), torch.ones(1, 1, 9)).shape == (1, 4, 9)


def test_posterior_ignores_padding() -> None:
    encoder = shaken(PosteriorEncoder(9, 6, 4, 3, 2))
    spectrogram, speaker = torch.rand(1, 9, 20), torch.randn(1, 2, 1)
    mask = (torch.arange(20) < 12)[None, None].float()
    padded = encoder(spectrogram, mask, speaker)
    alone = encoder(spectrogram[:, :, :12], mask[:, :, :12], speaker)
    for long, short in zip(padded, alone):
        assert long[:, :, 12:].abs().max() == 0
        torch.testing.assert_close(long[:, :, :12], short, atol=1e-5, rtol=1e-5)


def prior(scaled: bool = False, pitch: bool = True) -> PriorEncoder:
    transformer = Transformer(8, 12, 2, 2, 3, window=4)
    return shaken(PriorEncoder(transformer, FourierPitch(8) if pitch else None, 8, 4, scaled))  # type: ignore[return-value]


def test_prior_ignores_padding() -> None:
    encoder, reader = prior(), shaken(ContentInput(5, 8))
    content, f0_hz = torch.randn(1, 5, 20), torch.rand(1, 20) * 400 + 80
    voiced, loudness = (torch.rand(1, 20) > 0.5).float(), -60 * torch.rand(1, 20)
    mask = (torch.arange(20) < 12)[None, None].float()
    padded = encoder(reader(content, voiced, loudness, mask), f0_hz, mask)
    short = mask[:, :, :12]
    alone = encoder(reader(content[:, :, :12], voiced[:, :12], loudness[:, :12], short), f0_hz[:, :12], short)
    for a, b in zip(padded, alone):
        assert a[:, :, 12:].abs().max() == 0
        torch.testing.assert_close(a[:, :, :12], b, atol=1e-5, rtol=1e-5)


def test_everything_given_reaches_the_prior() -> None:
    encoder, reader = prior(), shaken(ContentInput(5, 8))
    mask = torch.ones(1, 1, 10)
    inputs = {
        "content": torch.randn(1, 5, 10),
        "f0_hz": torch.full((1, 10), 220.0),
        "voiced": torch.ones(1, 10),
        "loudness_db": torch.full((1, 10), -20.0),
    }

    def run(changes: dict) -> torch.Tensor:
        given = inputs | changes
        x = reader(given["content"], given["voiced"], given["loudness_db"], mask)
        return torch.cat(encoder(x, given["f0_hz"], mask))

    before = run({})
    for name, value in {
        "content": inputs["content"] + 1,
        "f0_hz": inputs["f0_hz"] * 1.06,
        "voiced": torch.zeros(1, 10),
        "loudness_db": inputs["loudness_db"] + 6,
    }.items():
        assert (run({name: value}) - before).abs().max() > 1e-3, name


def test_scaled_input_is_the_leaky_sum() -> None:
    encoder = prior(scaled=True, pitch=False)
    x = torch.tensor([[[1.0], [-1.0]] * 4])
    expected = torch.tensor([[[1.0], [-0.1]] * 4]) * 8**0.5
    torch.testing.assert_close(encoder.embed(x, torch.zeros(1, 1)), expected)


def test_loudness_as_amplitude() -> None:
    reader = ContentInput(5, 8, voicing=False, loudness="rms")
    mask = torch.ones(1, 1, 2)
    x = reader(torch.zeros(1, 5, 2), torch.ones(1, 2), torch.tensor([[0.0, -20.0]]), mask)
    weight = reader.loudness.weight[:, 0]
    torch.testing.assert_close(x[0, :, 0] - x[0, :, 1], 0.9 * weight)


def test_bare_content_input_has_no_other_weights() -> None:
    reader = ContentInput(5, 8, kernel_size=1, voicing=False, loudness=None)
    assert list(reader.state_dict()) == ["content.weight", "content.bias"]


def test_fourier_pitch_tells_all_singable_notes_apart() -> None:
    pitch = FourierPitch(8)
    with torch.no_grad():
        pitch.proj.weight.copy_(torch.eye(16)[:8])
        semitones = 55.0 * 2 ** (torch.arange(0, 64) / 12)  # 55 Hz to 2.1 kHz
        codes = FourierPitch(64)(semitones[None])[0].T
    assert semitones[-1] > 2000
    apart = torch.cdist(codes, codes) + 10 * torch.eye(len(codes))
    assert apart.min() > 0.1
    assert torch.isfinite(pitch(torch.tensor([[0.0, 1e-9, 5000.0]]))).all()


def test_coarse_bins_span_the_range_and_overflow() -> None:
    f0_hz = torch.tensor([0.0, 50.0, 1100.0, 1200.0, 440.0])
    bins = coarse_f0(f0_hz)
    assert bins.tolist()[:4] == [1, 1, 255, 255]
    assert coarse_f0(f0_hz, overflow=0)[3] == 0
    assert 1 < bins[4] < 255
    table = BinnedPitch(3)
    torch.testing.assert_close(table(f0_hz[None])[0, :, 4], table.table.weight[bins[4]])


def test_log_f0_and_back() -> None:
    f0_hz = torch.tensor([0.0, 80.0, 440.0, 2000.0])
    torch.testing.assert_close(f0_from_log(log_f0(f0_hz)), f0_hz, atol=1e-3, rtol=1e-5)
    assert log_f0(torch.tensor(700.0)).item() == pytest.approx(2595 * 0.30102999566 / 500, rel=1e-5)


def test_normal_f0_is_centred_on_voiced_frames() -> None:
    lf0 = torch.tensor([[1.0, 2.0, 3.0, 9.0], [4.0, 5.0, 6.0, 7.0]])
    voiced = torch.tensor([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    mask = torch.tensor([[[1.0, 1.0, 1.0, 0.0]], [[1.0, 1.0, 1.0, 1.0]]])
    normal = normalise_log_f0(lf0, voiced, mask)
    assert normal.tolist() == [[-1.0, 0.0, 1.0, 0.0], [4.0, 5.0, 6.0, 7.0]]
    scaled = normalise_log_f0(lf0, voiced, mask, torch.tensor([[2.0], [1.0]]))
    assert scaled[0].tolist() == [-2.0, 0.0, 2.0, 0.0]


def test_f0_predictor_learns_from_no_gradient_into_the_rest() -> None:
    predictor = F0Predictor(8, 12, 2, 2, 3)
    x = torch.randn(2, 8, 10, requires_grad=True)
    speaker = torch.randn(2, 3, 1, requires_grad=True)
    mask = (torch.arange(10) < torch.tensor([[10], [6]]))[:, None].float()
    out = predictor(x, torch.randn(2, 10), mask, speaker)
    assert out.shape == (2, 10)
    assert out[1, 6:].abs().max() == 0
    out.sum().backward()
    assert x.grad is None
    assert speaker.grad is None
    # A key's bias cancels in the softmax, so its gradient is 0 up to rounding.
    for name, parameter in predictor.named_parameters():
        assert name.endswith("conv_k.bias") or parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("make", [lambda: torch.nn.Conv1d(3, 4, 5), lambda: torch.nn.ConvTranspose1d(3, 4, 5)])
def test_weight_norm_layout_and_fusing(make) -> None:
    plain = make()
    layer = weight_norm(make())
    magnitude, direction = (layer.parametrizations.weight.original0, layer.parametrizations.weight.original1)
    assert magnitude.shape == (plain.weight.shape[0], 1, 1)
    assert direction.shape == plain.weight.shape
    with torch.no_grad():
        magnitude.mul_(2)
    expected = magnitude * direction / direction.flatten(1).norm(dim=1)[:, None, None]
    x = torch.randn(1, 3, 9)
    before = layer(x)
    fuse_weight_norm(layer)
    fuse_weight_norm(layer)
    assert set(layer.state_dict()) == {"weight", "bias"}
    torch.testing.assert_close(layer.weight, expected)
    torch.testing.assert_close(layer(x), before)


def test_channel_norm() -> None:
    norm = ChannelNorm(6)
    x = torch.randn(2, 6, 5) * 7 + 3
    y = norm(x)
    torch.testing.assert_close(y.mean(1), torch.zeros(2, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(1, unbiased=False), torch.ones(2, 5), atol=1e-3, rtol=0)
