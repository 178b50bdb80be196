"""Which stretch of audio tells the model who sings: another than the one it is to sing."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from svc.data.manifest import Utterance

PROMPT_SECONDS = (2.0, 4.0)
LEAST_SECONDS = 1.0


class Stretch(NamedTuple):
    """Frames [start, stop) of utterance number `utterance`."""

    utterance: int
    start: int
    stop: int


class PromptChooser:
    """Draws a prompt for a crop: another utterance of the singer if there is one, of another recording if possible.

    A singer of one utterance gets the longer side of it beside the crop; where that is under a second, any part.
    """

    def __init__(self, utterances: Sequence[Utterance], frame_rate: float) -> None:
        self.utterances = list(utterances)
        self.frames = tuple(max(1, round(seconds * frame_rate)) for seconds in PROMPT_SECONDS)
        self.least = max(1, round(LEAST_SECONDS * frame_rate))
        self._of: dict[str, list[int]] = {}
        self._place: list[int] = []  # of each utterance among its singer's
        for index, utterance in enumerate(self.utterances):
            own = self._of.setdefault(utterance.speaker, [])
            self._place.append(len(own))
            own.append(index)

    def choose(self, random: np.random.Generator, index: int, start: int, stop: int) -> Stretch:
        """A prompt for frames [start, stop) of utterance `index`."""
        length = int(random.integers(self.frames[0], self.frames[1] + 1))
        chosen = self._other(random, index)
        low, high = 0, self.utterances[chosen].frames
        if chosen == index:
            before, after = start, high - stop
            if max(before, after) >= self.least:
                low, high = (0, start) if before > after else (stop, high)
        length = min(length, high - low)
        first = low + int(random.integers(high - low - length + 1))
        return Stretch(chosen, first, first + length)

    def _other(self, random: np.random.Generator, index: int) -> int:
        """Number of another utterance of the same singer; `index` itself if it is the only one."""
        utterance = self.utterances[index]
        own = self._of[utterance.speaker]
        if len(own) == 1:
            return index
        # A few tries for another recording keep this cheap for singers of thousands of slices.
        place = self._place[index]
        for _ in range(8):
            found = own[(place + 1 + int(random.integers(len(own) - 1))) % len(own)]
            if self.utterances[found].recording_sha256 != utterance.recording_sha256:
                break
        return found
