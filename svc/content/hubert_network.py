"""HuBERT in torch: Hsu et al., arXiv 2106.07447, built on the wav2vec 2.0 encoder of arXiv 2006.11477.

One network for every file of the family (HuBERT, ContentVec, hubert-soft, DPHuBERT, WavLM, SpeechLM): seven strided
convolutions (receptive field 400 samples, hop 320), a convolution for the positions, and a transformer that norms
before ("pre") or after ("post") each step; SpeechLM has a second one on top that was trained on text as well.
Everything that differs from file to file stands in HubertShape.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from svc.content.relative_positions import (
    NORM_EPS,
    Attention,
    ClippedAttention,
    ClippedDistances,
    GatedAttention,
    GatedBuckets,
)

KERNELS = (10, 3, 3, 3, 3, 2, 2)
STRIDES = (5, 2, 2, 2, 2, 2, 2)
RECEPTIVE_FIELD, HOP = 400, 320
# SpeechLM's table of positions begins with rows for a padding symbol, as tables of text do.
UNUSED_POSITIONS = 2


@dataclass(frozen=True)
class HubertShape:
    """What decides the tensors of one network.

    `channels` of the convolutions; `conv_norm`: "group" behind the first or "layer" behind each; `width` D of a
    frame; `heads` and `inner` (feed-forward width) of each layer, 0 where the layer lacks that step; `final_width`
    of final_proj, 0 without one; `projected`: channels are brought to D by a linear layer; `channel_scale`: the
    last convolution's channels are weighted (left over from pruning).

    `distance_rows`: rows of the table of relative positions, 0 without one. It is WavLM's where `farthest`, the
    distance from which all count as the same, is given; then `table_heads` are its columns and `kept_heads` those
    that each layer has. Else it is SpeechLM's, whose last `shared_layers` layers are the second transformer, with a
    table of `positions` absolute positions.
    """

    channels: tuple[int, ...]
    conv_norm: str
    conv_bias: bool
    width: int
    heads: tuple[int, ...]
    head_width: int
    inner: tuple[int, ...]
    position_kernel: int
    position_groups: int
    pre_norm: bool
    projected: bool = True
    channel_scale: bool = False
    final_width: int = 0
    distance_rows: int = 0
    farthest: int = 0
    table_heads: int = 0
    kept_heads: tuple[tuple[int, ...], ...] = ()
    shared_layers: int = 0
    positions: int = 0

    @property
    def layers(self) -> int:
        """Number of transformer layers."""
        return len(self.heads)

    @property
    def speech_layers(self) -> int:
        """Number of layers of the first transformer."""
        return self.layers - self.shared_layers

    @property
    def frames_at_most(self) -> int | None:
        """How many frames one pass can take; None where nothing but memory limits it."""
        return self.positions - UNUSED_POSITIONS if self.positions else None

    @property
    def outputs(self) -> int:
        """Number of layers that can be asked for: one more than `layers` where a last norm makes a difference."""
        return self.layers + int(self.pre_norm)


@dataclass(frozen=True)
class GroupStatistics:
    """Mean and biased variance (C,) of the first convolution over a whole recording."""

    mean: Tensor
    variance: Tensor


def distances_of(shape: HubertShape) -> GatedBuckets | ClippedDistances | None:
    """The module of relative positions of one stack, if the network has any."""
    if not shape.distance_rows:
        return None
    if shape.farthest:
        return GatedBuckets(shape.distance_rows, shape.table_heads, shape.farthest)
    return ClippedDistances(shape.distance_rows, shape.head_width)


def attention_of(shape: HubertShape, index: int, distances: GatedBuckets | ClippedDistances | None) -> Attention | None:
    """The attention of one layer; None where pruning has left no head."""
    heads = shape.heads[index]
    if not heads:
        return None
    if isinstance(distances, GatedBuckets):
        return GatedAttention(shape.width, shape.table_heads, shape.kept_heads[index], shape.head_width)
    if isinstance(distances, ClippedDistances):
        return ClippedAttention(shape.width, heads, shape.head_width, distances, shape.pre_norm)
    return Attention(shape.width, heads, shape.head_width)


class Layer(nn.Module):
    """Attention and feed-forward with their norms; a pruned layer may lack either, its norms stay."""

    def __init__(self, shape: HubertShape, index: int, distances: GatedBuckets | ClippedDistances | None) -> None:
        super().__init__()
        inner = shape.inner[index]
        self.pre_norm = shape.pre_norm
        self.attention = attention_of(shape, index, distances)
        self.attention_norm = nn.LayerNorm(shape.width, NORM_EPS)
        self.wide = nn.Linear(shape.width, inner) if inner else None
        self.narrow = nn.Linear(inner, shape.width) if inner else None
        self.final_norm = nn.LayerNorm(shape.width, NORM_EPS)

    def forward(self, x: Tensor, distances: Tensor | None = None) -> Tensor:
        """x (B, T, D) -> (B, T, D); `distances` of the stack, for its attention."""
        if self.pre_norm:
            if self.attention is not None:
                x = x + self.attention(self.attention_norm(x), distances)
            return x + self._fed(self.final_norm(x)) if self.wide is not None else x
        if self.attention is not None:
            x = x + self.attention(x, distances)
        x = self.attention_norm(x)
        if self.wide is not None:
            x = x + self._fed(x)
        return self.final_norm(x)

    def _fed(self, x: Tensor) -> Tensor:
        assert self.wide is not None and self.narrow is not None
        return self.narrow(F.gelu(self.wide(x)))


class SharedStack(nn.Module):
    """SpeechLM's second transformer (arXiv 2209.15329), which hears frames as if they were embedded symbols."""

    def __init__(self, shape: HubertShape) -> None:
        super().__init__()
        self.positions = nn.Embedding(shape.positions, shape.width)
        self.embedding_norm = nn.LayerNorm(shape.width, NORM_EPS)
        self.relative = distances_of(shape)
        self.layers = nn.ModuleList(
            Layer(shape, index, self.relative) for index in range(shape.speech_layers, shape.layers)
        )
        self.norm = nn.LayerNorm(shape.width, NORM_EPS) if shape.pre_norm else None

    def forward(self, x: Tensor, upto: int | None = None) -> list[Tensor]:
        """Frames (B, T, D) to the outputs of its layers, the first `upto` of them; the last norm counts as one."""
        at = torch.arange(UNUSED_POSITIONS, UNUSED_POSITIONS + x.shape[1], device=x.device)
        x = self.embedding_norm(x + self.positions(at))
        outputs = stacked_outputs(self.layers, self.relative, x, upto)[1:]
        if self.norm is not None and (upto is None or upto > len(self.layers)):
            outputs.append(self.norm(outputs[-1]))
        return outputs


def stacked_outputs(layers: nn.ModuleList, relative: nn.Module | None, x: Tensor, upto: int | None) -> list[Tensor]:
    """x, and behind it the output of each of the first `upto` layers (None: all)."""
    distances = None if relative is None else relative(x.shape[1])
    outputs = [x]
    for layer in layers if upto is None else layers[:upto]:
        outputs.append(layer(outputs[-1], distances))
    return outputs


class HubertNetwork(nn.Module):
    """Samples to the output of every layer."""

    def __init__(self, shape: HubertShape) -> None:
        super().__init__()
        self.shape = shape
        width, channels = shape.width, shape.channels
        self.convs = nn.ModuleList(
            nn.Conv1d(before, after, kernel, stride, bias=shape.conv_bias)
            for before, after, kernel, stride in zip((1, *channels), channels, KERNELS, STRIDES)
        )
        normed = channels if shape.conv_norm == "layer" else channels[:1]
        self.conv_norms = nn.ModuleList(nn.LayerNorm(count, NORM_EPS) for count in normed)
        self.channel_scale = nn.Parameter(torch.ones(channels[-1])) if shape.channel_scale else None
        self.feature_norm = nn.LayerNorm(channels[-1], NORM_EPS)
        self.projection = nn.Linear(channels[-1], width) if shape.projected else nn.Identity()
        kernel = shape.position_kernel
        self.positional = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=shape.position_groups)
        self.norm = nn.LayerNorm(width, NORM_EPS)
        self.relative = distances_of(shape)
        self.layers = nn.ModuleList(Layer(shape, index, self.relative) for index in range(shape.speech_layers))
        self.shared = SharedStack(shape) if shape.shared_layers else None
        self.final_proj = nn.Linear(width, shape.final_width) if shape.final_width else None

    def forward(
        self, samples: Tensor, upto: int | None = None, statistics: GroupStatistics | None = None
    ) -> list[Tensor]:
        """Samples (B, N) at 16 kHz -> outputs (B, T, D), T = (N - 400) // 320 + 1.

        Entry 0 is what enters the first layer, entry k the output of layer k; with norms before each step, one more
        entry is the last layer behind the network's last norm. The layers of SpeechLM's second transformer follow
        those of its first. `upto`: the last entry that is needed. `statistics` replaces the clip's own in the group
        norm, for windows of a recording.
        """
        return self.transformed(self.features(samples, statistics), upto)

    def features(self, samples: Tensor, statistics: GroupStatistics | None = None) -> Tensor:
        """The convolutions' output (B, T, C) of samples (B, N)."""
        x = samples[:, None]
        for index, conv in enumerate(self.convs):
            x = conv(x)
            if self.shape.conv_norm == "layer":
                x = self.conv_norms[index](x.transpose(1, 2)).transpose(1, 2)
            elif index == 0:
                x = self._group_normed(x, statistics)
            x = F.gelu(x)
        return x.transpose(1, 2)

    def transformed(self, features: Tensor, upto: int | None = None) -> list[Tensor]:
        """Outputs as `forward` lists them, of features (B, T, C)."""
        if self.channel_scale is not None:
            features = features * self.channel_scale
        x = self.projection(self.feature_norm(features))
        # An even kernel gives one frame too many.
        x = x + F.gelu(self.positional(x.transpose(1, 2))[..., : x.shape[1]]).transpose(1, 2)
        if not self.shape.pre_norm:
            x = self.norm(x)
        outputs = stacked_outputs(self.layers, self.relative, x, upto)
        if upto is not None and upto <= len(self.layers):
            return outputs
        if self.shared is not None:
            heard = self.norm(outputs[-1]) if self.shape.pre_norm else outputs[-1]
            outputs += self.shared(heard, None if upto is None else upto - len(self.layers))
        elif self.shape.pre_norm:
            outputs.append(self.norm(outputs[-1]))
        return outputs

    def group_statistics(self, samples: Tensor, device: str = "cpu", block: int = 64_000) -> GroupStatistics | None:
        """Statistics of the group norm over samples (N,), block by block; None for a network without one.

        The samples may lie elsewhere than the network, which is on `device`.
        """
        if self.shape.conv_norm == "layer":
            return None
        conv, kernel, stride = self.convs[0], KERNELS[0], STRIDES[0]
        count = (len(samples) - kernel) // stride + 1
        total = torch.zeros(self.shape.channels[0], dtype=torch.float64, device=device)
        squares = torch.zeros_like(total)
        for start in range(0, count, block // stride):
            stop = min(start + block // stride, count)
            samples_part = samples[start * stride : (stop - 1) * stride + kernel].to(device)
            piece = conv(samples_part[None, None])[0]
            total += piece.sum(dim=1, dtype=torch.float64)
            squares += piece.square().sum(dim=1, dtype=torch.float64)
        mean = total / count
        return GroupStatistics(mean.float(), (squares / count - mean.square()).clamp_min(0).float())

    def _group_normed(self, x: Tensor, statistics: GroupStatistics | None) -> Tensor:
        norm = cast(nn.LayerNorm, self.conv_norms[0])
        if statistics is None:
            return F.group_norm(x, x.shape[1], norm.weight, norm.bias, NORM_EPS)
        # With given statistics it is the same formula as a batch norm's, which needs no copies.
        return F.batch_norm(x, statistics.mean, statistics.variance, norm.weight, norm.bias, eps=NORM_EPS)
