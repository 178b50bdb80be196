"""Piper, where it is installed: the user's own voices in pretrain/piper/."""

import sys
import tempfile
from pathlib import Path

from svc.audio.reading import read_audio
from svc.audio.signal import Audio
from svc.paths import pretrain_dir
from svc.progress import Progress
from svc.speech.speech import SpeechEngine, SpeechVoice, checked, has_module, program, run_program


class Piper(SpeechEngine):
    """The program of piper-tts with voices NAME.onnx and NAME.onnx.json that a user put into pretrain/piper/."""

    name = "piper"
    title = "Piper"
    note = "Good voices of many languages, one file each; offline."

    @classmethod
    def lacking(cls) -> str:
        """See SpeechEngine."""
        if not (program("piper") or has_module("piper")):
            return "Piper is not installed: run  pip install piper-tts  and start again."
        if not _files():
            return f"Piper has no voices yet: put NAME.onnx and NAME.onnx.json into {pretrain_dir().name}/piper/."
        return ""

    @classmethod
    def voices(cls) -> tuple[SpeechVoice, ...]:
        """One for each file; its name begins with the language, such as de_DE-thorsten-medium."""
        return tuple(SpeechVoice(p.stem, p.stem.partition("-")[0].replace("_", "-"), p.stem) for p in _files())

    def speak(self, text: str, voice: str = "", speed: float = 1.0, progress: Progress | None = None) -> Audio:
        """See SpeechEngine; at the rate of the voice."""
        text, chosen = checked(text, speed), self.chosen(voice)
        model = next(path for path in _files() if path.stem == chosen.id)
        start = [sys.executable, "-m", "piper"] if has_module("piper") else [program("piper") or ""]
        with tempfile.TemporaryDirectory(prefix="svc-speech-") as folder:
            target = Path(folder) / "speech.wav"
            scale = f"{1 / speed:.3f}"
            # One line is one utterance to it; a text over several lines would leave several files.
            line = " ".join(text.split())
            run_program([*start, "-m", str(model), "-f", str(target), "--length-scale", scale], line, self.title)
            audio = read_audio(target).mono()
        if progress is not None:
            progress(1.0)
        return audio


def _files() -> list[Path]:
    return [p for p in sorted((pretrain_dir() / "piper").glob("*.onnx")) if p.with_name(f"{p.name}.json").is_file()]
