"""F0 of real single notes, whose names are in the file names."""

import re

import numpy as np
import pytest

from svc.audio.reading import read_audio
from svc.pitch.editing import hz_to_semitones
from svc.registry import PITCH_ESTIMATORS

NAMES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
# Sung beside the note by all estimators' agreement, or said to be so by its name.
UNSURE = ("ko", "instable", "B3-5")


def notes(shared):
    files = sorted((shared / "audio/singing/vocobox_martin").glob("*.flac"))
    chosen = [f for f in files if not any(word in f.stem for word in UNSURE)][::6]
    assert len(chosen) >= 8
    return chosen


@pytest.mark.parametrize("name", ["fcpe", "harvest", "dio", "swift_f0", "fused"])
def test_real_notes_have_the_pitch_of_their_name(shared, name):
    if name == "swift_f0":
        pytest.importorskip("swift_f0")
    estimator = PITCH_ESTIMATORS.create(name, 50, 1100)
    errors = []
    for file in notes(shared):
        audio = read_audio(file).mono()
        track = estimator.estimate(audio.samples[0], audio.sample_rate, np.arange(0, audio.seconds, 0.0116))
        letter, sharp = re.match(r"([A-G])(#?)", file.stem).groups()
        sung = float(np.median(hz_to_semitones(track.f0_hz[track.voiced])))
        # The octave number of these names turns over at A, not at C, so only the note counts.
        distance = (sung - NAMES[letter] - bool(sharp) + 6) % 12 - 6
        errors.append(abs(distance))
        assert 60 < np.median(track.f0_hz[track.voiced]) < 300
    assert max(errors) < 0.5 and np.median(errors) < 0.25
