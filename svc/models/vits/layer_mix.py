"""A sum of an encoder's layers whose weights are learnt with the voice (Yang et al., "SUPERB", arXiv 2105.01051)."""

import torch
from torch import Tensor, nn

# Adam moves a parameter by its learning rate at most: without this, a short training would leave the mix even.
SPEED = 20.0


class LayerMix(nn.Module):
    """Layers side by side become one: their sum, weighted by a softmax over one learnt number each."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.layers = layers
        self.logits = nn.Parameter(torch.zeros(layers))

    def shares(self) -> Tensor:
        """Weight of each layer (L,), in the order of the layers' numbers; they sum to 1."""
        return shares_of(self.logits)

    def forward(self, stacked: Tensor) -> Tensor:
        """stacked (B, L * D, T), one layer after the other, to (B, D, T)."""
        return torch.einsum("l,bldt->bdt", self.shares().to(stacked.dtype), stacked.unflatten(1, (self.layers, -1)))


def shares_of(logits: Tensor) -> Tensor:
    """Weights (L,) that the numbers a voice file keeps stand for."""
    return torch.softmax(logits.float() * SPEED, dim=0)
