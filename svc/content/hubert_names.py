"""What the programs of the HuBERT family call their tensors, and what HubertNetwork calls the same."""

import re

# Parts for training only, and what other tasks put on top (speaker verification, text).
DROPPED = re.compile(
    r"(mask_emb|masked_spec_embed|label_embs_concat|label_embedding\.weight|lm_head\.\w+|w2v_encoder\.proj\.\w+"
    r"|layer_proj\.\S+|encoder\.cond_layer_norm\.\S+"
    r"|final_proj_list\.\d+\.\w+|label_embs_list\.\d+|unit_embed_tokens\.\S+|unit_encoder\.embed_tokens\.\S+"
    r"|unit_encoder\.version|unit_encoder_ctc_head\.\S+"
    r"|layer_weights|projector\.\w+|tdnn\.\d+\.kernel\.\w+|feature_extractor\.(?:weight|bias)|classifier\.\w+"
    r"|objective\.\w+)$"
)
NAMES = [
    (r"feature_extractor\.conv_layers\.(\d+)\.(?:0|conv)\.(?=\w+$)", r"convs.\1."),
    (r"feature_extractor\.conv_layers\.(\d+)\.(?:2\.1|2|layer_norm)\.(?=\w+$)", r"conv_norms.\1."),
    (r"feature_extractor\.conv(\d+)\.", r"convs.\1."),
    (r"feature_extractor\.norm(\d+)\.", r"conv_norms.\1."),
    (r"feature_extractor\.dummy_weight$", "channel_scale"),
    (r"(?:layer_norm|(?:encoder\.)?feature_projection\.(?:layer_)?norm)\.", "feature_norm."),
    (r"(?:post_extract_proj|(?:encoder\.)?feature_projection\.projection)\.", "projection."),
    (
        r"(?:encoder\.pos_conv\.0|encoder\.(?:transformer\.)?pos_conv_embed\.conv|positional_embedding\.conv)\.",
        "positional.",
    ),
    (r"(?:encoder\.(?:transformer\.)?layer_norm|norm)\.", "norm."),
    (
        r"encoder\.(?:transformer\.)?layers\.\d+\.(?:self_attn\.relative_attention_bias|attention\.rel_attn_embed)\.",
        "relative.table.",
    ),
    (r"encoder\.pos_emb\.pe_k\.", "relative.table."),
    (r"unit_encoder\.pos_emb\.pe_k\.", "shared.relative.table."),
    (r"unit_encoder\.embed_positions\.", "shared.positions."),
    (r"unit_encoder\.layernorm_embedding\.", "shared.embedding_norm."),
    (r"unit_encoder\.layer_norm\.", "shared.norm."),
    (r"encoder\.(?:transformer\.)?layers\.(\d+)\.", r"layers.\1."),
    (r"unit_encoder\.layers\.(\d+)\.", r"shared.layers.\1."),
    (r"proj\.", "final_proj."),
]
LAYER_NAMES = [
    (r"(?:self_attn_layer_norm|norm1|layer_norm)\.", "attention_norm."),
    (r"(?:final_layer_norm|norm2)\.", "final_norm."),
    (r"(?:fc1|linear1|feed_forward\.intermediate_dense)\.", "wide."),
    (r"(?:fc2|linear2|feed_forward\.output_dense)\.", "narrow."),
    (r"(?:self_attn|attention)\.([qkv]|out)_proj\.", r"attention.\1."),
    (r"(?:self_attn\.grep_linear|attention\.gru_rel_pos_linear)\.", "attention.gate."),
    (r"(?:self_attn\.grep_a|attention\.gru_rel_pos_const)$", "attention.gate_scale"),
    (r"norm_k\.", "attention.position_norm."),
]


def own_name(name: str) -> str:
    """The name in HubertNetwork of a tensor that a file calls `name`; names nothing is known about stay."""
    for pattern, replacement in NAMES:
        changed, found = re.subn(f"^{pattern}", replacement, name)
        if found:
            name = changed
            break
    if layer := re.match(r"((?:shared\.)?layers\.\d+\.)(.+)$", name):
        rest = layer[2]
        for pattern, replacement in LAYER_NAMES:
            changed, found = re.subn(f"^{pattern}", replacement, rest)
            if found:
                return layer[1] + changed
    return name
