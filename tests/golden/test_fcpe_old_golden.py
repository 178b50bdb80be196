"""The first FCPE against what its program computed."""

import numpy as np
import torch

from svc.pitch.fcpe_old import FcpeOld, decode, load_network, log_mel


def test_mel_latent_and_f0(shared):
    folder = shared / "golden" / "parts" / "fcpe_old"
    golden, network = np.load(folder / "golden.npz"), load_network(folder / "fcpe.pt")
    cents = network.cent_table.numpy()
    for i in range(2):
        mel = log_mel(torch.from_numpy(golden[f"wav_{i}"])).T
        np.testing.assert_allclose(mel, golden[f"mel_{i}"], atol=1e-4)
        with torch.inference_mode():
            latent = network(torch.from_numpy(golden[f"mel_{i}"]).T[None])[0].numpy()
        np.testing.assert_allclose(latent, golden[f"latent_{i}"], atol=2e-5)
        for threshold in (0.05, 0.006):
            sure = (golden[f"latent_margin_{i}"] > 1e-4) & (
                np.abs(golden[f"latent_{i}"].max(axis=1) - threshold) > 1e-4
            )
            assert sure.mean() > 0.9
            expected = golden[f"f0_thr{threshold}_{i}"]
            np.testing.assert_allclose(decode(latent, cents, threshold)[sure], expected[sure], rtol=2e-4)


def test_estimator(shared):
    folder = shared / "golden" / "parts" / "fcpe_old"
    golden = np.load(folder / "golden.npz")
    expected = golden["f0_thr0.05_0"]
    track = FcpeOld(33, 1975, weights=folder / "fcpe.pt").estimate(
        golden["wav_0"], 16_000, np.arange(len(expected)) * 0.01
    )
    sure = (golden["latent_margin_0"] > 1e-4) & (np.abs(golden["latent_0"].max(axis=1) - 0.05) > 1e-4)
    inside = sure & (expected > 33) & (expected < 1975)
    assert inside.sum() > 20
    np.testing.assert_allclose(track.f0_hz[inside], expected[inside], rtol=5e-4)
