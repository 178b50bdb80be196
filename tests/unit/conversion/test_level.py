"""A song's gain changes nothing of how the voice sings it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_conversion import RATE, GivenFeatures, sung, tiny_voice

from svc.audio.signal import Audio
from svc.audio.writing import write_audio
from svc.checkpoint.operations import speaker_between
from svc.config import ConvertOptions
from svc.conversion.converter import Converter
from svc.conversion.level import (
    BASE_LEVEL_DB,
    LARGEST_SHIFT_DB,
    at_the_level_of,
    level_shift_db,
    shifted_levels,
)

FAST = ConvertOptions(transpose=0.0, window_seconds=2.0, protect=0.0, noise_scale=0.0)
LEVEL_DB = -35.0


class EvenFeatures(GivenFeatures):
    """Content that does not know how loud it is, as the real encoder's."""

    def content(self, samples):
        return super().content(samples / max(1e-9, np.abs(samples).max()))


def converter(level_db: float | None, **model: object) -> Converter:
    voice = tiny_voice(speakers=1, **model)
    voice.speakers = [replace(info, level_db=level_db) for info in voice.speakers]
    made = Converter(voice)
    made.extractor = EvenFeatures(made.spec)
    return made


def sing(voice: Converter, gain: float, **changes: object) -> tuple[np.ndarray, float]:
    audio = Audio(gain * sung(1.5)[None], RATE)
    result, report = voice.convert_reported(audio, FAST.model_copy(update=changes))
    return result.samples[0], report.level_shift_db


@pytest.mark.parametrize("match_loudness", [0.0, 1.0])
def test_a_quieter_copy_of_a_song_is_sung_as_the_song_is(match_loudness: float, monkeypatch) -> None:
    voice = converter(LEVEL_DB)
    told: list[np.ndarray] = []
    infer = voice.model.infer_latent

    def listen(batch, *rest):
        told.append(batch.loudness_db[0].numpy())
        return infer(batch, *rest)

    monkeypatch.setattr(voice.model, "infer_latent", listen)
    loud, first = sing(voice, 0.2, match_loudness=match_loudness)
    quiet, second = sing(voice, 0.02, match_loudness=match_loudness)
    sing(voice, 0.02, match_loudness=match_loudness, match_level=False)
    assert second == pytest.approx(first + 20.0, abs=0.11)
    # What is left is the shift's rounding to 0.1 dB, and the floor of 1e-10 in the loudness of this extractor.
    np.testing.assert_allclose(10.0 * quiet, loud, atol=0.02 * np.abs(loud).max())
    sounding = told[0] > -60.0
    np.testing.assert_allclose(told[1][sounding], told[0][sounding], atol=0.2)
    assert np.median(told[0][sounding]) == pytest.approx(LEVEL_DB, abs=0.5)
    np.testing.assert_allclose(told[2][sounding], told[0][sounding] - second, atol=0.2)


def test_a_song_at_the_voice_s_own_level_is_left_alone() -> None:
    _, shift = sing(converter(LEVEL_DB), 1.0)
    own = converter(round(LEVEL_DB - shift, 1))
    result, shift = sing(own, 1.0)
    assert shift == 0.0
    np.testing.assert_array_equal(result, sing(own, 1.0, match_level=False)[0])


def test_without_a_known_level_the_song_is_heard_as_it_is() -> None:
    voice = converter(None)
    result, shift = sing(voice, 0.1)
    assert shift == 0.0
    np.testing.assert_array_equal(result, sing(voice, 0.1, match_level=False)[0])


def test_shifts_are_bounded_and_silence_has_none() -> None:
    assert level_shift_db(np.full(50, -35.04), -20.0) == 15.0
    assert level_shift_db(np.full(50, -69.0), -3.0) == LARGEST_SHIFT_DB
    assert level_shift_db(np.full(50, -1.0), -60.0) == -LARGEST_SHIFT_DB
    assert level_shift_db(np.full(50, -100.0), -20.0) == 0.0
    assert level_shift_db(np.full(50, -30.0), None) == 0.0


def test_digital_silence_stays_and_nothing_falls_below_it() -> None:
    levels = np.array([-100.0, -90.0, -30.0], np.float32)
    np.testing.assert_allclose(shifted_levels(levels, 20.0), [-100.0, -70.0, -10.0])
    np.testing.assert_allclose(shifted_levels(levels, -20.0), [-100.0, -100.0, -50.0])
    np.testing.assert_array_equal(shifted_levels(levels, 0.0), levels)


def test_a_prompt_is_sung_at_the_voice_s_level_or_the_base_s(tmp_path: Path) -> None:
    write_audio(tmp_path / "p.wav", Audio(sung(3.0, 440.0)[None], RATE), "16")
    _, at_base = sing(converter(None, prompt_encoder=True), 0.5, prompt=tmp_path / "p.wav")
    _, at_own = sing(converter(BASE_LEVEL_DB + 7.0, prompt_encoder=True), 0.5, prompt=tmp_path / "p.wav")
    assert at_own == pytest.approx(at_base + 7.0) and at_base != 0.0


def test_voices_of_several_levels() -> None:
    voice = tiny_voice(speakers=3)
    infos = [replace(info, level_db=level) for info, level in zip(voice.speakers, (-10.0, None, -30.0))]
    assert speaker_between([(info, 1.0) for info in infos]).level_db == -20.0
    assert speaker_between([(info, 1.0) for info in voice.speakers]).level_db is None
    assert at_the_level_of(replace(voice, speakers=infos), voice.speakers[0]).level_db == -20.0


def test_the_level_is_part_of_what_a_voice_is() -> None:
    assert converter(LEVEL_DB).fingerprint != converter(LEVEL_DB + 3.0).fingerprint
    assert converter(None).fingerprint == converter(None).fingerprint
