"""Names of exchangeable components, imported on first use.

Each registry is one literal dict of ``name -> "module:attribute"``, so that settings,
the command line and the web page can list choices without importing a component.
"""

import difflib
from importlib import import_module
from typing import Any

from svc.errors import ConfigError


class Registry:
    """Maps component names to classes that are imported when asked for."""

    def __init__(self, kind: str, entries: dict[str, str]) -> None:
        self.kind = kind
        self._entries = entries

    def names(self) -> tuple[str, ...]:
        """All valid names, in the order they are offered to users."""
        return tuple(self._entries)

    def require(self, name: str) -> None:
        """Raise ConfigError naming the valid choices, the nearest first, unless `name` is one of them."""
        if name not in self._entries:
            near = difflib.get_close_matches(name, self._entries, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise ConfigError(f"Unknown {self.kind} '{name}'.{hint} Choose one of: {', '.join(self._entries)}.")

    def load(self, name: str) -> Any:
        """The class registered under `name`; raises as `require` does."""
        self.require(name)
        module, _, attribute = self._entries[name].partition(":")
        return getattr(import_module(module), attribute)

    def create(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """An instance of the class registered under `name`."""
        return self.load(name)(*args, **kwargs)


PITCH_ESTIMATORS = Registry(
    "pitch estimator",
    {
        "fcpe": "svc.pitch.fcpe:Fcpe",
        "harvest": "svc.pitch.world:Harvest",
        "dio": "svc.pitch.world:Dio",
        "crepe": "svc.pitch.crepe:Crepe",
        "crepe_tiny": "svc.pitch.crepe:CrepeTiny",
        "rmvpe": "svc.pitch.rmvpe:Rmvpe",
        "fcpe_old": "svc.pitch.fcpe_old:FcpeOld",
        "swift_f0": "svc.pitch.swift_f0:SwiftF0",
        "praat": "svc.pitch.praat:Praat",
        "fused": "svc.pitch.fused:Fused",
    },
)

CONTENT_ENCODERS = Registry(
    "content encoder",
    {
        "moonshine": "svc.content.moonshine:Moonshine",
        "contentvec768l12": "svc.content.hubert:ContentVec768L12",
        "contentvec256l9": "svc.content.hubert:ContentVec256L9",
        "hubert_soft": "svc.content.hubert:HubertSoft",
        "hubert_discrete": "svc.content.hubert_discrete:HubertDiscrete",
        "hubert_discrete_centres": "svc.content.hubert_discrete:HubertDiscreteCentres",
        "hubert_base": "svc.content.hubert:HubertBase",
        "hubert_large": "svc.content.hubert:HubertLarge",
        "chinese_hubert_base": "svc.content.hubert:ChineseHubertBase",
        "chinese_hubert_large": "svc.content.hubert:ChineseHubertLarge",
        "dphubert": "svc.content.hubert:DpHubert",
        "wavlm_base": "svc.content.hubert:WavLmBase",
        "wavlm_base_plus": "svc.content.hubert:WavLmBasePlus",
        "wavlm_large": "svc.content.hubert:WavLmLarge",
        "dpwavlm": "svc.content.hubert:DpWavLm",
        "speechlm_base": "svc.content.hubert:SpeechLmBase",
        "speechlm_large": "svc.content.hubert:SpeechLmLarge",
        "whisper": "svc.content.whisper:Whisper",
        "whisper_ct2": "svc.content.whisper_ct2:WhisperCt2",
    },
)

SEPARATORS = Registry(
    "separation method",
    {
        "refined": "svc.separation.refiner:RefinedSpleeter",
        "spleeter": "svc.separation.spleeter:Spleeter",
        "demucs": "svc.separation.demucs:Demucs",
        "roformer": "svc.separation.roformer:Roformer",
        "mdx": "svc.separation.mdx:Mdx",
        "vr": "svc.separation.vr:Vr",
        "lead": "svc.separation.lead:Lead",
        "basic": "svc.separation.basic:Basic",
        "none": "svc.separation.none:NoSeparation",
    },
)

DEFAULT_SEPARATOR = "refined"

DECODERS = Registry(
    "decoder",
    {
        "nsf_hifigan": "svc.models.vocoders.nsf_hifigan:NsfHifigan",
        "nsf_istft": "svc.models.vocoders.nsf_istft:NsfIstft",
        "nsf_snake_hifigan": "svc.models.vocoders.nsf_snake_hifigan:NsfSnakeHifigan",
    },
)

DISCRIMINATORS = Registry(
    "discriminator",
    {
        "mpd_msd": "svc.models.discriminators.mpd_msd:MpdMsd",
        "mpd_msd_rvc_v1": "svc.models.discriminators.mpd_msd:RvcV1Discriminator",
        "mpd_msd_rvc_v2": "svc.models.discriminators.mpd_msd:RvcV2Discriminator",
        "light": "svc.models.discriminators.light:LightDiscriminator",
        "mrd": "svc.models.discriminators.multi_resolution:MultiResolutionDiscriminator",
    },
)

SPEECH_ENGINES = Registry(
    "speech engine",
    {
        "hibari": "svc.speech.hibari:Hibari",
        "kokoro": "svc.speech.kokoro:Kokoro",
        "espeak": "svc.speech.espeak:Espeak",
        "piper": "svc.speech.piper:Piper",
        "edge": "svc.speech.edge:Edge",
    },
)

SPEAKER_ENCODERS = Registry(
    "speaker encoder",
    {
        "resemblyzer": "svc.speaker.resemblyzer:Resemblyzer",
    },
)

SLICERS = Registry(
    "slicer",
    {
        "quiet": "svc.audio.slicing:QuietSlicer",
        "rms": "svc.audio.rms_slicer:RmsSlicer",
    },
)
