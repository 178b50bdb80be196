"""Whisper files of OpenAI and Hugging Face against the outputs of the programs that wrote them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from svc.content.whisper import Whisper
from svc.content.whisper_network import compressed, log_power

CASES = {
    "whisper_openai": ("medium.pt", 2),
    "whisper_openai_128mel": ("large-v3.pt", 1),
    "whisper_hf": (".", 2),
}


@pytest.mark.parametrize("case", CASES)
def test_mel_and_states_are_the_originals(case: str, shared: Path) -> None:
    name, clips = CASES[case]
    golden = np.load(shared / "golden/parts" / case / "golden.npz")
    encoder = Whisper(path=shared / "golden/parts" / case / name)
    for clip in range(clips):
        samples = golden[f"wav_{clip}"]
        log_mel = log_power(torch.from_numpy(samples), encoder.network.shape.mels)
        mel = compressed(log_mel, float(log_mel.max()))
        wanted = golden[f"mel_{clip}"]
        assert np.abs(mel[:, : wanted.shape[1]].numpy() - wanted).max() <= 1e-4
        states = encoder.network(mel[None], encoder.layer_count)
        wanted = golden[f"enc_{clip}"]
        assert np.abs(states[-1][0, : len(wanted)].numpy() - wanted).max() <= 5e-5
        assert np.abs(states[-1][0, -8:].numpy() - golden[f"enc_tail_{clip}"]).max() <= 5e-5
        if f"H1_{clip}" in golden:
            wanted = golden[f"H1_{clip}"]
            assert np.abs(states[1][0, : len(wanted)].numpy() - wanted).max() <= 5e-5
        frames = encoder.encode(samples)
        wanted = golden[f"enc_{clip}"]
        assert frames.values.shape == (len(samples) // 320 + 1, wanted.shape[1])
        assert np.abs(frames.values[: len(wanted)] - wanted).max() <= 5e-5
