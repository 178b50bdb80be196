"""Converting to a singer who is told by a recording, and shifting formants."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_conversion import RATE, GivenFeatures, sung, tiny_voice

from svc.audio.signal import Audio
from svc.audio.writing import write_audio
from svc.config import ConvertOptions
from svc.conversion.batch import convert_many
from svc.conversion.converter import Converter
from svc.errors import AudioError, ConfigError

FAST = ConvertOptions(transpose=0.0, window_seconds=2.0)


def prompt_file(path: Path, seconds: float = 3.0, f0_hz: float = 440.0, level: float = 1.0) -> Path:
    write_audio(path, Audio(level * sung(seconds, f0_hz)[None], RATE), "16")
    return path


@pytest.fixture(scope="module")
def base() -> Converter:
    converter = Converter(tiny_voice(prompt_encoder=True, formant_input=True))
    converter.extractor = GivenFeatures(converter.spec)
    torch.nn.init.normal_(converter.model.formant.weight)
    torch.nn.init.normal_(converter.model.prompt_encoder.out.weight)
    return converter


def heard(converter: Converter, **changes: object) -> np.ndarray:
    return converter.convert(Audio(sung(1.0)[None], RATE), FAST.model_copy(update=changes)).samples


def test_the_singer_of_a_prompt_sings_at_any_level(base: Converter, tmp_path: Path) -> None:
    high = heard(base, prompt=prompt_file(tmp_path / "high.wav"))
    assert np.abs(high - heard(base)).max() > 1e-3
    low = heard(base, prompt=prompt_file(tmp_path / "low.flac", f0_hz=110.0))
    assert np.abs(high - low).max() > 1e-3
    quiet = heard(base, prompt=prompt_file(tmp_path / "quiet.wav", level=0.2))
    assert np.abs(high - quiet).max() < 0.1 * np.abs(high - low).max()


def test_the_prompt_s_range_decides_the_octave(base: Converter, tmp_path: Path) -> None:
    auto = FAST.model_copy(update={"transpose": "auto", "prompt": prompt_file(tmp_path / "c.wav")})
    low = base.extractor
    try:
        base.extractor = GivenFeatures(base.spec)
        base.extractor.pitch = lambda samples: np.where(
            low.pitch(samples) > 0, 880.0 if len(samples) > 2.5 * RATE else 220.0, 0
        )
        _, report = base.convert_reported(Audio(sung(1.0)[None], RATE), auto)
    finally:
        base.extractor = low
    assert report.transpose_semitones == 24
    assert report.speaker == "c"


def test_bad_prompts_are_named(base: Converter, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"short\.wav is shorter than a second"):
        heard(base, prompt=prompt_file(tmp_path / "short.wav", 0.4))
    with pytest.raises(AudioError, match=r"silent\.wav is silent"):
        heard(base, prompt=prompt_file(tmp_path / "silent.wav", level=0.0))
    with pytest.raises(ConfigError, match=r"missing\.wav cannot be read"):
        heard(base, prompt=tmp_path / "missing.wav")
    (tmp_path / "text.wav").write_text("words")
    with pytest.raises(AudioError, match=r"text\.wav"):
        heard(base, prompt=tmp_path / "text.wav")
    with pytest.raises(ConfigError, match="leave out speaker"):
        heard(base, prompt=prompt_file(tmp_path / "good.wav"), speaker="singer0")


def test_formants_move_without_the_pitch(base: Converter) -> None:
    plain = heard(base)
    assert np.abs(heard(base, formant_semitones=4.0) - plain).max() > 1e-3
    np.testing.assert_array_equal(heard(base, formant_semitones=0.0), plain)


def test_a_voice_without_these_parts_says_so_at_once(converter: Converter, tmp_path: Path) -> None:
    song = prompt_file(tmp_path / "song.wav", 0.3)
    for changes, words in (
        ({"prompt": song}, "no prompt encoder"),
        ({"formant_semitones": 1.0}, "cannot shift formants"),
    ):
        with pytest.raises(ConfigError, match=words):
            convert_many([song], tmp_path / "out", converter, ConvertOptions(separate="none", **changes))


def test_another_prompt_of_the_same_name_is_another_song(base: Converter, tmp_path: Path) -> None:
    song = prompt_file(tmp_path / "song.wav", 0.3)
    prompt = prompt_file(tmp_path / "prompt.wav", 1.2)
    options = ConvertOptions(separate="none", prompt=prompt)
    statuses = [convert_many([song], tmp_path / "out", base, options)[0].status for _ in range(2)]
    prompt_file(prompt, 1.3, 200.0)
    statuses.append(convert_many([song], tmp_path / "out", base, options)[0].status)
    assert statuses == ["done", "skipped", "done"]
