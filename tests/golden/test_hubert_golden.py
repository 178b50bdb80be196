"""HuBERT files of every container against the outputs of the programs that wrote them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from svc.content.hubert import ContentVec256L9, ContentVec768L12, DpHubert, HubertBase, HubertLarge, HubertSoft
from svc.content.hubert_files import read_hubert

TOLERANCE = 5e-5
CASES = {
    "hubert_fairseq_base": "checkpoint_best_legacy_500.pt",
    "hubert_fairseq_legacy_args": "hubert_base_ls960.pt",
    "hubert_fairseq_large": "chinese-hubert-large-fairseq-ckpt.pt",
    "contentvec_fp16": "hubert_base.pt",
    "hubert_hf": ".",
    "hubert_hf_large": ".",
    "hubert_soft_v01": "hubert-soft-0d54a1f4.pt",
    "hubert_soft_v02": "hubert-soft-35d9f29f.pt",
    "hubert_discrete": "hubert-discrete-96b248c5.pt",
    "dphubert": "DPHuBERT-sp0.75.pth",
}
SOFT = ("hubert_soft_v01", "hubert_soft_v02", "hubert_discrete")


def compared(network, golden, prefix: str, clip: int, pad: int) -> int:
    """Compare every array of one clip; the number of arrays."""
    samples = torch.from_numpy(golden[f"wav_{clip}"]).float()
    if prefix:
        samples = torch.nn.functional.layer_norm(samples, samples.shape)
    samples = torch.nn.functional.pad(samples, (pad, pad))[None]
    outputs = network(samples)
    known = {f"L{i}": x for i, x in enumerate(outputs)} | {f"H{i}": x for i, x in enumerate(outputs)}
    known |= {"conv": network.features(samples), "last": outputs[-1], "layer7": outputs[min(7, len(outputs) - 1)]}
    if network.shape.channel_scale:
        scaled = network.features(samples) * network.channel_scale
        known["L0"] = network.projection(network.feature_norm(scaled))  # here before the positions are added
    if network.final_proj is not None:
        known |= {f"{name}_proj": network.final_proj(x) for name, x in known.items() if name != "conv"}
        known["units"] = network.final_proj(outputs[-1])
    count = 0
    for key in golden.files:
        name, _, index = key.removeprefix(prefix).rpartition("_")
        if not key.startswith(prefix) or index != str(clip) or name in {"wav", "margin"} or "norm_" in name:
            continue
        if golden[key].dtype.kind != "f":
            continue
        ours = known[name][0].numpy()
        assert ours.shape == golden[key].shape, key
        assert np.abs(ours - golden[key]).max() <= TOLERANCE, key
        count += 1
    return count


@pytest.mark.parametrize("case", CASES)
def test_every_layer_is_what_the_original_gives(case: str, shared: Path) -> None:
    folder = shared / "golden/parts" / case
    golden = np.load(folder / "golden.npz")
    network = read_hubert(folder / CASES[case]).network()
    clips = sorted(int(key[4:]) for key in golden.files if key.startswith("wav_"))
    pad = 40 if case in SOFT else 0
    with torch.inference_mode():
        counts = [compared(network, golden, "", clip, pad) for clip in clips]
        assert min(counts) >= (1 if case in SOFT else 2)
        if any(key.startswith("norm_") for key in golden.files):
            assert compared(network, golden, "norm_", 0, pad) >= 2


def tiny(kind: type, path: Path, layer: int):
    """The encoder `kind`, made to expect the size of a small file; it gives `layer`."""
    shape = read_hubert(path).shape
    facts = {"dim": shape.final_width if kind.projected else shape.width, "layer_count": shape.outputs}
    return type("Tiny", (kind,), facts)({layer: 1.0}, "none", path=path)


@pytest.mark.parametrize("case", ["hubert_fairseq_base", "hubert_fairseq_legacy_args", "contentvec_fp16"])
def test_the_encoders_give_what_the_original_gives(case: str, shared: Path) -> None:
    folder = shared / "golden/parts" / case
    golden = np.load(folder / "golden.npz")
    for kind, key in ((ContentVec768L12, "L3"), (ContentVec256L9, "L3_proj")):
        encoder = tiny(kind, folder / CASES[case], 3)
        for clip in range(2):
            frames = encoder.encode_original(golden[f"wav_{clip}"])
            assert np.abs(frames.values - golden[f"{key}_{clip}"]).max() <= TOLERANCE


@pytest.mark.parametrize(
    ("case", "kind", "key", "layer"),
    [
        ("hubert_fairseq_large", HubertLarge, "last", 5),
        ("hubert_hf_large", HubertLarge, "last", 4),
        ("hubert_fairseq_legacy_args", HubertBase, "last", 3),
        ("dphubert", DpHubert, "L4", 4),
    ],
)
def test_relatives(case: str, kind: type, key: str, layer: int, shared: Path) -> None:
    folder = shared / "golden/parts" / case
    golden = np.load(folder / "golden.npz")
    values = tiny(kind, folder / CASES[case], layer).encode_original(golden["wav_0"]).values
    assert np.abs(values - golden[f"{key}_0"]).max() <= TOLERANCE


@pytest.mark.parametrize("case", ["hubert_soft_v01", "hubert_soft_v02"])
def test_soft_units(case: str, shared: Path) -> None:
    folder = shared / "golden/parts" / case
    golden = np.load(folder / "golden.npz")
    path = folder / CASES[case]
    frames = tiny(HubertSoft, path, read_hubert(path).shape.layers).encode_original(golden["wav_0"])
    assert np.abs(frames.values - golden["units_0"]).max() <= TOLERANCE
    assert len(frames.times) == len(golden["wav_0"]) // 320
