"""OpenVPI's vocoders against what their program computed."""

import numpy as np
import pytest
import torch

from svc.checkpoint.vocoder import load_vocoder

PARTS = [("nsf_hifigan", "model", "NSF-HiFiGAN"), ("pc_nsf_hifigan", "model.ckpt", "pc-NSF-HiFiGAN")]


def run(vocoder, mel, f0, **more):
    mel, f0 = torch.from_numpy(np.float32(mel))[None], torch.from_numpy(np.float32(f0))[None]
    with torch.inference_mode():
        source = vocoder.network.make_source(f0, **more)
        return source[0, 0].numpy(), vocoder.network.generate(mel, source)[0, 0].numpy()


@pytest.mark.parametrize(("name", "file", "kind"), PARTS)
def test_parts(shared, name, file, kind):
    folder = shared / "golden" / "parts" / name
    golden, vocoder = np.load(folder / "golden.npz"), load_vocoder(folder / file)
    assert vocoder.kind == kind and "not for commercial use" in vocoder.licence
    for i in range(2):
        source, wave = run(vocoder, golden[f"mel_{i}"], golden[f"f0_{i}"])
        np.testing.assert_allclose(source, golden[f"source_{i}"], atol=2e-4)
        np.testing.assert_allclose(wave, golden[f"wav_{i}"], atol=2e-4)
    frames = golden["melwav_mel"].shape[1]
    np.testing.assert_allclose(vocoder.mel_of(golden["melwav"])[:, :frames], golden["melwav_mel"], atol=1e-4)


def test_noise_and_start_phase(shared):
    folder = shared / "golden" / "parts" / "nsf_hifigan"
    golden, vocoder = np.load(folder / "golden.npz"), load_vocoder(folder / "model")
    phase = golden["rand_ini"][:, 0].copy()
    phase[:, 0] = 0  # the program draws one for the fundamental too, and forces it to 0
    _, wave = run(
        vocoder,
        golden["mel_1"],
        golden["f0_1"],
        noise=torch.from_numpy(golden["noise"].astype(np.float32)),
        overtone_phase=torch.from_numpy(phase),
    )
    np.testing.assert_allclose(wave, golden["wav_noisy"], atol=2e-4)
    assert np.abs(wave - golden["wav_1"]).max() > 1e-3


@pytest.mark.parametrize("name", ["nsf_hifigan", "pc_nsf_hifigan"])
def test_voices(shared, name):
    folder = shared / "golden" / "voices" / name
    golden, vocoder = np.load(folder / "golden.npz"), load_vocoder(folder / "model")
    for suffix in ("", "_gap"):
        source, wave = run(vocoder, golden["in_mel"], golden["in_f0" + suffix])
        np.testing.assert_allclose(source, golden["out_src" + suffix], atol=2e-4)
        np.testing.assert_allclose(wave, golden["out_wav" + suffix], atol=2e-4)
