"""Every discriminator and every speaker encoder by its registered name: shapes, repeatability, and what is refused."""

import numpy as np
import pytest
import torch
from cli_cases import RATE, sung

from svc.errors import AudioError, ConfigError
from svc.registry import DISCRIMINATORS, SPEAKER_ENCODERS


@pytest.mark.parametrize("name", DISCRIMINATORS.names())
def test_discriminators_score_audio_of_any_length_and_let_gradients_through(name: str) -> None:
    torch.manual_seed(0)
    network = DISCRIMINATORS.create(name).eval()
    for samples in (4096, 5003):
        audio = (0.1 * torch.randn(2, 1, samples)).requires_grad_(True)
        outputs = network(audio)
        assert outputs
        for score, features in outputs:
            assert score.shape[0] == 2 and torch.isfinite(score).all()
            assert features and all(len(feature) == 2 and torch.isfinite(feature).all() for feature in features)
        sum(score.square().mean() for score, _ in outputs).backward()
        assert audio.grad is not None and audio.grad.abs().sum() > 0
    with torch.no_grad():
        first, second = (network(audio)[0][0] for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    # The items of a batch do not hear each other.
    with torch.no_grad():
        torch.testing.assert_close(network(audio[1:])[0][0], first[1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SPEAKER_ENCODERS.names())
def test_speaker_encoders_give_one_unit_vector_whatever_rate_and_level(name: str) -> None:
    encoder = SPEAKER_ENCODERS.create(name)
    samples, rate = sung(2.0), RATE
    vector = encoder.embed(samples, rate)
    assert vector.shape == (encoder.dim,) and vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_array_equal(vector, encoder.embed(samples, rate))
    assert float(vector @ encoder.embed(0.5 * samples, rate)) > 0.9
    assert len(encoder.weights_sha256) == 64
    for bad in (np.zeros(0), np.zeros(16_000), np.full(16_000, np.nan), np.zeros((2, 16_000))):
        with pytest.raises(AudioError):
            encoder.embed(bad.astype(np.float32), 16_000)


@pytest.mark.parametrize("registry", [DISCRIMINATORS, SPEAKER_ENCODERS])
def test_an_unknown_name_is_told_with_the_known_ones(registry) -> None:
    with pytest.raises(ConfigError, match=registry.names()[0]):
        registry.create("nobody")
