"""What every content encoder must hold to."""

import numpy as np
import pytest

from svc.content.encoder import ContentEncoder
from svc.errors import AudioError, ConfigError, MissingExtraError, WeightError
from svc.registry import CONTENT_ENCODERS

NAMES = CONTENT_ENCODERS.names()
EMBEDDED = ("moonshine",)


@pytest.fixture(scope="module", params=NAMES)
def encoder(request: pytest.FixtureRequest) -> ContentEncoder:
    if request.param in EMBEDDED:
        return CONTENT_ENCODERS.create(request.param)
    try:
        return CONTENT_ENCODERS.create(request.param)
    except (WeightError, MissingExtraError) as error:
        pytest.skip(f"{error} (its golden tests use small files of the same kind)")


def sound(encoder: ContentEncoder, seconds: float) -> np.ndarray:
    t = np.arange(int(seconds * encoder.sample_rate)) / encoder.sample_rate
    return (0.2 * np.sin(2 * np.pi * 220 * t) * (1 + np.sin(2 * np.pi * 3 * t)) / 2).astype(np.float32)


def test_there_is_an_encoder() -> None:
    assert "moonshine" in NAMES


def test_facts(encoder: ContentEncoder) -> None:
    assert isinstance(encoder, ContentEncoder)
    assert CONTENT_ENCODERS.load(encoder.name) is type(encoder)
    assert encoder.sample_rate > 0
    assert encoder.hop_length > 0
    assert encoder.receptive_field >= encoder.hop_length
    assert set(encoder.default_layers) <= set(range(1, encoder.layer_count + 1))
    assert len(encoder.weights_sha256) == 64


@pytest.mark.parametrize("seconds", [0.0001, 0.05, 1.0, 2.345])
def test_frames_cover_the_recording(encoder: ContentEncoder, seconds: float) -> None:
    samples = sound(encoder, seconds)
    frames = encoder.encode(samples)
    assert frames.values.shape == (len(frames.times), encoder.dim)
    assert frames.values.dtype == np.float32
    assert np.isfinite(frames.values).all()
    step = encoder.hop_length / encoder.sample_rate
    assert abs(frames.times[0]) <= step / 2
    assert len(samples) / encoder.sample_rate - frames.times[-1] <= step
    np.testing.assert_allclose(np.diff(frames.times), step, rtol=1e-6)


def test_same_samples_same_frames_and_the_input_is_left_alone(encoder: ContentEncoder) -> None:
    samples = sound(encoder, 1.5)
    before = samples.copy()
    first, second = encoder.encode(samples), encoder.encode(samples)
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(samples, before)


def test_silence_is_encoded(encoder: ContentEncoder) -> None:
    assert np.isfinite(encoder.encode(np.zeros(encoder.sample_rate, dtype=np.float32)).values).all()


def test_progress_rises_to_one(encoder: ContentEncoder) -> None:
    seen: list[float] = []
    encoder.encode(sound(encoder, 1.0), seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(0, np.float32), np.zeros((2, 800), np.float32), np.full(800, np.nan, np.float32)],
    ids=["empty", "stereo", "nan"],
)
def test_unusable_samples_are_refused(encoder: ContentEncoder, samples: np.ndarray) -> None:
    with pytest.raises(AudioError):
        encoder.encode(samples)


@pytest.mark.parametrize(
    "arguments",
    [
        {"layers": {0: 1.0}},
        {"layers": {99: 1.0}},
        {"layers": {1: float("nan")}},
        {"layers": {1: 0.0}},
        {"normalisation": "song"},
    ],
)
def test_unknown_settings_are_refused(encoder: ContentEncoder, arguments: dict) -> None:
    with pytest.raises(ConfigError):
        type(encoder)(**arguments)


def test_a_damaged_weight_file_is_refused(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from svc.content.moonshine import WEIGHTS
    from svc.errors import WeightError

    monkeypatch.setattr("svc.weights.ASSETS", tmp_path)
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(tmp_path))
    with pytest.raises(WeightError, match="missing"):
        CONTENT_ENCODERS.create("moonshine")
    (tmp_path / WEIGHTS.name).write_bytes(b"not weights")
    with pytest.raises(WeightError, match="damaged"):
        CONTENT_ENCODERS.create("moonshine")
