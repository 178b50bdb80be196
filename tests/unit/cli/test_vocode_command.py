"""`svc vocode`: copy-synthesis by a user's vocoder file."""

import json
from pathlib import Path

import pytest
import torch
from cli_cases import Cli, sung, write

from svc.audio.reading import read_audio
from svc.models.vocoders.mel_hifigan import MelHifigan, MelHifiganShape

SETTINGS = {
    "resblock": "2",
    "upsample_rates": [8, 4, 2],
    "upsample_kernel_sizes": [16, 8, 4],
    "upsample_initial_channel": 16,
    "resblock_kernel_sizes": [3, 7],
    "resblock_dilation_sizes": [[1, 2], [2, 6]],
    "sampling_rate": 16000,
    "num_mels": 20,
    "hop_size": 64,
    "n_fft": 256,
    "win_size": 256,
    "fmin": 0,
    "fmax": 8000,
}


@pytest.fixture
def vocoder(tmp_path: Path) -> Path:
    """A tiny HiFi-GAN in its own container."""
    shape = MelHifiganShape(
        mels=20,
        width=16,
        upsample_rates=(8, 4, 2),
        upsample_kernels=(16, 8, 4),
        resblock=2,
        resblock_kernels=(3, 7),
        resblock_dilations=((1, 2), (2, 6)),
        sample_rate=16000,
        source="none",
    )
    (tmp_path / "config.json").write_text(json.dumps(SETTINGS))
    torch.save({"generator": MelHifigan(shape).state_dict()}, tmp_path / "generator.pth")
    return tmp_path / "generator.pth"


def test_a_recording_is_made_anew(vocoder: Path, tmp_path: Path, cli: Cli) -> None:
    song = write(tmp_path / "song.wav", sung(1.0))
    copy = tmp_path / "copy.flac"
    outcome = cli("vocode", str(song), "--vocoder", str(vocoder), "--output", str(copy), "--json")
    assert outcome.code == 0 and "MIT" in outcome.err
    told = json.loads(outcome.out)
    made = read_audio(copy)
    assert told["vocoder"] == "HiFi-GAN" and made.sample_rate == told["sample_rate"] == 16000
    assert made.seconds == pytest.approx(1.0, abs=1e-3)


def test_what_is_no_vocoder_is_one_sentence(tmp_path: Path, cli: Cli) -> None:
    song = write(tmp_path / "song.wav", sung(0.5))
    torch.save({"weight": torch.zeros(2)}, tmp_path / "model.pt")
    outcome = cli("vocode", str(song), "--vocoder", str(tmp_path / "model.pt"), "--output", str(tmp_path / "o.wav"))
    assert outcome.code == 1 and len(outcome.err.splitlines()) == 1 and "model.pt" in outcome.err
    outcome = cli("vocode", str(song), "--vocoder", str(tmp_path / "model.pt"), "--output", str(tmp_path / "o.txt"))
    assert outcome.code == 2 and ".wav" in outcome.err and not (tmp_path / "o.txt").exists()
