"""One training step: its losses, its order, its gradients, its randomness."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from training_cases import base_model, changed

from svc.config import Config, LossWeights
from svc.data.dataset import Batch, make_loader
from svc.models.vits import segments
from svc.training import loop, steps
from svc.training import setup as opening
from svc.training.ema import Ema
from svc.training.inputs import audio_segments
from svc.training.progress import ignore
from svc.training.run_folder import RunFolder
from svc.training.state import DiscriminatorSet
from svc.training.steps import divided, train_step


def start(config: Config, data: Path, folder: Path) -> tuple[opening.Run, Batch]:
    run = opening.setup(config, data, RunFolder(folder), None, None, False, "cpu", ignore)
    run.tracker.close()
    return run, next(iter(make_loader(run.dataset, run.sampler, 0, False)))


def weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: t.detach().clone() for name, t in module.state_dict().items()}


def gradients(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def differ(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(a[name], b[name]) for name in a)


def test_losses_carry_the_names_of_their_weights(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    everything = changed(base_model(tiny_config), losses=LossWeights(prior_mel=1.0, frame_mel=1.0))
    run, batch = start(everything, tiny_data, tmp_path)
    found = train_step(run.state, batch)
    extra = {"discriminator", "discriminator_gradient", "generator_gradient"}
    assert found.keys() == set(LossWeights.model_fields) - {"highs"} | extra, "highs is for runs that have a base"
    assert all(value.ndim == 0 and not value.requires_grad for value in found.values())
    assert all(torch.isfinite(value) for value in found.values())


@pytest.mark.parametrize("name", ["mel", "kl", "f0"])
def test_a_weight_of_zero_switches_a_loss_off(name: str, tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    off = LossWeights(adversarial=0, feature_matching=0).model_copy(update={name: 0.0})
    run, batch = start(changed(tiny_config, losses=off), tiny_data, tmp_path)
    assert name not in train_step(run.state, batch)


def test_discriminators_learn_first_and_only_from_their_start_step(
    tiny_data: Path, tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, batch = start(changed(tiny_config, losses=LossWeights(), adversarial_start_step=1), tiny_data, tmp_path)
    state, order = run.state, []
    for name in ("discriminator_step", "generator_step"):
        real = getattr(steps, name)
        monkeypatch.setattr(steps, name, lambda *a, real=real, name=name: order.append(name) or real(*a))
    judge, singer = weights(state.discriminator), weights(state.model)
    assert "adversarial" not in train_step(state, batch)
    assert not differ(judge, weights(state.discriminator))
    assert differ(singer, weights(state.model))
    assert "adversarial" in train_step(state, batch)
    assert differ(judge, weights(state.discriminator))
    assert order == ["generator_step", "discriminator_step", "generator_step"]
    assert all(p.grad is not None for p in state.model.decoder.parameters())


def test_the_generators_update_leaves_no_gradient_in_discriminators(
    tiny_data: Path, tiny_config: Config, tmp_path: Path
) -> None:
    run, batch = start(changed(tiny_config, losses=LossWeights()), tiny_data, tmp_path)
    run.state.discriminator_optimiser.zero_grad()
    steps.generator_step(run.state, [batch], None)
    assert all(p.grad is None for p in run.state.discriminator.parameters())


def test_parts_of_a_batch_add_up_to_the_whole(
    tiny_data: Path, tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the model's randomness off, 1 part and 3 uneven parts give the same losses and weights."""
    monkeypatch.setattr(segments.Draw, "normal", lambda self, size: torch.zeros(size))
    monkeypatch.setattr(segments.Draw, "uniform", lambda self, size: torch.full(size, 0.5))
    # Adam's first update follows signs, which rounding may turn: kept out of the generator's gradients.
    config = changed(tiny_config, losses=LossWeights(), batch_size=4, discriminator_learning_rate=1e-12)
    config = config.model_copy(update={"model": config.model.model_copy(update={"dropout": 0.0})})
    results = []
    for splits in (1, 3):
        run, batch = start(config, tiny_data, tmp_path / str(splits))
        run.state.splits = splits
        found = train_step(run.state, batch)
        results.append((found, gradients(run.state.model), gradients(run.state.discriminator)))
    (whole, *whole_gradients), (parts, *parts_gradients) = results
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=2e-4, atol=1e-5, msg=name)
    for a, b in zip(whole_gradients, parts_gradients):
        largest = max(float(t.abs().max()) for t in a.values())
        for name, gradient in a.items():
            torch.testing.assert_close(b[name], gradient, rtol=1e-2, atol=2e-3 * largest)


def test_a_step_repeats_itself_whatever_came_before(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    results = []
    for name, noise in (("a", 1), ("b", 2)):
        run, batch = start(tiny_config, tiny_data, tmp_path / name)
        torch.manual_seed(noise)
        results.append(train_step(run.state, batch))
    assert all(torch.equal(results[0][k], results[1][k]) for k in results[0])
    other, batch = start(changed(tiny_config, seed=9), tiny_data, tmp_path / "c")
    assert not torch.equal(train_step(other.state, batch)["kl"], results[0]["kl"])


def test_accumulation_makes_the_batch_larger(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    run, batch = start(changed(tiny_config, batch_size=2, accumulate=3), tiny_data, tmp_path)
    assert len(batch.lengths) == 6
    assert run.state.splits == 3, "worked through batch_size slices at a time"


def test_learning_rate_rises_then_decays(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    run, _ = start(changed(tiny_config, warmup_steps=4, lr_decay=0.5), tiny_data, tmp_path)
    rates = []
    for step in (0, 1, 3, 99, 100, 250):
        run.state.step = step
        run.state.set_learning_rates()
        rates.append(run.state.generator_optimiser.param_groups[0]["lr"] / run.config.train.learning_rate)
    assert rates == pytest.approx([0.25, 0.5, 1, 1, 0.5, 0.25])


def test_learning_rate_sinks_to_its_end(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    run, _ = start(changed(tiny_config, warmup_steps=0, lr_decay=1.0, lr_end=0.2, max_steps=100), tiny_data, tmp_path)
    shares = []
    for step in (0, 50, 100, 120):
        run.state.step = step
        run.state.share_done = loop._share_done(run)
        shares.append(run.state.learning_rate_factor())
    assert shares == pytest.approx([1.0, 0.6, 0.2, 0.2])


def test_minutes_count_where_they_end_sooner(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    run, _ = start(changed(tiny_config, max_minutes=1.0, max_steps=1000), tiny_data, tmp_path)
    run.state.step = 100
    run.started -= 30
    assert loop._share_done(run) == pytest.approx(0.5, abs=0.05)
    run.state.step = 900
    assert loop._share_done(run) == 0.9


def test_recorded_segments_are_those_decoded() -> None:
    audio = torch.arange(40.0).view(1, 40).repeat(2, 1)
    cut = audio_segments(audio, torch.tensor([0, 3]), frames=2, hop=5)
    assert cut.shape == (2, 1, 10)
    assert cut[0, 0].tolist() == list(range(10))
    assert cut[1, 0].tolist() == list(range(15, 25))


def test_doubled_batches_split_into_real_and_fake() -> None:
    outputs = [(torch.arange(4.0), [torch.arange(8.0).view(4, 2)])]
    real, fake = divided(outputs, 2, 2)
    assert real[0][0].tolist() == [0, 1]
    assert fake[0][1][0].tolist() == [[4, 5], [6, 7]]
    several = [(torch.arange(4.0), [torch.arange(8.0)])]  # a discriminator that hears each item as two
    one, others = divided(several, 1, 3)
    assert one[0][0].tolist() == [0] and others[0][0].tolist() == [1, 2, 3]
    assert one[0][1][0].tolist() == [0, 1] and others[0][1][0].tolist() == [2, 3, 4, 5, 6, 7]


def test_discriminators_of_a_set_judge_one_after_the_other() -> None:
    both = DiscriminatorSet(("light", "mrd"))
    audio = torch.randn(1, 1, 4096)
    with torch.no_grad():
        count = [len(member(audio)) for member in both.members.values()]
        assert len(both(audio)) == sum(count)


def test_average_follows_its_formula_and_steps_aside() -> None:
    model = torch.nn.Linear(2, 2)
    ema = Ema(model, decay=0.9)
    first = model.weight.detach().clone()
    with torch.no_grad():
        model.weight += 1
    ema.update()
    torch.testing.assert_close(ema.weights["weight"], first + (1 - 2 / 11))
    for _ in range(200):
        ema.update()
    own = model.weight.detach().clone()
    torch.testing.assert_close(ema.weights["weight"], own)
    ema.weights["weight"].zero_()
    with pytest.raises(ZeroDivisionError), ema.applied():
        assert not model.weight.any()
        raise ZeroDivisionError
    assert torch.equal(model.weight, own), "the model's own weights come back after an error too"


def test_losses_are_averaged_between_logs(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    run, _ = start(tiny_config, tiny_data, tmp_path)
    for value in (1.0, 2.0, 6.0):
        run.state.gather({"mel": torch.tensor(value)})
    assert run.state.take_means() == {"mel": 3.0}
    assert run.state.take_means() == {}


def test_every_process_draws_its_own_numbers(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    run, _ = start(tiny_config, tiny_data, tmp_path)

    class Accelerator:
        num_processes = 2
        process_index = 0

    drawn = []
    state = type("State", (), {"accelerator": Accelerator, "config": run.config.train, "step": 0})
    for index, step in islice(((i, s) for s in range(3) for i in range(2)), 6):
        Accelerator.process_index, state.step = index, step
        steps._seed(state)
        drawn.append(float(torch.rand(())))
    assert len(set(drawn)) == 6


def test_narrow_recordings_are_compared_within_their_band(
    tiny_data: Path, tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = changed(tiny_config, losses=LossWeights(prior_mel=1.0, frame_mel=1.0))
    run, batch = start(config, tiny_data, tmp_path)
    nyquist = run.state.spec.sample_rate / 2
    assert (batch.bandwidth_hz == nyquist).all()
    heard: list[torch.Tensor] = []
    real = steps.losses.discriminator_loss
    monkeypatch.setattr(steps.losses, "discriminator_loss", lambda *a: heard.append(made[-1].judged) or real(*a))
    made: list[steps.Generated] = []
    generate = steps.generate
    monkeypatch.setattr(steps, "generate", lambda *a: made.append(generate(*a)) or made[-1])
    train_step(run.state, batch)
    assert made[0].bandwidth_hz is None
    assert torch.equal(heard[0][0], made[0].real[:, :, made[0].heard]), "nothing is filtered where nothing is missing"
    narrow = batch._replace(bandwidth_hz=torch.full_like(batch.bandwidth_hz, nyquist / 2))
    found = train_step(run.state, narrow)
    assert all(torch.isfinite(value) for value in found.values())
    for audio in heard[1]:
        power = torch.fft.rfft(audio.detach()).abs().square().mean((0, 1))
        assert power[int(0.55 * len(power)) :].mean() < 1e-2 * power[: int(0.4 * len(power))].mean()


def test_prior_mel_may_keep_to_the_steps_without_discriminators(
    tiny_data: Path, tiny_config: Config, tmp_path: Path
) -> None:
    weights = LossWeights(prior_mel=1.0)
    config = changed(tiny_config, losses=weights, prior_mel_every=2, adversarial_every=2)
    run, batch = start(config, tiny_data, tmp_path)
    found = [train_step(run.state, batch).keys() for _ in range(4)]
    assert ["prior_mel" in names for names in found] == [False, True, False, True]
    assert ["adversarial" in names for names in found] == [True, False, True, False]
