"""The streaming of a song, with an extractor and a model whose output can be foretold."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_conversion import RATE, sung

from svc.config import ConvertOptions, FeatureConfig
from svc.conversion import stream
from svc.conversion.sources import ArraySource
from svc.conversion.stream import SongStream
from svc.evaluation.spectral_metrics import click_excess
from svc.features.spec import spec_from_config
from svc.models.vocoders.pulse_source import sample_phase

HOP = 512
SPEAKER = SimpleNamespace(name="she", f0_median_hz=440.0, level_db=None)
PLAIN = ConvertOptions(match_loudness=0.0, protect=0.0, transpose=0.0, window_seconds=3.0)


@dataclass
class KnownExtractor:
    """Says that frame t is sung at `f0(t seconds)` in absolute time, whatever is heard; counts what it measured."""

    f0_at_start: float = 200.0
    device: str = "cpu"

    def __post_init__(self):
        self.spec = replace(spec_from_config(FeatureConfig()), content_dim=1)
        self.longest = 0

    def content(self, samples):
        self.longest = max(self.longest, len(samples))
        return np.zeros((self.spec.frames(len(samples)), 1), dtype=np.float32)

    def pitch(self, samples):
        # The first sample carries the absolute position, see `ruler`.
        start = samples[0] * 1e6
        frames = start / HOP + np.arange(self.spec.frames(len(samples)))
        return (self.f0_at_start * 2 ** (np.sin(frames / 40) / 12)).astype(np.float32)

    def loudness(self, samples):
        return np.full(self.spec.frames(len(samples)), -20.0, dtype=np.float32)


class SineModel:
    """Sings the fundamental's phase as a sine; with `noisy` the noise it was given, as it is."""

    config = SimpleNamespace(inter_channels=4, unvoiced_f0="filled")

    def __init__(self, noisy: bool = False):
        self.noisy = noisy
        self.latent_noise: list[torch.Tensor] = []

    def infer_latent(self, batch, noise, predict_f0):
        self.latent_noise.append(noise)
        return torch.zeros(1), batch.f0_hz

    def speaker_vector(self, batch):
        return batch.speaker_id

    def decode(self, z, f0_hz, voiced, speaker, phase_start, source_noise):
        phase = sample_phase(f0_hz, phase_start, HOP, RATE)
        return (source_noise if self.noisy else 0.3 * torch.sin(2 * torch.pi * phase))[:, None]


def ruler(samples: int) -> np.ndarray:
    """Samples that tell their own position: value * 1e6 is the index (float32 is exact to 16 million)."""
    return (np.arange(samples) / 1e6).astype(np.float32)


def run(model, extractor, samples, options=PLAIN):
    out: list[np.ndarray] = []
    report = SongStream(model, extractor, extractor, (0, SPEAKER), options).run(ArraySource(samples), out.append)
    return np.concatenate(out), report


def test_source_phase_is_continuous_over_windows_and_pieces(monkeypatch):
    monkeypatch.setattr(stream, "PIECE_SECONDS", 7.0)
    n = 25 * RATE + 77
    extractor = KnownExtractor()
    joined, report = run(SineModel(), extractor, ruler(n))
    assert len(joined) == n and len(report.joins) >= 6
    f0 = extractor.pitch(ruler(n))
    phase = sample_phase(torch.from_numpy(f0)[None], torch.zeros(1), HOP, RATE)[0, :n].numpy()
    inside = slice(HOP * 4, n)  # the ruler starts in silence, which the gate closes
    error = np.abs(joined - 0.3 * np.sin(2 * np.pi * phase))[inside]
    assert error.max() < 5e-3
    assert click_excess(joined, joined, RATE, np.array(report.joins)) <= 1.0
    assert extractor.longest <= (7.0 + 2 * stream.PIECE_CONTEXT_SECONDS + 6) * RATE


def test_noise_belongs_to_the_position_not_to_the_window():
    extractor = KnownExtractor()
    samples = sung(9)
    long, _ = run(SineModel(noisy=True), extractor, samples, PLAIN.model_copy(update={"window_seconds": 20.0}))
    short, report = run(SineModel(noisy=True), extractor, samples)
    assert report.joins and min(report.join_correlations) > 0.9999
    np.testing.assert_allclose(short, long, atol=1e-5)


def test_without_noise_scale_the_model_gets_none():
    model = SineModel()
    run(model, KnownExtractor(), sung(1), PLAIN.model_copy(update={"noise_scale": 0.0}))
    assert model.latent_noise == [None]


def test_transposition_reaches_the_model():
    extractor = KnownExtractor()
    for transpose, wanted in ((7.0, 7.0), ("auto", 12.0), ("nearest", 14.0)):
        options = PLAIN.model_copy(update={"transpose": transpose})
        joined, report = run(SineModel(), extractor, ruler(3 * RATE), options)
        assert report.transpose_semitones == wanted
        crossings = np.flatnonzero((joined[RATE:-1] < 0) & (joined[RATE + 1 :] >= 0))
        measured = RATE * (len(crossings) - 1) / (crossings[-1] - crossings[0])
        assert measured == pytest.approx(200 * 2 ** (wanted / 12), rel=0.06)


def test_a_written_melody_replaces_the_measured_one(tmp_path):
    """Over several windows and pieces, at the song's own times, transposed as a measured one is."""
    path, times = tmp_path / "melody.csv", np.arange(0, 12, 0.01)
    melody_hz = 300 * 2 ** (np.sin(times) / 6)
    path.write_text("\n".join(f"{t:.3f};{hz:.4f}" for t, hz in zip(times, melody_hz)))
    asked = []

    class Listening(SineModel):
        def infer_latent(self, batch, noise, predict_f0):
            asked.append(batch.f0_hz[0].numpy().copy())
            return super().infer_latent(batch, noise, predict_f0)

    options = PLAIN.model_copy(update={"f0_file": path, "transpose": 12.0})
    run(Listening(), KnownExtractor(), ruler(5 * RATE), options)
    frames = np.concatenate([f0 for f0 in asked])
    starts = KnownExtractor().spec.frame_times(len(asked[0]))
    wanted = 2 * np.interp(starts, times, melody_hz)
    np.testing.assert_allclose(asked[0], wanted, rtol=1e-3)
    assert frames.min() > 500 and len(asked) > 1
    last = KnownExtractor().spec.frame_times(-(-5 * RATE // HOP))[-len(asked[-1]) :]
    np.testing.assert_allclose(asked[-1], 2 * np.interp(last, times, melody_hz), rtol=1e-3)


def test_windows_of_a_song_have_few_lengths_and_enough_context():
    model, extractor = SineModel(), KnownExtractor()
    samples = sung(60) * np.repeat(np.random.default_rng(0).uniform(0.2, 1, 600), RATE // 10).astype(np.float32)
    _, report = run(model, extractor, samples)
    lengths = [noise.shape[2] for noise in model.latent_noise]
    assert len(lengths) == len(report.joins) + 1 > 12
    assert len(set(np.diff([0, *report.joins]))) > 8 and len(set(lengths)) <= 5
    edges = [0, *(join // HOP for join in report.joins), len(samples) // HOP]
    context = round(PLAIN.context_seconds * extractor.spec.frame_rate)
    inner = zip(lengths[1:-1], np.diff(edges)[1:-1])
    assert all(length >= window + 2 * context for length, window in inner)


def test_silent_windows_are_not_synthesised_and_stay_silent():
    model = SineModel()
    samples = sung(12, rest=(3.0, 9.0))
    joined, _ = run(model, KnownExtractor(), samples, PLAIN.model_copy(update={"window_seconds": 2.0}))
    assert not joined[round(3.1 * RATE) : round(8.9 * RATE)].any()
    assert np.abs(joined[: 2 * RATE]).max() > 0.2
    assert len(model.latent_noise) < 6
