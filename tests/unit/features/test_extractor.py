from dataclasses import replace

import numpy as np
import pytest

from svc.audio.signal import Audio
from svc.config import FeatureConfig
from svc.errors import AudioError, SpecMismatchError
from svc.features.extractor import FeatureExtractor
from svc.features.spec import spec_from_config

RATE = 44_100


@pytest.fixture(scope="module")
def extractor():
    return FeatureExtractor(spec_from_config(FeatureConfig(pitch_estimator="dio")))


def voice(seconds, rate=RATE):
    t = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(220 * 2 ** (0.3 * np.sin(2 * np.pi * 0.7 * t)) / rate)
    return (0.2 * sum(np.sin(h * phase) / h for h in range(1, 15)) * (t % 1 < 0.8)).astype(np.float32)


@pytest.mark.parametrize("samples", [RATE, RATE + 1, 512 * 90, 700])
def test_frames_follow_the_convention(extractor, samples):
    features = extractor.extract(Audio(voice(2)[None, :samples], RATE))
    assert features.frames == -(-samples // 512)
    assert features.content.shape == (features.frames, extractor.spec.content_dim)
    assert features.content.dtype == features.f0_hz.dtype == features.loudness_db.dtype == np.float32
    assert np.isfinite(features.content).all() and (features.voiced == (features.f0_hz > 0)).all()


def test_pieces_equal_the_whole_and_progress_rises(extractor):
    audio, told = Audio(voice(1.5)[None], RATE), []
    features = extractor.extract(audio, told.append)
    samples = extractor.samples(audio)
    np.testing.assert_array_equal(features.content, extractor.content(samples))
    np.testing.assert_array_equal(features.f0_hz, extractor.pitch(samples))
    np.testing.assert_array_equal(features.loudness_db, extractor.loudness(samples))
    assert told == sorted(told) and told[-1] == 1.0


def test_rate_and_channels_do_not_matter(extractor):
    mono = extractor.extract(Audio(voice(1.5)[None], RATE))
    stereo = extractor.extract(Audio(np.stack([voice(1.5, 48_000)] * 2), 48_000))
    assert mono.frames == stereo.frames
    both = mono.voiced & stereo.voiced
    assert both.mean() > 0.6 and (mono.voiced == stereo.voiced).mean() > 0.97
    assert np.median(np.abs(1200 * np.log2(mono.f0_hz[both] / stereo.f0_hz[both]))) < 2
    cosine = (mono.content * stereo.content).sum(1) / (
        np.linalg.norm(mono.content, axis=1) * np.linalg.norm(stereo.content, axis=1)
    )
    assert np.median(cosine) > 0.98


def test_median_smoothing_is_a_setting(extractor):
    rough = FeatureExtractor(replace(extractor.spec, f0_median_frames=9))
    samples = voice(1)
    assert not np.array_equal(rough.pitch(samples), extractor.pitch(samples))


def test_empty_audio_and_foreign_weights_are_refused(extractor):
    with pytest.raises(AudioError, match="no samples"):
        extractor.extract(Audio(np.zeros((1, 0), np.float32), RATE))
    foreign = FeatureExtractor(replace(extractor.spec, content_weights="0" * 64))
    with pytest.raises(SpecMismatchError, match="prepare the recordings again"):
        foreign.extract(Audio(voice(0.5)[None], RATE))
