"""A model told, for each frame, how much of each speaker sings."""

import pytest
import torch

from svc.config import ModelConfig
from svc.models.vits.voice_model import ModelInput, VoiceModel, VoiceShape

FRAMES, HOP = 24, 64
SHAPE = VoiceShape(content_dim=6, sample_rate=16_000, hop_length=HOP, n_fft=256, speakers=3)


@pytest.fixture(params=["nsf_istft", "nsf_hifigan"])
def model(request: pytest.FixtureRequest) -> VoiceModel:
    torch.manual_seed(0)
    config = ModelConfig(
        hidden_channels=8,
        inter_channels=4,
        filter_channels=12,
        prior_layers=1,
        posterior_layers=1,
        flow_wavenet_layers=1,
        flow_couplings=2,
        f0_predictor_layers=1,
        speaker_channels=6,
        decoder=request.param,
        decoder_channels=16,
        decoder_layers=1,
        upsample_rates=(8, 8),
        upsample_kernel_sizes=(16, 16),
    )
    made = VoiceModel(config, SHAPE, training_parts=False).eval()
    for coupling in made.flow.couplings:
        torch.nn.init.normal_(coupling.post.weight, std=0.3)
    return made


def sing(model: VoiceModel, speaker: torch.Tensor, predict_f0: bool = False) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    batch = ModelInput(
        content=torch.randn(1, 6, FRAMES, generator=generator),
        f0_hz=torch.full((1, FRAMES), 220.0),
        voiced=torch.ones(1, FRAMES),
        loudness_db=torch.full((1, FRAMES), -20.0),
        lengths=torch.tensor([FRAMES]),
        speaker_id=speaker,
    )
    with torch.no_grad():
        return model.infer(batch, None, torch.zeros(1), predict_f0=predict_f0)[0, 0]


def weights(*rows: float) -> torch.Tensor:
    return torch.tensor(rows).view(1, 3, 1).repeat(1, 1, FRAMES)


@pytest.mark.parametrize("predict_f0", [False, True])
def test_all_weight_on_one_speaker_is_that_speaker(model: VoiceModel, predict_f0: bool) -> None:
    by_number = sing(model, torch.tensor([1]), predict_f0)
    # A predicted F0 turns rounding into phase.
    limits = {"atol": 2e-4 if predict_f0 else 1e-5, "rtol": 1e-3}
    torch.testing.assert_close(sing(model, weights(0.0, 1.0, 0.0), predict_f0), by_number, **limits)
    assert (sing(model, torch.tensor([2]), predict_f0) - by_number).abs().max() > 1e-3


def test_weights_mix_the_speaker_vectors(model: VoiceModel) -> None:
    mixed = sing(model, weights(0.25, 0.0, 0.75))
    with torch.no_grad():
        model.speaker.weight[1] = 0.25 * model.speaker.weight[0] + 0.75 * model.speaker.weight[2]
    torch.testing.assert_close(mixed, sing(model, torch.tensor([1])), atol=1e-5, rtol=1e-3)


def test_frames_far_from_a_change_are_those_of_their_speaker(model: VoiceModel) -> None:
    changing = weights(1.0, 0.0, 0.0)
    changing[:, 0, -1], changing[:, 2, -1] = 0.0, 1.0
    mixed, first = sing(model, changing), sing(model, torch.tensor([0]))
    torch.testing.assert_close(mixed[: 4 * HOP], first[: 4 * HOP], atol=1e-5, rtol=1e-3)
    assert (mixed[-HOP:] - first[-HOP:]).abs().max() > 1e-3
