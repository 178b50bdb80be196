"""The encoder of Moonshine tiny in torch (Useful Sensors, MIT; arXiv 2410.15608).

Three strided convolutions (hop 384 samples, receptive field 895) and six pre-norm transformer layers with
interleaved rotary positions on the first 32 of 36 values of each head.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HOP = 384
RECEPTIVE_FIELD = 895
CENTRE = 447
WIDTH, HEADS, HEAD_WIDTH, ROTARY, LAYERS, MLP = 288, 8, 36, 32, 6, 1152
NORM_EPS = 1e-5


@dataclass(frozen=True)
class MoonshineOptions:
    """How the network is run; the defaults are the original's way.

    `span`: frames that attention sees to each side, None for all. `group_mean` and `group_std`: fixed statistics
    for the group norm, None for those of the clip itself.
    """

    span: int | None = None
    group_mean: float | None = None
    group_std: float | None = None


class Attention(nn.Module):
    """Eight heads, no biases, rotary positions."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.k_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.v_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.o_proj = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """x (B, T, 288) -> (B, T, 288); mask (T, T) or (B, 1, T, T) bool, True where attention may look."""
        batch, frames, _ = x.shape
        projections: list[nn.Module] = [self.q_proj, self.k_proj, self.v_proj]
        q, k, v = (p(x).view(batch, frames, HEADS, HEAD_WIDTH).transpose(1, 2) for p in projections)
        y = F.scaled_dot_product_attention(rotate(q, rotation), rotate(k, rotation), v, attn_mask=mask)
        return self.o_proj(y.transpose(1, 2).reshape(batch, frames, WIDTH))


class Layer(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layernorm = nn.LayerNorm(WIDTH, NORM_EPS, bias=False)
        self.self_attn = Attention()
        self.post_attention_layernorm = nn.LayerNorm(WIDTH, NORM_EPS, bias=False)
        self.fc1 = nn.Linear(WIDTH, MLP)
        self.fc2 = nn.Linear(MLP, WIDTH)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """(B, T, 288) -> (B, T, 288)."""
        x = x + self.self_attn(self.input_layernorm(x), rotation, mask)
        return x + self.fc2(F.gelu(self.fc1(self.post_attention_layernorm(x))))


class MoonshineNetwork(nn.Module):
    """Samples (B, N) at 16 kHz -> seven layer outputs (B, T, 288); T = (N - 895) // 384 + 1.

    Frame t is centred on sample 384 t + 447. Entry 0 to 5 of the result are the outputs of layers 1 to 6,
    entry 6 is layer 6 after the final norm.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, WIDTH, 127, 64, bias=False)
        self.groupnorm = nn.GroupNorm(1, WIDTH, NORM_EPS)
        self.conv2 = nn.Conv1d(WIDTH, 2 * WIDTH, 7, 3)
        self.conv3 = nn.Conv1d(2 * WIDTH, WIDTH, 3, 2)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.layer_norm = nn.LayerNorm(WIDTH, NORM_EPS, bias=False)

    def forward(self, samples: Tensor, options: MoonshineOptions = MoonshineOptions()) -> list[Tensor]:
        """samples (B, N) in [-1, 1] -> list of seven (B, T, 288)."""
        x = self.normalised(torch.tanh(self.conv1(samples[:, None])), options)
        x = F.gelu(self.conv3(F.gelu(self.conv2(x)))).transpose(1, 2)
        rotation = rotation_table(x.shape[1], x.device)
        mask = band(x.shape[1], options.span, x.device)
        outputs = []
        for layer in self.layers:
            x = layer(x, rotation, mask)
            outputs.append(x)
        outputs.append(self.layer_norm(x))
        return outputs

    def normalised(self, x: Tensor, options: MoonshineOptions) -> Tensor:
        """Group norm of (B, 288, T1), with the clip's statistics or fixed ones."""
        if options.group_mean is None or options.group_std is None:
            return self.groupnorm(x)
        x = (x - options.group_mean) / options.group_std
        return x * self.groupnorm.weight[:, None] + self.groupnorm.bias[:, None]


def rotation_table(frames: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine (T, 16) of the rotary angles, theta 10000."""
    inverse = 10000.0 ** (-torch.arange(0, ROTARY, 2, dtype=torch.float32, device=device) / ROTARY)
    angle = torch.arange(frames, dtype=torch.float32, device=device)[:, None] * inverse
    return angle.cos(), angle.sin()


def rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Turn neighbouring pairs of the first 32 values of (B, H, T, 36)."""
    cos, sin = rotation
    even, odd = x[..., 0:ROTARY:2], x[..., 1:ROTARY:2]
    turned = torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2)
    return torch.cat((turned, x[..., ROTARY:]), dim=-1)


def band(frames: int, span: int | None, device: torch.device) -> Tensor | None:
    """(T, T) bool, True where frames are at most `span` apart; None where nothing is hidden."""
    if span is None or span >= frames - 1:
        return None
    t = torch.arange(frames, device=device)
    return (t[:, None] - t[None]).abs() <= span
