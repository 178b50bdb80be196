"""A voice without a posterior: what is trained is what converts."""

from dataclasses import replace

import torch

from svc.config import ModelConfig
from svc.models.vits.voice_model import ModelInput, VoiceModel, VoiceShape

CONFIG = ModelConfig(
    hidden_channels=8,
    inter_channels=4,
    filter_channels=12,
    prior_layers=1,
    prior_heads=2,
    flow_couplings=2,
    flow_wavenet_layers=1,
    speaker_channels=6,
    dropout=0.0,
    decoder="nsf_istft",
    decoder_channels=8,
    decoder_layers=1,
    predict_f0=False,
    latent="direct",
)
SHAPE = VoiceShape(content_dim=10, sample_rate=16_000, hop_length=64, n_fft=256, speakers=2)
FRAMES = 20


def batch() -> ModelInput:
    random = torch.Generator().manual_seed(5)
    return ModelInput(
        content=torch.randn(2, 10, FRAMES, generator=random),
        f0_hz=torch.full((2, FRAMES), 220.0),
        voiced=torch.ones(2, FRAMES),
        loudness_db=torch.full((2, FRAMES), -20.0),
        lengths=torch.tensor([FRAMES, FRAMES]),
        speaker_id=torch.tensor([0, 1]),
    )


def model() -> VoiceModel:
    torch.manual_seed(0)
    made = VoiceModel(CONFIG, SHAPE)
    for coupling in made.flow.couplings:
        torch.nn.init.normal_(coupling.post.weight, std=0.3)
    return made


def test_training_hears_what_a_conversion_gives() -> None:
    made, given = model(), batch()
    output = made(given, FRAMES, torch.Generator().manual_seed(1))
    assert output.z_p is None and output.posterior_log_std is None
    # The same start phase and source noise as the pass drew: segments first (none to draw from), then phase, noise.
    random = torch.Generator().manual_seed(1)
    torch.rand(2, generator=random)
    phase, noise = torch.rand(2, generator=random), torch.randn(2, FRAMES * 64, generator=random)
    torch.testing.assert_close(made.infer(given, None, phase, noise), output.audio, rtol=1e-4, atol=1e-5)


def test_gradients_reach_everything_but_the_spread() -> None:
    made = model()
    made(batch(), 8, torch.Generator().manual_seed(1)).audio.square().mean().backward()
    assert not any(name.startswith("posterior.") for name, _ in made.named_parameters())
    still = [n for n, p in made.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []
    half = made.prior.proj.weight.grad
    assert half is not None and half[:4].any() and not half[4:].any()


def test_noise_is_not_heard() -> None:
    made, given = model().eval(), batch()
    noise = torch.randn(2, 4, FRAMES)
    calm, _ = made.infer_latent(given, None)
    assert torch.equal(made.infer_latent(given, noise)[0], calm)
    other = VoiceModel(CONFIG.model_copy(update={"latent": "variational"}), SHAPE).eval()
    other.load_state_dict(made.state_dict(), strict=False)
    assert not torch.equal(other.infer_latent(given, noise)[0], calm)


def test_another_singer_is_another_sound() -> None:
    made, given = model().eval(), batch()
    swapped = replace(given, speaker_id=torch.tensor([1, 0]))
    assert not torch.allclose(made.infer_latent(swapped)[0], made.infer_latent(given)[0])
