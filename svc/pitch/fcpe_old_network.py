"""The first network called FCPE: a Performer over mel frames. Names of modules are those of the file.

Choromanski et al., "Rethinking Attention with Performers", 2020 (arXiv 2009.14794) for the attention; Gulati et al.,
"Conformer", 2020 (arXiv 2005.08100) for the convolutions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

GROUPS = 4
FEATURE_FLOOR = 1e-4


@dataclass(frozen=True)
class FcpeOldShape:
    """Sizes of one file; the published one has 12 layers, 512 channels and 360 bins."""

    mels: int
    channels: int
    layers: int
    attention: int
    head: int
    features: int
    kernel: int
    bins: int


def shape_of(state: Mapping[str, Tensor]) -> FcpeOldShape:
    """Sizes read from the tensors of a file; KeyError names a tensor that is missing."""
    first = "decoder._layers.0."
    projection = state[first + "attn.fast_attention.projection_matrix"]
    return FcpeOldShape(
        mels=state["stack.0.weight"].shape[1],
        channels=state["stack.0.weight"].shape[0],
        layers=len({name.split(".")[2] for name in state if name.startswith("decoder._layers.")}),
        attention=state[first + "attn.to_q.weight"].shape[0],
        head=projection.shape[1],
        features=projection.shape[0],
        kernel=state[first + "conformer.net.4.conv.weight"].shape[2],
        bins=state["cent_table"].shape[0],
    )


class RandomFeatureAttention(nn.Module):
    """Softmax attention approximated by random positive features, linear in time.

    The features are those the network was trained with: they come from the file and are never drawn anew.
    """

    projection_matrix: Tensor

    def __init__(self, features: int, head: int) -> None:
        super().__init__()
        self.register_buffer("projection_matrix", torch.zeros(features, head))

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries, keys and values (B, H, T, D) to (B, H, T, D)."""
        q, q_size = self._projected(q)
        k, k_size = self._projected(k)
        ratio = len(self.projection_matrix) ** -0.5
        q = ratio * (torch.exp(q - q_size - q.amax(dim=-1, keepdim=True)) + FEATURE_FLOOR)
        # The published program adds the floor inside the exponent here.
        k = ratio * torch.exp(k - k_size + FEATURE_FLOOR)
        total = (q @ k.sum(dim=-2).unsqueeze(-1)) + 1e-8
        return q @ (k.transpose(-1, -2) @ v) / total

    def _projected(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x * x.shape[-1] ** -0.25
        return x @ self.projection_matrix.T, x.square().sum(dim=-1, keepdim=True) / 2


class _Attention(nn.Module):
    def __init__(self, shape: FcpeOldShape) -> None:
        super().__init__()
        self.head = shape.head
        self.fast_attention = RandomFeatureAttention(shape.features, shape.head)
        self.to_q, self.to_k, self.to_v = (nn.Linear(shape.channels, shape.attention) for _ in range(3))
        self.to_out = nn.Linear(shape.attention, shape.channels)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part(x).unflatten(-1, (-1, self.head)).transpose(1, 2) for part in (self.to_q, self.to_k, self.to_v))
        return self.to_out(self.fast_attention(q, k, v).transpose(1, 2).flatten(2))


class _Transposed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class _DepthWise(nn.Module):
    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class _Conformer(nn.Module):
    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.LayerNorm(channels),
            _Transposed(),
            nn.Conv1d(channels, 4 * channels, 1),
            nn.GLU(dim=1),
            _DepthWise(2 * channels, kernel),
            nn.SiLU(),
            nn.Conv1d(2 * channels, channels, 1),
            _Transposed(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class _Layer(nn.Module):
    def __init__(self, shape: FcpeOldShape) -> None:
        super().__init__()
        self.conformer = _Conformer(shape.channels, shape.kernel)
        self.norm = nn.LayerNorm(shape.channels)
        self.attn = _Attention(shape)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm(x))
        return x + self.conformer(x)


class _Decoder(nn.Module):
    def __init__(self, shape: FcpeOldShape) -> None:
        super().__init__()
        self._layers = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self._layers:
            x = layer(x)
        return x


class FcpeOldNetwork(nn.Module):
    """Likelihood of pitch bins, whose cents above 10 Hz are `cent_table` (bins,), from log mel frames."""

    cent_table: Tensor

    def __init__(self, shape: FcpeOldShape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("cent_table", torch.zeros(shape.bins))
        self.stack = nn.Sequential(
            nn.Conv1d(shape.mels, shape.channels, 3, padding=1),
            nn.GroupNorm(GROUPS, shape.channels),
            nn.LeakyReLU(),
            nn.Conv1d(shape.channels, shape.channels, 3, padding=1),
        )
        self.decoder = _Decoder(shape)
        self.norm = nn.LayerNorm(shape.channels)
        self.dense_out = weight_norm(nn.Linear(shape.channels, shape.bins))

    def forward(self, log_mel: Tensor) -> Tensor:
        """(B, T, bins) in 0..1 of natural log mels (B, mels, T)."""
        x = self.stack(log_mel).transpose(1, 2)
        return torch.sigmoid(self.dense_out(self.norm(self.decoder(x))))
