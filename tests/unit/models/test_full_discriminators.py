import pytest
import torch

from svc.models.discriminators.mpd_msd import MpdMsd
from svc.models.discriminators.multi_resolution import MultiResolutionDiscriminator, ResolutionDiscriminator


@pytest.fixture(scope="module")
def full() -> MpdMsd:
    torch.manual_seed(0)
    return MpdMsd()


def test_full_size_matches_the_published_one(full: MpdMsd) -> None:
    assert len(full.state_dict()) == 111
    assert sum(p.numel() for p in full.parameters()) == 46_747_132


@pytest.mark.parametrize("samples", [4096, 4097, 5000])
@torch.no_grad()
def test_scores_and_features_of_any_length(full: MpdMsd, samples: int) -> None:
    outputs = full(torch.randn(2, 1, samples))
    assert len(outputs) == 6
    for score, features in outputs:
        assert score.dim() == 2
        assert score.shape[0] == 2
        assert torch.equal(features[-1].flatten(1), score)
    assert [len(features) for _, features in outputs] == [7, 6, 6, 6, 6, 6]
    for (_, features), period in zip(outputs[1:], (2, 3, 5, 7, 11)):
        assert features[0].shape[-1] == period


def small() -> MultiResolutionDiscriminator:
    torch.manual_seed(0)
    return MultiResolutionDiscriminator(windows=(512, 256), channels=4)


def test_multi_resolution_gradients_reach_everything() -> None:
    model = small()
    audio = torch.randn(2, 1, 2048, requires_grad=True)
    outputs = model(audio)
    assert len(outputs) == 2
    sum(score.square().mean() for score, _ in outputs).backward()
    assert audio.grad.abs().max() > 0
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().max() > 0, name
    for score, features in outputs:
        assert torch.equal(features[-1].flatten(1), score)
        assert len(features) == 5 * 5 + 1


def test_bands_cover_every_bin_once() -> None:
    for window in (2048, 1024, 512):
        edges = ResolutionDiscriminator(window, 1).edges
        assert all(low < high for low, high in edges)
        assert edges[0][0] == 0
        assert edges[-1][1] == window // 2 + 1
        assert all(edges[i][1] == edges[i + 1][0] for i in range(len(edges) - 1))


@torch.no_grad()
def test_spectrum_shows_a_tone_at_its_bin() -> None:
    model = ResolutionDiscriminator(512, 1)
    audio = torch.sin(2 * torch.pi * 40 / 512 * torch.arange(4096))[None, None]
    spectrum = model.spectrum(audio).square().sum(1)
    assert spectrum.shape == (1, 4096 // 128, 257)
    assert (spectrum[:, 2:-2].argmax(-1) == 40).all()
    with torch.autocast("cpu", torch.bfloat16):
        assert model.spectrum(audio.bfloat16()).dtype == torch.float32
        assert all(torch.isfinite(score).all() for score, _ in small()(audio))


@torch.no_grad()
def test_high_band_is_judged_apart() -> None:
    model = ResolutionDiscriminator(512, 4)
    quiet = torch.sin(2 * torch.pi * 10 / 512 * torch.arange(4096))[None, None]
    bright = quiet + 0.01 * torch.sin(2 * torch.pi * 230 / 512 * torch.arange(4096))
    (_, a), (_, b) = model(quiet), model(bright)
    moved = [(x - y).abs().max().item() for x, y in zip(a, b)]
    assert max(moved[20:25]) > 1e-3
    assert max(moved[:5]) < 1e-4
