"""Published key names of so-vits-svc 4.x and RVC generators and discriminators, mapped onto our layers."""

import re

from torch import Tensor

# so-vits-svc writes a flow's shared network once as flow.wn and once more in every coupling.
DERIVED_COPY = r"flow\.flows\.\d+\.enc\."
# Constants of the snake decoder, the same in every layer of every file.
SNAKE_FILTER = r"dec\..*\.(upsample|downsample\.lowpass)\.filter$"
# Where a voice's flow has attention layers, in front of the rules for the prior's, whose norms are numbered otherwise.
_FLOW = r"^(flow\.(?:wn|flows\.\d+\.enc))\."
_FLOW_ATTENTION = (
    (_FLOW + r"self_attn_layers\.(\d+)\.", r"\1.transformer.attention.\2."),
    (_FLOW + r"norm_layers_0\.(\d+)\.", r"\1.transformer.attention_norm.\2."),
    (_FLOW + r"ffn_layers\.(\d+)\.", r"\1.transformer.feed_forward.\2."),
    (_FLOW + r"norm_layers_1\.(\d+)\.", r"\1.transformer.feed_forward_norm.\2."),
)
_TRANSFORMER = (
    (r"attn_layers\.(\d+)\.", r"attention.\1."),
    (r"norm_layers_1\.(\d+)\.", r"attention_norm.\1."),
    (r"ffn_layers\.(\d+)\.", r"feed_forward.\1."),
    (r"norm_layers_2\.(\d+)\.", r"feed_forward_norm.\1."),
)
_SOVITS = (
    (r"^emb_g\.", "speaker."),
    (r"^emb_uv\.", "content_input.voicing."),
    (r"^emb_vol\.", "content_input.loudness."),
    (r"^pre\.", "content_input.content."),
    (r"^enc_p\.f0_emb\.", "prior.pitch.table."),
    (r"^enc_p\.enc_\.", "prior.transformer."),
    (r"^enc_p\.proj\.", "prior.proj."),
    (r"^f0_decoder\.decoder\.self_attn_layers\.(\d+)\.", r"f0_predictor.decoder.attention.\1."),
    (r"^f0_decoder\.decoder\.norm_layers_0\.(\d+)\.", r"f0_predictor.decoder.attention_norm.\1."),
    (r"^f0_decoder\.decoder\.norm_layers_1\.(\d+)\.", r"f0_predictor.decoder.feed_forward_norm.\1."),
    (r"^f0_decoder\.", "f0_predictor."),
    *_FLOW_ATTENTION,
)
_RVC = (
    (r"^emb_g\.", "speaker."),
    (r"^enc_p\.emb_phone\.", "content_input.content."),
    (r"^enc_p\.emb_pitch\.", "prior.pitch.table."),
    (r"^enc_p\.encoder\.", "prior.transformer."),
    (r"^enc_p\.proj\.", "prior.proj."),
)
_COMMON = (
    *_TRANSFORMER,
    (r"^flow\.wn\.", "flow.shared."),
    (r"^enc_q\.", "posterior."),
    (r"^dec\.m_source\.l_linear\.", "decoder.source.linear."),
    (r"^dec\.", "decoder."),
    (r"\.weight_g$", ".parametrizations.weight.original0"),
    (r"\.weight_v$", ".parametrizations.weight.original1"),
)


def sovits_state(state: dict[str, Tensor], kernels: int = 3) -> dict[str, Tensor]:
    """A so-vits-svc generator's tensors under our names."""
    return _renamed(state, _SOVITS + _COMMON, kernels)


def rvc_state(state: dict[str, Tensor], kernels: int = 3) -> dict[str, Tensor]:
    """An RVC generator's tensors under our names; the phone layer becomes a convolution of one frame."""
    return _renamed(state, _RVC + _COMMON, kernels)


def discriminator_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A discriminator's tensors under our names (both projects use ours but for weight norm)."""
    return _renamed(state, _COMMON[-2:], 1)


def _renamed(state: dict[str, Tensor], rules: tuple[tuple[str, str], ...], kernels: int) -> dict[str, Tensor]:
    shared_flow = any(key.startswith("flow.wn.") for key in state)
    out = {}
    for key, value in state.items():
        if (shared_flow and re.match(DERIVED_COPY, key)) or re.match(SNAKE_FILTER, key):
            continue  # further copies of flow.wn, and constants
        name = key
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        # Flips take the odd places; blocks of one stage are grouped here and flat there.
        name = re.sub(r"^flow\.flows\.(\d+)\.", lambda m: f"flow.couplings.{int(m[1]) // 2}.", name)
        name = re.sub(
            r"^decoder\.resblocks\.(\d+)\.",
            lambda m: "decoder.resblocks.{}.{}.".format(*divmod(int(m[1]), kernels)),
            name,
        )
        if name == "content_input.content.weight" and value.dim() == 2:
            value = value.unsqueeze(-1)
        # A copy: the tensors of a file may share memory, or be mapped from it.
        out[name] = value.detach().clone().float()
    return out
