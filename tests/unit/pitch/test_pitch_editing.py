import numpy as np
import pytest

from svc.pitch.editing import (
    NEUTRAL_HZ,
    autotune,
    fill_unvoiced,
    hz_to_semitones,
    median_smooth,
    repair_octaves,
    semitones_to_hz,
    transpose,
)

RATE = 86.13


def test_transpose_moves_by_semitones_and_keeps_unvoiced():
    f0 = np.array([0, 220, 440], np.float32)
    assert transpose(f0, 12).tolist() == [0, 440, 880]
    np.testing.assert_allclose(transpose(f0, np.array([0, -12, 7])), [0, 110, 440 * 2 ** (7 / 12)], rtol=1e-6)
    assert transpose(f0, 3).dtype == np.float32


def test_semitones_and_hz_are_inverse():
    notes = np.linspace(30, 100, 15)
    np.testing.assert_allclose(hz_to_semitones(semitones_to_hz(notes)), notes)
    assert hz_to_semitones(np.array([440.0]))[0] == 69


def test_median_smooth_removes_a_spike_but_not_a_step_or_voicing():
    f0 = np.full(21, 200, np.float32)
    f0[10:] = 300
    f0[5] = 900
    f0[15] = 0
    smooth = median_smooth(f0, 5)
    assert smooth[5] == 200
    assert (smooth[:10] == 200).all() and (smooth[10:15] == 300).all()
    assert smooth[15] == 0 and smooth[16] == 300
    np.testing.assert_array_equal(median_smooth(f0, 1), f0)
    assert not median_smooth(np.zeros(4, np.float32), 5).any()


def vibrato(frames, hz=220.0):
    return (hz * 2 ** (0.5 / 12 * np.sin(np.arange(frames) * 0.4))).astype(np.float32)


@pytest.mark.parametrize("octaves", [-1, 1, 2])
@pytest.mark.parametrize("length", [1, 4, 12])
def test_short_octave_errors_are_repaired(octaves, length):
    true = vibrato(120)
    wrong = true.copy()
    wrong[50 : 50 + length] *= 2.0**octaves
    np.testing.assert_allclose(repair_octaves(wrong, RATE), true, rtol=1e-5)


def test_octave_error_at_the_beginning_of_a_phrase_is_repaired():
    true = np.concatenate([np.zeros(40), vibrato(60)]).astype(np.float32)
    wrong = true.copy()
    wrong[40:43] /= 2
    np.testing.assert_allclose(repair_octaves(wrong, RATE), true, rtol=1e-5)


def test_sung_octave_leaps_and_other_jumps_stay():
    leap = np.concatenate([vibrato(60), vibrato(60, 440.0), vibrato(60)])
    np.testing.assert_array_equal(repair_octaves(leap, RATE), leap)
    fifth = vibrato(100)
    fifth[50:55] *= 2 ** (8 / 12)
    np.testing.assert_array_equal(repair_octaves(fifth, RATE), fifth)
    lonely = np.zeros(100, np.float32)
    lonely[50:54] = 440
    np.testing.assert_array_equal(repair_octaves(lonely, RATE), lonely)


def test_fill_unvoiced_is_linear_in_log_and_held_at_the_ends():
    filled = fill_unvoiced(np.array([0, 100, 0, 400, 0], np.float32))
    np.testing.assert_allclose(filled, [100, 100, 200, 400, 400], rtol=1e-6)
    assert (fill_unvoiced(np.zeros(3, np.float32)) == NEUTRAL_HZ).all()
    assert len(fill_unvoiced(np.zeros(0, np.float32))) == 0


def test_fill_unvoiced_in_hz():
    filled = fill_unvoiced(np.array([0, 100, 0, 400, 0], np.float32), "filled_hz")
    np.testing.assert_array_equal(filled, [100, 100, 250, 400, 400])
    assert (fill_unvoiced(np.zeros(3, np.float32), "filled_hz") == 0).all()


def test_autotune_pulls_to_the_nearest_semitone():
    f0 = np.array([0, 440 * 2 ** (0.4 / 12), 440 * 2 ** (0.6 / 12)], np.float32)
    np.testing.assert_allclose(autotune(f0, 1.0), [0, 440, 440 * 2 ** (1 / 12)], rtol=1e-6)
    np.testing.assert_array_equal(autotune(f0, 0.0), f0)
    np.testing.assert_allclose(hz_to_semitones(autotune(f0, 0.5)[1:]), [69.2, 69.8], atol=1e-4)
