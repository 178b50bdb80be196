"""Convolutions that read content beside the first layer."""

import pytest
import torch

from svc.config import load_config
from svc.models.vits.content_reader import DILATIONS, KERNEL, ContentReader
from svc.models.vits.prior_encoder import ContentInput
from svc.paths import recipe
from svc.training.builtin_base import settings_from


def told(entry: ContentInput, content: torch.Tensor) -> torch.Tensor:
    count, _, frames = content.shape
    return entry(content, torch.zeros(count, frames), torch.zeros(count, frames), torch.ones(count, 1, frames))


@pytest.fixture
def reader() -> ContentReader:
    """One that says something: its last layer is no longer 0."""
    made = ContentReader(6, 8, 16)
    with torch.no_grad():
        for parameter in made.outward.parameters():
            parameter.normal_()
    return made


def test_a_new_reader_changes_nothing() -> None:
    plain, reading = ContentInput(6, 8), ContentInput(6, 8, reader_channels=16)
    missing, foreign = reading.load_state_dict(plain.state_dict(), strict=False)
    assert not foreign
    assert all(name.startswith("reader.") for name in missing)
    content = torch.randn(2, 6, 40)
    torch.testing.assert_close(told(reading, content), told(plain, content))


def test_it_sees_a_third_of_a_second_to_each_side(reader: ContentReader) -> None:
    reach = (KERNEL // 2) * (1 + sum(DILATIONS))
    content = torch.randn(1, 6, 4 * reach)
    mask = torch.ones(1, 1, 4 * reach)
    other = content.clone()
    other[..., 2 * reach] += 1
    changed = (reader(content, mask) != reader(other, mask)).any(dim=1)[0].nonzero().flatten()
    assert (int(changed[0]), int(changed[-1])) == (reach, 3 * reach)


def test_frames_behind_the_end_say_nothing(reader: ContentReader) -> None:
    content, mask = torch.randn(1, 6, 50), torch.ones(1, 1, 50)
    mask[..., 30:] = 0
    alone = reader(content[..., :30], torch.ones(1, 1, 30))
    torch.testing.assert_close(reader(content, mask)[..., :30], alone)
    assert not reader(content, mask)[..., 30:].any()


def test_it_learns_what_only_neighbours_tell() -> None:
    torch.manual_seed(0)
    reader = ContentReader(4, 3, 24)
    optimiser = torch.optim.AdamW(reader.parameters(), 3e-3)
    rule, mask = torch.randn(3, 4), torch.ones(8, 1, 96)
    for _ in range(150):
        content = torch.randn(8, 4, 96)
        wanted = torch.einsum("cd,bdt->bct", rule, content.roll(5, dims=2))
        error = (reader(content, mask) - wanted)[..., 32:-32].square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    assert error.item() < 0.3 * wanted.var().item()


def test_a_voice_from_the_base_reads_as_the_base_does() -> None:
    base = load_config(recipe("base")).model
    assert base.content_reader_channels > 0
    adopted = settings_from(base, with_discriminator=True)["model"]
    assert adopted["content_reader_channels"] == base.content_reader_channels
