"""The rebuilt Moonshine encoder against outputs of the package's own file; frame maps against so-vits-svc's."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from svc.content.alignment import left_indices, nearest_indices
from svc.content.moonshine import WEIGHTS
from svc.content.moonshine_network import MoonshineNetwork


@pytest.fixture(scope="module")
def network() -> MoonshineNetwork:
    state = {k: v.float() for k, v in load_file(WEIGHTS.path()).items() if not k.startswith("corpus.")}
    network = MoonshineNetwork().eval().requires_grad_(False)
    network.load_state_dict(state)
    return network


def cosines(network: MoonshineNetwork, folder: Path, clip: str, reference: str) -> np.ndarray:
    samples, rate = soundfile.read(folder / f"moonshine_{clip}_16k.flac", dtype="float32")
    assert rate == 16_000
    ours = network(torch.from_numpy(samples)[None])[6][0].numpy()
    theirs = np.load(folder / f"moonshine_{clip}.npz")[reference]
    assert ours.shape == theirs.shape
    return (ours * theirs).sum(axis=1) / (np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1))


def test_frames_agree_with_the_file_they_were_made_from(network: MoonshineNetwork, shared: Path) -> None:
    both = np.concatenate([cosines(network, shared / "golden/registry", clip, "ort") for clip in ("nit", "libri")])
    # What is missing to 1 is the file's own rounding of activations to 8 bits.
    assert both.mean() >= 0.999
    assert np.percentile(both, 1) >= 0.98


@pytest.mark.parametrize("clip", ["nit", "libri"])
def test_each_clip_agrees_with_both_published_files(network: MoonshineNetwork, shared: Path, clip: str) -> None:
    assert cosines(network, shared / "golden/registry", clip, "ort").mean() >= 0.998
    # The other file has its convolutions in 8 bit as well, so it is a coarser copy of the same network.
    assert cosines(network, shared / "golden/registry", clip, "npm").mean() >= 0.98


def test_frame_maps_are_those_imported_voices_were_trained_with(shared: Path) -> None:
    golden = np.load(shared / "golden/voices/content_maps/golden.npz")
    offsets = golden["offsets"]
    assert len(golden["in_pairs"]) == 36
    for i, (source, target) in enumerate(golden["in_pairs"].tolist()):
        part = slice(offsets[i], offsets[i + 1])
        np.testing.assert_array_equal(left_indices(source, target), golden["out_left"][part])
        np.testing.assert_array_equal(nearest_indices(source, target), golden["out_nearest"][part])
