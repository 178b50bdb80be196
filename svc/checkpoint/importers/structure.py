"""What the tensors of a VITS generator of so-vits-svc or RVC say about its structure.

Shapes are believed, settings files are only compared with them: a wrong setting would otherwise make noise
without an error.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from svc.checkpoint.importers.keys import DERIVED_COPY, SNAKE_FILTER
from svc.errors import CheckpointError


class Weights:
    """The generator tensors of one foreign file, asked by name; what is missing is an error that names it."""

    def __init__(self, path: Path, state: Any) -> None:
        if not isinstance(state, Mapping) or not state:
            raise CheckpointError(f"{path} holds no named weights: choose the voice's G_*.pth or exported .pth file.")
        for name, value in state.items():
            if not isinstance(name, str) or not isinstance(value, Tensor) or not value.is_floating_point():
                raise CheckpointError(
                    f"{path} holds {name!r} where a named tensor was expected: get the file again from its source."
                )
        self.path = path
        self.state: dict[str, Tensor] = dict(state)

    def __contains__(self, name: str) -> bool:
        return name in self.state

    def has(self, prefix: str) -> bool:
        """Whether a name starts with `prefix`."""
        return any(name.startswith(prefix) for name in self.state)

    def shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        """Shape of the tensor called `name`, which must have so many dimensions."""
        if name not in self.state:
            raise CheckpointError(f"{self.path} lacks {name}: the file is incomplete, get it again from its source.")
        shape = tuple(self.state[name].shape)
        if len(shape) != dimensions or 0 in shape:
            raise CheckpointError(
                f"{self.path} has {name} of shape {shape}, where {dimensions} dimensions were expected: "
                "get the file again from its source."
            )
        return shape

    def count(self, pattern: str) -> int:
        """How many different numbers stand at the group of `pattern`, at the start of names."""
        return len({m[1] for name in self.state if (m := re.match(pattern, name))})


@dataclass(frozen=True)
class Structure:
    """Sizes read from shapes; upsample_tail are the rates after the first, which no shape tells.

    speakers is 0 in pretrained bases without a speaker table; upsample_tail None in voices without a source (no F0),
    where no shape tells it; flow_wavenet_layers counts the layers inside a coupling, whatever they are.
    """

    content_dim: int
    content_kernel_size: int
    hidden_channels: int
    inter_channels: int
    filter_channels: int
    prior_layers: int
    prior_heads: int
    prior_kernel_size: int
    attention_window: int
    posterior_layers: int
    spectrogram_bins: int | None
    flow_couplings: int
    flow_wavenet_layers: int
    flow_shared: bool
    flow_network: str
    wavenet_depthwise: bool
    speakers: int
    speaker_channels: int
    f0_predictor_layers: int
    decoder_channels: int
    decoder: str
    upsample_tail: tuple[int, ...] | None
    upsample_kernel_sizes: tuple[int, ...]
    resblock_kernel_sizes: tuple[int, ...]
    resblock_convolutions: int
    source_harmonics: int | None

    def model_settings(self) -> dict[str, Any]:
        """The fields that ModelConfig has under the same name."""
        from svc.config import ModelConfig

        found = {name: value for name, value in vars(self).items() if name in ModelConfig.model_fields}
        # A model without these parts keeps the default of what it does not have.
        absent = [name for name in ("posterior_layers", "f0_predictor_layers") if found[name] == 0]
        absent += ["source_harmonics"] if self.source_harmonics is None else []
        return {name: value for name, value in found.items() if name not in absent}


def read_structure(weights: Weights, content: str, content_dimensions: int, transformer: str) -> Structure:
    """The structure of a generator whose first layer is called `content` and its attention layers `transformer`.

    `content_dimensions` of the first layer's weight are 3 for a convolution and 2 for a linear layer.
    """
    shape = weights.shape
    first = shape(f"{content}.weight", content_dimensions)
    hidden = first[0]
    relative = shape(f"{transformer}.attn_layers.0.emb_rel_k", 3)
    feed = shape(f"{transformer}.ffn_layers.0.conv_1.weight", 3)
    speakers, speaker_channels = 0, shape("dec.cond.weight", 3)[1]
    if "emb_g.weight" in weights:
        speakers, speaker_channels = shape("emb_g.weight", 2)
    shared = weights.has("flow.wn.")
    network = re.escape("flow.wn" if shared else "flow.flows.0.enc")
    attention = weights.count(network + r"\.self_attn_layers\.(\d+)\.")
    stages = weights.count(r"dec\.ups\.(\d+)\.")
    blocks = weights.count(r"dec\.resblocks\.(\d+)\.")
    if not stages or not blocks or blocks % stages:
        raise CheckpointError(
            f"{weights.path} has {blocks} decoder blocks for {stages} upsampling stages, which do not fit: "
            "get the file again from its source."
        )
    kernels = blocks // stages
    has_source = weights.has("dec.m_source.")
    return Structure(
        content_dim=first[1],
        content_kernel_size=first[2] if len(first) == 3 else 1,
        hidden_channels=hidden,
        inter_channels=shape("enc_p.proj.weight", 3)[0] // 2,
        filter_channels=feed[0],
        prior_layers=weights.count(re.escape(transformer) + r"\.attn_layers\.(\d+)\."),
        prior_heads=max(1, hidden // relative[2]),
        prior_kernel_size=feed[2],
        attention_window=(relative[1] - 1) // 2,
        posterior_layers=weights.count(r"enc_q\.enc\.in_layers\.(\d+)\."),
        spectrogram_bins=shape("enc_q.pre.weight", 3)[1] if "enc_q.pre.weight" in weights else None,
        flow_couplings=weights.count(r"flow\.flows\.(\d+)\."),
        flow_wavenet_layers=attention or weights.count(network + r"\.in_layers\.(\d+)\."),
        flow_shared=shared,
        flow_network="attention" if attention else "wavenet",
        wavenet_depthwise=any(".in_layers.0.depth_conv." in name for name in weights.state),
        speakers=speakers,
        speaker_channels=speaker_channels,
        f0_predictor_layers=weights.count(r"f0_decoder\.decoder\.self_attn_layers\.(\d+)\."),
        decoder_channels=shape("dec.cond.weight", 3)[0],
        decoder="nsf_snake_hifigan" if weights.has("dec.snakes.") else "nsf_hifigan",
        upsample_tail=_upsample_tail(weights, stages) if has_source else None,
        upsample_kernel_sizes=tuple(shape(f"dec.ups.{i}.weight_v", 3)[2] for i in range(stages)),
        resblock_kernel_sizes=tuple(shape(f"dec.resblocks.{i}.convs1.0.weight_v", 3)[2] for i in range(kernels)),
        resblock_convolutions=weights.count(r"dec\.resblocks\.0\.convs1\.(\d+)\."),
        source_harmonics=shape("dec.m_source.l_linear.weight", 2)[1] - 1 if has_source else None,
    )


def _upsample_tail(weights: Weights, stages: int) -> tuple[int, ...]:
    """Rates after the first, from the strides of the layers that bring the source to each stage's resolution."""
    strides = []
    for i in range(stages):
        width = weights.shape(f"dec.noise_convs.{i}.weight", 3)[2]
        strides.append(1 if width == 1 else width // 2)
    if strides[-1] != 1 or any(before % after for before, after in pairwise(strides)):
        raise CheckpointError(
            f"{weights.path} has source layers of strides {strides}, which do not fit: get the file again."
        )
    return tuple(before // after for before, after in pairwise(strides))


def check_copies(weights: Weights) -> None:
    """CheckpointError unless every stored copy of a shared flow network equals the first."""
    if not weights.has("flow.wn."):
        return
    own = {name.removeprefix("flow.wn."): value for name, value in weights.state.items() if name.startswith("flow.wn.")}
    for name, value in weights.state.items():
        if not (match := re.match(DERIVED_COPY, name)):
            continue
        inner = name[match.end() :]
        if inner not in own or not torch.equal(own[inner], value):
            raise CheckpointError(
                f"{weights.path} has {name} that differs from the flow.wn it should be a copy of: get the file again."
            )


def check_filters(weights: Weights) -> None:
    """CheckpointError unless the filters a snake decoder's file holds are the ones every such decoder has."""
    from svc.models.vocoders.snake_activation import half_band_filter

    wanted = half_band_filter()
    for name, value in weights.state.items():
        if not re.match(SNAKE_FILTER, name):
            continue
        # float16 files round them.
        if value.shape != wanted.shape or not torch.allclose(value.float(), wanted, atol=5e-4, rtol=0):
            raise CheckpointError(
                f"{weights.path} has another filter in {name} than snake decoders have: get the file again."
            )


class Comparison:
    """Collects where a settings file and the tensors disagree; `finish` raises one sentence that names both."""

    def __init__(self, weights_name: str, settings_name: str) -> None:
        self.weights_name = weights_name
        self.settings_name = settings_name
        self.faults: list[str] = []

    def check(self, name: str, found: Any, told: Any) -> None:
        """Note a disagreement about `name`; `told` None means the settings do not say."""
        if told is not None and plain(found) != plain(told):
            self.faults.append(f"{name} {plain(found)} in the weights and {plain(told)} in the settings")

    def finish(self) -> None:
        """Raise CheckpointError if anything was noted."""
        if self.faults:
            more = f" and {len(self.faults) - 4} more" if len(self.faults) > 4 else ""
            raise CheckpointError(
                f"{self.weights_name} and {self.settings_name} disagree ({'; '.join(self.faults[:4])}{more}): "
                "use the settings this file was trained with."
            )


def plain(value: Any) -> Any:
    """Tuples as lists, so that values from a file and from shapes compare."""
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
