"""The vote of two trackers, on made curves."""

import numpy as np

from svc.pitch.fused import vote

RATE = 100.0


def melody(frames=200):
    return (220 * 2 ** (np.sin(np.arange(frames) / 30) / 6)).astype(np.float32)


def test_octave_errors_of_either_are_repaired():
    truth = melody()
    first, second = truth.copy(), truth.copy()
    first[50:72] *= 2
    second[120:150] /= 2
    np.testing.assert_allclose(vote(first, second, RATE), truth, rtol=1e-4)


def test_the_first_ones_octave_stands_where_nothing_was_agreed():
    truth = melody()
    np.testing.assert_array_equal(vote(truth, truth / 2, RATE), truth)


def test_voicing():
    first, second = melody(), melody()
    first[20:60] = 0  # only the second: dropped
    second[100:140] = 0  # only the first, in a longer run: kept
    first[150:200] = second[150:200] = 0
    first[170:173] = 300  # a blip that only the first hears: dropped
    out = vote(first, second, RATE)
    assert not out[20:60].any() and (out[100:140] > 0).all() and not out[150:].any()


def test_a_sung_octave_leap_that_both_hear_stays():
    truth = melody()
    truth[100:] *= 2
    np.testing.assert_array_equal(vote(truth, truth.copy(), RATE), truth)


def test_empty_and_silent():
    assert vote(np.zeros(0), np.zeros(0), RATE).shape == (0,)
    assert not vote(np.zeros(9), np.full(9, 200.0), RATE).any()
