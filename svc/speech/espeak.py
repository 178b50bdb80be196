"""espeak-ng, where it is installed: more than a hundred languages, by rules."""

import tempfile
from functools import lru_cache
from pathlib import Path

from svc.audio.reading import read_audio
from svc.audio.signal import Audio
from svc.progress import Progress
from svc.speech.speech import SpeechEngine, SpeechVoice, checked, program, run_program

WORDS_PER_MINUTE = 165
FIRST = "en-us"


class Espeak(SpeechEngine):
    """The program espeak-ng; the text goes to its standard input."""

    name = "espeak"
    title = "espeak-ng"
    note = "More than 100 languages; sounds like a machine, which conversion only partly mends; offline."

    @classmethod
    def lacking(cls) -> str:
        """See SpeechEngine."""
        there = program("espeak-ng")
        return "" if there else "espeak-ng is not installed: run  apt-get install espeak-ng  (or brew) and start again."

    @classmethod
    def voices(cls) -> tuple[SpeechVoice, ...]:
        """One for each language that it lists."""
        there = program("espeak-ng")
        return _voices(there) if there else ()

    def speak(self, text: str, voice: str = "", speed: float = 1.0, progress: Progress | None = None) -> Audio:
        """See SpeechEngine; 22.05 kHz."""
        text, chosen = checked(text, speed), self.chosen(voice)
        with tempfile.TemporaryDirectory(prefix="svc-speech-") as folder:
            target = Path(folder) / "speech.wav"
            pace = str(round(WORDS_PER_MINUTE * speed))
            run_program([program("espeak-ng") or "", "-v", chosen.id, "-s", pace, "-w", str(target)], text, self.title)
            audio = read_audio(target).mono()
        if progress is not None:
            progress(1.0)
        return audio


def phonemes(text: str, language: str) -> str:
    """`text` in IPA by espeak-ng, two letters of one sound tied by a zero-width joiner; SpeechError if it fails."""
    there = program("espeak-ng")
    assert there is not None, "the caller has checked that it is installed"
    spoken = run_program([there, "-q", "--ipa=3", "-v", language], text, "espeak-ng")
    return " ".join(spoken.split())


@lru_cache
def _voices(path: str) -> tuple[SpeechVoice, ...]:
    """What `espeak-ng --voices` lists: priority, language, age/gender, name, file, other languages."""
    found = {}
    for line in run_program([path, "--voices"], "", "espeak-ng").splitlines()[1:]:
        cells = line.split()
        if len(cells) >= 5:
            found[cells[1]] = SpeechVoice(cells[1], cells[1], cells[3].replace("_", " "))
    return tuple(sorted(found.values(), key=lambda voice: (voice.id != FIRST, voice.id)))
