"""WavLM files against the outputs of unilm's, DPHuBERT's and Hugging Face's programs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from svc.content.hubert import DpWavLm, WavLmBase, WavLmBasePlus, WavLmLarge
from svc.content.hubert_files import read_hubert

TOLERANCE = 5e-5
CASES = {
    "wavlm_base": "WavLM-Base+.pt",
    "wavlm_large": "WavLM-Large.pt",
    "dpwavlm": "DPWavLM-sp0.75.pth",
}


def tiny(kind: type, path: Path, layer: int):
    """The encoder `kind`, made to expect the size of a small file; it gives `layer`."""
    shape = read_hubert(path).shape
    return type("Tiny", (kind,), {"dim": shape.width, "layer_count": shape.outputs})({layer: 1.0}, "none", path=path)


@pytest.mark.parametrize("case", CASES)
def test_every_layer_is_what_the_original_gives(case: str, shared: Path) -> None:
    folder = shared / "golden/parts" / case
    golden = np.load(folder / "golden.npz")
    network = read_hubert(folder / CASES[case]).network()
    compared = 0
    for prefix in ("", "norm_"):
        for key in golden.files:
            name, _, clip = key.removeprefix(prefix).rpartition("_")
            # L0 of the pruned file is before the positions are added.
            if not key.startswith(prefix) or name.startswith(("norm", "wav")) or (case, name) == ("dpwavlm", "L0"):
                continue
            samples = torch.from_numpy(golden[f"wav_{clip}"])
            samples = torch.nn.functional.layer_norm(samples, samples.shape) if prefix else samples
            with torch.inference_mode():
                outputs = network(samples[None])
            ours = outputs[-1 if name == "last" else int(name[1:])][0].numpy()
            assert ours.shape == golden[key].shape
            assert np.abs(ours - golden[key]).max() <= TOLERANCE, key
            compared += 1
    assert compared >= 5


def test_a_file_without_its_distances_is_noticed(shared: Path) -> None:
    folder = shared / "golden/parts/wavlm_base"
    golden = np.load(folder / "golden.npz")
    network = read_hubert(folder / "WavLM-Base+.pt").network()
    with torch.inference_mode():
        network.relative.table.weight.zero_()
        last = network(torch.from_numpy(golden["wav_0"])[None])[-1][0].numpy()
    assert np.abs(last - golden["last_0"]).mean() > 0.1


@pytest.mark.parametrize(
    ("case", "kind", "layer", "key"),
    [
        ("wavlm_base", WavLmBase, 4, "last_1"),
        ("wavlm_base", WavLmBasePlus, 2, "L2_1"),
        ("wavlm_large", WavLmLarge, 5, "norm_last_0"),
        ("wavlm_large", WavLmLarge, 4, "norm_L4_0"),
        ("dpwavlm", DpWavLm, 4, "last_0"),
    ],
)
def test_the_encoders_level_the_waveform_where_the_file_asks_for_it(
    case: str, kind: type, layer: int, key: str, shared: Path
) -> None:
    folder = shared / "golden/parts" / case
    golden = np.load(folder / "golden.npz")
    values = tiny(kind, folder / CASES[case], layer).encode_original(golden[f"wav_{key[-1]}"]).values
    assert np.abs(values - golden[key]).max() <= TOLERANCE


def test_a_hugging_face_folder_with_a_speaker_head(shared: Path) -> None:
    """The network below the head, levelled as its feature extractor does, and the head's learnt sum of layers."""
    folder = shared / "golden/parts/wavlm_sv"
    golden = np.load(folder / "golden.npz")
    encoder = tiny(WavLmBasePlus, folder, 3)
    for clip in range(2):
        np.testing.assert_allclose(
            encoder._level(golden[f"wav_{clip}"]), golden[f"input_norm_{clip}"], atol=1e-5, rtol=1e-5
        )
        values = encoder.encode_original(golden[f"wav_{clip}"]).values
        assert np.abs(values - golden[f"last_{clip}"]).max() <= TOLERANCE
        with torch.inference_mode():
            outputs = encoder.network(torch.from_numpy(golden[f"input_norm_{clip}"])[None])
            weights = torch.softmax(torch.load(folder / "pytorch_model.bin", weights_only=True)["layer_weights"], 0)
            mixed = sum(weight * output[0] for weight, output in zip(weights, outputs, strict=True))
        assert np.abs(mixed.numpy() - golden[f"weighted_sum_{clip}"]).max() <= TOLERANCE
