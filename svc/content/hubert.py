"""Content encoders of the HuBERT family, on weight files that the user puts into pretrain/."""

from typing import ClassVar

from svc.content.hubert_discrete import HubertDiscrete
from svc.content.hubert_encoder import HubertEncoder


class ContentVec768L12(HubertEncoder):
    """ContentVec (Qian et al., arXiv 2204.09224): 768 values; layer 12, as so-vits-svc 4.1 and RVC v2 use it."""

    name: ClassVar[str] = "contentvec768l12"
    dim: ClassVar[int] = 768
    layer_count: ClassVar[int] = 12
    default_layers: ClassVar[dict[int, float]] = {12: 1.0}
    file_names: ClassVar[tuple[str, ...]] = (
        "checkpoint_best_legacy_500.pt",
        "hubert_base.pt",
        "content-vec-best",
        "contentvec",
        "hubert_base",
    )
    origin: ClassVar[str] = (
        "https://github.com/auspicious3000/contentvec (ContentVec_legacy, 500 classes; the folder "
        "huggingface.co/lengyue233/content-vec-best and RVC's hubert_base.pt hold the same)"
    )


class ContentVec256L9(ContentVec768L12):
    """ContentVec's layer 9 behind its final_proj: 256 values, as so-vits-svc 4.0 and RVC v1 use it."""

    name: ClassVar[str] = "contentvec256l9"
    dim: ClassVar[int] = 256
    default_layers: ClassVar[dict[int, float]] = {9: 1.0}
    projected: ClassVar[bool] = True


class HubertSoft(HubertEncoder):
    """hubert-soft (van Niekerk et al., arXiv 2111.02392): 256 soft units, the last layer behind its projection."""

    name: ClassVar[str] = "hubert_soft"
    dim: ClassVar[int] = 256
    layer_count: ClassVar[int] = 12
    default_layers: ClassVar[dict[int, float]] = {12: 1.0}
    file_names: ClassVar[tuple[str, ...]] = ("hubert-soft-0d54a1f4.pt", "hubert-soft-35d9f29f.pt", "hubert_soft.pt")
    families: ClassVar[tuple[str, ...]] = ("soft",)
    projected: ClassVar[bool] = True
    original_padding: ClassVar[int] = 40
    origin: ClassVar[str] = "https://github.com/bshall/hubert/releases (v0.1 or v0.2)"


class HubertBase(HubertEncoder):
    """HuBERT base of fairseq: 768 values; layer 12, the last."""

    name: ClassVar[str] = "hubert_base"
    dim: ClassVar[int] = 768
    layer_count: ClassVar[int] = 12
    default_layers: ClassVar[dict[int, float]] = {12: 1.0}
    file_names: ClassVar[tuple[str, ...]] = ("hubert_base_ls960.pt", "hubert-base-ls960")
    origin: ClassVar[str] = "fairseq's HuBERT page"


class ChineseHubertBase(HubertEncoder):
    """HuBERT base trained on Mandarin: 768 values; layer 12, the last."""

    name: ClassVar[str] = "chinese_hubert_base"
    dim: ClassVar[int] = 768
    layer_count: ClassVar[int] = 12
    default_layers: ClassVar[dict[int, float]] = {12: 1.0}
    file_names: ClassVar[tuple[str, ...]] = ("chinese-hubert-base-fairseq-ckpt.pt", "chinese-hubert-base")
    origin: ClassVar[str] = "https://huggingface.co/TencentGameMate/chinese-hubert-base"


class HubertLarge(HubertEncoder):
    """HuBERT large of fairseq: 1024 values; 25 is layer 24 behind the last norm. The waveform is left as it is."""

    name: ClassVar[str] = "hubert_large"
    dim: ClassVar[int] = 1024
    layer_count: ClassVar[int] = 25
    default_layers: ClassVar[dict[int, float]] = {25: 1.0}
    file_names: ClassVar[tuple[str, ...]] = ("hubert_large_ll60k.pt", "hubert-large-ll60k")
    origin: ClassVar[str] = "fairseq's HuBERT page"


class ChineseHubertLarge(HubertEncoder):
    """HuBERT large trained on Mandarin: 1024 values; 25 is layer 24 behind the last norm.

    The waveform is not normalised, as in so-vits-svc ("cnhubertlarge"), whose frames are layer 25.
    """

    name: ClassVar[str] = "chinese_hubert_large"
    dim: ClassVar[int] = 1024
    layer_count: ClassVar[int] = 25
    default_layers: ClassVar[dict[int, float]] = {25: 1.0}
    file_names: ClassVar[tuple[str, ...]] = ("chinese-hubert-large-fairseq-ckpt.pt", "chinese-hubert-large")
    origin: ClassVar[str] = "https://huggingface.co/TencentGameMate/chinese-hubert-large"


class DpHubert(HubertEncoder):
    """DPHuBERT (Peng et al., arXiv 2305.17651), HuBERT base pruned to a quarter: 768 values; layer 12, the last."""

    name: ClassVar[str] = "dphubert"
    dim: ClassVar[int] = 768
    layer_count: ClassVar[int] = 12
    default_layers: ClassVar[dict[int, float]] = {12: 1.0}
    file_names: ClassVar[tuple[str, ...]] = ("DPHuBERT-sp0.75.pth",)
    families: ClassVar[tuple[str, ...]] = ("dphubert",)
    origin: ClassVar[str] = "https://huggingface.co/pyf98/DPHuBERT"


class WavLmBase(HubertEncoder):
    """WavLM base (Chen et al., arXiv 2110.13900): 768 values; layer 12, the last."""

    name: ClassVar[str] = "wavlm_base"
    dim: ClassVar[int] = 768
    layer_count: ClassVar[int] = 12
    default_layers: ClassVar[dict[int, float]] = {12: 1.0}
    file_names: ClassVar[tuple[str, ...]] = ("WavLM-Base.pt", "wavlm-base")
    families: ClassVar[tuple[str, ...]] = ("wavlm",)
    levelled: ClassVar[bool] = True
    origin: ClassVar[str] = "https://github.com/microsoft/unilm/tree/master/wavlm (or huggingface.co/microsoft)"


class WavLmBasePlus(WavLmBase):
    """WavLM base+, the same network on ten times the data: 768 values; layer 12, as so-vits-svc ("wavlmbase+")."""

    name: ClassVar[str] = "wavlm_base_plus"
    file_names: ClassVar[tuple[str, ...]] = ("WavLM-Base+.pt", "wavlm-base-plus", "wavlm-base-plus-sv")


class WavLmLarge(WavLmBase):
    """WavLM large: 1024 values; 25 is layer 24 behind the last norm. The waveform is normalised over the recording."""

    name: ClassVar[str] = "wavlm_large"
    dim: ClassVar[int] = 1024
    layer_count: ClassVar[int] = 25
    default_layers: ClassVar[dict[int, float]] = {25: 1.0}
    file_names: ClassVar[tuple[str, ...]] = ("WavLM-Large.pt", "wavlm-large")


class DpWavLm(WavLmBase):
    """WavLM base+ pruned to a quarter as DPHuBERT is: 768 values; layer 12, the last."""

    name: ClassVar[str] = "dpwavlm"
    file_names: ClassVar[tuple[str, ...]] = ("DPWavLM-sp0.75.pth",)
    families: ClassVar[tuple[str, ...]] = ("dpwavlm",)
    origin: ClassVar[str] = "https://huggingface.co/pyf98/DPHuBERT"


class SpeechLmBase(HubertEncoder):
    """SpeechLM base (Zhang et al., arXiv 2209.15329): 768 values.

    Layers 1 to 6 hear speech only, 7 to 12, of which the last is the default, were trained on text as well.
    """

    name: ClassVar[str] = "speechlm_base"
    dim: ClassVar[int] = 768
    layer_count: ClassVar[int] = 12
    default_layers: ClassVar[dict[int, float]] = {12: 1.0}
    file_names: ClassVar[tuple[str, ...]] = ("speechlm_h_base_librispeech_clean.pt", "speechlm_base.pt")
    families: ClassVar[tuple[str, ...]] = ("speechlm",)
    levelled: ClassVar[bool] = True
    origin: ClassVar[str] = "https://github.com/microsoft/SpeechT5/tree/main/SpeechLM (SpeechLM-H or -P, base)"


class SpeechLmLarge(SpeechLmBase):
    """SpeechLM large: 1024 values; 12 layers of speech, 12 of speech and text, 25 is the last behind its norm.

    The waveform is normalised over the recording.
    """

    name: ClassVar[str] = "speechlm_large"
    dim: ClassVar[int] = 1024
    layer_count: ClassVar[int] = 25
    default_layers: ClassVar[dict[int, float]] = {25: 1.0}
    file_names: ClassVar[tuple[str, ...]] = ("speechlm_p_large_60kh_clean.pt", "speechlm_large.pt")
    origin: ClassVar[str] = "https://github.com/microsoft/SpeechT5/tree/main/SpeechLM (SpeechLM-P large)"


FAMILY: tuple[type[HubertEncoder], ...] = (
    ContentVec768L12,
    ContentVec256L9,
    HubertSoft,
    HubertDiscrete,
    HubertBase,
    HubertLarge,
    ChineseHubertBase,
    ChineseHubertLarge,
    DpHubert,
    WavLmBase,
    WavLmBasePlus,
    WavLmLarge,
    DpWavLm,
    SpeechLmBase,
    SpeechLmLarge,
)
