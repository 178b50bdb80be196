"""What every content encoder must hold to; those whose files do not ship run on small random files of the same kind."""

from collections.abc import Iterator

import numpy as np
import pytest
from encoder_files import FILES, small_encoder, small_file

from svc.content.encoder import ContentEncoder
from svc.content.streaming import ContentStream
from svc.errors import AudioError, ConfigError
from svc.registry import CONTENT_ENCODERS

NAMES = CONTENT_ENCODERS.names()
EMBEDDED = ("moonshine",)


@pytest.fixture(scope="module", params=NAMES)
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContentEncoder]:
    if request.param in EMBEDDED:
        yield CONTENT_ENCODERS.create(request.param)
        return
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp(request.param)
        patch.setenv("SVC_PRETRAIN_DIR", str(folder))
        small_encoder(request.param, patch)
        small_file(request.param, folder)
        yield CONTENT_ENCODERS.create(request.param)


def sound(encoder: ContentEncoder, seconds: float) -> np.ndarray:
    t = np.arange(int(seconds * encoder.sample_rate)) / encoder.sample_rate
    return (0.2 * np.sin(2 * np.pi * 220 * t) * (1 + np.sin(2 * np.pi * 3 * t)) / 2).astype(np.float32)


def test_there_is_an_encoder() -> None:
    assert "moonshine" in NAMES
    assert set(NAMES) == {*EMBEDDED, *FILES.FILES, "whisper_ct2"}


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


def test_layers_stack_side_by_side(encoder: ContentEncoder) -> None:
    if encoder.name.startswith("hubert_discrete") or encoder.name == "whisper_ct2":
        with pytest.raises(ConfigError, match="leave the layers empty"):
            type(encoder)({1: 1.0, 2: 1.0}, stacked=True)
        return
    kind, samples = type(encoder), sound(encoder, 0.7)
    first, last = 1, encoder.layer_count
    stacked = kind({last: 1.0, first: 2.0}, stacked=True)
    assert stacked.output_dim == 2 * stacked.dim
    values = stacked.encode(samples).values
    assert values.shape[1] == stacked.output_dim
    summed = kind({first: 2.0, last: 1.0}).encode(samples).values
    halves = values[:, : stacked.dim] + values[:, stacked.dim :]
    if getattr(kind, "projected", False):
        # The projection's own constant is in there once for each unit of weight.
        halves = halves - 2 * stacked.network.final_proj.bias.numpy()
    np.testing.assert_allclose(halves, summed, atol=1e-4)
    alone = kind({first: 2.0}).encode(samples).values
    if getattr(kind, "projected", False):
        alone = alone + stacked.network.final_proj.bias.numpy()
    np.testing.assert_allclose(values[:, : stacked.dim], alone, atol=1e-4)


def test_a_stream_gives_the_same_times_and_sizes(encoder: ContentEncoder) -> None:
    samples = sound(encoder, 1.1)
    stream = ContentStream(encoder, history_seconds=0.6, lookahead_seconds=0.2)
    blocks = [samples[i : i + 4800] for i in range(0, len(samples), 4800)]
    parts = [stream.process(block, last=block is blocks[-1]) for block in blocks]
    whole = encoder.encode(samples)
    np.testing.assert_allclose(np.concatenate([part.times for part in parts]), whole.times, atol=1e-9)
    assert {part.values.shape[1] for part in parts} == {whole.values.shape[1]}


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
