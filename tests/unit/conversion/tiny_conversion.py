"""What conversion tests share: a voice with random weights, and something to sing."""

import numpy as np

RATE = 44_100


def tiny_voice(content_dim: int | None = None, seed: int = 0, speakers: int = 2, **model: object):
    import torch

    from svc.checkpoint.voice import SpeakerInfo, Voice
    from svc.config import FeatureConfig, ModelConfig
    from svc.features.spec import spec_from_config
    from svc.models.vits.voice_model import VoiceModel

    spec = spec_from_config(FeatureConfig(pitch_estimator="dio"))
    config = ModelConfig(
        hidden_channels=16,
        inter_channels=8,
        filter_channels=16,
        prior_layers=1,
        posterior_layers=1,
        flow_couplings=1,
        flow_wavenet_layers=1,
        speaker_channels=8,
        decoder_channels=16,
        decoder_layers=1,
        **model,
    )
    infos = [SpeakerInfo(f"singer{i}", 1.0, 150.0, 220.0 * (i + 1), 400.0) for i in range(speakers)]
    torch.manual_seed(seed)
    voice = Voice(config, spec, infos, {})
    voice.state = VoiceModel(config, voice.shape).state_dict()
    return voice


class GivenFeatures:
    """Features that take no networks: each frame's content is made of its own samples, F0 is 220 Hz where it sounds."""

    device = "cpu"

    def __init__(self, spec):
        self.spec = spec
        self.weights = np.random.default_rng(9).standard_normal((64, spec.content_dim)).astype(np.float32)

    def _frames(self, samples):
        count = self.spec.frames(len(samples))
        padded = np.pad(samples, (0, count * self.spec.hop_length - len(samples)))
        return padded.reshape(count, self.spec.hop_length)

    def samples(self, audio):
        return audio.mono().samples[0]

    def content(self, samples):
        return np.tanh(self._frames(samples)[:, :64] @ self.weights).astype(np.float32)

    def pitch(self, samples):
        return np.where(np.abs(self._frames(samples)).max(axis=1) > 1e-3, 220.0, 0.0).astype(np.float32)

    def loudness(self, samples):
        power = np.square(self._frames(samples)).mean(axis=1)
        return (10 * np.log10(power + 1e-10)).astype(np.float32)


def sung(seconds: float, f0_hz: float = 220.0, rate: int = RATE, rest: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """A buzzing note with vibrato, silent between the two times of `rest`: float32 (N,)."""
    n = round(seconds * rate)
    t = np.arange(n) / rate
    f0 = f0_hz * 2 ** (0.3 / 12 * np.sin(2 * np.pi * 5 * t))
    phase = 2 * np.pi * np.cumsum(f0) / rate
    out = sum(np.sin(k * phase) / k for k in range(1, 12)) * 0.1
    out[(t >= rest[0]) & (t < rest[1])] = 0.0
    return out.astype(np.float32)
