"""Spectrograms, loudness and slicing against numbers the original programs computed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from svc.audio.loudness import match_envelope, sovits_volume
from svc.audio.reading import read_audio
from svc.audio.rms_slicer import RmsSlicer, frame_energies
from svc.audio.spectrogram import MelSettings, linear_spectrogram, log_mel, mel_filterbank

TOLERANCE = 5e-5  # formats/voice-numerics.md: float32 spectrogram and log mel


def case(shared: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(shared / "golden" / "voices" / name / "golden.npz", allow_pickle=False) as data:
        return dict(data)


def assert_frames(ours: torch.Tensor, theirs: np.ndarray) -> None:
    """Peers drop the incomplete last frame that our ceil(N / hop) keeps; the others must agree."""
    assert ours.shape[-1] - theirs.shape[-1] in (0, 1)
    assert np.abs(ours.numpy()[..., : theirs.shape[-1]] - theirs).max() < TOLERANCE


def test_sovits_spectrogram_and_mel(shared: Path) -> None:
    data = case(shared, "mel_stft")
    audio = torch.from_numpy(data["in_signal"])[None]
    assert_frames(linear_spectrogram(audio, 2048, 512)[0], data["out_sovits_spec"])
    assert_frames(log_mel(audio, MelSettings(44_100, 2048, 512, 80, 0, 22_050))[0], data["out_sovits_mel80"])
    for key, mels, fmin, fmax in [
        ("out_mel_basis_80_0_22050", 80, 0, 22_050),
        ("out_nsf_mel_basis_128_40_16000", 128, 40, 16_000),
    ]:
        assert np.abs(mel_filterbank(44_100, 2048, mels, fmin, fmax) - data[key]).max() < 1e-7


def test_nsf_hifigan_mels(shared: Path) -> None:
    data = case(shared, "mel_stft")
    audio = torch.from_numpy(data["in_signal"])[None]
    nsf = MelSettings(44_100, 2048, 512, 128, 40, 16_000, eps=1e-9)
    assert_frames(log_mel(audio, nsf)[0], data["out_nsf_mel128"])
    assert_frames(log_mel(audio[:, : int(data["in_short_n"])], nsf)[0], data["out_nsf_mel128_short"])
    openvpi = MelSettings(44_100, 2048, 512, 128, 40, 16_000, eps=0)
    assert_frames(log_mel(audio, openvpi)[0], data["out_openvpi_mel128_log"])


@pytest.mark.parametrize(
    ("rate", "n_fft", "hop", "mels"), [(40_000, 2048, 400, 125), (48_000, 2048, 480, 128), (32_000, 1024, 320, 80)]
)
@pytest.mark.parametrize(("year", "eps", "floor"), [(2023, 1e-6, 1e-5), (2026, 2e-7, 2e-6)])
def test_rvc_mels(shared: Path, rate: int, n_fft: int, hop: int, mels: int, year: int, eps: float, floor: float):
    data = case(shared, "mel_stft")
    audio = torch.from_numpy(data["in_signal"])[None]
    settings = MelSettings(rate, n_fft, hop, mels, eps=eps, floor=floor)
    assert_frames(log_mel(audio, settings)[0], data[f"out_rvc_{year}_mel_{rate // 1000}k"])


@pytest.mark.parametrize("branch", ["stable", "latest"])
def test_sovits_volume(shared: Path, branch: str) -> None:
    data = case(shared, "volume")
    keys = [key for key in data if key.startswith(f"out_{branch}_")]
    assert len(keys) == 5
    for key in keys:
        ours = sovits_volume(data["in_signal"][: int(key.split("_")[-1])], 512, centred=branch == "stable")
        assert ours.shape == data[key].shape
        assert np.abs(ours - data[key]).max() < 1e-6


def test_envelope_matching(shared: Path) -> None:
    data = case(shared, "loudness_match")
    source, output = (data[f"in_{name}_i16"] / np.float32(32_768) for name in ("source", "output"))
    keys = [key for key in data if key.startswith("out_")]
    assert len(keys) == 4
    for key in keys:
        mix_rate = float(key.split("rate_")[1].split("_")[0])
        ours = match_envelope(source, output, 44_100, 1 - mix_rate)
        assert np.abs(ours[::16] - data[key]).max() < 1e-5


def test_audio_slicer_ranges(shared: Path) -> None:
    folder = shared / "golden" / "voices" / "slicer"
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    audio = read_audio(folder / "signal.wav")
    cases = [*expected["openvpi_audio_slicer"].values(), expected["rvc_training_slicer"]]
    assert len(cases) == 4
    for one in cases:
        p = one["params"]
        slicer = RmsSlicer(
            min_seconds=p["min_length"] / 1000,
            threshold_db=p["threshold"],
            min_interval_seconds=p["min_interval"] / 1000,
            hop_seconds=p["hop_size"] / 1000,
            max_silence_kept_seconds=p["max_sil_kept"] / 1000,
        )
        assert [list(pair) for pair in slicer.ranges(audio.samples[0], audio.sample_rate)] == one["ranges"]
    short = expected["short_clip_first_samples"]
    clip = audio.samples[0, : short["n"]]
    assert [list(pair) for pair in RmsSlicer().ranges(clip, audio.sample_rate)] == short["openvpi_ranges"]


def test_audio_slicer_energies(shared: Path) -> None:
    folder = shared / "golden" / "voices" / "slicer"
    audio = read_audio(folder / "signal.wav")
    assert (
        np.abs(frame_energies(audio.samples[0], 320, 1280) - case(shared, "slicer")["rms_class_defaults"]).max() < 1e-6
    )
