"""The network of a flow's couplings in so-vits-svc voices with `use_transformer_flow`."""

import torch
from torch import Tensor, nn

from svc.models.vits.normalisation import weight_norm
from svc.models.vits.transformer import Transformer

KERNEL = 5


class FlowAttention(nn.Module):
    """Causal attention layers over (B, C, T), each behind a gate that the speaker opens.

    All layers share the convolution before their gate. Causal: a frame hears earlier ones only.
    """

    def __init__(
        self,
        channels: int,
        filter_channels: int,
        layers: int,
        heads: int,
        speaker_channels: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.transformer = Transformer(
            channels, filter_channels, layers, heads, KERNEL, dropout, window=None, causal=True
        )
        self.cond_pre = nn.Conv1d(channels, 2 * channels, 1)
        self.cond_layer = weight_norm(nn.Conv1d(speaker_channels, 2 * channels * layers, 1))

    def forward(self, x: Tensor, mask: Tensor, speaker: Tensor) -> Tensor:
        """x (B, C, T), mask (B, 1, T), speaker (B, G, 1 or T) to (B, C, T), zero on padding."""
        x = x * mask
        conditions = self.cond_layer(speaker).chunk(len(self.transformer.attention), dim=1)
        for i, condition in enumerate(conditions):
            tanh_half, sigmoid_half = (self.cond_pre(x) + condition).chunk(2, dim=1)
            x = self.transformer.layer(i, torch.tanh(tanh_half) * torch.sigmoid(sigmoid_half), mask)
        return x * mask
