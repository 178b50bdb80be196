import numpy as np
import pytest
from tiny_conversion import RATE, sung, tiny_voice

from svc.audio.signal import Audio
from svc.config import ConvertOptions
from svc.conversion.converter import Converter, resolve_device
from svc.errors import AudioError, CheckpointError, ConfigError

FAST = ConvertOptions(transpose=0.0, window_seconds=2.0)


@pytest.mark.parametrize(("rate", "samples"), [(44_100, 1), (44_100, 51_237), (16_000, 16_001), (96_000, 70_003)])
def test_length_is_exact_at_every_rate(converter, rate, samples):
    audio = Audio(sung(samples / rate, rate=rate)[None, :samples], rate)
    result = converter.convert(audio, FAST)
    assert result.samples.shape == (1, round(samples * RATE / rate))
    assert result.sample_rate == RATE == converter.sample_rate


def test_same_seed_same_samples_other_seed_others(converter):
    audio = Audio(sung(0.6)[None], RATE)
    first = converter.convert(audio, FAST).samples
    converter.convert(Audio(sung(0.5, 300.0)[None], RATE), FAST)
    np.testing.assert_array_equal(converter.convert(audio, FAST).samples, first)
    other = converter.convert(audio, FAST.model_copy(update={"seed": 1})).samples
    assert np.abs(other - first).max() > 1e-3


def test_silence_in_silence_out(converter):
    assert not converter.convert(Audio(np.zeros((2, 40_000), np.float32), RATE)).samples.any()


def test_nothing_in_is_an_error(converter):
    with pytest.raises(AudioError, match="no samples"):
        converter.convert(Audio(np.zeros((1, 0), np.float32), RATE))


def test_result_does_not_clip_and_follows_the_source(converter):
    audio = Audio((sung(1.5) * 2.2)[None], RATE)
    result, report = converter.convert_reported(audio, FAST)
    assert np.abs(result.samples).max() <= 0.9991
    assert report.gain_db <= 0
    level = np.sqrt(np.square(result.samples).mean() / np.square(audio.samples).mean())
    assert 20 * np.log10(level) == pytest.approx(report.gain_db, abs=1.0)


def test_speakers_are_chosen_by_name(converter):
    audio = Audio(sung(0.5)[None], RATE)
    results = [converter.convert(audio, FAST.model_copy(update={"speaker": n})) for n in (None, "singer0", "singer1")]
    np.testing.assert_array_equal(results[0].samples, results[1].samples)
    assert np.abs(results[0].samples - results[2].samples).max() > 1e-3
    with pytest.raises(CheckpointError, match="singer0, singer1"):
        converter.convert(audio, FAST.model_copy(update={"speaker": "nobody"}))


def test_another_pitch_method_is_used_and_kept(converter):
    audio = Audio(sung(0.5)[None], RATE)
    converter.convert(audio, FAST.model_copy(update={"pitch_estimator": "harvest"}))
    other = converter._other_pitch["harvest"]
    assert other.spec.pitch_estimator == "harvest" and other._encoder is None
    assert converter.spec.pitch_estimator == "dio"


def test_predicted_f0_replaces_the_melody(converter):
    audio = Audio(sung(0.5)[None], RATE)
    plain = converter.convert(audio, FAST).samples
    spoken = converter.convert(audio, FAST.model_copy(update={"predict_f0": True})).samples
    assert np.abs(plain - spoken).max() > 1e-3


def test_load_equals_the_voice_in_memory(converter, voice, tmp_path):
    from svc.checkpoint.voice import save_voice

    save_voice(tmp_path / "voice.safetensors", voice)
    loaded = Converter.load(tmp_path / "voice.safetensors")
    audio = Audio(sung(0.4)[None], RATE)
    np.testing.assert_array_equal(loaded.convert(audio, FAST).samples, converter.convert(audio, FAST).samples)
    assert loaded.fingerprint == converter.fingerprint
    assert Converter(tiny_voice(seed=1)).fingerprint != converter.fingerprint


def test_unknown_devices_are_named():
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda", "mps")
    with pytest.raises(ConfigError, match="quantum"):
        resolve_device("quantum")
