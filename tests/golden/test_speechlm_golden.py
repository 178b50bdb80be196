"""SpeechLM files against the outputs of Microsoft's program."""

from pathlib import Path

import numpy as np
import pytest
import torch

from svc.content.hubert import SpeechLmBase, SpeechLmLarge
from svc.content.hubert_files import read_hubert

TOLERANCE = 5e-5
CASES = {
    "speechlm_base": ("speechlm_h_base_librispeech_clean.pt", SpeechLmBase, 400),
    "speechlm_large": ("speechlm_p_large_60kh_clean.pt", SpeechLmLarge, 500),
}


@pytest.mark.parametrize("case", CASES)
def test_every_layer_of_both_stacks_is_what_the_original_gives(case: str, shared: Path) -> None:
    folder = shared / "golden/parts" / case
    golden = np.load(folder / "golden.npz")
    weights = read_hubert(folder / CASES[case][0])
    network, shape = weights.network(), weights.shape
    compared = 0
    for prefix in ("", "norm_"):
        for key in golden.files:
            name, _, clip = key.removeprefix(prefix).rpartition("_")
            if not key.startswith(prefix) or name.startswith(("norm", "wav")):
                continue
            samples = torch.from_numpy(golden[f"wav_{clip}"])
            samples = torch.nn.functional.layer_norm(samples, samples.shape) if prefix else samples
            with torch.inference_mode():
                outputs = network(samples[None])
                if name == "speech_last":
                    ours = outputs[shape.speech_layers]
                    ours = network.norm(ours) if shape.pre_norm else ours
                else:
                    ours = outputs[-1 if name == "last" else int(name[1:])]
            assert np.abs(ours[0].numpy() - golden[key]).max() <= TOLERANCE, key
            compared += 1
    assert compared >= 13


@pytest.mark.parametrize("case", CASES)
def test_the_encoders_give_what_the_original_gives_and_go_beyond_its_length(case: str, shared: Path) -> None:
    name, kind, limit = CASES[case]
    folder = shared / "golden/parts" / case
    golden = np.load(folder / "golden.npz")
    shape = read_hubert(folder / name).shape
    assert shape.frames_at_most == limit
    facts = {"dim": shape.width, "layer_count": shape.outputs}
    encoder = type("Tiny", (kind,), facts)({shape.outputs: 1.0}, "none", path=folder / name)
    values = encoder.encode_original(golden["wav_0"]).values
    wanted = golden["norm_last_0" if kind is SpeechLmLarge else "last_0"]
    assert np.abs(values - wanted).max() <= TOLERANCE
    # The original ends here: its table of positions has no rows for more.
    samples = np.tile(golden["wav_1"], 4)
    frames = encoder.encode(samples)
    assert len(frames.values) == len(samples) // 320 + 1 > limit
    assert np.isfinite(frames.values).all()
    first = encoder.encode_original(samples[: (limit - 1) * 320 + 400] if kind is SpeechLmBase else samples)
    assert len(first.values) >= limit
