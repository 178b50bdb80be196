"""The fast decoder: exact inverse, pitch by construction, continuous phase, level free of F0, unsteady pulses."""

import numpy as np
import pytest
import torch

from svc.config import ModelConfig
from svc.models.vits.voice_model import VoiceShape
from svc.models.vocoders.nsf_istft import VOICED_MARGIN, NsfIstft, pitch_waves
from svc.models.vocoders.pulse_source import JITTER_CYCLES, jitter, pulse_train, sample_phase

HOP, RATE = 512, 44_100


def decoder(hop: int = HOP) -> NsfIstft:
    torch.manual_seed(0)
    config = ModelConfig(inter_channels=8, speaker_channels=4, decoder_channels=16, decoder_layers=2)
    return NsfIstft(config, VoiceShape(4, RATE, hop, 2048, 1)).eval()


def run(
    network: NsfIstft, f0: torch.Tensor, noise: torch.Tensor | None = None, voiced: torch.Tensor | None = None
) -> torch.Tensor:
    frames = f0.shape[1]
    torch.manual_seed(1)
    z = torch.randn(1, 8, frames)
    sung = torch.ones_like(f0) if voiced is None else voiced
    with torch.no_grad():
        return network(z, f0, sung, torch.zeros(1, 4, 1), torch.zeros(1), noise)


def harmonicity(audio: np.ndarray, f0_hz: float) -> float:
    """Energy at harmonics 1 to 10 over that halfway between them."""
    power = np.abs(np.fft.rfft(audio * np.hanning(len(audio)))) ** 2
    spacing = f0_hz * len(audio) / RATE
    at = [power[round(k * spacing) - 3 : round(k * spacing) + 4].sum() for k in range(1, 11)]
    between = [power[round((k + 0.5) * spacing) - 3 : round((k + 0.5) * spacing) + 4].sum() for k in range(1, 11)]
    return float(np.sum(at) / np.sum(between))


def pulses_alone(network: NsfIstft) -> None:
    """A decoder whose filters are the same in every frame and bin, its own noise inaudible."""
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.view(2, 3, network.bins)[:, 2] = -30.0


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


def test_jitter_displaces_frames_by_themselves_and_by_what_is_said() -> None:
    noise = torch.randn(1, 2000 * HOP, generator=torch.Generator().manual_seed(0))
    early = jitter(noise, HOP)
    centres = 0.5 * (early[0, HOP // 2 - 1 :: HOP] + early[0, HOP // 2 :: HOP])
    assert float(centres.square().mean().sqrt()) == pytest.approx(JITTER_CYCLES, rel=0.05)
    assert abs(float((centres[1:] * centres[:-1]).mean())) < 0.1 * JITTER_CYCLES**2
    # Whoever begins later gets the same, but for the half frame where a neighbour is missing.
    torch.testing.assert_close(jitter(noise[:, 100 * HOP :], HOP)[:, HOP:], early[:, 101 * HOP :])


def test_jitter_makes_high_harmonics_noisy_and_leaves_the_pitch() -> None:
    f0 = torch.full((1, 172), 110.0)
    noise = torch.randn(1, 172 * HOP, generator=torch.Generator().manual_seed(0))
    network = decoder()
    pulses_alone(network)
    steady, unsteady = run(network, f0)[0, 0].numpy(), run(network, f0, noise)[0, 0].numpy()
    assert harmonicity(unsteady, 110.0) > 100  # harmonics up to 1.1 kHz
    spectrum = np.abs(np.fft.rfft(np.stack([steady, unsteady]) * np.hanning(len(steady)))) ** 2
    spacing = 110.0 * len(steady) / RATE
    line = [np.sum([p[round(k * spacing) - 3 : round(k * spacing) + 4].sum() for k in range(70, 90)]) for p in spectrum]
    assert line[1] < 0.2 * line[0]  # around 9 kHz
    assert float(np.std(unsteady)) == pytest.approx(float(np.std(steady)), rel=0.1)


def test_where_nobody_sings_noise_of_the_same_level_takes_the_place_of_pulses() -> None:
    frames, f0_hz = 240, 200.0
    voiced = torch.ones(1, frames)
    voiced[:, 80:160] = 0
    noise = torch.randn(1, frames * HOP, generator=torch.Generator().manual_seed(0))
    network = decoder()
    pulses_alone(network)
    audio = run(network, torch.full((1, frames), f0_hz), noise, voiced)[0, 0].numpy()
    sung, breath = audio[: 76 * HOP], audio[(82 + VOICED_MARGIN) * HOP : (158 - VOICED_MARGIN) * HOP]
    assert harmonicity(sung, f0_hz) > 100
    assert harmonicity(breath, f0_hz) < 3
    assert float(np.std(breath)) == pytest.approx(float(np.std(sung)), rel=0.25)
    # Below F0 no loss tells the pulses' filter what to be.
    power = np.abs(np.fft.rfft(breath * np.hanning(len(breath)))) ** 2
    low, high = power[: round(100 * len(breath) / RATE)], power[round(400 * len(breath) / RATE) :]
    assert float(low.mean()) < 0.02 * float(high.mean())


def test_without_f0_an_unvoiced_stretch_holds_the_decoders_own_noise_alone() -> None:
    noise = torch.randn(1, 40 * HOP, generator=torch.Generator().manual_seed(0))
    network = decoder()
    pulses_alone(network)
    assert float(run(network, torch.zeros(1, 40), noise, torch.zeros(1, 40)).abs().max()) < 1e-6


def test_a_short_gap_between_voiced_frames_keeps_its_pulses() -> None:
    f0 = torch.full((1, 60), 200.0)
    noise = torch.randn(1, 60 * HOP, generator=torch.Generator().manual_seed(0))
    gap = torch.ones(1, 60)
    gap[:, 30 : 30 + 2 * VOICED_MARGIN] = 0
    torch.testing.assert_close(run(decoder(), f0, noise, gap), run(decoder(), f0, noise))


def test_gradients_reach_the_latent() -> None:
    network = decoder()
    z = torch.randn(1, 8, 6, requires_grad=True)
    f0 = torch.full((1, 6), 200.0)
    network(
        z, f0, torch.ones(1, 6), torch.zeros(1, 4, 1), torch.zeros(1), torch.randn(1, 6 * HOP)
    ).square().sum().backward()
    assert z.grad is not None and bool(torch.isfinite(z.grad).all()) and bool((z.grad != 0).any())
