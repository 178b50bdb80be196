import numpy as np
import pytest

from svc.config import ConvertOptions, FeatureConfig
from svc.conversion.melody import edit_pitch, excerpts, octave_transpose, phase_starts, semitone_transpose
from svc.conversion.windows import Survey
from svc.features.spec import spec_from_config


@pytest.mark.parametrize(
    ("source", "singer", "wanted"),
    [(110, 220, 12), (220, 110, -12), (200, 230, 0), (100, 145, 12), (100, 140, 0), (50, 800, 36), (0, 220, 0)],
)
def test_auto_transposes_by_whole_octaves(source, singer, wanted):
    assert octave_transpose(source, singer) == wanted
    assert octave_transpose(source, float("nan")) == 0


@pytest.mark.parametrize(
    ("source", "singer", "wanted"), [(220, 233.08, 1), (220, 110, -12), (200, 300, 7), (10, 800, 36), (0, 220, 0)]
)
def test_nearest_transposes_by_whole_semitones(source, singer, wanted):
    assert semitone_transpose(source, singer) == wanted
    assert semitone_transpose(float("nan"), singer) == 0


def test_editing_keeps_unvoiced_frames():
    f0 = np.array([0, 225, 230, 0], dtype=np.float32)
    up = edit_pitch(f0, 12.0, ConvertOptions())
    np.testing.assert_allclose(up, f0 * 2)
    tuned = edit_pitch(f0, 0.0, ConvertOptions(autotune=1.0))
    np.testing.assert_allclose(tuned, [0, 220.0, 233.08, 0], atol=0.01)


def test_short_songs_are_taken_whole_and_long_ones_by_their_loud_parts():
    spec = spec_from_config(FeatureConfig())
    assert excerpts(Survey(np.zeros(4000), np.zeros(4000)), spec) == [(0, 4000)]
    level = np.full(60_000, -30.0)
    level[10_000:20_000] = -90.0  # the second of six parts is silent
    level[45_000:46_000] = -10.0
    found = excerpts(Survey(level, level), spec)
    length = round(10 * spec.frame_rate)
    assert len(found) == 5 and all(last - first == length for first, last in found)
    assert not any(first >= 10_000 and last <= 20_000 for first, last in found)
    assert any(first <= 45_500 <= last for first, last in found)


def test_phase_goes_on_from_the_anchor():
    f0 = np.array([100.0, 200.0, 300.0])
    phases = phase_starts(f0, 441, 44_100, 1, 0.25)
    np.testing.assert_allclose(phases, [0.25, 0.25, 0.25, 0.25], atol=1e-9)
    phases = phase_starts(f0 + 10, 441, 44_100, 1, 0.25)
    np.testing.assert_allclose(phases, [0.15, 0.25, 0.35, 0.45], atol=1e-9)
