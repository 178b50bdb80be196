"""The contract of text-to-speech engines, and what they share."""

import re
import shutil
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib.util import find_spec

from svc.audio.signal import Audio
from svc.errors import SvcError
from svc.progress import Progress
from svc.registry import SPEECH_ENGINES

LONGEST_TEXT = 20_000
SLOWEST, FASTEST = 0.5, 2.0
PROGRAM_SECONDS = 600.0
# Where a sentence ends: after . ! ? and blanks, after the marks of Chinese and Japanese, and at line ends.
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"”’)\]]*\s+|(?<=[。！？；])|\n+")


class SpeechError(SvcError):
    """Text that cannot be spoken, or an engine that cannot speak it."""


@dataclass(frozen=True)
class SpeechVoice:
    """A voice of an engine. id: what the engine calls it; language: a tag such as "en-US"; label: for people."""

    id: str
    language: str
    label: str


class SpeechEngine(ABC):
    """One way to make speech from text.

    name: as in the registry. note: one honest sentence on quality and where it computes. online: whether the text
    leaves this machine. An instance may keep networks loaded; it holds no state of a text.
    """

    name: str
    title: str
    note: str
    online = False

    @classmethod
    @abstractmethod
    def lacking(cls) -> str:
        """How to get what the engine needs, as a sentence; "" when it is ready. Quick: nothing is loaded for it."""

    @classmethod
    @abstractmethod
    def voices(cls) -> tuple[SpeechVoice, ...]:
        """The voices that can be used now, the default first; empty where the engine is not ready."""

    @abstractmethod
    def speak(self, text: str, voice: str = "", speed: float = 1.0, progress: Progress | None = None) -> Audio:
        """`text` spoken: mono, at the engine's rate.

        voice: an id of `voices`, "" for the first. speed: 1 is the engine's own pace, 0.5 half and 2 twice as fast.
        Raises SpeechError for empty or too long text, an unknown voice, or when the engine fails.
        """

    def chosen(self, voice: str) -> SpeechVoice:
        """The voice of that id, the first for ""; SpeechError when there is none such, or none at all."""
        if problem := self.lacking():
            raise SpeechError(problem)
        known = self.voices()
        for entry in known:
            if voice in ("", entry.id):
                return entry
        raise SpeechError(f"{self.title} has no voice '{voice[:60]}': choose one of its {len(known)} voices.")


def create_engine(name: str) -> SpeechEngine:
    """The engine registered as `name`; ConfigError names the nearest one, SpeechError how to get a missing one."""
    engine = SPEECH_ENGINES.load(name)
    if problem := engine.lacking():
        raise SpeechError(problem)
    made: SpeechEngine = engine()
    return made


def engines() -> dict[str, type[SpeechEngine]]:
    """All engines by name, those that are not ready too."""
    return {name: SPEECH_ENGINES.load(name) for name in SPEECH_ENGINES.names()}


def checked(text: str, speed: float = 1.0) -> str:
    """`text` without blanks around it and without control characters; SpeechError when nothing or too much is left."""
    clean = "".join(c if c.isprintable() else "\n" if c in "\n\r" else " " for c in text).strip()
    if not any(c.isalnum() for c in clean):
        raise SpeechError("There is no text to speak: write some words.")
    if len(clean) > LONGEST_TEXT:
        raise SpeechError(f"The text has {len(clean):,} characters: speak at most {LONGEST_TEXT:,} at once.")
    if not SLOWEST <= speed <= FASTEST:
        raise SpeechError(f"The speed must lie between {SLOWEST:g} and {FASTEST:g} (got {speed:g}).")
    return clean


def sentences(text: str) -> list[str]:
    """The sentences of `text`, none empty."""
    return [part.strip() for part in _SENTENCE_END.split(text) if any(c.isalnum() for c in part)]


def has_module(name: str) -> bool:
    """Whether a package can be imported; it is not."""
    return find_spec(name) is not None


def run_program(arguments: list[str], text: str, what: str) -> str:
    """Run a program with `text` on its standard input; what it prints. SpeechError in one sentence when it fails.

    The arguments are a list and nothing of the text is among them, so no shell and no option parser sees it.
    """
    try:
        done = subprocess.run(
            arguments,
            input=text.encode(),
            capture_output=True,
            timeout=PROGRAM_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SpeechError(f"{what} could not be run ({type(error).__name__}): try a shorter text.") from error
    if done.returncode != 0:
        reason = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"])[-1]
        raise SpeechError(f"{what} failed ({reason[:200]}): choose another voice or engine.")
    return done.stdout.decode("utf-8", "replace")


def program(*names: str) -> str | None:
    """The path of the first of these programs that is installed."""
    return next((path for name in names if (path := shutil.which(name))), None)
