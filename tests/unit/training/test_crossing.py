"""Lines of the base given to the singer: who sings, in which octave, and which losses hear it."""

from pathlib import Path

import pytest
import torch
from training_cases import changed

from svc.config import Config, LossWeights
from svc.data.dataset import Batch, make_loader
from svc.data.manifest import PreparedDataset
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset
from svc.errors import ConfigError
from svc.training import setup as opening
from svc.training import steps
from svc.training.crossing import CROSSED, LINE, OWN, cross
from svc.training.progress import ignore
from svc.training.run_folder import RunFolder

OWN_SINGERS = 2


def batch_of(speakers: list[int], f0_hz: list[float], bandwidth_hz: list[float], frames: int = 6) -> Batch:
    count = len(speakers)
    f0 = torch.tensor(f0_hz).unsqueeze(1).repeat(1, frames)
    empty, zero = torch.zeros(count, 0), torch.zeros(count)
    return Batch(
        torch.zeros(count, 3, frames),
        f0,
        torch.ones(count, frames),
        torch.zeros(count, frames),
        torch.zeros(count, frames * 4),
        torch.full((count,), frames),
        torch.tensor(speakers),
        torch.tensor(bandwidth_hz),
        zero,
        empty,
        torch.zeros(count, dtype=torch.long),
        torch.zeros(count, dtype=torch.bool),
        torch.zeros(count, dtype=torch.long),
    )


def test_a_line_takes_singer_bandwidth_and_octave_of_a_recording() -> None:
    batch = batch_of([1, 5, 7, 5], [300.0, 110.0, 500.0, 90.0], [5000.0, 8000.0, 22050.0, 8000.0])
    given = cross(batch, OWN_SINGERS, 1.0)
    assert given.role.tolist() == [OWN, CROSSED, CROSSED, CROSSED]
    assert given.speaker_id.tolist() == [1] * 4
    assert given.bandwidth_hz.tolist() == [5000.0] * 4
    # 110 to 220 and 90 to 360 are the octaves nearest to 300 Hz; 500 Hz lies 0.74 of an octave above it.
    assert given.f0_hz[:, 0].tolist() == pytest.approx([300.0, 220.0, 250.0, 360.0])
    assert batch.f0_hz[1, 0] == 110.0 and batch.speaker_id[1] == 5
    assert given.content is batch.content


def test_unvoiced_frames_do_not_decide_the_octave() -> None:
    batch = batch_of([0, 5], [300.0, 150.0], [22050.0] * 2)
    batch.f0_hz[1, 1:] = 1200.0
    batch.voiced[1, 1:] = 0.0
    assert cross(batch, OWN_SINGERS, 1.0).f0_hz[1].tolist() == pytest.approx([300.0] + [2400.0] * 5)


def test_the_share_is_kept_on_the_mean_and_recordings_are_never_given() -> None:
    torch.manual_seed(0)
    batch = batch_of([0, 1] + [9] * 400, [200.0] * 402, [22050.0] * 402)
    role = cross(batch, OWN_SINGERS, 0.3).role
    assert role[:2].tolist() == [OWN, OWN]
    assert (role == CROSSED).float().mean().item() == pytest.approx(0.3, abs=0.06)
    assert (cross(batch, OWN_SINGERS, 0.0).role == CROSSED).sum() == 0


def test_lines_alone_and_recordings_alone_stay_as_they_are() -> None:
    lines = batch_of([5, 6], [110.0, 220.0], [8000.0] * 2)
    assert cross(lines, OWN_SINGERS, 1.0).role.tolist() == [LINE, LINE]
    assert torch.equal(cross(lines, OWN_SINGERS, 1.0).speaker_id, lines.speaker_id)
    own = batch_of([0, 1], [110.0, 220.0], [8000.0] * 2)
    assert cross(own, OWN_SINGERS, 1.0).role.tolist() == [OWN, OWN]


@pytest.fixture
def run(tiny_data: Path, tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> opening.Run:
    """A run whose lines are all given away, with discriminators at every other step."""
    lines = write_synthetic_dataset(tmp_path / "lines", SyntheticSize(singers=3, slice_seconds=1.0, held_out=False), 7)
    monkeypatch.setattr(opening, "replay_lines", lambda spec, messages: lines)
    config = changed(
        tiny_config,
        losses=LossWeights(),
        adversarial_start_step=0,
        adversarial_every=2,
        replay_share=0.5,
        crossed_share=1.0,
        batch_size=6,
    )
    direct = config.model_copy(update={"model": config.model.model_copy(update={"latent": "direct"})})
    made = opening.setup(direct, tiny_data, RunFolder(tmp_path / "run"), None, None, False, "cpu", ignore)
    made.tracker.close()
    return made


def test_what_is_given_is_judged_but_not_compared(run: opening.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run.state.own_singers == 2 == len(PreparedDataset.open(run.prepared.directory).speakers)
    batch = next(iter(make_loader(run.dataset, run.sampler, 0, False)))
    lines = int((batch.speaker_id >= 2).sum())
    own = len(batch.lengths) - lines
    assert lines and own
    counted: dict[str, list[int]] = {"mel": [], "real": [], "fake": [], "matched": []}
    mel, told = steps.losses.mel_loss, steps.losses.discriminator_loss
    matching = steps.losses.feature_matching_loss
    monkeypatch.setattr(
        steps.losses, "mel_loss", lambda real, *rest: counted["mel"].append(len(real)) or mel(real, *rest)
    )
    monkeypatch.setattr(
        steps.losses,
        "discriminator_loss",
        lambda real, fake: (
            counted["real"].append(len(real[0][0])) or counted["fake"].append(len(fake[0][0])) or told(real, fake)
        ),
    )
    monkeypatch.setattr(
        steps.losses,
        "feature_matching_loss",
        lambda real, fake: counted["matched"].append(len(fake[0][0])) or matching(real, fake),
    )
    found = steps.train_step(run.state, batch)
    assert counted == {"mel": [own], "real": [own], "fake": [own + lines], "matched": [own]}
    assert all(torch.isfinite(value) for value in found.values())
    # The next step has no discriminators, so nothing would be said of a line that is given: it is compared.
    steps.train_step(run.state, batch)
    assert counted["mel"] == [own, own + lines] and len(counted["real"]) == 1


def test_lines_that_stay_lines_are_compared_and_not_judged(run: opening.Run) -> None:
    run.state.config = run.state.config.model_copy(update={"crossed_share": 1e-9})
    batch = cross(next(iter(make_loader(run.dataset, run.sampler, 0, False))), 2, 0.0)
    made = steps.generate(run.state, batch)
    own = int((batch.role == OWN).sum())
    recorded, generated = made.told_apart
    assert len(recorded) == len(generated) == own < len(batch.lengths)
    assert len(made.compared(made.real)) == len(batch.lengths)


def test_a_model_with_a_posterior_refuses(tiny_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="latent direct"):
        opening.setup(
            changed(tiny_config, crossed_share=0.5), tiny_data, RunFolder(tmp_path), None, None, False, "cpu", ignore
        )
