"""The anti-aliased periodic activation."""

import math

import torch

from svc.models.vocoders.snake_activation import TAPS, SnakeActivation, half_band_filter


def test_filter_is_symmetric_and_sums_to_one() -> None:
    taps = half_band_filter()
    assert taps.shape == (1, 1, TAPS)
    torch.testing.assert_close(taps, taps.flip(-1))
    assert abs(float(taps.sum()) - 1) < 1e-6


@torch.no_grad()
def test_a_slow_signal_is_bent_and_keeps_its_place() -> None:
    layer = SnakeActivation(2)
    layer.act.alpha.copy_(torch.tensor([0.3, -0.2]))
    layer.act.beta.copy_(torch.tensor([-0.4, 0.5]))
    x = torch.sin(2 * math.pi * torch.arange(400) / 80).repeat(1, 2, 1)
    wanted = layer.act(x)
    assert wanted.sub(x).abs().max() > 0.3
    torch.testing.assert_close(layer(x)[..., 20:-20], wanted[..., 20:-20], atol=5e-3, rtol=0)


@torch.no_grad()
def test_any_length_keeps_its_length() -> None:
    layer = SnakeActivation(3)
    for samples in (1, 2, 9, 64):
        assert layer(torch.randn(2, 3, samples)).shape == (2, 3, samples)


def test_the_filter_is_no_part_of_a_file() -> None:
    assert sorted(SnakeActivation(4).state_dict()) == ["act.alpha", "act.beta"]
