"""so-vits-svc 4.1's network in plain eager PyTorch, for comparison: one function per part, straight from its layout.

Weight norm is computed at every use, attention is full (with relative positions as a table of 2 T - 1 columns, as VITS
does), and the whole length goes through at once. `state` holds the tensors of a G_*.pth under their own names.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

HOP, RATE = 512, 44_100
UPSAMPLING = ((8, 16), (8, 16), (2, 4), (2, 4), (2, 4))
KERNELS, DILATIONS = (3, 7, 11), (1, 3, 5)
WINDOW, HEADS, LAYERS = 4, 2, 6

State = dict[str, Tensor]


def conv(state: State, name: str, x: Tensor, padding: int = 0, dilation: int = 1, stride: int = 1) -> Tensor:
    weight = state.get(f"{name}.weight")
    if weight is None:
        weight = torch._weight_norm(state[f"{name}.weight_v"], state[f"{name}.weight_g"], 0)
    return functional.conv1d(x, weight, state.get(f"{name}.bias"), stride, padding, dilation)


def norm(state: State, name: str, x: Tensor) -> Tensor:
    size = (x.shape[1],)
    return functional.layer_norm(x.mT, size, state[f"{name}.gamma"], state[f"{name}.beta"], 1e-5).mT


def attention(state: State, name: str, x: Tensor) -> Tensor:
    _, channels, frames = x.shape
    size = channels // HEADS
    q, k, v = (conv(state, f"{name}.conv_{p}", x).view(HEADS, size, frames).mT for p in "qkv")
    q = q / math.sqrt(size)
    margin = frames - WINDOW - 1
    keys, values = (functional.pad(state[f"{name}.emb_rel_{p}"], (0, 0, margin, margin)) for p in "kv")
    relative = q @ keys.mT
    # Column t + d of row t, for every distance d: a shift by padding and reshaping.
    flat = functional.pad(functional.pad(relative, (0, 1)).flatten(1), (0, frames - 1))
    scores = q @ k.mT + flat.view(HEADS, frames + 1, 2 * frames - 1)[:, :frames, frames - 1 :]
    weights = torch.softmax(scores, dim=-1)
    flat = functional.pad(functional.pad(weights, (0, frames - 1)).flatten(1), (frames, 0))
    by_distance = flat.view(HEADS, frames, 2 * frames)[:, :, 1:]
    out = weights @ v + by_distance @ values
    return conv(state, f"{name}.conv_o", out.mT.reshape(1, channels, frames))


def latent(state: State, content: Tensor, f0_hz: Tensor, voiced: Tensor, speaker: Tensor) -> Tensor:
    """Latent (1, 192, T) from content (1, 768, T), F0 (1, T), voicing (1, T), without noise."""
    x = conv(state, "pre", content, padding=2) + state["emb_uv.weight"][voiced.long()].mT
    low, high = (1127 * math.log1p(hz / 700) for hz in (50, 1100))
    bins = ((1127 * torch.log1p(f0_hz / 700) - low) * (254 / (high - low)) + 1).round().long().clamp(1, 255)
    x = x + state["enc_p.f0_emb.weight"][bins].mT
    for i in range(LAYERS):
        x = norm(state, f"enc_p.enc_.norm_layers_1.{i}", x + attention(state, f"enc_p.enc_.attn_layers.{i}", x))
        y = conv(state, f"enc_p.enc_.ffn_layers.{i}.conv_1", x, padding=1).relu()
        y = conv(state, f"enc_p.enc_.ffn_layers.{i}.conv_2", y, padding=1)
        x = norm(state, f"enc_p.enc_.norm_layers_2.{i}", x + y)
    z = conv(state, "enc_p.proj", x).chunk(2, dim=1)[0]
    for i in (6, 4, 2, 0):
        first, second = z.flip(1).chunk(2, dim=1)
        x = conv(state, f"flow.flows.{i}.pre", first)
        x = wavenet(state, f"flow.flows.{i}.enc", x, speaker, 4)
        z = torch.cat([first, second - conv(state, f"flow.flows.{i}.post", x)], dim=1)
    return z


def wavenet(state: State, name: str, x: Tensor, speaker: Tensor, layers: int) -> Tensor:
    conditions = conv(state, f"{name}.cond_layer", speaker).chunk(layers, dim=1)
    total = torch.zeros_like(x)
    for i in range(layers):
        a, b = (conv(state, f"{name}.in_layers.{i}", x, padding=2) + conditions[i]).chunk(2, dim=1)
        y = conv(state, f"{name}.res_skip_layers.{i}", torch.tanh(a) * torch.sigmoid(b))
        if i < layers - 1:
            residual, y = y.chunk(2, dim=1)
            x = x + residual
        total = total + y
    return total


def source(state: State, f0_hz: Tensor) -> Tensor:
    f0 = f0_hz.repeat_interleave(HOP, dim=1).unsqueeze(-1)
    orders = torch.arange(1, 10)
    phase = torch.cumsum(f0.double() * orders / RATE, dim=1) % 1
    sines = 0.1 * torch.sin(2 * math.pi * phase.float()) * (f0 > 0)
    linear = functional.linear(sines, state["dec.m_source.l_linear.weight"], state["dec.m_source.l_linear.bias"])
    return torch.tanh(linear).mT


def decoder(state: State, z: Tensor, f0_hz: Tensor, speaker: Tensor) -> Tensor:
    """Audio (1, 1, T * 512) of a latent (1, 192, T)."""
    har = source(state, f0_hz)
    x = conv(state, "dec.conv_pre", z, padding=3) + conv(state, "dec.cond", speaker)
    for i, (rate, kernel) in enumerate(UPSAMPLING):
        name = f"dec.ups.{i}"
        weight = torch._weight_norm(state[f"{name}.weight_v"], state[f"{name}.weight_g"], 0)
        x = functional.leaky_relu(x, 0.1)
        x = functional.conv_transpose1d(x, weight, state[f"{name}.bias"], rate, (kernel - rate) // 2)
        stride = math.prod(r for r, _ in UPSAMPLING[i + 1 :])
        x = x + conv(state, f"dec.noise_convs.{i}", har, padding=(stride // 2 if stride > 1 else 0), stride=stride)
        total = None
        for j, size in enumerate(KERNELS):
            y = residual_block(state, f"dec.resblocks.{3 * i + j}", x, size)
            total = y if total is None else total + y
        x = total / len(KERNELS)
    return torch.tanh(conv(state, "dec.conv_post", functional.leaky_relu(x, 0.01), padding=3))


def residual_block(state: State, name: str, x: Tensor, size: int) -> Tensor:
    for k, dilation in enumerate(DILATIONS):
        y = functional.leaky_relu(x, 0.1)
        y = conv(state, f"{name}.convs1.{k}", y, padding=(size - 1) * dilation // 2, dilation=dilation)
        y = conv(state, f"{name}.convs2.{k}", functional.leaky_relu(y, 0.1), padding=(size - 1) // 2)
        x = x + y
    return x


def sing(state: State, content: Tensor, f0_hz: Tensor, voiced: Tensor) -> Tensor:
    """Audio (1, 1, T * 512) of the first speaker."""
    speaker = state["emb_g.weight"][:1].unsqueeze(-1)
    return decoder(state, latent(state, content, f0_hz, voiced, speaker), f0_hz, speaker)
