"""Above the recordings' bandwidth a singer keeps the highs that the base gives her."""

from pathlib import Path

import pytest
import torch
from training_cases import Sink, changed

from svc.config import Config, LossWeights
from svc.data.dataset import Batch, make_loader
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset
from svc.errors import CheckpointError, ConfigError
from svc.training import setup as opening
from svc.training.crossing import LINE, OWN
from svc.training.highs import highs_of_the_start
from svc.training.loop import train_voice
from svc.training.run_folder import RunFolder
from svc.training.steps import train_step

NARROW = 5_000.0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_synthetic_dataset(folder, SyntheticSize(singers=1))
    return folder


@pytest.fixture(scope="module")
def base(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from training_cases import RECIPES

    from svc.config import load_config

    off = {"adversarial": 0, "feature_matching": 0}
    config = load_config(RECIPES / "debug.yaml", {"train": {"max_steps": 2, "validation_clips": 0, "losses": off}})
    return train_voice(config, data, tmp_path_factory.mktemp("base") / "run", device="cpu").voice_path


@pytest.fixture
def holding(tiny_config: Config) -> Config:
    return changed(tiny_config, losses=LossWeights(adversarial=0, feature_matching=0, highs=10.0))


def opened(config: Config, data: Path, base: Path, folder: Path) -> tuple[opening.Run, Batch]:
    run = opening.setup(config, data, RunFolder(folder), base, None, False, "cpu", Sink())
    run.tracker.close()
    batch = next(iter(make_loader(run.dataset, run.sampler, 0, False)))
    return run, batch._replace(bandwidth_hz=torch.full_like(batch.bandwidth_hz, NARROW))


def test_what_moves_away_from_the_start_costs(data: Path, base: Path, holding: Config, tmp_path: Path) -> None:
    run, batch = opened(holding, data, base, tmp_path / "a")
    near = train_step(run.state, batch)["highs"]
    run, batch = opened(holding, data, base, tmp_path / "b")
    with torch.no_grad():
        for parameter in run.state.model.decoder.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    far = train_step(run.state, batch)["highs"]
    # Not 0: start and voice draw their sources' noise each for itself.
    assert 0 < near < 0.5 * far
    run, batch = opened(changed(holding, losses=LossWeights(mel=0, f0=0, kl=0, highs=10.0)), data, base, tmp_path / "c")
    before = {name: p.clone() for name, p in run.state.model.decoder.named_parameters()}
    kept = {name: p.clone() for name, p in run.state.start.named_parameters()}
    train_step(run.state, batch)
    assert any(not torch.equal(p, before[name]) for name, p in run.state.model.decoder.named_parameters())
    assert all(torch.equal(p, kept[name]) for name, p in run.state.start.named_parameters()), "the start stays"


def test_items_of_full_band_and_lines_that_others_sing_are_not_held(
    data: Path, base: Path, holding: Config, tmp_path: Path
) -> None:
    config = changed(holding, batch_size=3, replay_share=0.5, crossed_share=0.5)
    run, batch = opened(holding, data, base, tmp_path)
    run.state.config = config.train
    three = Batch(*(torch.cat([value[:1]] * 3) for value in batch))
    half = run.state.spec.sample_rate / 2
    three = three._replace(bandwidth_hz=torch.tensor([NARROW, half, NARROW]), role=torch.tensor([OWN, OWN, LINE]))
    held = highs_of_the_start(run.state, three, torch.zeros(3, dtype=torch.long))
    assert held is not None
    assert held.rows.tolist() == [0]
    assert held.bandwidth_hz.tolist() == [NARROW]
    assert held.audio.shape == (1, 1, config.train.segment_frames * run.state.spec.hop_length)
    full = three._replace(bandwidth_hz=torch.full((3,), half))
    assert highs_of_the_start(run.state, full, torch.zeros(3, dtype=torch.long)) is None
    run, batch = opened(holding, data, base, tmp_path / "full")
    assert "highs" not in train_step(run.state, batch._replace(bandwidth_hz=torch.full_like(batch.bandwidth_hz, half)))


def test_segments_are_those_that_were_decoded(data: Path, base: Path, holding: Config, tmp_path: Path) -> None:
    run, batch = opened(holding, data, base, tmp_path)
    starts = torch.tensor([0, 5])
    torch.manual_seed(1)
    late = highs_of_the_start(run.state, batch, starts)
    torch.manual_seed(1)
    first = highs_of_the_start(run.state, batch, torch.zeros_like(starts))
    assert late is not None and first is not None
    skipped = 5 * run.state.spec.hop_length
    assert torch.equal(late.audio[0], first.audio[0])
    assert torch.equal(late.audio[1, :, :-skipped], first.audio[1, :, skipped:])


def test_steps_that_discriminate_leave_it_out_where_others_do_not(
    data: Path, base: Path, holding: Config, tmp_path: Path
) -> None:
    for every, wanted in ((1, [True, True]), (2, [False, True])):
        config = changed(holding, losses=LossWeights(highs=10.0), adversarial_every=every)
        run, batch = opened(config, data, base, tmp_path / str(every))
        assert ["highs" in train_step(run.state, batch) for _ in wanted] == wanted


def test_a_run_that_goes_on_compares_with_the_same_start(
    data: Path, base: Path, holding: Config, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    train_voice(changed(holding, max_steps=1), data, run.path, base=base, device="cpu")
    again = opening.setup(holding, data, run, None, None, "latest", "cpu", Sink())
    again.tracker.close()
    begun, _ = opened(holding, data, base, tmp_path / "other")
    wanted, moved = begun.state.start.state_dict(), again.state.model.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in again.state.start.state_dict().items())
    assert any(not torch.equal(value, wanted[name]) for name, value in moved.items())
    run.start.write_bytes(b"something else")
    with pytest.raises(CheckpointError, match=r"start\.safetensors.*--train\.losses\.highs 0"):
        opening.setup(holding, data, run, None, None, "latest", "cpu", Sink())
    run.start.unlink()
    said = Sink()
    without = opening.setup(holding, data, run, None, None, "latest", "cpu", said)
    without.tracker.close()
    assert without.state.start is None
    assert any("goes on without the loss highs" in sentence for sentence in said)


def test_without_a_base_there_is_nothing_to_keep(data: Path, holding: Config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.losses\.highs"):
        train_voice(holding, data, tmp_path, device="cpu")
