"""Invertible map between the latent that is decoded and the one the prior describes."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

# Called as network(x (B, C, T), mask (B, 1, T), speaker (B, G, 1 or T)) -> (B, C, T).
NetworkFactory = Callable[[], nn.Module]


class Coupling(nn.Module):
    """Adds to the second half of the channels a function of the first half (mean only, volume preserving).

    `network` None means the caller hands over one that couplings share.
    """

    def __init__(self, channels: int, hidden_channels: int, network: nn.Module | None) -> None:
        super().__init__()
        self.split_size = channels // 2
        self.pre = nn.Conv1d(self.split_size, hidden_channels, 1)
        self.enc = network
        self.post = nn.Conv1d(hidden_channels, self.split_size, 1)
        # Zero, so that an untrained flow is the identity.
        for parameter in self.post.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, mask: Tensor, speaker: Tensor, reverse: bool, shared: nn.Module | None) -> Tensor:
        """x (B, C, T), same shape out."""
        network = self.enc if self.enc is not None else shared
        assert network is not None
        first, second = x.split(self.split_size, dim=1)
        mean = self.post(network(self.pre(first) * mask, mask, speaker)) * mask
        second = (second - mean if reverse else second + mean) * mask
        return torch.cat([first, second], dim=1)


class Flow(nn.Module):
    """Couplings, each followed by a flip of the channel order.

    `make_network` builds the network of one coupling (a WaveNet, or a transformer for such voices);
    with `shared` one network serves all couplings and is stored once. Raises ValueError when
    `channels` is odd.
    """

    def __init__(
        self,
        channels: int,
        hidden_channels: int,
        couplings: int,
        make_network: NetworkFactory,
        shared: bool = False,
    ) -> None:
        super().__init__()
        if channels % 2:
            raise ValueError(f"A flow needs an even number of channels, got {channels}")
        self.shared = make_network() if shared else None
        self.couplings = nn.ModuleList(
            Coupling(channels, hidden_channels, None if shared else make_network()) for _ in range(couplings)
        )

    def forward(self, x: Tensor, mask: Tensor, speaker: Tensor, reverse: bool = False) -> Tensor:
        """x (B, C, T): decoder latent to prior latent, or back with `reverse`; mask (B, 1, T)."""
        if not reverse:
            for coupling in self.couplings:
                x = coupling(x, mask, speaker, False, self.shared).flip(1)
            return x
        for coupling in reversed(self.couplings):
            x = coupling(x.flip(1), mask, speaker, True, self.shared)
        return x
