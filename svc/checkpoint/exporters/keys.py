"""Our names of a voice's weights, mapped back onto the published ones of so-vits-svc 4.1 and RVC.

The way back of `importers.keys`: one name becomes one name and no value is changed. Weight norm is not folded;
magnitude and direction go back to ``weight_g`` and ``weight_v`` as they are.
"""

import re

from torch import Tensor

_FLOW = r"^(flow\.(?:shared|couplings\.\d+\.enc))\.transformer\."
_FLOW_ATTENTION = (
    (_FLOW + r"attention\.(\d+)\.", r"\1.self_attn_layers.\2."),
    (_FLOW + r"attention_norm\.(\d+)\.", r"\1.norm_layers_0.\2."),
    (_FLOW + r"feed_forward\.(\d+)\.", r"\1.ffn_layers.\2."),
    (_FLOW + r"feed_forward_norm\.(\d+)\.", r"\1.norm_layers_1.\2."),
)
_F0_PREDICTOR = (
    (r"^f0_predictor\.decoder\.attention\.(\d+)\.", r"f0_decoder.decoder.self_attn_layers.\1."),
    (r"^f0_predictor\.decoder\.attention_norm\.(\d+)\.", r"f0_decoder.decoder.norm_layers_0.\1."),
    (r"^f0_predictor\.decoder\.feed_forward\.(\d+)\.", r"f0_decoder.decoder.ffn_layers.\1."),
    (r"^f0_predictor\.decoder\.feed_forward_norm\.(\d+)\.", r"f0_decoder.decoder.norm_layers_1.\1."),
    (r"^f0_predictor\.", "f0_decoder."),
)
_PRIOR = (
    (r"^prior\.transformer\.attention\.(\d+)\.", r"prior.transformer.attn_layers.\1."),
    (r"^prior\.transformer\.attention_norm\.(\d+)\.", r"prior.transformer.norm_layers_1.\1."),
    (r"^prior\.transformer\.feed_forward\.(\d+)\.", r"prior.transformer.ffn_layers.\1."),
    (r"^prior\.transformer\.feed_forward_norm\.(\d+)\.", r"prior.transformer.norm_layers_2.\1."),
)
_SOVITS = (
    (r"^content_input\.voicing\.", "emb_uv."),
    (r"^content_input\.loudness\.", "emb_vol."),
    (r"^content_input\.content\.", "pre."),
    (r"^prior\.pitch\.table\.", "enc_p.f0_emb."),
    (r"^prior\.transformer\.", "enc_p.enc_."),
)
_RVC = (
    (r"^content_input\.content\.", "enc_p.emb_phone."),
    (r"^prior\.pitch\.table\.", "enc_p.emb_pitch."),
    (r"^prior\.transformer\.", "enc_p.encoder."),
)
_COMMON = (
    (r"^speaker\.", "emb_g."),
    (r"^prior\.proj\.", "enc_p.proj."),
    (r"^posterior\.", "enc_q."),
    (r"^flow\.shared\.", "flow.wn."),
    (r"^decoder\.source\.linear\.", "dec.m_source.l_linear."),
    (r"^decoder\.", "dec."),
    (r"\.parametrizations\.weight\.original0$", ".weight_g"),
    (r"\.parametrizations\.weight\.original1$", ".weight_v"),
)


def sovits_keys(state: dict[str, Tensor], couplings: int, kernels: int) -> dict[str, Tensor]:
    """The weights under so-vits-svc's names, with the copies of a shared flow and the constants that its files have.

    couplings: of the flow; kernels: residual blocks of a decoder stage.
    """
    out = _renamed(state, _FLOW_ATTENTION + _F0_PREDICTOR + _PRIOR + _SOVITS + _COMMON, kernels)
    for name, value in list(out.items()):
        if name.startswith("flow.wn."):
            inner = name.removeprefix("flow.wn.")
            out |= {f"flow.flows.{2 * i}.enc.{inner}": value for i in range(couplings)}
        if name.startswith("dec.") and name.endswith(".act.alpha"):
            out |= _filters(name.removesuffix("act.alpha"), value)
    return out


def rvc_keys(state: dict[str, Tensor], kernels: int) -> dict[str, Tensor]:
    """The weights under RVC's names; the convolution of one frame over content becomes a linear layer again."""
    out = _renamed(state, _PRIOR + _RVC + _COMMON, kernels)
    return {name: value[:, :, 0] if name == "enc_p.emb_phone.weight" else value for name, value in out.items()}


def _renamed(state: dict[str, Tensor], rules: tuple[tuple[str, str], ...], kernels: int) -> dict[str, Tensor]:
    out = {}
    for key, value in state.items():
        name = key
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        name = re.sub(r"^flow\.couplings\.(\d+)\.", lambda m: f"flow.flows.{2 * int(m[1])}.", name)
        name = re.sub(
            r"^dec\.resblocks\.(\d+)\.(\d+)\.",
            lambda m: f"dec.resblocks.{kernels * int(m[1]) + int(m[2])}.",
            name,
        )
        out[name] = value
    return out


def _filters(prefix: str, like: Tensor) -> dict[str, Tensor]:
    """The constant filters a snake activation carries in a file."""
    from svc.models.vocoders.snake_activation import half_band_filter

    values = half_band_filter().to(like.dtype)
    return {prefix + "upsample.filter": values, prefix + "downsample.lowpass.filter": values.clone()}
