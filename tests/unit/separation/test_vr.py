"""VR files of users: bands of several rates, and what does not fit is one sentence and runs nothing."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from svc.audio.signal import Audio
from svc.errors import CheckpointError, ConfigError, SvcError, WeightError
from svc.separation.vr import SpectrumReader, SpectrumWriter, Vr
from svc.separation.vr_bands import read_bands

TWO_BANDS: dict[str, Any] = {
    "bins": 128,
    "band": {
        "1": {"sr": 11_025, "hl": 32, "n_fft": 128, "crop_start": 0, "crop_stop": 60, "lpf_start": 40, "lpf_stop": 56},
        "2": {
            "sr": 44_100,
            "hl": 128,
            "n_fft": 256,
            "crop_start": 26,
            "crop_stop": 94,
            "hpf_start": 32,
            "hpf_stop": 24,
        },
    },
    "sr": 44_100,
    "pre_filter_start": 0,
    "pre_filter_stop": 0,
}


@pytest.fixture(params=["vr_cascadedaspp", "vr_cascadednet"])
def folder(request: pytest.FixtureRequest, shared: Path, tmp_path: Path) -> Path:
    for path in (shared / "golden" / "parts" / request.param).iterdir():
        if path.suffix in (".pth", ".json") and path.name != "outputs.json":
            shutil.copyfile(path, tmp_path / path.name)
    return tmp_path


def model(folder: Path) -> Path:
    return next(folder.glob("*.pth"))


def save(folder: Path, data: Any) -> None:
    """Another file under the model's name, with the model's entry under that name too."""
    (entry,) = json.loads((folder / "model_data_new.json").read_text()).values()
    model(folder).with_suffix(".json").write_text(json.dumps(entry))
    torch.save(data, model(folder))


def refused(folder: Path, kind: type[SvcError], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        Vr(folder=folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("new", [True, False])
def test_frames_of_several_bands_and_back(new: bool) -> None:
    """A tone in either band comes back as it was."""
    bands = read_bands(TWO_BANDS, new)
    time = np.arange(40_000) / 44_100
    song = np.stack([np.sin(2 * np.pi * 1_000 * time), np.sin(2 * np.pi * 9_000 * time)]).astype(np.float32)
    frames = SpectrumReader(bands).process(song, last=True)
    assert frames.shape == (2, 129, 1 + 40_000 // 128)
    back = SpectrumWriter(bands).process(frames, last=True)
    assert back.shape == (2, 40_000 // 128 * 128)
    middle = slice(2_000, 38_000)
    error = np.square(back[:, middle] - song[:, middle]).mean() / np.square(song).mean()
    assert 10 * np.log10(error) < -30


def test_frames_do_not_depend_on_block_sizes() -> None:
    bands = read_bands(TWO_BANDS, True)
    song = np.random.default_rng(0).standard_normal((2, 60_001)).astype(np.float32)
    whole = SpectrumReader(bands).process(song, last=True)
    blocks = [song[:, s : s + 4_099] for s in range(0, 60_001, 4_099)]
    parts = np.concatenate(list(SpectrumReader(bands).read(iter(blocks))), axis=2)
    np.testing.assert_allclose(parts, whole, atol=1e-4)
    writer = SpectrumWriter(bands)
    pieces = [writer.process(whole[:, :, s : s + 50], s + 50 >= whole.shape[2]) for s in range(0, whole.shape[2], 50)]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), bands.synthesise(whole), atol=1e-4)


@pytest.mark.parametrize("kind", ["mid_side", "mid_side_c", "stereo_n", "mid_side_b2"])
def test_channels_are_mixed_back(kind: str) -> None:
    band = {**TWO_BANDS["band"]["2"], "crop_start": 0, "crop_stop": 128, "hpf_start": -1}
    new = kind in ("mid_side_c", "stereo_n")
    data = {**TWO_BANDS, "band": {"1": {**band, "convert_channels": kind} if new else band}, kind: True}
    bands = read_bands(data, new)
    scale = np.diag(bands.bands[0].unmix @ bands.bands[0].mix)
    np.testing.assert_allclose(bands.bands[0].unmix @ bands.bands[0].mix, np.diag(scale), atol=1e-12)
    np.testing.assert_allclose(scale, 1.0)


def test_a_model_of_the_accompaniment_leaves_the_vocals(folder: Path) -> None:
    song = Audio(np.random.default_rng(0).uniform(-0.5, 0.5, (2, 30_208)).astype(np.float32), 44_100)
    of_voice = Vr(folder=folder, aggression=0).separate(song).vocals.samples
    path = folder / "model_data_new.json"
    path.write_text(path.read_text().replace('"Vocals"', '"Instrumental"'))
    of_rest = Vr(folder=folder, aggression=0).separate(song).vocals.samples
    error = np.square(of_voice + of_rest - song.samples).mean() / np.square(song.samples).mean()
    assert error < 0.01  # but for the top bins, which no mask sees


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def test_a_pickle_that_would_run_code_is_refused(folder: Path) -> None:
    marker = folder / "ran"
    save(folder, {**torch.load(model(folder), weights_only=True), "hook": Evil(marker)})
    refused(folder, CheckpointError, "refused")
    assert not marker.exists()


def test_a_file_cut_short_is_refused(folder: Path) -> None:
    path = model(folder)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(folder, CheckpointError, "cut short")


@pytest.mark.parametrize("fault", ["missing", "extra", "shape", "list", "empty", "other"])
def test_weights_that_do_not_fit_are_one_sentence(folder: Path, fault: str) -> None:
    state = torch.load(model(folder), weights_only=True)
    if fault == "missing":
        del state["stg3_full_band_net.aspp.conv2.conv.1.bias"]
    elif fault == "extra":
        state["surplus"] = torch.zeros(1)
    elif fault == "shape":
        state["stg3_full_band_net.aspp.conv2.conv.1.bias"] = torch.zeros(3)
    save(folder, {"list": [1], "empty": {}, "other": {"a": torch.zeros(1)}}.get(fault, state))
    refused(folder, CheckpointError, {"missing": "lacks", "extra": "surplus", "shape": "shape"}.get(fault, "VR model"))


def test_what_the_list_lacks_is_said(folder: Path) -> None:
    (folder / "1band_sr44100_hl512.json").unlink()
    refused(folder, WeightError, r"modelparams/1band_sr44100_hl512\.json")
    path = folder / "model_data_new.json"
    known = path.read_text()
    path.write_text(known.replace("1band_sr44100_hl512", "../1band_sr44100_hl512"))
    refused(folder, WeightError, "bands")
    path.write_text("{}")
    refused(folder, WeightError, "md5")


@pytest.mark.parametrize("change", [{"bins": 1022}, {"bins": "x"}, {"band": {}}, {"sr": 48_000}, {"reverse": True}])
def test_a_band_file_that_does_not_fit(folder: Path, change: dict[str, Any]) -> None:
    path = folder / "1band_sr44100_hl512.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    refused(folder, CheckpointError, "band file")


def test_impossible_settings(folder: Path) -> None:
    with pytest.raises(ConfigError, match="window"):
        Vr(folder=folder, window=100)
    with pytest.raises(ConfigError, match="aggression"):
        Vr(folder=folder, aggression=-1)
