"""`svc import` and `svc info` on voices of other programs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_cases import Cli

from svc.audio.signal import Audio
from svc.checkpoint.voice import load_voice
from svc.checkpoint.voice_index import content_of, open_index
from svc.config import ConvertOptions
from svc.content.encoder import ContentFrames
from svc.conversion.converter import Converter


def voice_file(shared: Path, name: str) -> Path:
    path = shared / "golden" / "voices" / name
    if not path.is_file():
        pytest.skip(f"reference file {path} is not here")
    return path


def test_import_and_info_say_the_same(cli: Cli, shared: Path, tmp_path: Path) -> None:
    foreign = voice_file(shared, "rvc_v2_40k/goldB.pth")
    output = tmp_path / "made" / "voice.safetensors"
    done = cli("import", foreign, "--output", output, "--json")
    assert done.code == 0, done.err
    made = json.loads(done.out)
    assert made.pop("voice") == str(output)
    assert made == json.loads(cli("info", foreign, "--json").out) == json.loads(cli("info", output, "--json").out)
    assert made["provenance"]["program"] == "RVC v2"
    assert made["features"]["content_encoder"] == "contentvec768l12"
    assert "program: RVC v2" in cli("info", foreign).out


def test_import_of_sovits_with_its_settings(cli: Cli, shared: Path, tmp_path: Path) -> None:
    original = voice_file(shared, "sv40_vec256/G_1600.pth")
    foreign, output = tmp_path / "G.pth", tmp_path / "v.safetensors"
    shutil.copyfile(original, foreign)
    missing = cli("import", foreign, "--output", output)
    assert missing.code == 1 and "--config" in missing.err and len(missing.sentences) == 1
    assert not output.exists()
    given = ("--config", original.with_name("config.json"))
    assert cli("info", foreign, *given).code == 0
    done = cli("import", foreign, "--output", output, *given, "--precision", "fp16")
    assert done.code == 0, done.err
    assert [speaker.name for speaker in load_voice(output).speakers] == ["alto", "tenor", "bass"]
    assert output.stat().st_size < foreign.stat().st_size


def test_an_index_is_kept_beside_the_voice(cli: Cli, shared: Path, tmp_path: Path) -> None:
    foreign = voice_file(shared, "rvc_v2_40k/goldB.pth")
    index = voice_file(shared, "rvc_index/added_IVF6_Flat_nprobe_1_gold_v2.index")
    output = tmp_path / "voice.safetensors"
    done = cli("import", foreign, "--output", output, "--index", index, "--json")
    assert done.code == 0, done.err
    kept = Path(json.loads(done.out)["index"])
    assert kept == tmp_path / "voice.index.safetensors"
    assert open_index(kept).content == content_of(load_voice(output).spec)
    assert cli("import", foreign, "--output", output, "--index", tmp_path / "none.index").code == 1


def test_wrong_usage(cli: Cli, tmp_path: Path) -> None:
    assert cli("import", tmp_path / "none.pth", "--output", tmp_path / "v.safetensors").code == 1
    torch.save({}, tmp_path / "x.pth")
    named = cli("import", tmp_path / "x.pth", "--output", tmp_path / "v.pth")
    assert named.code == 2 and ".safetensors" in named.err
    unknown = cli("import", tmp_path / "x.pth", "--output", tmp_path / "v.safetensors")
    assert unknown.code == 1 and len(unknown.sentences) == 1 and "x.pth" in unknown.err
    assert not (tmp_path / "v.safetensors").exists()


class GivenContent:
    """Stands for a content encoder whose weights are not here: 50 frames a second of fixed noise."""

    sample_rate, hop_length, receptive_field = 16_000, 320, 400

    def encode(self, samples: np.ndarray, progress: object = None) -> ContentFrames:
        frames = max(1, len(samples) // 320)
        values = np.random.default_rng(0).normal(size=(frames, 768)).astype(np.float32)
        return ContentFrames(values, (np.arange(frames) + 0.5) / 50)


@pytest.mark.parametrize("name", ["sv41_vec768_vol/G_2400.pth", "rvc_v2_48k/goldC.pth"])
def test_a_foreign_file_converts_directly(shared: Path, name: str) -> None:
    converter = Converter.load(voice_file(shared, name))
    converter.extractor._encoder = GivenContent()
    rate = 32_000
    times = np.arange(rate * 3) / rate
    song = Audio((0.3 * np.sin(2 * np.pi * 220 * times))[None].astype(np.float32), rate)
    sung = converter.convert(song, ConvertOptions(separate="none"))
    assert sung.sample_rate == converter.spec.sample_rate
    assert sung.samples.shape == (1, 3 * sung.sample_rate)
    assert np.isfinite(sung.samples).all() and sung.samples.std() > 1e-3
