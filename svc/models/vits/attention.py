"""Self-attention with relative positions inside a window, computed in bands.

Shaw et al. 2018 (arXiv:1803.02155) as used by VITS: every pair of frames attends by content; pairs at
most `window` frames apart get a learned key and value for their distance, shared by the heads. The
usual form builds a (T, 2T - 1) table of relative scores; here only the 2 * window + 1 real ones exist,
and queries are taken in chunks, so the memory at inference does not grow with T squared.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

# Score matrices of a chunk stay below this many elements (16 MiB in float32).
_CHUNK_ELEMENTS = 1 << 22
_MASKED = -1e4


class RelativeAttention(nn.Module):
    """Multi-head self-attention over (B, C, T).

    `window` is the number of relative positions known to each side, None for none; `causal` hides
    later frames. Raises ValueError when `heads` does not divide `channels`.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window: int | None = None,
        dropout: float = 0.0,
        causal: bool = False,
        chunk: int | None = None,
    ) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{heads} heads do not divide {channels} channels")
        self.heads = heads
        self.window = window
        self.dropout = dropout
        self.causal = causal
        self.chunk = chunk
        self.conv_q = nn.Conv1d(channels, channels, 1)
        self.conv_k = nn.Conv1d(channels, channels, 1)
        self.conv_v = nn.Conv1d(channels, channels, 1)
        self.conv_o = nn.Conv1d(channels, channels, 1)
        for layer in (self.conv_q, self.conv_k, self.conv_v):
            nn.init.xavier_uniform_(layer.weight)
        if window is not None:
            size = channels // heads
            self.emb_rel_k = nn.Parameter(torch.randn(1, 2 * window + 1, size) * size**-0.5)
            self.emb_rel_v = nn.Parameter(torch.randn(1, 2 * window + 1, size) * size**-0.5)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Attended x (B, C, T); `mask` (B, 1, T) is 1 on real frames, which alone are attended to."""
        batch, channels, frames = x.shape
        size = channels // self.heads

        def split(y: Tensor) -> Tensor:
            return y.view(batch, self.heads, size, frames).transpose(2, 3)

        q = split(self.conv_q(x)) * (1.0 / math.sqrt(size))
        # Keys (.., d, T) and values (.., T, d) in the order each chunk multiplies, so none copies them again.
        k = self.conv_k(x).view(batch, self.heads, size, frames)
        v = split(self.conv_v(x)).contiguous()
        step = self.chunk or max(16, _CHUNK_ELEMENTS // max(1, batch * self.heads * frames))
        parts = [self._attend(q[:, :, a : a + step], k, v, mask, a) for a in range(0, frames, step)]
        out = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
        return self.conv_o(out.transpose(2, 3).reshape(batch, channels, frames))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, start: int) -> Tensor:
        """Output (B, H, c, d) of the c queries that begin at frame `start`."""
        stop = start + q.shape[2]
        if self.causal:
            k, v, mask = k[..., :stop], v[:, :, :stop], mask[..., :stop]
        frames = k.shape[3]
        scores = torch.matmul(q, k).float()
        if self.window is not None:
            index, inside = self._band(self.window, start, stop, frames, q.device)
            index = index.expand(*scores.shape[:2], -1, -1)
            relative = torch.matmul(q, self.emb_rel_k.unsqueeze(0).transpose(2, 3)).float()
            scores = scores.scatter_add(3, index, relative * inside)
        hidden = mask[:, :, None] == 0
        if self.causal:
            later = torch.ones(stop - start, frames, dtype=torch.bool, device=q.device).triu(start + 1)
            hidden = hidden | later
        weights = torch.softmax(scores.masked_fill(hidden, _MASKED), dim=-1)
        weights = functional.dropout(weights, self.dropout, self.training)
        out = torch.matmul(weights.to(v.dtype), v)
        if self.window is not None:
            near = weights.gather(3, index) * inside
            out = out + torch.matmul(near.to(v.dtype), self.emb_rel_v.unsqueeze(0).to(v.dtype))
        return out

    @staticmethod
    def _band(window: int, start: int, stop: int, frames: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Key index of every query's window (c, 2w + 1), clamped, and 1 where that key exists, else 0."""
        queries = torch.arange(start, stop, device=device).unsqueeze(1)
        index = queries + torch.arange(-window, window + 1, device=device)
        inside = ((index >= 0) & (index < frames)).float()
        return index.clamp(0, frames - 1), inside


class FeedForward(nn.Module):
    """Two convolutions with a ReLU between, (B, C, T) to (B, C, T); `causal` pads on the left only."""

    def __init__(self, channels: int, filter_channels: int, kernel_size: int, dropout: float, causal: bool = False):
        super().__init__()
        self.conv_1 = nn.Conv1d(channels, filter_channels, kernel_size)
        self.conv_2 = nn.Conv1d(filter_channels, channels, kernel_size)
        self.dropout = nn.Dropout(dropout)
        self.padding = (kernel_size - 1, 0) if causal else ((kernel_size - 1) // 2, kernel_size // 2)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`mask` (B, 1, T) zeroes padding before each convolution and in the result."""
        x = self.conv_1(functional.pad(x * mask, self.padding))
        x = self.dropout(functional.relu(x))
        return self.conv_2(functional.pad(x * mask, self.padding)) * mask
