"""Stacks of attention and feed-forward layers with norms after each sum (post-norm)."""

from torch import Tensor, nn

from svc.models.vits.attention import FeedForward, RelativeAttention
from svc.models.vits.normalisation import ChannelNorm


class Transformer(nn.Module):
    """`layers` times attention and feed-forward over (B, C, T).

    `window` None and `causal` True give the F0 predictor's layers, a window and False the prior's.
    """

    def __init__(
        self,
        channels: int,
        filter_channels: int,
        layers: int,
        heads: int,
        kernel_size: int,
        dropout: float = 0.0,
        window: int | None = None,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.attention = nn.ModuleList(
            RelativeAttention(channels, heads, window, dropout, causal) for _ in range(layers)
        )
        self.attention_norm = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))
        self.feed_forward = nn.ModuleList(
            FeedForward(channels, filter_channels, kernel_size, dropout, causal) for _ in range(layers)
        )
        self.feed_forward_norm = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, T) with padding zeroed by `mask` (B, 1, T), before and after."""
        x = x * mask
        for i in range(len(self.attention)):
            x = self.layer(i, x, mask)
        return x * mask

    def layer(self, i: int, x: Tensor, mask: Tensor) -> Tensor:
        """Layer `i` alone, x (B, C, T) to the same shape."""
        x = self.attention_norm[i](x + self.dropout(self.attention[i](x, mask)))
        return self.feed_forward_norm[i](x + self.dropout(self.feed_forward[i](x, mask)))
