"""Weight and layer normalisation as the VITS family stores them.

Weight norm is `torch.nn.utils.parametrizations.weight_norm` over dimension 0. Its parameters map
one to one onto the older names found in published checkpoints::

    <layer>.weight_g  ->  <layer>.parametrizations.weight.original0
    <layer>.weight_v  ->  <layer>.parametrizations.weight.original1
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize


def weight_norm(layer: nn.Module) -> nn.Module:
    """`layer` with its weight stored as magnitude and direction per slice of dimension 0."""
    return parametrizations.weight_norm(layer, dim=0)


def fuse_weight_norm(module: nn.Module) -> None:
    """Replace every weight norm inside `module` by the plain weight it stands for."""
    for layer in module.modules():
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


class ChannelNorm(nn.Module):
    """Layer norm over the channels of (B, C, T), with `gamma` and `beta` (C,)."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised x, same shape."""
        y = functional.layer_norm(x.transpose(1, 2), (x.shape[1],), self.gamma, self.beta, self.eps)
        return y.transpose(1, 2)
