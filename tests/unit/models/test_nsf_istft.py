"""The fast decoder: exact inverse, pitch by construction, continuous phase, level independent of F0."""

import numpy as np
import pytest
import torch

from svc.config import ModelConfig
from svc.models.vits.voice_model import VoiceShape
from svc.models.vocoders.nsf_istft import NsfIstft, pitch_waves
from svc.models.vocoders.pulse_source import pulse_train, sample_phase

HOP, RATE = 512, 44_100


def decoder(hop: int = HOP) -> NsfIstft:
    torch.manual_seed(0)
    config = ModelConfig(inter_channels=8, speaker_channels=4, decoder_channels=16, decoder_layers=2)
    return NsfIstft(config, VoiceShape(4, RATE, hop, 2048, 1)).eval()


def run(network: NsfIstft, f0: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
    frames = f0.shape[1]
    torch.manual_seed(1)
    z = torch.randn(1, 8, frames)
    with torch.no_grad():
        return network(z, f0, torch.ones_like(f0), torch.zeros(1, 4, 1), torch.zeros(1), noise)


@pytest.mark.parametrize("hop", [256, 512])
def test_inverse_undoes_the_transform(hop: int) -> None:
    network = decoder(hop)
    audio = torch.randn(2, 20 * hop)
    torch.testing.assert_close(network._inverse(network._transform(audio), 20 * hop), audio, atol=1e-5, rtol=0)


def test_length_is_frames_times_hop_and_without_source_it_is_silent() -> None:
    network = decoder()
    assert run(network, torch.full((1, 7), 220.0)).shape == (1, 1, 7 * HOP)
    assert float(run(network, torch.zeros(1, 7)).abs().max()) == 0


@pytest.mark.parametrize("f0_hz", [65.0, 220.0, 1000.0, 1900.0])
def test_the_pitch_is_the_asked_one(f0_hz: float) -> None:
    audio = run(decoder(), torch.full((1, 60), f0_hz))[0, 0].numpy()
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    comb = np.arange(1, 4) * f0_hz * len(audio) / RATE
    on = np.mean([spectrum[round(c) - 2 : round(c) + 3].max() for c in comb])
    off = np.mean([spectrum[round(c + 0.5 * comb[0])] for c in comb])
    assert on > 20 * off


def test_pulses_go_on_where_the_first_part_stopped() -> None:
    f0 = torch.linspace(100, 400, 60).view(1, -1)
    whole = pulse_train(f0, torch.zeros(1), HOP, RATE)
    phase = (f0[:, :25].double() * HOP / RATE).sum(1) % 1
    torch.testing.assert_close(pulse_train(f0[:, 25:], phase, HOP, RATE), whole[:, 25 * HOP :], atol=2e-3, rtol=0)


def test_pulse_power_does_not_depend_on_f0() -> None:
    for f0_hz in (80.0, 300.0, 1200.0):
        pulses = pulse_train(torch.full((1, 86), f0_hz), torch.zeros(1), HOP, RATE)
        assert float(pulses.std()) == pytest.approx(1.0, abs=0.06)


def test_the_closed_form_is_the_sum_of_harmonics() -> None:
    f0 = torch.full((1, 4), 900.0)
    phase = sample_phase(f0, torch.zeros(1), HOP, RATE).double()
    count = int(0.5 * RATE / 900.0)
    direct = sum(torch.cos(2 * torch.pi * k * phase) for k in range(1, count + 1)) * (2.0 / count) ** 0.5
    torch.testing.assert_close(pulse_train(f0, torch.zeros(1), HOP, RATE).double(), direct, atol=2e-3, rtol=0)


def test_phase_stays_exact_for_an_hour() -> None:
    frames = 86 * 3600
    f0 = torch.full((1, frames), 440.0)
    last = sample_phase(f0[:, -1:], (f0[:, :-1].double() * HOP / RATE).sum(1) % 1, HOP, RATE)[0, -1]
    exact = (440.0 * HOP * frames / RATE) % 1
    assert abs(((float(last) - exact + 0.5) % 1) - 0.5) < 1e-4


def test_every_pitch_has_its_own_code() -> None:
    codes = pitch_waves(torch.tensor([[65.0, 130.0, 261.6, 523.3, 1046.5, 2000.0]]))[0].T
    distances = torch.cdist(codes, codes) + 10 * torch.eye(len(codes))
    assert float(distances.min()) > 0.3


def test_gradients_reach_the_latent() -> None:
    network = decoder()
    z = torch.randn(1, 8, 6, requires_grad=True)
    f0 = torch.full((1, 6), 200.0)
    network(
        z, f0, torch.ones(1, 6), torch.zeros(1, 4, 1), torch.zeros(1), torch.randn(1, 6 * HOP)
    ).square().sum().backward()
    assert z.grad is not None and bool(torch.isfinite(z.grad).all()) and bool((z.grad != 0).any())
