"""Who sings, told by audio: levels, pauses and padding do not matter; and the parts around it in the voice model."""

import pytest
import torch

from svc.config import ModelConfig
from svc.models.vits import losses
from svc.models.vits.prompt_encoder import PromptEncoder
from svc.models.vits.voice_model import ModelInput, VoiceModel, VoiceShape

RATE = 16_000
SHAPE = VoiceShape(content_dim=6, sample_rate=RATE, hop_length=64, n_fft=256, speakers=3)
CONFIG = ModelConfig(
    hidden_channels=8,
    inter_channels=4,
    filter_channels=16,
    prior_layers=1,
    prior_heads=1,
    posterior_layers=1,
    flow_couplings=2,
    flow_wavenet_layers=1,
    speaker_channels=8,
    predict_f0=False,
    decoder_channels=8,
    decoder_layers=1,
    prompt_encoder=True,
    formant_input=True,
)


def tones(seconds: float, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    times = torch.arange(int(seconds * RATE)) / RATE
    sound = sum(torch.sin(2 * torch.pi * 150 * h * times) / h for h in range(1, 20))
    return 0.1 * sound + 0.01 * torch.randn(len(times), generator=random)


def batch(frames: int = 40, prompts: bool = True) -> ModelInput:
    random = torch.Generator().manual_seed(0)
    made = ModelInput(
        content=torch.randn(2, 6, frames, generator=random),
        f0_hz=torch.full((2, frames), 200.0),
        voiced=torch.ones(2, frames),
        loudness_db=torch.full((2, frames), -20.0),
        lengths=torch.tensor([frames, frames - 5]),
        speaker_id=torch.tensor([0, 2]),
        spectrogram=torch.rand(2, SHAPE.bins, frames, generator=random),
    )
    if prompts:
        made.prompt = torch.stack([tones(1.0), tones(1.0, 1)])
        made.prompt_lengths, made.prompted = torch.tensor([RATE, RATE // 2]), torch.tensor([True, False])
    return made


@pytest.fixture(scope="module")
def encoder() -> PromptEncoder:
    torch.manual_seed(0)
    return PromptEncoder(8, RATE).eval()


def test_size(encoder: PromptEncoder) -> None:
    assert 0.7e6 < sum(p.numel() for p in PromptEncoder(128, 44_100).parameters()) < 1.25e6
    assert encoder(torch.zeros(1, RATE), torch.tensor([RATE])).isfinite().all()


def test_level_padding_and_pauses_do_not_matter(encoder: PromptEncoder) -> None:
    with torch.no_grad():
        sound = tones(2.0)
        length = torch.tensor([len(sound)])
        plain = encoder(sound[None], length)
        other = encoder(tones(2.0)[None].flip(1) * torch.linspace(0, 1, len(sound)), length)
        far = float((plain - other).norm())
        assert float((plain - encoder(0.05 * sound[None], length)).norm()) < 1e-4 * far
        padded = torch.nn.functional.pad(sound[None], (0, RATE))
        assert float((plain - encoder(padded, length)).norm()) < 0.2 * far


def test_the_equaliser_is_for_training_only(encoder: PromptEncoder) -> None:
    sound, length = tones(1.0)[None], torch.tensor([RATE])
    with torch.no_grad():
        assert torch.equal(encoder(sound, length), encoder(sound, length))
        encoder.train()
        try:
            torch.manual_seed(1)
            first = encoder(sound, length)
            again = encoder(sound, length)
            torch.manual_seed(1)
            same = encoder(sound, length)
        finally:
            encoder.eval()
    assert torch.equal(first, same)
    assert not torch.equal(first, again)


def test_prompted_items_are_sung_by_the_prompt_and_the_rest_by_the_table() -> None:
    torch.manual_seed(0)
    model = VoiceModel(CONFIG, SHAPE).eval()
    given = batch()
    out = model(given, 8, torch.Generator().manual_seed(1))
    assert out.prompt_vector is not None and out.table_vector is not None
    assert torch.equal(out.table_vector, model.speaker(given.speaker_id))
    told = batch(prompts=False)
    told.speaker_vector = torch.stack([out.prompt_vector[0], out.table_vector[1]]).detach()
    same = model(told, 8, torch.Generator().manual_seed(1))
    assert same.prompt_vector is None
    torch.testing.assert_close(out.audio, same.audio)
    plain = model(batch(prompts=False), 8, torch.Generator().manual_seed(1))
    assert not torch.allclose(plain.audio[0], out.audio[0])
    torch.testing.assert_close(plain.audio[1], out.audio[1], atol=1e-5, rtol=1e-4)
    out.audio.sum().backward()
    assert model.prompt_encoder is not None
    assert model.prompt_encoder.embed.weight.grad is not None


def test_inference_takes_a_vector_and_a_formant_shift() -> None:
    torch.manual_seed(0)
    model = VoiceModel(CONFIG, SHAPE).eval()
    plain, given, start = batch(prompts=False), batch(prompts=False), torch.zeros(2)
    with torch.no_grad():
        given.speaker_vector = model.speaker(plain.speaker_id)
        torch.testing.assert_close(model.infer(plain, None, start), model.infer(given, None, start))
        given.shift_semitones = torch.tensor([3.0, 0.0])
        torch.testing.assert_close(model.infer(plain, None, start), model.infer(given, None, start))
        assert model.formant is not None
        torch.nn.init.normal_(model.formant.weight)
        shifted = model.infer(given, None, start)
        assert not torch.allclose(shifted[0], model.infer(plain, None, start)[0])
        torch.testing.assert_close(shifted[1], model.infer(plain, None, start)[1])


def test_the_frame_head_reads_every_frame_and_teaches_the_prior() -> None:
    torch.manual_seed(0)
    model = VoiceModel(CONFIG, SHAPE, frame_head=True)
    out = model(batch(), 8)
    assert out.frame_mel is not None and out.frame_mel.shape == (2, 80, 40)
    losses.frame_mel_loss(out.frame_mel, torch.zeros(2, 80, 40), out.mask).backward()
    assert model.content_input.content.weight.grad is not None
    assert VoiceModel(CONFIG, SHAPE)(batch(), 8).frame_mel is None


def test_rows_and_prompts_pull_at_each_other() -> None:
    heard, row = torch.zeros(2, 8, requires_grad=True), torch.ones(2, 8, requires_grad=True)
    loss = losses.prompt_loss(heard, row)
    assert loss.item() == pytest.approx(1 + losses.COMMITMENT)
    loss.backward()
    assert (row.grad > 0).all() and (heard.grad < 0).all()
    torch.testing.assert_close(heard.grad, -losses.COMMITMENT * row.grad)
