"""hibari-tts: English offline, 7.9 MB, its voice in the wheel (Apache-2.0)."""

from typing import Any

import numpy as np

from svc.audio.signal import Audio
from svc.progress import Progress
from svc.speech.speech import SpeechEngine, SpeechError, SpeechVoice, checked, has_module

SEED = 0


class Hibari(SpeechEngine):
    """English by a small network; about a hundred times faster than it is heard."""

    name = "hibari"
    title = "hibari-tts"
    note = "English; clear, a little flat; works offline and quickly on any machine."

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    @classmethod
    def lacking(cls) -> str:
        """See SpeechEngine."""
        ready = has_module("hibari") and has_module("onnxruntime")
        return "" if ready else "hibari-tts is not installed: run  pip install 'svc-toolkit[speech]'  and start again."

    @classmethod
    def voices(cls) -> tuple[SpeechVoice, ...]:
        """The voices that lie in the wheel; others would be fetched from a model hub and are left out."""
        if cls.lacking():
            return ()
        from hibari.voices import DEFAULT, VOICES

        inside = sorted((n for n, facts in VOICES.items() if facts["bundled"]), key=lambda name: name != DEFAULT)
        return tuple(
            SpeechVoice(n, VOICES[n]["language"], f"{n.capitalize()} ({VOICES[n]['accent']}, {VOICES[n]['gender']})")
            for n in inside
        )

    def speak(self, text: str, voice: str = "", speed: float = 1.0, progress: Progress | None = None) -> Audio:
        """See SpeechEngine; 24 kHz. The same text gives the same samples."""
        text, name = checked(text, speed), self.chosen(voice).id
        if name not in self._loaded:
            from hibari import Hibari as Network

            self._loaded[name] = Network(voice=name, threads=1)
        network = self._loaded[name]
        chunks, noise = network.phonemize(text), np.random.default_rng(SEED)
        parts = []
        for number, phonemes in enumerate(chunks, 1):
            parts.append(network.from_ids(network.ids(phonemes), speed, noise))
            if progress is not None:
                progress(number / len(chunks))
        samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        if not len(samples):
            raise SpeechError("hibari-tts speaks English only and found no word in this text: choose another engine.")
        return Audio(samples[None].astype(np.float32), network.sample_rate)
