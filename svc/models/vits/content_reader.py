"""Reads content with its surroundings: convolutions that see 0.7 s tell what single frames leave open."""

from torch import Tensor, nn
from torch.nn import functional

KERNEL = 5
# Frames to see: 1 + 4 + 4 * (1 + 2 + 4 + 1 + 2 + 4), 61 of 11.6 ms.
DILATIONS = (1, 2, 4, 1, 2, 4)


class ContentReader(nn.Module):
    """Residual convolutions of `width` channels at several dilations, beside the first layer over content frames.

    The last layer starts at 0: a voice that gets a reader sings as before until the reader is trained.
    """

    def __init__(self, content_dim: int, channels: int, width: int) -> None:
        super().__init__()
        self.inward = nn.Conv1d(content_dim, width, KERNEL, padding=KERNEL // 2)
        self.blocks = nn.ModuleList(
            nn.Conv1d(width, width, KERNEL, dilation=step, padding=step * (KERNEL // 2)) for step in DILATIONS
        )
        self.outward = nn.Conv1d(width, channels, 1)
        nn.init.zeros_(self.outward.weight)
        assert self.outward.bias is not None
        nn.init.zeros_(self.outward.bias)

    def forward(self, content: Tensor, mask: Tensor) -> Tensor:
        """content (B, D, T), mask (B, 1, T) -> (B, C, T)."""
        x = functional.gelu(self.inward(content * mask)) * mask
        for block in self.blocks:
            x = (x + functional.gelu(block(x))) * mask
        return self.outward(x) * mask
