import numpy as np

from svc.content.levelling import FLOOR_RMS, TARGET_RMS, frame_gains, levelled

HOP, RATE = 384, 16_000


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(int(seconds * RATE)).astype(np.float32)


def test_any_level_comes_out_at_the_target() -> None:
    for level in (0.01, 0.1, 0.5):
        samples = noise(6) * level
        out = levelled(samples, 0, frame_gains(samples, HOP, RATE), HOP)
        assert abs(np.sqrt(np.mean(out[RATE:-RATE] ** 2)) / TARGET_RMS - 1) < 0.05


def test_pauses_do_not_raise_the_gain_and_hiss_is_not_blown_up() -> None:
    samples = noise(8) * 0.1
    samples[2 * RATE : 3 * RATE] = 0
    gains = frame_gains(samples, HOP, RATE)
    assert gains[int(2.5 * RATE / HOP)] / gains[int(6 * RATE / HOP)] < 1.1
    quiet = frame_gains(noise(3) * 1e-5, HOP, RATE)
    np.testing.assert_allclose(quiet, TARGET_RMS / FLOOR_RMS, rtol=1e-6)


def test_gain_depends_on_two_seconds_to_each_side_only() -> None:
    samples = noise(20) * 0.1
    changed = samples.copy()
    changed[: 5 * RATE] *= 0.1
    a, b = frame_gains(samples, HOP, RATE), frame_gains(changed, HOP, RATE)
    far = int(7.1 * RATE / HOP)
    np.testing.assert_allclose(a[far:], b[far:], rtol=1e-6)
    assert not np.allclose(a[: far - 60], b[: far - 60], rtol=1e-3)


def test_levelling_a_piece_is_levelling_the_whole() -> None:
    samples = noise(5) * np.linspace(0, 0.3, 5 * RATE, dtype=np.float32)
    gains = frame_gains(samples, HOP, RATE)
    whole = levelled(samples, 0, gains, HOP)
    np.testing.assert_array_equal(levelled(samples[1234:40_000], 1234, gains, HOP), whole[1234:40_000])


def test_blocks_of_a_long_recording_do_not_show(monkeypatch) -> None:
    samples = noise(9) * 0.1
    once = frame_gains(samples, HOP, RATE)
    monkeypatch.setattr("svc.content.levelling.BLOCK_FRAMES", 50)
    np.testing.assert_allclose(frame_gains(samples, HOP, RATE), once, rtol=1e-6)
