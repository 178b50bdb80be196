"""RMVPE against what the programs that use its two files computed."""

import numpy as np
import pytest
import torch

from svc.pitch.rmvpe import Rmvpe, decode, load_network, log_mel

KINDS = ["rmvpe_rvc", "rmvpe_sovits"]


@pytest.fixture(params=KINDS)
def case(request, shared):
    folder = shared / "golden" / "parts" / request.param
    return folder / "rmvpe.pt", np.load(folder / "golden.npz")


def clips(golden):
    indices = [k.split("_")[1] for k in golden.files if k.startswith("wav_")]
    assert len(indices) >= 2
    return indices


def test_mel_salience_and_f0(case):
    path, golden = case
    network = load_network(path)
    for i in clips(golden):
        np.testing.assert_allclose(log_mel(torch.from_numpy(golden[f"wav_{i}"])), golden[f"mel_{i}"], atol=2e-4)
        with torch.inference_mode():
            salience = network(torch.from_numpy(golden[f"mel_{i}"])[None])[0].numpy()
        np.testing.assert_allclose(salience, golden[f"salience_{i}"], atol=2e-5)
        for threshold in (0.03, 0.05):
            sure = (golden[f"sal_margin_{i}"] > 1e-4) & (np.abs(golden[f"salience_{i}"].max(axis=1) - threshold) > 1e-4)
            assert sure.mean() > 0.9
            expected = golden[f"f0_thr{threshold}_{i}"]
            np.testing.assert_allclose(decode(salience, threshold)[sure], expected[sure], rtol=2e-4)


def test_padding_is_zeros_and_matters(case):
    path, golden = case
    difference = np.abs(golden["salience_1"] - golden["salience_reflectpad_1"].astype(np.float32)).max()
    assert difference > 1e-3
    with torch.inference_mode():
        ours = load_network(path)(torch.from_numpy(golden["mel_1"])[None])[0].numpy()
    assert np.abs(ours - golden["salience_1"]).max() < 2e-5 < difference


def test_estimator_gives_the_original_f0_at_the_original_times(case):
    path, golden = case
    wave = golden["wav_0"]
    times = np.arange(golden["salience_0"].shape[0]) * 0.01
    track = Rmvpe(32, 2000, weights=path).estimate(wave, 16_000, times)
    expected = golden["f0_thr0.03_0"]
    sure = (golden["sal_margin_0"] > 1e-4) & (np.abs(golden["salience_0"].max(axis=1) - 0.03) > 1e-4)
    inside = sure & (expected >= 32) & (expected <= 2000)
    assert inside.sum() > 20
    np.testing.assert_allclose(track.f0_hz[inside], expected[inside], rtol=2e-4)


def test_windows_give_what_one_pass_gives(case):
    """A minute of noise and tones: the original's random weights hear far, and still no frame differs."""
    path, _ = case
    rng = np.random.default_rng(3)
    t = np.arange(60 * 16_000) / 16_000
    phase = 2 * np.pi * np.cumsum(200 * 2 ** np.sin(2 * np.pi * 0.07 * t)) / 16_000
    wave = (0.2 * np.sin(phase) + 0.05 * rng.standard_normal(len(t))).astype(np.float32)
    estimator = Rmvpe(32, 2000, weights=path)
    windowed = estimator.estimate(wave, 16_000, np.arange(6000) * 0.01)
    with torch.inference_mode():
        salience = load_network(path)(log_mel(torch.from_numpy(wave))[None])[0].numpy()
    ordered = np.sort(salience, axis=1)
    sure = (ordered[:, -1] - ordered[:, -2] > 1e-4) & (np.abs(ordered[:, -1] - 0.03) > 1e-4)
    whole = decode(salience)
    sure &= (whole == 0) | ((whole > 32) & (whole < 2000))
    assert sure[:6000].mean() > 0.9 and (whole > 0).mean() > 0.2
    np.testing.assert_allclose(windowed.f0_hz[sure[:6000]], whole[:6000][sure[:6000]], rtol=2e-4)
