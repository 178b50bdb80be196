"""edge-tts: the reading voices of Microsoft Edge, over the network."""

import tempfile
from pathlib import Path

from svc.audio.reading import read_audio
from svc.audio.signal import Audio
from svc.progress import Progress
from svc.speech.speech import SpeechEngine, SpeechError, SpeechVoice, checked, has_module

# A few of some hundreds: the package lists all with  edge-tts --list-voices.
NAMES = (
    ("en-US-AriaNeural", "Aria"),
    ("en-US-GuyNeural", "Guy"),
    ("en-GB-SoniaNeural", "Sonia"),
    ("zh-CN-XiaoxiaoNeural", "Xiaoxiao"),
    ("zh-CN-YunxiNeural", "Yunxi"),
    ("zh-TW-HsiaoChenNeural", "HsiaoChen"),
    ("ja-JP-NanamiNeural", "Nanami"),
    ("ja-JP-KeitaNeural", "Keita"),
    ("ko-KR-SunHiNeural", "SunHi"),
    ("de-DE-KatjaNeural", "Katja"),
    ("fr-FR-DeniseNeural", "Denise"),
    ("es-ES-ElviraNeural", "Elvira"),
)


class Edge(SpeechEngine):
    """Speech made by a server of Microsoft: the text leaves this machine."""

    name = "edge"
    title = "edge-tts"
    note = "Very natural, many languages; the text is sent to a server of Microsoft."
    online = True

    @classmethod
    def lacking(cls) -> str:
        """See SpeechEngine."""
        there = has_module("edge_tts")
        return "" if there else "edge-tts is not installed: run  pip install edge-tts  and start again."

    @classmethod
    def voices(cls) -> tuple[SpeechVoice, ...]:
        """See SpeechEngine."""
        if cls.lacking():
            return ()
        return tuple(SpeechVoice(name, name[:5], label) for name, label in NAMES)

    def speak(self, text: str, voice: str = "", speed: float = 1.0, progress: Progress | None = None) -> Audio:
        """See SpeechEngine; 24 kHz. SpeechError when the server cannot be reached."""
        text, chosen = checked(text, speed), self.chosen(voice)
        import edge_tts

        with tempfile.TemporaryDirectory(prefix="svc-speech-") as folder:
            target = Path(folder) / "speech.mp3"
            try:
                edge_tts.Communicate(text, chosen.id, rate=f"{round(100 * (speed - 1)):+d}%").save_sync(str(target))
            except Exception as error:  # its own errors, and those of the network below it, have no common class
                raise SpeechError(
                    f"edge-tts got no answer ({type(error).__name__}): check the network, or choose an offline engine."
                ) from error
            audio = read_audio(target).mono()
        if progress is not None:
            progress(1.0)
        return audio
