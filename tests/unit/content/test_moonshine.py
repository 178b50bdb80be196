import numpy as np
import pytest
import torch

from svc.content import moonshine
from svc.content.moonshine import MARGIN, OPTIONS, Moonshine, layer_windows
from svc.content.moonshine_network import HOP, RECEPTIVE_FIELD, MoonshineNetwork, MoonshineOptions, band
from svc.content.streaming import ContentStream
from svc.errors import ConfigError

RATE = 16_000


def syllables(seconds: float, seed: int = 0) -> np.ndarray:
    """Buzzes of changing pitch and colour with pauses: something the encoder hears as speech-like."""
    rng = np.random.default_rng(seed)
    pieces = []
    while sum(map(len, pieces)) < seconds * RATE:
        t = np.arange(rng.integers(1500, 5000)) / RATE
        f0, formant = rng.uniform(110, 400), rng.uniform(400, 2500)
        tone = sum(
            np.sin(2 * np.pi * k * f0 * t) / (1 + ((k * f0 - formant) / 300) ** 2)
            for k in range(1, 20)
            if k * f0 < 7500
        )
        pieces += [0.1 * tone * np.hanning(len(t)), np.zeros(rng.integers(0, 1500))]
    return np.concatenate(pieces)[: int(seconds * RATE)].astype(np.float32)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


@pytest.fixture(scope="module")
def encoder() -> Moonshine:
    return Moonshine()


def test_frame_count_of_the_network_follows_its_receptive_field() -> None:
    network = MoonshineNetwork().eval()
    for samples, frames in ((RECEPTIVE_FIELD, 1), (RECEPTIVE_FIELD + HOP - 1, 1), (RECEPTIVE_FIELD + HOP, 2)):
        outputs = network(torch.zeros(1, samples))
        assert [tuple(o.shape) for o in outputs] == [(1, frames, 288)] * 7


def test_a_click_is_heard_at_its_time(encoder: Moonshine) -> None:
    samples = np.zeros(4 * RATE, dtype=np.float32)
    samples[2 * RATE : 2 * RATE + 40] = 0.5
    frames = Moonshine(layers={1: 1.0}, normalisation="none").encode(samples)
    change = np.linalg.norm(np.diff(frames.values, axis=0), axis=1)
    assert abs(frames.times[change.argmax()] - 2.0) < 0.05


def test_windows_give_what_one_pass_gives(encoder: Moonshine) -> None:
    samples = syllables(12)
    once = [o for _, _, o in layer_windows(encoder.network, samples, core=10_000)]
    assert len(once) == 1
    pieces = list(layer_windows(encoder.network, samples, core=100))
    assert [p[0] for p in pieces] == list(range(0, 501, 100))
    for layer in range(7):
        joined = torch.cat([p[2][layer] for p in pieces])
        scale = once[0][layer].abs().max()
        assert (joined - once[0][layer]).abs().max() / scale < 1e-5


def test_a_frame_does_not_hear_beyond_its_reach(encoder: Moonshine) -> None:
    reach = MARGIN * HOP + RECEPTIVE_FIELD + 2 * RATE + 2 * HOP
    samples = syllables(12)
    other = samples.copy()
    other[: 5 * RATE] = syllables(5, seed=9)
    a, b = encoder.encode(samples), encoder.encode(other)
    far = a.times * RATE > 5 * RATE + reach
    assert far.sum() > 50
    np.testing.assert_allclose(a.values[far], b.values[far], atol=2e-4)
    assert not np.allclose(a.values[:100], b.values[:100], atol=0.1)


def test_level_of_the_recording_does_not_matter(encoder: Moonshine) -> None:
    samples = syllables(4)
    loud = encoder.encode(samples * 4).values
    np.testing.assert_allclose(encoder.encode(samples).values, loud, atol=1e-3)


def test_slice_and_song_agree(encoder: Moonshine) -> None:
    song = syllables(16)
    start, stop = 4 * RATE // HOP, 12 * RATE // HOP
    whole = encoder.encode(song).values[start:stop]
    alone = encoder.encode(song[start * HOP : stop * HOP]).values[: stop - start]
    assert cosine(whole, alone).mean() >= 0.98


def test_a_stream_gives_every_frame_once_and_agrees_with_the_song(encoder: Moonshine) -> None:
    song = syllables(9)
    stream = ContentStream(encoder, history_seconds=5)
    parts = [stream.process(song[i : i + 12_000], last=i + 12_000 >= len(song)) for i in range(0, len(song), 12_000)]
    whole = encoder.encode(song)
    np.testing.assert_allclose(np.concatenate([p.times for p in parts]), whole.times, atol=1e-9)
    settled = whole.times > 5
    assert cosine(np.concatenate([p.values for p in parts]), whole.values)[settled].mean() >= 0.97
    assert len(stream._buffer) <= 6 * RATE


def test_a_stream_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ConfigError, match="adaptive"):
        ContentStream(Moonshine(normalisation="recording"))
    with pytest.raises(ConfigError, match="history"):
        ContentStream(Moonshine(), history_seconds=1, lookahead_seconds=1)


def test_layers_mix_linearly() -> None:
    samples = syllables(2)
    one, two = (Moonshine(layers={k: 1.0}).encode(samples).values for k in (5, 7))
    mixed = Moonshine(layers={7: 0.25, 5: 0.75}).encode(samples).values
    np.testing.assert_allclose(mixed, 0.75 * one + 0.25 * two, atol=1e-4)


def test_normalisations(encoder: Moonshine) -> None:
    samples = syllables(4)
    plain = Moonshine(normalisation="none").encode(samples).values
    adaptive = encoder.encode(samples).values
    recording = Moonshine(normalisation="recording").encode(samples).values
    leak, mean, scale = encoder.leak[6].numpy(), encoder.mean[6].numpy(), float(encoder.scale[6])
    np.testing.assert_allclose(leak @ leak.T, np.eye(len(leak)), atol=1e-5)
    # What was taken out is gone, and nothing else is changed.
    np.testing.assert_allclose((adaptive - mean / scale) @ leak.T, 0, atol=1e-3)
    rest = np.eye(288) - leak.T @ leak
    np.testing.assert_allclose(adaptive @ rest, plain / scale @ rest, atol=1e-3)
    np.testing.assert_allclose(recording.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(recording.std(axis=0), 1, atol=1e-2)


def test_attention_band() -> None:
    mask = band(6, 2, torch.device("cpu"))
    assert mask is not None
    assert mask.sum(dim=1).tolist() == [3, 4, 5, 5, 4, 3]
    assert band(6, None, torch.device("cpu")) is None
    assert band(3, 2, torch.device("cpu")) is None


def test_fixed_group_statistics_equal_the_clips_own_when_they_are_the_same() -> None:
    network = MoonshineNetwork().eval()
    x = torch.randn(1, 288, 50) * 0.1
    own = network.normalised(x, MoonshineOptions())
    std = float((x.var(unbiased=False) + 1e-5).sqrt())
    fixed = network.normalised(x, MoonshineOptions(group_mean=float(x.mean()), group_std=std))
    assert torch.allclose(own, fixed, atol=1e-4)
    assert OPTIONS.span == moonshine.SPAN
