"""What an imported voice is fed, and the sentence for a machine that lacks its encoder."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_voices import TINY, TINY_RVC, rvc_file, write_sovits

from svc.audio.loudness import sovits_volume
from svc.checkpoint.importers.opening import import_voice
from svc.cli.app import run
from svc.content.alignment import left_indices, nearest_indices, repeated_indices
from svc.content.encoder import ContentFrames
from svc.conversion.converter import Converter
from svc.errors import WeightError
from svc.features.extractor import FeatureExtractor
from svc.features.spec import FeatureSpec
from svc.features.store import FeatureStore


class Counting:
    """An encoder whose frames are their own numbers, on the grid of HuBERT's programs."""

    sample_rate, hop_length, receptive_field = 16_000, 320, 400

    def encode(self, samples: np.ndarray, progress: object = None) -> ContentFrames:
        raise AssertionError("imported voices are fed frames of the original grid")

    def encode_original(self, samples: np.ndarray, progress: object = None) -> ContentFrames:
        count = (len(samples) - 400) // 320 + 1
        values = np.tile(np.arange(count, dtype=np.float32)[:, None], (1, 768))
        return ContentFrames(values, np.arange(count) / 50)


def extractor_of(path: Path) -> FeatureExtractor:
    extractor = FeatureExtractor(import_voice(path).spec)
    extractor._encoder = Counting()
    return extractor


def test_content_is_repeated_as_the_program_does(tmp_path: Path) -> None:
    samples = np.zeros(44_100 * 3 + 7, dtype=np.float32)
    content = extractor_of(write_sovits(tmp_path, TINY)).content(samples)
    frames, source = -(-len(samples) // 512), (round(len(samples) * 16_000 / 44_100) - 400) // 320 + 1
    assert content.shape == (frames, 768)
    assert content[:, 0].tolist() == nearest_indices(source, frames).tolist()
    torch.save(rvc_file(TINY_RVC), tmp_path / "v.pth")
    content = extractor_of(tmp_path / "v.pth").content(np.zeros(40_000, dtype=np.float32))
    assert content[:, 0].tolist() == [min(t // 2, 48) for t in range(100)]
    assert len(extractor_of(tmp_path / "v.pth").content(np.zeros(100, dtype=np.float32))) == 1


def test_rules_of_repetition() -> None:
    assert repeated_indices("left", 5, 9, (0, 1)).tolist() == left_indices(5, 9).tolist()
    assert repeated_indices("nearest", 5, 9, (0, 1)).tolist() == nearest_indices(5, 9).tolist()
    assert repeated_indices("repeat", 3, 8, (1, 2)).tolist() == [0, 0, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize(("window", "centred"), [("hop_start", True), ("hop", False)])
def test_volume_is_what_sovits_measures(window: str, centred: bool, tmp_path: Path) -> None:
    spec = replace(import_voice(write_sovits(tmp_path, replace(TINY, volume=True))).spec, loudness_window=window)
    samples = 0.1 * np.random.default_rng(0).standard_normal(512 * 40 + 100).astype(np.float32)
    loudness = FeatureExtractor(spec).loudness(samples)
    assert loudness.shape == (41,) and loudness.dtype == np.float32
    expected = sovits_volume(samples, 512, centred)
    np.testing.assert_allclose(10 ** (loudness[:39] / 20), expected[:39], rtol=1e-4)
    assert FeatureExtractor(spec).loudness(np.zeros(1000, np.float32)) == pytest.approx([-100, -100])


def test_new_fields_leave_old_specs_and_stores_alone(tmp_path: Path) -> None:
    voice = import_voice(write_sovits(tmp_path, replace(TINY, volume=True)))
    usual = replace(voice.spec, content_alignment="linear", loudness_window="fft")
    assert not {"content_alignment", "loudness_window"} & set(usual.to_dict())
    assert FeatureSpec.from_dict(usual.to_dict()) == usual and FeatureSpec.from_dict(voice.spec.to_dict()) == voice.spec
    ours, theirs = FeatureStore(tmp_path, usual), FeatureStore(tmp_path, voice.spec)
    assert ours.key("content") != theirs.key("content") and ours.key("loudness") != theirs.key("loudness")
    assert ours.key("pitch") == theirs.key("pitch") and ours.key("audio") == theirs.key("audio")


@pytest.mark.parametrize(
    ("content", "file", "line"),
    [
        (768, "checkpoint_best_legacy_500.pt", "svc weights get contentvec-hf"),
        (1024, "Whisper file", "svc weights get whisper"),
    ],
)
def test_a_missing_encoder_is_one_sentence(
    content: int, file: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path / "pretrain"))
    converter = Converter(import_voice(write_sovits(tmp_path, replace(TINY, content=content))))
    with pytest.raises(WeightError) as caught:
        converter.extractor.content(np.zeros(16_000, dtype=np.float32))
    said = str(caught.value)
    assert file in said and line in said and "https://" in said and "\n" not in said


def test_info_tells_what_the_file_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_sovits(tmp_path, replace(TINY, volume=True))
    assert run(["info", str(path)]) == 0
    told = capsys.readouterr().out
    assert "branch: 4.1-Stable; change it with svc import --sovits-branch" in told
    assert "F0 in unvoiced frames: filled with lines in Hz; change it with svc import --unvoiced-f0" in told
    assert "content_alignment: nearest" in told and "loudness_window: hop_start" in told
    assert "content encoder:" not in told
    path = write_sovits(tmp_path, replace(TINY, content=256))
    settings = json.loads(path.with_name("config.json").read_text())
    del settings["model"]["speech_encoder"]  # as 4.0 writes them
    path.with_name("config.json").write_text(json.dumps(settings))
    assert run(["info", str(path)]) == 0
    told = capsys.readouterr().out
    assert "content encoder: contentvec256l9; change it with svc import --content-encoder" in told
