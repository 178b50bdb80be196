"""Layers side by side whose mix is learnt."""

import pytest
import torch

from svc.errors import ConfigError
from svc.models.vits.layer_mix import LayerMix
from svc.models.vits.prior_encoder import ContentInput
from svc.models.vits.voice_model import VoiceShape, _check
from svc.paths import recipe


def test_it_begins_as_the_mean_and_ends_as_one_layer() -> None:
    mix, stacked = LayerMix(3), torch.randn(2, 15, 7)
    layers = stacked.unflatten(1, (3, 5)).unbind(1)
    torch.testing.assert_close(mix(stacked), sum(layers) / 3)
    with torch.no_grad():
        mix.logits[1] = 5.0
    torch.testing.assert_close(mix(stacked), layers[1])
    assert float(mix.shares().detach().sum()) == pytest.approx(1)


def test_the_mix_finds_the_layer_that_tells() -> None:
    torch.manual_seed(0)
    entry = ContentInput(3 * 6, 4, kernel_size=1, voicing=False, loudness=None, layers=3)
    optimiser = torch.optim.AdamW(entry.parameters(), 1e-2)
    told = torch.randn(4, 6)
    for _ in range(200):
        stacked = torch.randn(8, 18, 20)
        wanted = torch.einsum("cd,bdt->bct", told, stacked[:, 12:])
        error = (entry(stacked, torch.ones(8, 20), torch.zeros(8, 20), torch.ones(8, 1, 20)) - wanted).square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    assert float(entry.mix.shares().detach()[2]) > 0.9


def test_a_voice_without_several_layers_has_no_mix() -> None:
    assert not any("mix" in name for name in ContentInput(18, 4).state_dict())
    assert ContentInput(18, 4, layers=3).content.in_channels == 6


def test_layers_must_be_of_one_size() -> None:
    from svc.config import load_config

    with pytest.raises(ConfigError, match="17 content values are not 3 layers"):
        _check(load_config(recipe("debug")).model, VoiceShape(17, 44_100, 512, 2048, 1, 3))
