"""Kokoro-82M: 54 voices in eight languages, from files of the package index (Apache-2.0)."""

import json
from functools import lru_cache
from typing import Any

import numpy as np

from svc.audio.signal import Audio
from svc.errors import WeightError
from svc.paths import pretrain_dir
from svc.progress import Progress
from svc.speech.kokoro_phonemes import LANGUAGES, lacking_phonemes, to_phonemes
from svc.speech.speech import SpeechEngine, SpeechError, SpeechVoice, checked, has_module, sentences
from svc.weights import find_weight, weight_path
from svc.weights.speech import KOKORO, KOKORO_VOICES

RATE = 24_000
STYLES, STYLE_SIZE = 510, 256
# Phonemes at once: the model takes 510, and reads best what is about as long as a sentence.
MOST_PHONEMES = 400
GAP_SECONDS = 0.15


class Kokoro(SpeechEngine):
    """The 8-bit model of 92 MB by onnxruntime; the text becomes phonemes by the package of its language."""

    name = "kokoro"
    title = "Kokoro"
    note = "Natural; English, Mandarin, Japanese, Spanish, French, Hindi, Italian, Portuguese; offline once fetched."

    def __init__(self) -> None:
        self._session: Any = None

    @classmethod
    def lacking(cls) -> str:
        """See SpeechEngine."""
        if not has_module("onnxruntime"):
            return "Kokoro needs onnxruntime: run  pip install 'svc-toolkit[speech]'  and start again."
        if find_weight(KOKORO, "kokoro.onnx") is None or find_weight(KOKORO, "vocab.json") is None:
            return f"Kokoro's files (120 MB) are not here: run  svc weights get {KOKORO}  and try again."
        if not cls.voices():
            return "Kokoro needs a package for the sounds of words: run  pip install 'svc-toolkit[speech]'."
        return ""

    @classmethod
    def voices(cls) -> tuple[SpeechVoice, ...]:
        """Those whose file is here and whose language can be read: English with hibari-tts, and so on."""
        folder = pretrain_dir() / KOKORO  # looked at by name alone: the list is asked for at every opening of the page
        ready = {letter for letter in LANGUAGES if not lacking_phonemes(letter)}
        return tuple(
            SpeechVoice(name, LANGUAGES[name[0]].tag, _label(name))
            for name in KOKORO_VOICES
            if name[0] in ready and (folder / f"{name}.bin").is_file()
        )

    def speak(self, text: str, voice: str = "", speed: float = 1.0, progress: Progress | None = None) -> Audio:
        """See SpeechEngine; 24 kHz."""
        text, name = checked(text, speed), self.chosen(voice).id
        letters, styles = _letters(), _styles(name)
        pieces = [part for s in sentences(text) for part in _pieces(to_phonemes(s, name[0], letters))]
        if not pieces:
            raise SpeechError("Kokoro found nothing to say in this text: check that it is of the voice's language.")
        parts: list[np.ndarray] = []
        gap = np.zeros(round(GAP_SECONDS * RATE), np.float32)
        for number, piece in enumerate(pieces, 1):
            tokens = np.array([[0, *(letters[c] for c in piece), 0]], np.int64)
            style = styles[min(len(piece), STYLES - 1)]
            given = {"tokens": tokens, "style": style, "speed": np.array([speed], np.float32)}
            parts += [self._network().run(None, given)[0].reshape(-1).astype(np.float32), gap]
            if progress is not None:
                progress(number / len(pieces))
        return Audio(np.concatenate(parts)[None], RATE)

    def _network(self) -> Any:
        if self._session is None:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            path = str(weight_path(KOKORO, "kokoro.onnx"))
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return self._session


def _pieces(phonemes: str) -> list[str]:
    """Phonemes of a sentence in parts that the model takes, cut at blanks where it can be."""
    parts = []
    while len(phonemes) > MOST_PHONEMES:
        cut = phonemes.rfind(" ", MOST_PHONEMES // 2, MOST_PHONEMES)
        cut = cut if cut > 0 else MOST_PHONEMES
        parts.append(phonemes[:cut])
        phonemes = phonemes[cut:].lstrip()
    return [part for part in (*parts, phonemes) if part.strip()]


@lru_cache
def _letters() -> dict[str, int]:
    """Phoneme letter -> its number."""
    path = weight_path(KOKORO, "vocab.json")
    try:
        return {str(k): int(v) for k, v in json.loads(path.read_text(encoding="utf-8"))["vocab"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightError(f"{path} is damaged: delete it and run  svc weights get {KOKORO}") from error


def _styles(name: str) -> np.ndarray:
    """What a voice sounds like, float32 (510, 1, 256): one row for each number of phonemes."""
    path = weight_path(KOKORO, f"{name}.bin")
    values = np.fromfile(path, np.float32)
    if values.size != STYLES * STYLE_SIZE:
        raise WeightError(f"{path} is damaged: delete it and run  svc weights get {KOKORO}")
    return values.reshape(STYLES, 1, STYLE_SIZE)


def _label(name: str) -> str:
    gender = {"f": "female", "m": "male"}[name[1]]
    return f"{name[3:].capitalize()} ({LANGUAGES[name[0]].name}, {gender})"
