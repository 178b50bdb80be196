"""Band-split RoFormers: BS-RoFormer (Lu et al., arXiv 2309.02612), Mel-band RoFormer (Wang et al., arXiv 2310.01809).

Names of modules are those of the state dicts that Music-Source-Separation-Training (MIT) writes.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class RoformerShape:
    """What a RoFormer is built from.

    `bands` holds, per band, the bins it sees; bands of a mel model overlap, those of a BS model do not.
    `final_norm` is one norm after all blocks (BS) instead of one after each transformer (mel). `mask_hidden` lists
    the widths of the hidden layers of each mask MLP. `zero_dc` takes the mean out of the stems.
    """

    dim: int
    depth: int
    time_depth: int
    freq_depth: int
    heads: int
    dim_head: int
    channels: int
    stems: int
    bands: tuple[tuple[int, ...], ...]
    final_norm: bool
    mask_hidden: tuple[int, ...]
    n_fft: int
    hop_length: int
    win_length: int
    normalized: bool = False
    skip_connection: bool = False
    zero_dc: bool = True


class RmsNorm(nn.Module):
    """Unit length times sqrt(dim) times a gain."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = dim**0.5
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) to the same shape."""
        return F.normalize(x, dim=-1) * self.scale * self.gamma


class Rotary(nn.Module):
    """Rotary positions; neighbouring features form the pairs that are turned."""

    def __init__(self, dim_head: int) -> None:
        super().__init__()
        self.freqs = nn.Parameter(10_000.0 ** -(torch.arange(0, dim_head, 2) / dim_head))

    def forward(self, x: Tensor) -> Tensor:
        """(B, heads, n, dim_head) turned by its position times `freqs`."""
        position = torch.arange(x.shape[-2], device=x.device, dtype=self.freqs.dtype)
        angle = torch.outer(position, self.freqs).repeat_interleave(2, dim=-1)
        turned = torch.stack([-x[..., 1::2], x[..., ::2]], dim=-1).flatten(-2)
        return x * angle.cos() + turned * angle.sin()


class Attention(nn.Module):
    """Self-attention with rotary positions and one sigmoid gate per head and position."""

    def __init__(self, dim: int, heads: int, dim_head: int) -> None:
        super().__init__()
        self.heads = heads
        self.rotary_embed = Rotary(dim_head)
        self.norm = RmsNorm(dim)
        self.to_qkv = nn.Linear(dim, 3 * heads * dim_head, bias=False)
        self.to_gates = nn.Linear(dim, heads)
        self.to_out = nn.Sequential(nn.Linear(heads * dim_head, dim, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(B, n, dim) to the same shape."""
        x = self.norm(x)
        query, key, value = self.to_qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(self.rotary_embed(query), self.rotary_embed(key), value)
        out = out * self.to_gates(x).transpose(1, 2).unsqueeze(-1).sigmoid()
        return self.to_out(out.transpose(1, 2).flatten(-2))


class FeedForward(nn.Module):
    """Norm, four times wider, GELU, back."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            RmsNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Identity(), nn.Linear(4 * dim, dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, n, dim) to the same shape."""
        return self.net(x)


class Transformer(nn.Module):
    """Residual layers along one axis."""

    def __init__(self, shape: RoformerShape, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList([Attention(shape.dim, shape.heads, shape.dim_head), FeedForward(shape.dim)])
            for _ in range(depth)
        )
        self.norm = nn.Identity() if shape.final_norm else RmsNorm(shape.dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n, dim) to the same shape."""
        for layer in self.layers:
            for part in layer.children():
                x = part(x) + x
        return self.norm(x)


class BandSplit(nn.Module):
    """One linear map per band of different width."""

    def __init__(self, dim: int, widths: list[int]) -> None:
        super().__init__()
        self.widths = widths
        self.to_features = nn.ModuleList(nn.Sequential(RmsNorm(width), nn.Linear(width, dim)) for width in widths)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, sum of widths) to (B, T, bands, dim)."""
        return torch.stack([net(part) for net, part in zip(self.to_features, x.split(self.widths, -1))], dim=-2)


class MaskEstimator(nn.Module):
    """One MLP with a gate per band, from features to the parts of a complex mask."""

    def __init__(self, dim: int, hidden: tuple[int, ...], widths: list[int]) -> None:
        super().__init__()
        self.to_freqs = nn.ModuleList(
            nn.Sequential(_mlp((dim, *hidden, 2 * width)), nn.GLU(dim=-1)) for width in widths
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, bands, dim) to (B, T, sum of widths)."""
        return torch.cat([net(band) for net, band in zip(self.to_freqs, x.unbind(-2))], dim=-1)


class RoformerNetwork(nn.Module):
    """Complex masks from attention along time and along bands in turn."""

    freq_indices: Tensor
    bands_per_bin: Tensor
    window: Tensor

    def __init__(self, shape: RoformerShape) -> None:
        super().__init__()
        self.shape = shape
        widths = [2 * shape.channels * len(band) for band in shape.bands]
        self.layers = nn.ModuleList(
            nn.ModuleList([Transformer(shape, shape.time_depth), Transformer(shape, shape.freq_depth)])
            for _ in range(shape.depth)
        )
        if shape.final_norm:
            self.final_norm = RmsNorm(shape.dim)
        self.band_split = BandSplit(shape.dim, widths)
        self.mask_estimators = nn.ModuleList(
            MaskEstimator(shape.dim, shape.mask_hidden, widths) for _ in range(shape.stems)
        )
        bins = torch.tensor([bin_ for band in shape.bands for bin_ in band])
        rows = (bins[:, None] * shape.channels + torch.arange(shape.channels)).flatten()
        count = torch.bincount(rows, minlength=shape.channels * (shape.n_fft // 2 + 1))
        self.register_buffer("freq_indices", rows, persistent=False)
        self.register_buffer("bands_per_bin", count.clamp_min(1), persistent=False)
        self.register_buffer("window", torch.hann_window(shape.win_length), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """(B, channels, N) samples to the stems (B, stems, channels, N)."""
        batch, channels, length = audio.shape
        spectrum = self._transform(audio.flatten(0, 1))  # (B * channels, F, T)
        bins, frames = spectrum.shape[1:]
        rows = spectrum.view(batch, channels, bins, frames).transpose(1, 2).flatten(1, 2)  # (B, F * channels, T)
        seen = torch.view_as_real(rows[:, self.freq_indices])
        x = self.band_split(seen.permute(0, 2, 1, 3).flatten(2))
        earlier: list[Tensor] = []
        for time_transformer, freq_transformer in (block.children() for block in self.layers):
            if self.shape.skip_connection:
                x = x + sum(earlier)
            x = time_transformer(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, -1)).transpose(1, 2)
            x = freq_transformer(x.flatten(0, 1)).unflatten(0, (batch, -1))
            earlier.append(x)
        if self.shape.final_norm:
            x = self.final_norm(x)
        stems = [self._masked(rows, estimator(x), channels, length) for estimator in self.mask_estimators]
        return torch.stack(stems, dim=1)

    def _masked(self, rows: Tensor, values: Tensor, channels: int, length: int) -> Tensor:
        """One stem (B, channels, N): where bands overlap, their masks are averaged."""
        batch, total, frames = rows.shape
        mask = torch.view_as_complex(values.unflatten(-1, (-1, 2)).transpose(1, 2).contiguous())
        summed = torch.zeros_like(rows).index_add_(1, self.freq_indices, mask)
        masked = rows * (summed / self.bands_per_bin[:, None])
        masked = masked.view(batch, total // channels, channels, frames).transpose(1, 2).flatten(0, 1)
        shape = self.shape
        if shape.zero_dc:
            masked[:, 0] = 0
        sound = torch.istft(
            masked,
            shape.n_fft,
            shape.hop_length,
            shape.win_length,
            window=self.window,
            normalized=shape.normalized,
            length=length,
        )
        return sound.view(batch, channels, length)

    def _transform(self, sound: Tensor) -> Tensor:
        shape = self.shape
        return torch.stft(
            sound,
            shape.n_fft,
            shape.hop_length,
            shape.win_length,
            window=self.window,
            normalized=shape.normalized,
            return_complex=True,
        )


def mel_bands(sample_rate: int, n_fft: int, bands: int) -> tuple[tuple[int, ...], ...]:
    """Bins under each triangle of librosa's mel filters; the first and the last bin are always seen."""
    import librosa

    weights = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=bands)
    weights[0, 0] = weights[-1, -1] = 1.0
    return tuple(tuple(int(i) for i in (row > 0).nonzero()[0]) for row in weights)


def consecutive_bands(widths: list[int]) -> tuple[tuple[int, ...], ...]:
    """Bins of bands that follow each other, `widths` bins each."""
    edges = [0]
    for width in widths:
        edges.append(edges[-1] + width)
    return tuple(tuple(range(start, stop)) for start, stop in pairwise(edges))


def _mlp(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*layers[:-1])
