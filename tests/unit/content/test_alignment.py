import numpy as np
import pytest

from svc.content.alignment import align_frames, left_indices, nearest_indices
from svc.errors import AudioError


def test_linear_between_and_held_outside() -> None:
    values = np.array([[0.0, 10.0], [1.0, 20.0], [3.0, 0.0]], dtype=np.float32)
    out = align_frames(values, np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0, 1.25, 2.0, 3.0, 4.0, 9.0]))
    expected = [[0, 10], [0, 10], [0.25, 12.5], [1, 20], [2, 10], [3, 0], [3, 0]]
    np.testing.assert_allclose(out, expected, atol=1e-6)
    assert out.dtype == np.float32


def test_a_line_in_time_stays_a_line_at_our_frame_times() -> None:
    source = np.arange(500) * 384 / 16_000
    target = (np.arange(1000) + 0.5) * 512 / 44_100
    out = align_frames(source[:, None].astype(np.float32), source, target)
    inside = target <= source[-1]
    np.testing.assert_allclose(out[inside, 0], target[inside], atol=2e-6)
    np.testing.assert_allclose(out[~inside, 0], source[-1], atol=1e-6)


def test_agrees_with_numpy_interp() -> None:
    rng = np.random.default_rng(0)
    source = np.cumsum(rng.uniform(0.01, 0.1, 50))
    values = rng.standard_normal((50, 3)).astype(np.float32)
    target = rng.uniform(-1, 5, 200)
    expected = np.stack([np.interp(target, source, values[:, d]) for d in range(3)], axis=1)
    np.testing.assert_allclose(align_frames(values, source, target), expected, atol=1e-5)


def test_one_frame_is_repeated_and_no_target_gives_none() -> None:
    one = np.array([[1.0, 2.0]], dtype=np.float32)
    assert align_frames(one, np.array([0.0]), np.arange(4.0)).tolist() == [[1.0, 2.0]] * 4
    assert align_frames(one, np.array([0.0]), np.zeros(0)).shape == (0, 2)


@pytest.mark.parametrize(
    ("values", "times"),
    [(np.zeros((0, 3)), np.zeros(0)), (np.zeros((2, 3)), np.zeros(3)), (np.zeros((3, 2)), np.array([0.0, 1.0, 1.0]))],
)
def test_unusable_frames_are_refused(values: np.ndarray, times: np.ndarray) -> None:
    with pytest.raises(AudioError):
        align_frames(values, times, np.zeros(2))


def test_index_maps_stay_in_range_and_rise() -> None:
    for source, target in ((1, 1), (1, 7), (7, 1), (50, 86), (86, 50), (1000, 1723)):
        for index in (left_indices(source, target), nearest_indices(source, target)):
            assert len(index) == target
            assert index[0] == 0
            assert index.max() < source
            assert (np.diff(index) >= 0).all()
    with pytest.raises(AudioError):
        left_indices(0, 5)
