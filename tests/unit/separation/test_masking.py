import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.separation.fifo import SampleFifo
from svc.separation.masking import MaskStream

N_FFT, HOP = 64, 16


def ones(spectrum: torch.Tensor) -> torch.Tensor:
    return torch.ones(spectrum.shape)


def run(stream: MaskStream, samples: np.ndarray, block: int) -> np.ndarray:
    parts = [
        stream.process(samples[:, start : start + block], start + block >= samples.shape[1])
        for start in range(0, samples.shape[1], block)
    ]
    return np.concatenate(parts, axis=1)


def noise(length: int) -> np.ndarray:
    return np.random.default_rng(length).standard_normal((2, length)).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(length=st.integers(1, 900), block=st.integers(1, 300), overlap=st.integers(0, 8))
def test_a_mask_of_ones_is_the_input(length: int, block: int, overlap: int) -> None:
    samples = noise(length)
    out = run(MaskStream(ones, N_FFT, HOP, 16, 16 - overlap), samples, block)
    assert out.shape == samples.shape
    np.testing.assert_allclose(out, samples, atol=2e-6)


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 900), block=st.integers(1, 300))
def test_a_fixed_mask_equals_the_whole_transform_at_once(length: int, block: int) -> None:
    samples = noise(length)
    gain = torch.rand(N_FFT // 2 + 1, 1, generator=torch.Generator().manual_seed(1))
    out = run(MaskStream(lambda x: gain.expand(2, -1, x.shape[2]).clone(), N_FFT, HOP, 16, 12), samples, block)
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(
        torch.from_numpy(samples), N_FFT, HOP, window=window, center=True, pad_mode="constant", return_complex=True
    )
    expected = torch.istft(spectrum * gain, N_FFT, HOP, window=window, center=True, length=length)
    np.testing.assert_allclose(out, expected.numpy(), atol=5e-6)


def test_masks_fade_over_the_overlap_and_switch_at_once_without_it() -> None:
    """Blocks alternate between masks 0 and 1: with overlap, the gain of a steady tone never jumps."""

    def largest_jump(step: int) -> float:
        calls = iter(range(1000))

        def alternate(spectrum: torch.Tensor) -> torch.Tensor:
            return torch.full(spectrum.shape, float(next(calls) % 2))

        constant = np.ones((2, 4000), np.float32)
        out = run(MaskStream(alternate, N_FFT, HOP, 32, step), constant, 500)
        return float(np.abs(out[0, HOP:] - out[0, :-HOP]).max())

    assert largest_jump(32) > 0.25
    assert largest_jump(16) < 1.2 / 16


def test_frames_beyond_the_end_are_zero() -> None:
    seen: list[torch.Tensor] = []

    def look(spectrum: torch.Tensor) -> torch.Tensor:
        seen.append(spectrum.clone())
        return torch.ones(spectrum.shape)

    run(MaskStream(look, N_FFT, HOP, 32, 32), noise(160), 160)
    (spectrum,) = seen
    assert spectrum.shape == (2, N_FFT // 2 + 1, 32)
    assert not spectrum[..., 11:].any()
    assert spectrum[..., :11].abs().min() > 0


def test_a_short_block_is_padded_as_asked() -> None:
    seen: list[int] = []

    def look(spectrum: torch.Tensor) -> torch.Tensor:
        seen.append(spectrum.shape[2])
        return torch.ones(spectrum.shape)

    samples = noise(HOP * 40)
    out = run(MaskStream(look, N_FFT, HOP, 32, 24, padded_frames=lambda frames: frames + 3), samples, 100)
    assert seen == [32 + 3, 41 - 24 + 3]
    np.testing.assert_allclose(out, samples, atol=2e-6)


def test_memory_does_not_grow_with_the_stream() -> None:
    stream = MaskStream(ones, N_FFT, HOP, 16, 12)
    for _ in range(200):
        stream.process(noise(500))
        assert len(stream._input) < 16 * HOP + N_FFT + 500


def test_impossible_blocks_are_refused() -> None:
    for block, step in ((16, 0), (16, 17), (16, 7)):
        with pytest.raises(ValueError, match="overlap"):
            MaskStream(ones, N_FFT, HOP, block, step)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 20), max_size=10), data=st.data())
def test_fifo_gives_back_what_it_got_in_order(sizes: list[int], data: st.DataObject) -> None:
    fifo = SampleFifo(1)
    expected = np.arange(sum(sizes), dtype=np.float32)[None]
    for block in np.split(expected, np.cumsum(sizes), axis=1)[:-1]:
        fifo.push(block)
    got = []
    while len(fifo):
        first = fifo.peek(0, 1)
        take = data.draw(st.integers(1, len(fifo)))
        got.append(fifo.pop(take))
        assert first == got[-1][:, :1]
    np.testing.assert_array_equal(np.concatenate([fifo.pop(0), *got], axis=1), expected)
    with pytest.raises(ValueError, match="asked"):
        fifo.pop(1)
