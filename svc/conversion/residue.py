"""Where nobody sings: what the separator leaves between lines stays in the song instead of being sung.

A separator leaves a little of the instruments in the vocals. Under singing nobody hears it, but an instrumental stretch
of it alone would be converted into somebody humming along. There it goes back to where it came from.
"""

from dataclasses import dataclass

import numpy as np

from svc.conversion.blending import SILENCE_BELOW_LOUD_DB
from svc.conversion.steps import StepCutter, between_steps

LOUD_PERCENTILE = 95.0
BELOW_LOUD_DB = 22.0
"""Vocals this far below the song's loud vocals are residue..."""
BELOW_MIX_DB = 12.0
"""... where they are also this far below the song itself; a quiet verse over a quiet guitar is not, silence is."""
HOLD_STEPS = 5
"""Half a second before and after everything sung belongs to it: breaths, quiet consonants, the end of a word."""


@dataclass(frozen=True)
class Presence:
    """Gain 0 to 1 for the vocals of a song, one value every `step` samples (G,)."""

    gains: np.ndarray
    step: int

    @property
    def everywhere(self) -> bool:
        """Whether the vocals are left alone."""
        return bool((self.gains == 1.0).all())

    def at(self, start: int, stop: int) -> np.ndarray:
        """Gain of samples [start, stop), float32 (n,); it changes linearly from step to step."""
        return between_steps(self.gains, self.step, start, stop).astype(np.float32)


class PresenceMeter:
    """Collects the energy of vocals and song every 100 ms of a stream."""

    def __init__(self, sample_rate: int) -> None:
        self._steps = StepCutter(sample_rate, 2)
        self._energies: list[np.ndarray] = []

    def add(self, vocals: np.ndarray, accompaniment: np.ndarray) -> None:
        """Take the next (C, n) samples of both."""
        both = np.stack([np.square(part, dtype=np.float64).mean(axis=0) for part in (vocals, vocals + accompaniment)])
        self._energies.append(self._steps.cut(both).mean(axis=2))

    def presence(self) -> Presence:
        """Where somebody sings, of all samples so far."""
        rest = self._steps.rest
        last = rest.mean(axis=1, keepdims=True) if rest.shape[1] else rest
        vocals_db, song_db = 10.0 * np.log10(np.concatenate([*self._energies, last], axis=1) + 1e-12)
        if not len(vocals_db):
            return Presence(np.ones(1), self._steps.step)
        loud = float(np.percentile(vocals_db, LOUD_PERCENTILE))
        sung = vocals_db > loud - BELOW_LOUD_DB
        sung |= (vocals_db > song_db - BELOW_MIX_DB) & (vocals_db > loud - SILENCE_BELOW_LOUD_DB)
        held = np.convolve(sung, np.ones(2 * HOLD_STEPS + 1), mode="full")[HOLD_STEPS : HOLD_STEPS + len(sung)]
        return Presence((held > 0.5).astype(np.float64), self._steps.step)
