"""Narrow recordings teach nothing about what lies above their band."""

import pytest
import torch

from svc.audio.spectrogram import MelSettings
from svc.models.vits import losses

RATE = 44_100


def noise(seed: int, samples: int = 12_288) -> torch.Tensor:
    return 0.1 * torch.randn(2, 1, samples, generator=torch.Generator().manual_seed(seed))


def test_bands_above_the_bandwidth_do_not_count() -> None:
    whole, band = noise(0), torch.tensor([6_000.0, RATE / 2])
    narrow = losses.low_pass(whole, band, RATE)
    assert torch.equal(narrow[1], whole[1]), "items of full band stay as they are"
    assert losses.mel_loss(whole, narrow, RATE) > 0.5
    assert losses.mel_loss(whole, narrow, RATE, band) < 0.02
    full = torch.full((2,), RATE / 2)
    assert losses.mel_loss(whole, narrow, RATE, band, above=True) > 0.5, "the other way about"
    assert losses.mel_loss(whole, narrow, RATE, full, above=True) == 0
    torch.testing.assert_close(losses.mel_loss(whole, narrow, RATE, full), losses.mel_loss(whole, narrow, RATE))
    # Below the band the loss still teaches.
    other = noise(1).requires_grad_()
    losses.mel_loss(whole, other, RATE, band).backward()
    assert other.grad is not None and (other.grad.abs().amax((1, 2)) > 0).all()


def test_the_low_pass_ends_at_the_bandwidth() -> None:
    times = torch.arange(12_288) / RATE
    for hz, kept in ((3_000.0, 1.0), (5_500.0, 1.0), (6_050.0, 0.0), (12_000.0, 0.0)):
        tone = torch.sin(2 * torch.pi * hz * times).view(1, 1, -1)
        passed = losses.low_pass(tone, torch.tensor([6_000.0]), RATE)
        assert passed.shape == tone.shape
        level = float(passed[..., 2000:-2000].square().mean() / tone.square().mean())
        assert level == pytest.approx(kept, abs=0.02)


def test_which_bands_lie_inside() -> None:
    settings = MelSettings(RATE, 2048, 512, 80)
    inside = losses.bands_inside(settings, torch.tensor([4_000.0, RATE / 2, 30_000.0]))
    assert inside.shape == (3, 80, 1)
    assert inside[1].sum() == inside[2].sum() == 80
    assert 20 < inside[0].sum() < 60
    assert (inside[0].diff(dim=0) <= 0).all()


def test_the_frame_loss_counts_real_frames_and_bands_only() -> None:
    wanted, predicted = torch.zeros(2, 80, 10), torch.zeros(2, 80, 10)
    mask = torch.ones(2, 1, 10)
    mask[1, :, 6:] = 0
    predicted[1, :, 6:] = 9.0
    predicted[0, 70:] = 9.0
    assert losses.frame_mel_loss(predicted, wanted, mask) == pytest.approx(9 * 100 / (80 * 16), rel=1e-5)
    inside = losses.bands_inside(MelSettings(RATE, 2048, 512, 80), torch.tensor([4_000.0, 4_000.0]))
    assert losses.frame_mel_loss(predicted, wanted, mask, inside) == 0
