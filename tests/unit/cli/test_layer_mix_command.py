"""A voice that learns the mix of its encoder's layers, from recordings to a converted song."""

import json
from pathlib import Path

import pytest
import soundfile
from cli_cases import FAST, RATE, Cli, sung, write

LAYERS = ("--features.content-layers.3", "1", "--features.content-layers.7", "1")
STACK = (*LAYERS, "--features.content-layers-mode", "stack", "--features.pitch-estimator", "dio")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


def test_prepare_train_convert(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from svc.checkpoint.voice import load_voice
    from svc.models.vits.layer_mix import shares_of

    monkeypatch.setenv("SVC_RUNS_DIR", str(tmp_path / "runs"))
    for number, f0_hz in enumerate((220.0, 260.0)):
        write(tmp_path / "anna" / f"{number}.wav", sung(6.0, f0_hz))
    steps = ("--train.max-steps", "3", "--train.validate-every", "3", "--train.learning-rate", "0.01")
    outcome = cli("train", tmp_path / "anna", "--run", "mix", "--config", "debug", *STACK, *steps, *FAST)
    assert outcome.code == 0, outcome.err
    file = tmp_path / "runs" / "mix" / "voice.safetensors"
    voice = load_voice(file)
    assert voice.spec.content_dim == 2 * 288 and voice.spec.stacked_layers == 2
    shares = shares_of(voice.state["content_input.mix.logits"])
    assert abs(float(shares[0]) - 0.5) > 1e-3
    told = json.loads(cli("info", file, "--json").out)
    assert told["content_layer_shares"] == pytest.approx({"3": float(shares[0]), "7": float(shares[1])}, abs=1e-3)
    song = write(tmp_path / "song.wav", sung(2.0))
    outcome = cli("convert", song, "--voice", file, "--output", tmp_path / "out", *FAST)
    assert outcome.code == 0, outcome.err
    results = [path for path in (tmp_path / "out").rglob("*.wav")]
    assert len(results) == 1 and soundfile.info(results[0]).frames == 2 * RATE


def test_one_layer_has_nothing_to_mix(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path / "anna" / "0.wav", sung(6.0))
    outcome = cli("train", tmp_path / "anna", "--run", "mix", "--features.content-layers-mode", "stack", *FAST)
    assert outcome.code != 0
    assert "needs two or more layers to mix" in outcome.err
