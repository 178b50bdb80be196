import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.audio.spectrogram import MelSettings, linear_spectrogram, linear_to_log_mel, log_mel, mel_filterbank


@pytest.mark.parametrize(
    ("rate", "n_fft", "n_mels", "fmin", "fmax"),
    [
        (44_100, 2048, 80, 0, None),
        (44_100, 2048, 128, 40, 16_000),
        (16_000, 400, 80, 0, 8_000),
        (16_000, 1024, 128, 30, 8_000),
        (48_000, 2048, 125, 0, 24_000),
        (22_050, 512, 40, 1_500, 9_000),
    ],
)
def test_filterbank_is_librosas(rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float | None) -> None:
    expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    ours = mel_filterbank(rate, n_fft, n_mels, fmin, fmax)
    assert ours.dtype == np.float32 and ours.shape == expected.shape
    assert np.abs(ours - expected).max() < 1e-8


def test_filterbank_is_shared_and_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        mel_filterbank(16_000, 512, 40)[0, 0] = 1
    with pytest.raises(ValueError, match="fmin < fmax"):
        mel_filterbank(16_000, 512, 40, 8_000, 4_000)


@given(st.integers(1, 5_000), st.sampled_from([(512, 2048), (300, 1024), (256, 256), (160, 401)]))
@settings(max_examples=50, deadline=None)
def test_frame_count_is_ceil(length: int, shape: tuple[int, int]) -> None:
    hop, n_fft = shape
    out = linear_spectrogram(torch.randn(2, length), n_fft, hop)
    assert out.shape == (2, n_fft // 2 + 1, -(-length // hop))
    assert out.dtype == torch.float32 and torch.isfinite(out).all()


def test_frames_are_centred_in_their_hop() -> None:
    """A click in the middle of hop 5 is loudest in frame 5 and equally loud in the frames beside it."""
    audio = torch.zeros(1, 16 * 128)
    audio[0, 5 * 128 + 64] = 1
    power = linear_spectrogram(audio, 512, 128, eps=0)[0].square().sum(0)
    assert int(power.argmax()) == 5
    assert float(power[4]) == pytest.approx(float(power[6]), rel=1e-3)


def test_cutting_at_frames_cuts_the_spectrogram() -> None:
    audio = torch.randn(1, 40 * 128)
    whole = linear_spectrogram(audio, 512, 128)
    part = linear_spectrogram(audio[:, 10 * 128 : 30 * 128], 512, 128)
    assert torch.allclose(part[..., 2:-2], whole[..., 12:28], atol=1e-5)


def test_mel_of_magnitudes_is_mel_of_audio() -> None:
    mel = MelSettings(16_000, 512, 128, 40)
    audio = torch.randn(2, 3_000)
    assert torch.equal(log_mel(audio, mel), linear_to_log_mel(linear_spectrogram(audio, 512, 128), mel))


def test_silence_is_the_floor() -> None:
    mel = MelSettings(16_000, 512, 128, 40, eps=0, floor=1e-4)
    assert torch.allclose(log_mel(torch.zeros(1, 2_000), mel), torch.tensor(1e-4).log())


@pytest.mark.parametrize("eps", [0.0, 1e-9, 1e-6])
def test_gradients_are_finite_also_in_silence(eps: float) -> None:
    mel = MelSettings(16_000, 512, 128, 40, eps=eps)
    audio = torch.cat([torch.zeros(1, 2_000), torch.randn(1, 2_000)], dim=1).requires_grad_()
    log_mel(audio, mel).sum().backward()
    assert audio.grad is not None and torch.isfinite(audio.grad).all() and audio.grad.abs().sum() > 0


def test_gradient_agrees_with_differences() -> None:
    audio = torch.randn(1, 600)
    step, at = 1e-2, 300
    mel = MelSettings(16_000, 256, 64, 20)
    leaf = audio.clone().requires_grad_()
    log_mel(leaf, mel).sum().backward()
    bump = torch.zeros_like(audio)
    bump[0, at] = step
    slope = (log_mel(audio + bump, mel).double().sum() - log_mel(audio - bump, mel).double().sum()) / (2 * step)
    assert leaf.grad is not None
    assert float(leaf.grad[0, at]) == pytest.approx(float(slope), rel=0.05)


def test_half_precision_regions_do_not_lower_the_precision() -> None:
    mel = MelSettings(16_000, 512, 128, 40)
    audio = torch.randn(1, 3_000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = log_mel(audio, mel)
    assert inside.dtype == torch.float32 and torch.equal(inside, log_mel(audio, mel))


def test_what_validation_cached_can_be_trained_with() -> None:
    mel = MelSettings(16_000, 480, 120, 33)
    with torch.inference_mode():
        log_mel(torch.randn(1, 2_000), mel)
    leaf = torch.randn(1, 2_000, requires_grad=True)
    log_mel(leaf, mel).sum().backward()
    assert leaf.grad is not None


@pytest.mark.parametrize(("shape", "n_fft", "hop"), [((100,), 512, 128), ((1, 0), 512, 128), ((1, 100), 100, 128)])
def test_misuse(shape: tuple[int, ...], n_fft: int, hop: int) -> None:
    with pytest.raises(ValueError, match=r"expected audio of shape|shorter than the hop"):
        linear_spectrogram(torch.zeros(shape), n_fft, hop)
