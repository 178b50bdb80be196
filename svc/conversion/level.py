"""How loud the voice hears a song: as loud as the recordings that it learnt from.

A voice hears how loud each frame is, and sings softly or loudly by it. But how loud a recording is also depends on the
gain that somebody gave it, which says nothing of the singing. So the song's usual level is brought to that of the
voice's recordings before the voice hears it, and what it sang is brought back. See docs/results.md, "Level".
"""

from dataclasses import replace

import numpy as np

from svc.audio.loudness import FLOOR_DB, sounding_level_db
from svc.checkpoint.operations import speaker_between
from svc.checkpoint.voice import SpeakerInfo, Voice

BASE_LEVEL_DB = -24.0
"""Of the built-in base: the middle of its 1,389 singers' levels (a twentieth lies below -31, one above -18)."""
LARGEST_SHIFT_DB = 30.0


def level_shift_db(frame_level_db: np.ndarray, singer_level_db: float | None) -> float:
    """What to add to the levels of a song's frames (T,), in dB, so that their usual one is the singer's.

    At most 30 dB either way, in steps of 0.1; 0 for silence and where the singer's level is not known.
    """
    if singer_level_db is None or (song_db := sounding_level_db(frame_level_db)) is None:
        return 0.0
    return round(min(LARGEST_SHIFT_DB, max(-LARGEST_SHIFT_DB, singer_level_db - song_db)), 1)


def shifted_levels(frame_level_db: np.ndarray, shift_db: float) -> np.ndarray:
    """Levels (T,) with `shift_db` added, as a recording would have them: digital silence stays, none falls below it."""
    shifted = np.maximum(frame_level_db + np.float32(shift_db), FLOOR_DB)
    return np.where(frame_level_db > FLOOR_DB, shifted, frame_level_db).astype(np.float32)


def at_the_level_of(voice: Voice, prompted: SpeakerInfo) -> SpeakerInfo:
    """`prompted`, a prompt's singer, with the level at which `voice` learnt to sing.

    A prompt's vector tells nothing of its level. A voice that does not know its own sings at the base's, which is where
    prompts were learnt.
    """
    level_db = speaker_between([(info, 1.0) for info in voice.speakers]).level_db
    return replace(prompted, level_db=BASE_LEVEL_DB if level_db is None else level_db)
