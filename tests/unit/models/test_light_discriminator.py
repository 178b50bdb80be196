"""The fast preset's discriminators: small beside the full pair, and they tell recorded from generated."""

import torch
from torch import nn

from svc.models.discriminators.light import LightDiscriminator
from svc.models.discriminators.mpd_msd import MpdMsd

RATE = 44_100


def operations(network: nn.Module, seconds: float) -> int:
    """Multiplications of all convolutions for one pass over that much audio."""
    total = 0

    def count(module: nn.Module, _: tuple, output: torch.Tensor) -> None:
        nonlocal total
        per_value = module.weight[0].numel()
        total += output.numel() * per_value

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv1d | nn.Conv2d)]
    with torch.no_grad():
        network(torch.zeros(1, 1, round(seconds * RATE)))
    for hook in hooks:
        hook.remove()
    assert total > 0
    return total


def test_at_most_an_eighth_of_the_full_pair() -> None:
    assert operations(LightDiscriminator(), 0.25) * 8 <= operations(MpdMsd(), 0.25)


def test_at_most_ten_million_parameters() -> None:
    assert sum(p.numel() for p in LightDiscriminator().parameters()) <= 10_000_000


def test_odd_lengths_and_feature_gradients() -> None:
    network = LightDiscriminator()
    audio = torch.randn(2, 1, 10_007, requires_grad=True)
    outputs = network(audio)
    assert len(outputs) == 8
    sum(f.abs().mean() for _, features in outputs for f in features).backward()
    assert audio.grad is not None and bool((audio.grad != 0).any())


def test_it_learns_to_tell_noise_from_a_tone() -> None:
    torch.manual_seed(0)
    network = LightDiscriminator()
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3)
    tone = torch.sin(2 * torch.pi * 220 * torch.arange(6000) / RATE).view(1, 1, -1)
    for _ in range(12):
        noise = 0.3 * torch.randn(1, 1, 6000)
        optimiser.zero_grad()
        loss = sum((1 - real).square().mean() for real, _ in network(tone))
        loss = loss + sum(fake.square().mean() for fake, _ in network(noise))
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        real = torch.stack([score.mean() for score, _ in network(tone)]).mean()
        fake = torch.stack([score.mean() for score, _ in network(0.3 * torch.randn(1, 1, 6000))]).mean()
    assert real > fake + 0.2
