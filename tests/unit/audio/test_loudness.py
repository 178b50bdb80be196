import numpy as np
import pyloudnorm
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.audio.loudness import (
    LoudnessMeter,
    frame_loudness_db,
    gain_to,
    integrated_loudness,
    k_weighting,
    match_envelope,
    sounding_level_db,
    sovits_volume,
)
from svc.errors import AudioError

RATE = 48_000


def music(channels: int, rate: int, seconds: int = 8) -> np.ndarray:
    """Coloured noise whose level changes every second, with quiet stretches that the gates must leave out."""
    rng = np.random.default_rng(seconds + rate)
    level = np.exp(rng.standard_normal(seconds)).repeat(rate) * 0.05
    level[:rate] *= 1e-3
    level[2 * rate : 3 * rate] *= 0.05
    return (np.cumsum(rng.standard_normal((channels, seconds * rate)), axis=1) % 1.0 * level).astype(np.float32)


@pytest.mark.parametrize("rate", [32_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_integrated_loudness_agrees_with_pyloudnorm(rate: int, channels: int) -> None:
    samples = music(channels, rate)
    expected = pyloudnorm.Meter(rate).integrated_loudness(samples.T.astype(float))
    assert integrated_loudness(samples, rate) == pytest.approx(expected, abs=0.1)


def test_ebu_reference_tone() -> None:
    """EBU Tech 3341, cases 1 and 2: a 1 kHz stereo sine at -23 dBFS reads -23 LUFS."""
    for level in (-23.0, -33.0):
        tone = 10 ** (level / 20) * np.sin(2 * np.pi * 1000 * np.arange(20 * RATE) / RATE)
        assert integrated_loudness(np.stack([tone, tone]).astype(np.float32), RATE) == pytest.approx(level, abs=0.1)


def test_ebu_gates() -> None:
    """EBU Tech 3341, case 3: 10 s at -36, 60 s at -23 and 10 s at -36 dBFS read -23 LUFS."""
    level = np.concatenate([np.full(n * RATE, 10 ** (db / 20)) for n, db in ((10, -36), (60, -23), (10, -36))])
    tone = (level * np.sin(2 * np.pi * 1000 * np.arange(len(level)) / RATE)).astype(np.float32)
    assert integrated_loudness(np.stack([tone, tone]), RATE) == pytest.approx(-23, abs=0.1)


def test_coefficients_are_those_of_the_standard() -> None:
    """ITU-R BS.1770-4, tables 1 and 2 (48 kHz)."""
    shelf, high_pass = k_weighting(48_000)
    assert shelf[0] == pytest.approx([1.53512485958697, -2.69169618940638, 1.19839281085285], abs=1e-9)
    assert shelf[1] == pytest.approx([1, -1.69065929318241, 0.73248077421585], abs=1e-9)
    assert high_pass[1] == pytest.approx([1, -1.99004745483398, 0.99007225036621], abs=1e-9)


def test_surround_weights() -> None:
    """Rear channels count 1.41 times, the LFE not at all."""
    one = music(1, RATE)[0]
    reading = []
    for place in range(6):
        samples = np.zeros((6, len(one)), np.float32)
        samples[place] = one
        reading.append(integrated_loudness(samples, RATE))
    front = integrated_loudness(one[None], RATE)
    rear = front + 10 * np.log10(1.41)
    assert reading == pytest.approx([front, front, front, -70, rear, rear], abs=0.02)


@given(st.lists(st.integers(0, 30_000), min_size=1, max_size=10))
@settings(max_examples=10, deadline=None)
def test_a_stream_reads_like_the_whole(sizes: list[int]) -> None:
    samples = music(2, RATE, 3)
    meter = LoudnessMeter(RATE, 2)
    at = 0
    for size in [*sizes, samples.shape[1]]:
        meter.add(samples[:, at : at + size])
        at += size
    assert meter.integrated() == pytest.approx(integrated_loudness(samples, RATE), abs=1e-6)
    assert meter.peak == np.abs(samples).max()


def test_silence_and_short_clips() -> None:
    assert integrated_loudness(np.zeros((2, RATE), np.float32), RATE) == -70
    assert integrated_loudness(np.zeros((2, 0), np.float32), RATE) == -70
    assert integrated_loudness(np.full((1, RATE), 1e-6, np.float32), RATE) == -70
    tone = (0.1 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)).astype(np.float32)[None]
    assert integrated_loudness(tone[:, : RATE // 5], RATE) == pytest.approx(integrated_loudness(tone, RATE), abs=0.2)


def test_too_many_channels() -> None:
    with pytest.raises(AudioError, match="1 to 8 channels, not 9"):
        LoudnessMeter(RATE, 9)


def test_gain() -> None:
    samples = music(2, RATE)
    before = integrated_loudness(samples, RATE)
    after = integrated_loudness((samples * gain_to(before, -23)).astype(np.float32), RATE)
    assert after == pytest.approx(-23, abs=0.05)
    assert gain_to(-40, -20, peak=0.5) == pytest.approx(2)
    assert gain_to(-40, -20, peak=0.01) == pytest.approx(10)
    assert gain_to(-70, -20) == 1


@given(st.integers(1, 12_000), st.sampled_from([(512, 2048), (160, 1024), (441, 1323), (300, 300), (7, 64)]))
@settings(max_examples=60, deadline=None)
def test_frame_loudness_is_the_rms_of_the_spectrogram_windows(length: int, shape: tuple[int, int]) -> None:
    """Against torch's own padding and framing, with a window of ones."""
    hop, n_fft = shape
    samples = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    frames = -(-length // hop)
    left = (n_fft - hop) // 2
    right = frames * hop - length + n_fft - hop - left
    mode = "reflect" if max(left, right) < length else "constant"
    padded = torch.nn.functional.pad(torch.from_numpy(samples)[None, None], (left, right), mode=mode)[0, 0]
    expected = 10 * padded.unfold(0, n_fft, hop).double().square().mean(-1).clamp(min=1e-10).log10()
    result = frame_loudness_db(samples, hop, n_fft)
    assert result.shape == (frames,) and result.dtype == np.float32
    assert np.abs(result - expected.numpy()).max() < 1e-4


def test_frame_loudness_of_a_long_recording_has_no_seams() -> None:
    samples = np.random.default_rng(0).standard_normal(10_000 * 64).astype(np.float32)
    whole = frame_loudness_db(samples, 64, 256)
    middle = frame_loudness_db(samples[4_000 * 64 : 4_400 * 64], 64, 256)
    assert len(whole) == 10_000
    assert np.abs(whole[4_010:4_390] - middle[10:-10]).max() < 1e-5
    assert (frame_loudness_db(np.zeros(5_000, np.float32), 64, 256) == -100).all()


def test_envelope_follows_the_source() -> None:
    rate = 8_000
    rng = np.random.default_rng(2)
    envelope = np.interp(np.arange(8 * rate), [0, 2 * rate, 5 * rate, 8 * rate], [0.05, 0.3, 0.02, 0.2])
    source = (envelope * rng.standard_normal(8 * rate)).astype(np.float32)
    output = (0.1 * rng.standard_normal(8 * rate)).astype(np.float32)
    matched = match_envelope(source, output, rate, 1.0)
    half = match_envelope(source, output, rate, 0.5)
    levels = [frame_loudness_db(x, rate // 2, rate)[1:-1] for x in (source, output, matched, half)]
    away = [np.abs(level - levels[0]).mean() for level in levels[1:]]
    assert away[0] > 4 and away[1] < 0.2 * away[0]
    assert away[2] == pytest.approx(away[0] / 2, rel=0.1)
    assert np.array_equal(match_envelope(source, output, rate, 0), output)
    assert np.isfinite(match_envelope(source, np.zeros_like(output), rate, 1.0)).all()


def test_volume_frames() -> None:
    ramp = np.repeat(np.arange(1, 5, dtype=np.float32), 100)
    assert sovits_volume(ramp[:399], 100, centred=False) == pytest.approx([1, 2, 3])
    assert sovits_volume(ramp, 100, centred=True)[1] == pytest.approx(np.sqrt(2.5))


def test_the_usual_level_is_that_of_what_sounds() -> None:
    rng = np.random.default_rng(3)
    sung = rng.normal(-30.0, 3.0, 2_000)
    usual = sounding_level_db(sung)
    assert usual == pytest.approx(-30.0, abs=0.3)
    assert sounding_level_db(sung + 12.5) == pytest.approx(usual + 12.5)
    paused = np.concatenate([sung, np.full(6_000, -100.0), np.full(2_000, -62.0)])
    assert sounding_level_db(paused) == pytest.approx(usual, abs=0.1), "pauses and room noise do not count"
    shouted = np.concatenate([sung, np.full(200, -14.0)])
    assert sounding_level_db(shouted) == pytest.approx(usual, abs=0.5), "nor do a few loud notes"
    assert sounding_level_db(np.full(10, -100.0)) is None
    assert sounding_level_db(np.zeros(0)) is None
