from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.audio.resampling import StreamResampler, resample, resample_tensor
from svc.audio.signal import Audio

RATES = [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000]


def tone(hz: float, rate: int, seconds: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


@given(st.integers(1, 9_000), st.sampled_from(RATES), st.sampled_from(RATES), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_length_is_exact(length: int, old: int, new: int, channels: int) -> None:
    samples = np.random.default_rng(length).standard_normal((channels, length)).astype(np.float32)
    out = resample(samples, old, new)
    assert out.shape == (channels, round(length * new / old)) and out.dtype == np.float32
    assert Audio(samples, old).resampled(new).length == out.shape[1]
    assert resample_tensor(torch.from_numpy(samples), old, new).shape == out.shape


@given(st.lists(st.integers(0, 4_000), min_size=1, max_size=12), st.sampled_from(RATES), st.sampled_from(RATES))
@settings(max_examples=40, deadline=None)
def test_a_stream_equals_the_whole(sizes: list[int], old: int, new: int) -> None:
    samples = np.random.default_rng(1).standard_normal((2, sum(sizes))).astype(np.float32)
    stream = StreamResampler(old, new, 2)
    edges = np.cumsum([0, *sizes])
    parts = [stream.process(samples[:, a:b]) for a, b in pairwise(edges[:-1])]
    parts.append(stream.process(samples[:, edges[-2] :], last=True))
    joined = np.concatenate(parts, axis=1)
    whole = resample(samples, old, new)
    assert joined.shape == whole.shape
    assert np.abs(joined - whole).max(initial=0) < 1e-4


@pytest.mark.parametrize(("old", "new"), [(44_100, 16_000), (16_000, 44_100), (48_000, 44_100), (192_000, 44_100)])
@pytest.mark.parametrize("hz", [100.0, 3_000.0, 6_500.0])
def test_a_tone_stays_that_tone(old: int, new: int, hz: float) -> None:
    """Amplitude, pitch and timing: the result is the same sine sampled at the new rate."""
    edge = new // 10
    out = resample(tone(hz, old, 0.5), old, new)
    assert np.abs(out - tone(hz, new, 0.5))[edge:-edge].max() < 3e-4
    on_device = resample_tensor(torch.from_numpy(tone(hz, old, 0.5)), old, new).numpy()
    assert np.abs(on_device - tone(hz, new, 0.5))[edge:-edge].max() < 1e-3


def test_what_the_new_rate_cannot_hold_is_removed() -> None:
    edge = 1_600
    assert np.abs(resample(tone(9_000, 44_100, 0.5), 44_100, 16_000))[edge:-edge].max() < 1e-5
    there = torch.from_numpy(tone(9_000, 44_100, 0.5))
    assert resample_tensor(there, 44_100, 16_000)[edge:-edge].abs().max() < 1e-3


def test_shapes_are_kept() -> None:
    assert resample(np.zeros(441, np.float32), 44_100, 16_000).shape == (160,)
    assert resample(np.zeros((2, 3, 441), np.float32), 44_100, 16_000).shape == (2, 3, 160)
    same = np.ones((1, 5), np.float32)
    assert np.array_equal(resample(same, 16_000, 16_000), same)


def test_tensors_keep_gradients_and_type() -> None:
    with torch.inference_mode():
        resample_tensor(torch.zeros(1, 441, dtype=torch.float64), 44_100, 22_050)
    audio = torch.randn(2, 441, dtype=torch.float64, requires_grad=True)
    out = resample_tensor(audio, 44_100, 22_050)
    out.square().sum().backward()
    assert out.dtype == torch.float64 and audio.grad is not None and audio.grad.abs().min() > 0


def test_misuse() -> None:
    stream = StreamResampler(44_100, 16_000, 2)
    with pytest.raises(ValueError, match=r"expected a block of shape \(2, n\)"):
        stream.process(np.zeros((1, 10), np.float32))
    stream.process(np.zeros((2, 10), np.float32), last=True)
    with pytest.raises(ValueError, match="finished"):
        stream.process(np.zeros((2, 10), np.float32))
