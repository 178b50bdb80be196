"""Vocoder files: every kind and container, what does not fit, and synthesis in windows."""

import json
import os

import numpy as np
import pytest
import torch

from svc.audio.signal import Audio
from svc.checkpoint import vocoder as module
from svc.checkpoint.vocoder import load_vocoder
from svc.errors import AudioError, CheckpointError, ConfigError
from svc.models.vits.normalisation import fuse_weight_norm
from svc.models.vocoders.mel_hifigan import MelHifigan, MelHifiganShape

CONFIG = {
    "resblock": "1",
    "upsample_rates": [8, 4, 2],
    "upsample_kernel_sizes": [16, 8, 4],
    "upsample_initial_channel": 16,
    "resblock_kernel_sizes": [3, 7],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5]],
    "sampling_rate": 16000,
    "num_mels": 20,
    "hop_size": 64,
    "n_fft": 256,
    "win_size": 256,
    "fmin": 0,
    "fmax": 8000,
}
SMALL = {**CONFIG, "resblock": "2", "resblock_dilation_sizes": [[1, 2], [2, 6]]}
SOURCES = ["none", "harmonics", "sine"]


def network(config, source):
    torch.manual_seed(3)
    return MelHifigan(
        MelHifiganShape(
            mels=20,
            width=16,
            upsample_rates=(8, 4, 2),
            upsample_kernels=(16, 8, 4),
            resblock=int(config["resblock"]),
            resblock_kernels=(3, 7),
            resblock_dilations=tuple(tuple(d) for d in config["resblock_dilation_sizes"]),
            sample_rate=16000,
            source=source,
        )
    ).eval()


def old_names(state):
    return {
        name.replace(".parametrizations.weight.original0", ".weight_g")
        .replace(".parametrizations.weight.original1", ".weight_v")
        .replace("source.linear", "m_source.l_linear"): value
        for name, value in state.items()
    }


def written(folder, config, source, wrap=lambda s: {"generator": s}, change=None):
    config, state = dict(config), old_names(network(config, source).state_dict())
    if source == "sine":
        config["mini_nsf"] = True
    if change:
        change(state, config)
    (folder / "config.json").write_text(json.dumps(config))
    torch.save(wrap(state), folder / "model")
    return folder / "model"


def inputs(frames, seed=0):
    draw = np.random.default_rng(seed)
    f0 = np.where(np.arange(frames) % 17 < 12, draw.uniform(200, 220, frames), 0)
    return draw.normal(-4, 1, (20, frames)).astype(np.float32), f0.astype(np.float32)


@pytest.mark.parametrize("config", [CONFIG, SMALL])
@pytest.mark.parametrize("source", SOURCES)
def test_every_kind_is_read_back(tmp_path, config, source):
    vocoder = load_vocoder(written(tmp_path, config, source))
    assert vocoder.kind == {"none": "HiFi-GAN", "harmonics": "NSF-HiFiGAN", "sine": "pc-NSF-HiFiGAN"}[source]
    mel, f0 = (torch.from_numpy(x)[None] for x in inputs(9))
    with torch.inference_mode():
        assert torch.equal(vocoder.network(mel, f0), network(config, source)(mel, f0))
    assert ("not for commercial use" in vocoder.licence) == (source != "none")


def test_containers_and_weight_norm_names(tmp_path):
    mel, _ = inputs(8)
    expected = load_vocoder(written(tmp_path, CONFIG, "none")).synthesize(mel)

    def lightning(state):
        return {"state_dict": {**{f"generator.{k}": v for k, v in state.items()}, "discriminator.x": torch.ones(1)}}

    for wrap in (dict, lightning):
        np.testing.assert_array_equal(load_vocoder(written(tmp_path, CONFIG, "none", wrap)).synthesize(mel), expected)
    new_names = network(CONFIG, "none")
    torch.save({"generator": new_names.state_dict()}, tmp_path / "model")
    np.testing.assert_array_equal(load_vocoder(tmp_path / "model").synthesize(mel), expected)
    fuse_weight_norm(new_names)
    torch.save({"generator": new_names.state_dict()}, tmp_path / "model")
    np.testing.assert_allclose(load_vocoder(tmp_path / "model").synthesize(mel), expected, atol=1e-6)


@pytest.mark.parametrize("source", SOURCES)
def test_windows_join_without_a_seam(tmp_path, source, monkeypatch):
    vocoder = load_vocoder(written(tmp_path, CONFIG, source))
    mel, f0 = inputs(130)
    whole = vocoder.synthesize(mel, f0)
    monkeypatch.setattr(module, "WINDOW_FRAMES", 37)
    told = []
    windowed = vocoder.synthesize(mel, f0, progress=told.append)
    assert whole.shape == (130 * 64,) and np.abs(whole).max() > 1e-3
    np.testing.assert_allclose(windowed, whole, atol=2e-5)
    assert told[-1] == 1.0 and len(told) == 4


def test_base_ten_mels_and_bad_input(tmp_path):
    vocoder = load_vocoder(written(tmp_path, CONFIG, "harmonics"))
    mel, f0 = inputs(6)
    ten = vocoder.synthesize(mel / np.float32(np.log(10)), f0, mel_base="10")
    np.testing.assert_allclose(ten, vocoder.synthesize(mel, f0), atol=1e-5)
    with pytest.raises(AudioError, match="needs F0"):
        vocoder.synthesize(mel)
    with pytest.raises(AudioError, match=r"shape \(20, T\)"):
        vocoder.synthesize(mel[:5], f0)
    with pytest.raises(ConfigError, match="'10'"):
        vocoder.synthesize(mel, f0, mel_base="2")


def test_noise_after_the_first_convolution_as_the_settings_say(tmp_path):
    mel, f0 = inputs(12)
    quiet = load_vocoder(written(tmp_path, CONFIG, "sine")).synthesize(mel, f0)
    path = written(tmp_path, CONFIG, "sine", change=lambda s, c: c.update(noise_sigma=0.5))
    noisy = load_vocoder(path).synthesize(mel, f0)
    assert np.abs(noisy - quiet).max() > 1e-3
    np.testing.assert_array_equal(noisy, load_vocoder(path).synthesize(mel, f0))
    path = written(tmp_path, CONFIG, "sine", change=lambda s, c: c.update(noise_sigma="much"))
    with pytest.raises(CheckpointError, match="noise_sigma"):
        load_vocoder(path)


def test_copy_keeps_the_length(tmp_path):
    vocoder = load_vocoder(written(tmp_path, CONFIG, "harmonics"))
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(8001) / 16000).astype(np.float32)
    made = vocoder.copy(Audio(np.stack([tone, tone]), 16000), "dio")
    assert made.samples.shape == (1, 8001) and made.sample_rate == 16000
    with pytest.raises(AudioError, match="empty"):
        vocoder.copy(Audio(np.zeros((1, 0), np.float32), 16000))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda s, c: c.update(num_mels=80), "num_mels = 80, but it must be 20"),
        (lambda s, c: c.update(upsample_initial_channel=512), "must be 16"),
        (lambda s, c: c.update(upsample_rates=[8, 4, 4]), "hop_size = 64, but it must be 128"),
        (lambda s, c: c.update(upsample_rates=[8, 8]), "2 upsample_rates"),
        (lambda s, c: c.update(upsample_rates="8"), "whole numbers for 'upsample_rates'"),
        (lambda s, c: c.update(upsample_rates=[7, 4, 2]), "does not fit its kernel"),
        (lambda s, c: c.update(resblock_kernel_sizes=[3, 5]), "resblock_kernel_sizes"),
        (lambda s, c: c.update(resblock_dilation_sizes=[[1]]), "resblock_dilation_sizes"),
        (lambda s, c: c.update(resblock="2"), "resblock = 2, but it must be 1"),
        (lambda s, c: c.update(mini_nsf=True), "mini_nsf = True, but it must be False"),
        (lambda s, c: c.update(win_size=128), "win_size"),
        (lambda s, c: c.pop("sampling_rate"), "'sampling_rate'"),
        (lambda s, c: s.pop("conv_post.bias"), r"lacks conv_post\.bias"),
        (lambda s, c: s.update(more=torch.zeros(1)), "has more"),
        (lambda s, c: s.update({"ups.1.bias": torch.zeros(9)}), r"ups\.1\.bias \(shape"),
        (lambda s, c: s.update({"conv_pre.bias": "text"}), "holds a str"),
        (lambda s, c: [s.pop(k) for k in list(s) if k.startswith("conv_pre")], "CC BY-NC-SA"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, change, match):
    with pytest.raises(CheckpointError, match=match):
        load_vocoder(written(tmp_path, CONFIG, "harmonics", change=change))


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_hostile_cut_and_lonely_files(tmp_path):
    path = written(tmp_path, CONFIG, "none", wrap=lambda s: {"generator": s, "x": Bomb(str(tmp_path / "boom"))})
    with pytest.raises(CheckpointError, match="mkdir"):
        load_vocoder(path)
    assert not (tmp_path / "boom").exists()
    path = written(tmp_path, CONFIG, "none")
    (tmp_path / "config.json").write_text("[1")
    with pytest.raises(CheckpointError, match="not the JSON settings"):
        load_vocoder(path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"There is no config\.json"):
        load_vocoder(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(CheckpointError, match="damaged"):
        load_vocoder(path)
