"""Voices as so-vits-svc 4.x and RVC write them, of any size, with random weights.

Names and shapes are written down from the published layouts, not taken from our mapping of them.
"""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sizes:
    """The default is so-vits-svc 4.1's (vec768l12, no volume)."""

    inter: int = 192
    hidden: int = 192
    filters: int = 768
    heads: int = 2
    layers: int = 6
    kernel: int = 3
    window: int = 4
    content: int = 768
    speaker: int = 768
    speakers: int = 3
    bins: int = 1025
    couplings: int = 4
    flow_layers: int = 4
    rates: tuple[int, ...] = (8, 8, 2, 2, 2)
    kernels: tuple[int, ...] = (16, 16, 4, 4, 4)
    width: int = 512
    blocks: tuple[int, ...] = (3, 7, 11)
    dilations: tuple[int, ...] = (1, 3, 5)
    sines: int = 9
    rate: int = 44_100
    volume: bool = False
    auto_f0: bool = True
    flow_attention: bool = False
    shared_flow: bool = False
    depthwise: bool = False
    snake: bool = False

    @property
    def hop(self) -> int:
        return math.prod(self.rates)


TINY = Sizes(inter=6, hidden=8, filters=12, layers=2, speaker=10, width=32, sines=9, content=768)
TINY_RVC = replace(
    TINY, window=10, flow_layers=3, sines=1, rate=40_000, rates=(10, 10, 2, 2), kernels=(16, 16, 4, 4), auto_f0=False
)
FULL_RVC = Sizes(
    window=10,
    speaker=256,
    speakers=109,
    flow_layers=3,
    sines=1,
    rate=40_000,
    rates=(10, 10, 2, 2),
    kernels=(16, 16, 4, 4),
    auto_f0=False,
)


class _Writer:
    """Collects random tensors under their published names."""

    def __init__(self, seed: int) -> None:
        self.state: dict[str, Tensor] = {}
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, name: str, *shape: int, scale: float | None = None) -> Tensor:
        fan_in = math.prod(shape[1:]) if len(shape) > 1 else 1
        value = torch.randn(*shape, generator=self.generator) * (scale or (0.1 if len(shape) < 2 else fan_in**-0.5))
        self.state[name] = value
        return value

    def conv(self, name: str, out: int, into: int, kernel: int, bias: bool = True) -> None:
        self.draw(f"{name}.weight", out, into, kernel)
        if bias:
            self.draw(f"{name}.bias", out)

    def normed(self, name: str, out: int, into: int, kernel: int, bias: int | None = None) -> None:
        """Weight norm over dimension 0; of a transposed convolution that is the input, and `bias` the outputs."""
        self.draw(f"{name}.bias", bias or out)
        value = self.draw(f"{name}.weight_v", out, into, kernel)
        norm = value.flatten(1).norm(dim=1).view(-1, 1, 1)
        self.state[f"{name}.weight_g"] = norm * (0.8 + 0.4 * torch.rand(norm.shape, generator=self.generator))

    def norm(self, name: str, channels: int) -> None:
        self.state[f"{name}.gamma"] = 1 + 0.1 * torch.randn(channels, generator=self.generator)
        self.draw(f"{name}.beta", channels)

    def attention(self, name: str, channels: int, window: int | None = None, heads: int = 1) -> None:
        for part in "qkvo":
            self.conv(f"{name}.conv_{part}", channels, channels, 1)
        if window is not None:
            for part in "kv":
                self.draw(f"{name}.emb_rel_{part}", 1, 2 * window + 1, channels // heads, scale=0.2)

    def feed_forward(self, name: str, channels: int, filters: int, kernel: int) -> None:
        self.conv(f"{name}.conv_1", filters, channels, kernel)
        self.conv(f"{name}.conv_2", channels, filters, kernel)

    def wavenet(self, name: str, sizes: Sizes, layers: int) -> None:
        hidden = sizes.hidden
        self.normed(f"{name}.cond_layer", 2 * hidden * layers, sizes.speaker, 1)
        for i in range(layers):
            if sizes.depthwise:
                self.normed(f"{name}.in_layers.{i}.depth_conv", hidden, 1, 5)
                self.normed(f"{name}.in_layers.{i}.point_conv", 2 * hidden, hidden, 1)
            else:
                self.normed(f"{name}.in_layers.{i}", 2 * hidden, hidden, 5)
            self.normed(f"{name}.res_skip_layers.{i}", hidden if i == layers - 1 else 2 * hidden, hidden, 1)

    def causal_layers(self, name: str, sizes: Sizes, layers: int, kernel: int) -> None:
        for i in range(layers):
            self.attention(f"{name}.self_attn_layers.{i}", sizes.hidden)
            self.norm(f"{name}.norm_layers_0.{i}", sizes.hidden)
            self.feed_forward(f"{name}.ffn_layers.{i}", sizes.hidden, sizes.filters, kernel)
            self.norm(f"{name}.norm_layers_1.{i}", sizes.hidden)

    def flow(self, sizes: Sizes) -> None:
        half = sizes.inter // 2

        def network(name: str) -> None:
            if not sizes.flow_attention:
                return self.wavenet(name, sizes, sizes.flow_layers)
            self.conv(f"{name}.cond_pre", 2 * sizes.hidden, sizes.hidden, 1)
            self.normed(f"{name}.cond_layer", 2 * sizes.hidden * sizes.flow_layers, sizes.speaker, 1)
            return self.causal_layers(name, sizes, sizes.flow_layers, 5)

        if sizes.shared_flow:
            network("flow.wn")
        for i in range(0, 2 * sizes.couplings, 2):
            self.conv(f"flow.flows.{i}.pre", sizes.hidden, half, 1)
            self.conv(f"flow.flows.{i}.post", half, sizes.hidden, 1)
            if sizes.shared_flow:
                own = [(name, value) for name, value in self.state.items() if name.startswith("flow.wn.")]
                self.state |= {f"flow.flows.{i}.enc.{name.removeprefix('flow.wn.')}": value for name, value in own}
            else:
                network(f"flow.flows.{i}.enc")

    def snake(self, name: str, channels: int) -> None:
        self.draw(f"{name}.act.alpha", channels)
        self.draw(f"{name}.act.beta", channels)
        taps = torch.tensor([0.00202896, 0.00938946, -0.02554684, -0.05768293, 0.12857882, 0.44323253])
        for part in ("upsample", "downsample.lowpass"):
            self.state[f"{name}.{part}.filter"] = torch.cat([taps, taps.flip(0)]).view(1, 1, 12)

    def decoder(self, sizes: Sizes, plain_ends: bool, source: bool = True) -> None:
        width = sizes.width
        (self.conv if plain_ends else self.normed)("dec.conv_pre", width, sizes.inter, 7)
        self.conv("dec.cond", width, sizes.speaker, 1)
        if source:
            self.conv_linear("dec.m_source.l_linear", 1, sizes.sines)
        for i, kernel in enumerate(sizes.kernels):
            wide, narrow = width >> i, width >> (i + 1)
            self.normed(f"dec.ups.{i}", wide, narrow, kernel, bias=narrow)
            if sizes.snake:
                self.snake(f"dec.snakes.{i}", wide)
            stride = math.prod(sizes.rates[i + 1 :])
            if source:
                self.conv(f"dec.noise_convs.{i}", narrow, 1, 2 * stride if stride > 1 else 1)
            for j, size in enumerate(sizes.blocks):
                name = f"dec.resblocks.{i * len(sizes.blocks) + j}"
                for k in range(len(sizes.dilations)):
                    self.normed(f"{name}.convs1.{k}", narrow, narrow, size)
                    self.normed(f"{name}.convs2.{k}", narrow, narrow, size)
                for k in range(2 * len(sizes.dilations) if sizes.snake else 0):
                    self.snake(f"{name}.activations.{k}", narrow)
        last = width >> len(sizes.kernels)
        if sizes.snake:
            self.snake("dec.snake_post", last)
        if plain_ends:
            self.conv("dec.conv_post", 1, last, 7, bias=False)
        else:
            self.normed("dec.conv_post", 1, last, 7)

    def conv_linear(self, name: str, out: int, into: int) -> None:
        self.draw(f"{name}.weight", out, into)
        self.draw(f"{name}.bias", out)

    def prior(self, name: str, sizes: Sizes) -> None:
        for i in range(sizes.layers):
            self.attention(f"{name}.attn_layers.{i}", sizes.hidden, sizes.window, sizes.heads)
            self.norm(f"{name}.norm_layers_1.{i}", sizes.hidden)
            self.feed_forward(f"{name}.ffn_layers.{i}", sizes.hidden, sizes.filters, sizes.kernel)
            self.norm(f"{name}.norm_layers_2.{i}", sizes.hidden)

    def posterior(self, sizes: Sizes) -> None:
        self.conv("enc_q.pre", sizes.hidden, sizes.bins, 1)
        self.wavenet("enc_q.enc", sizes, 16)
        self.conv("enc_q.proj", 2 * sizes.inter, sizes.hidden, 1)


def sovits_state(sizes: Sizes, seed: int = 0) -> dict[str, Tensor]:
    """The generator of a so-vits-svc 4.x G_*.pth."""
    writer = _Writer(seed)
    writer.draw("emb_g.weight", sizes.speakers, sizes.speaker, scale=1.0)
    if sizes.volume:
        writer.conv_linear("emb_vol", sizes.hidden, 1)
    writer.draw("emb_uv.weight", 2, sizes.hidden, scale=0.3)
    writer.conv("pre", sizes.hidden, sizes.content, 5)
    writer.draw("enc_p.f0_emb.weight", 256, sizes.hidden, scale=0.3)
    writer.prior("enc_p.enc_", sizes)
    writer.conv("enc_p.proj", 2 * sizes.inter, sizes.hidden, 1)
    writer.decoder(sizes, plain_ends=False)
    writer.posterior(sizes)
    writer.flow(sizes)
    if sizes.auto_f0:
        writer.conv("f0_decoder.prenet", sizes.hidden, sizes.hidden, 3)
        writer.conv("f0_decoder.f0_prenet", sizes.hidden, 1, 3)
        writer.conv("f0_decoder.cond", sizes.hidden, sizes.speaker, 1)
        writer.conv("f0_decoder.proj", 1, sizes.hidden, 1)
        writer.causal_layers("f0_decoder.decoder", sizes, sizes.layers, sizes.kernel)
    return writer.state


def sovits_config(sizes: Sizes) -> dict[str, Any]:
    """The config.json beside it."""
    encoder = {768: "vec768l12", 256: "vec256l9", 1024: "whisper-ppg"}[sizes.content]
    model = {
        "inter_channels": sizes.inter,
        "hidden_channels": sizes.hidden,
        "filter_channels": sizes.filters,
        "n_heads": sizes.heads,
        "n_layers": sizes.layers,
        "kernel_size": sizes.kernel,
        "p_dropout": 0.1,
        "resblock": "1",
        "resblock_kernel_sizes": list(sizes.blocks),
        "resblock_dilation_sizes": [list(sizes.dilations)] * len(sizes.blocks),
        "upsample_rates": list(sizes.rates),
        "upsample_initial_channel": sizes.width,
        "upsample_kernel_sizes": list(sizes.kernels),
        "n_layers_q": 3,
        "n_layers_trans_flow": sizes.flow_layers if sizes.flow_attention else 3,
        "n_flow_layer": sizes.couplings if sizes.flow_attention else sizes.flow_layers,
        "gin_channels": sizes.speaker,
        "ssl_dim": sizes.content,
        "n_speakers": sizes.speakers,
        "vocoder_name": "nsf-snake-hifigan" if sizes.snake else "nsf-hifigan",
        "speech_encoder": encoder,
        "vol_embedding": sizes.volume,
        "use_depthwise_conv": sizes.depthwise,
        "flow_share_parameter": sizes.shared_flow,
        "use_automatic_f0_prediction": sizes.auto_f0,
        "use_transformer_flow": sizes.flow_attention,
    }
    data = {
        "sampling_rate": sizes.rate,
        "filter_length": 2 * (sizes.bins - 1),
        "hop_length": sizes.hop,
        "win_length": 2 * (sizes.bins - 1),
        "n_mel_channels": 80,
        "mel_fmin": 0.0,
        "mel_fmax": sizes.rate // 2,
        "unit_interpolate_mode": "nearest",
    }
    return {"train": {}, "data": data, "model": model, "spk": {f"singer {i}": i for i in range(sizes.speakers)}}


def write_sovits(folder: Path, sizes: Sizes, seed: int = 0, without: str = "") -> Path:
    """G_100.pth and config.json in `folder`; names beginning with `without` are left out."""
    state = {
        name: value for name, value in sovits_state(sizes, seed).items() if not (without and name.startswith(without))
    }
    file = {"model": state, "iteration": 3, "optimizer": {}, "learning_rate": 1e-4}
    torch.save(file, folder / "G_100.pth")
    (folder / "config.json").write_text(json.dumps(sovits_config(sizes)), encoding="utf-8")
    return folder / "G_100.pth"


def rvc_state(sizes: Sizes, seed: int = 0, with_f0: bool = True, training: bool = False) -> dict[str, Tensor]:
    """An RVC generator; `training` adds the posterior encoder."""
    writer = _Writer(seed)
    writer.draw("emb_g.weight", sizes.speakers, sizes.speaker, scale=1.0)
    writer.conv_linear("enc_p.emb_phone", sizes.hidden, sizes.content)
    if with_f0:
        writer.draw("enc_p.emb_pitch.weight", 256, sizes.hidden, scale=0.3)
    writer.prior("enc_p.encoder", sizes)
    writer.conv("enc_p.proj", 2 * sizes.inter, sizes.hidden, 1)
    writer.decoder(sizes, plain_ends=True, source=with_f0)
    writer.flow(sizes)
    if training:
        writer.posterior(sizes)
    return writer.state


def rvc_file(sizes: Sizes, seed: int = 0, with_f0: bool = True) -> dict[str, Any]:
    """What an exported RVC voice holds: float16 weights and a list of settings."""
    dilations = [list(sizes.dilations)] * len(sizes.blocks)
    settings = [
        sizes.bins,
        32,
        sizes.inter,
        sizes.hidden,
        sizes.filters,
        sizes.heads,
        sizes.layers,
        sizes.kernel,
        0,
        "1",
        list(sizes.blocks),
        dilations,
        list(sizes.rates),
        sizes.width,
        list(sizes.kernels),
        sizes.speakers,
        sizes.speaker,
        sizes.rate,
    ]
    weight = {name: value.half() for name, value in rvc_state(sizes, seed, with_f0).items()}
    version = "v2" if sizes.content == 768 else "v1"
    return {
        "weight": weight,
        "config": settings,
        "info": "20epoch",
        "sr": f"{sizes.rate // 1000}k",
        "f0": int(with_f0),
        "version": version,
    }


def discriminator_state(periods: tuple[int, ...], seed: int = 0) -> dict[str, Tensor]:
    """The "model" of a D_*.pth: one scale and `periods` period discriminators, at full size."""
    writer = _Writer(seed)
    scale = ((1, 16, 15, 1), (16, 64, 41, 4), (64, 256, 41, 16), (256, 1024, 41, 64), (1024, 1024, 41, 256))
    for i, (into, out, kernel, groups) in enumerate(scale):
        writer.normed(f"discriminators.0.convs.{i}", out, into // groups, kernel)
    writer.normed("discriminators.0.convs.5", 1024, 1024, 5)
    writer.normed("discriminators.0.conv_post", 1, 1024, 3)
    widths = (1, 32, 128, 512, 1024, 1024)
    for n in range(1, len(periods) + 1):
        for i in range(5):
            name = f"discriminators.{n}.convs.{i}"
            writer.normed(name, widths[i + 1], widths[i], 5)
        writer.normed(f"discriminators.{n}.conv_post", 1, 1024, 3)
        for key in [key for key in writer.state if key.startswith(f"discriminators.{n}.") and "weight" in key]:
            writer.state[key] = writer.state[key].unsqueeze(-1)
    return writer.state
