"""Attention that is told how far apart two frames are: WavLM's gated bias and SpeechLM's clipped distances.

A stack of layers has one module that knows the distances of all frames; its output goes into every layer's
attention, which turns it into a term that is added to query times key.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPS = 1e-5
GATES = 8


class Attention(nn.Module):
    """Scaled dot-product attention of `heads` heads over all frames."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, heads * head_width) for _ in range(3))
        self.out = nn.Linear(heads * head_width, width)

    def forward(self, x: Tensor, distances: Tensor | None = None) -> Tensor:
        """x (B, T, D) -> (B, T, D); `distances` is what the stack's module of positions gave, if there is one."""
        projections: list[nn.Module] = [self.q, self.k, self.v]
        q, k, v = (p(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in projections)
        bias = None if distances is None else self._bias(x, q, distances)
        return self.out(F.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).flatten(2))

    def _bias(self, x: Tensor, q: Tensor, distances: Tensor) -> Tensor:
        """What is added to the logits, (B, H, T, T) or a shape that spreads to it."""
        return distances


class GatedBuckets(nn.Module):
    """WavLM's table of one number per head and class of distance (arXiv 2110.13900, section 3.1).

    Distances have signs; half of each sign's classes are single distances, the rest grow to `farthest` by logarithm.
    """

    def __init__(self, classes: int, heads: int, farthest: int) -> None:
        super().__init__()
        self.farthest = farthest
        self.table = nn.Embedding(classes, heads)

    def forward(self, frames: int) -> Tensor:
        """The bias (H, T, T) of frame i (row) towards frame j, before the gates."""
        device = self.table.weight.device
        # Every diagonal is one distance: 2T - 1 of them are looked up, not T * T.
        by_distance = self.table(self._classes(torch.arange(1 - frames, frames, device=device)))
        at = torch.arange(frames, device=device)
        return by_distance[at[None, :] - at[:, None] + frames - 1].permute(2, 0, 1)

    def _classes(self, distance: Tensor) -> Tensor:
        half = self.table.num_embeddings // 2
        single = half // 2
        size = distance.abs()
        grown = torch.log(size.clamp(min=1).float() / single) / math.log(self.farthest / single) * (half - single)
        far = (single + grown.long()).clamp(max=half - 1)
        return (distance > 0) * half + torch.where(size < single, size, far)


class GatedAttention(Attention):
    """WavLM's attention: each frame opens or closes the bias of each head.

    The gates read the layer's input divided among `table_heads` heads, of which a pruned layer has `kept` only.
    """

    def __init__(self, width: int, table_heads: int, kept: tuple[int, ...], head_width: int) -> None:
        super().__init__(width, len(kept), head_width)
        self.table_heads = table_heads
        self.kept = None if len(kept) == table_heads else list(kept)
        self.gate = nn.Linear(width // table_heads, GATES)
        self.gate_scale = nn.Parameter(torch.ones(1, table_heads, 1, 1))

    def _bias(self, x: Tensor, q: Tensor, distances: Tensor) -> Tensor:
        heads = x.unflatten(-1, (self.table_heads, -1)).transpose(1, 2)
        reset, update = torch.sigmoid(self.gate(heads).unflatten(-1, (2, GATES // 2)).sum(-1)).chunk(2, dim=-1)
        opened = reset * (update * self.gate_scale - 1) + 2
        if self.kept is not None:
            opened, distances = opened[:, self.kept], distances[self.kept]
        return opened * distances


class ClippedDistances(nn.Module):
    """SpeechLM's table of one vector per distance; further than the table reaches counts as its end."""

    def __init__(self, rows: int, head_width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(rows, head_width)

    def forward(self, frames: int) -> Tensor:
        """The row (T, T) int64 of frame i towards frame j; `rows` are read by the layers."""
        half = self.table.num_embeddings // 2
        at = torch.arange(frames, device=self.table.weight.device)
        return (at[:, None] - at[None, :]).clamp(-half, half - 1) + half


class ClippedAttention(Attention):
    """SpeechLM's attention: the query also meets the vector of the distance.

    Files have a norm for the vectors in each layer, but the original applies it only where `pre_norm` puts norms
    first. It divides queries by a constant and multiplies the logits by it again, to save 16-bit numbers from
    overflow; in float32 that is the same without.
    """

    def __init__(self, width: int, heads: int, head_width: int, distances: ClippedDistances, pre_norm: bool) -> None:
        super().__init__(width, heads, head_width)
        self.pre_norm = pre_norm
        self.position_norm = nn.LayerNorm(head_width, NORM_EPS)
        # The stack owns the table: in a tuple it is not registered here once more.
        self._shared = (distances,)

    def _bias(self, x: Tensor, q: Tensor, distances: Tensor) -> Tensor:
        vectors = self._shared[0].table.weight
        if self.pre_norm:
            vectors = self.position_norm(vectors)
        # One product for each row of the table, then picked out by distance: no (T, T, head) in between.
        logits = (q * q.shape[-1] ** -0.5) @ vectors.T
        return logits.gather(-1, distances.expand(*logits.shape[:2], -1, -1))
