"""The order of training examples and the crops themselves are functions of the seed, and of nothing else."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from svc.config import TrainConfig
from svc.data.dataset import Draw, DrawSampler, VoiceDataset, collate, make_loader
from svc.data.manifest import PreparedDataset
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset
from svc.errors import DatasetError

TRAIN = TrainConfig(batch_size=2, slice_frames=32, segment_frames=8, volume_augment=False)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return write_synthetic_dataset(tmp_path_factory.mktemp("data"), SyntheticSize(singers=2))


def dataset(prepared: PreparedDataset, **changes: object) -> VoiceDataset:
    return VoiceDataset(prepared, prepared.split("train"), TRAIN.model_copy(update=changes))


def flat(batches: list[list[Draw]]) -> list[Draw]:
    return [draw for batch in batches for draw in batch]


def test_crop_is_aligned_to_frames(prepared: PreparedDataset) -> None:
    data = dataset(prepared)
    sample = data[Draw(0, 3, 0)]
    utterance = data.utterances[3]
    whole = prepared.features(utterance)
    start = next(
        i for i in range(utterance.frames) if np.allclose(whole.content[i : i + 32], sample.content, atol=1e-3)
    )
    hop = prepared.spec.hop_length
    real = prepared.audio(utterance, start * hop, (start + 32) * hop)
    np.testing.assert_allclose(sample.audio[: len(real)].numpy(), real, atol=1e-4)
    assert len(sample.audio) == 32 * hop
    np.testing.assert_allclose(sample.loudness_db, whole.loudness_db[start : start + 32], atol=1e-4)
    voiced = whole.voiced[start : start + 32]
    np.testing.assert_allclose(sample.f0_hz.numpy()[voiced], whole.f0_hz[start : start + 32][voiced], rtol=1e-5)
    assert (sample.f0_hz > 0).all(), "models are fed F0 interpolated over unvoiced frames"
    assert sample.speaker_id == prepared.speakers.index(utterance.speaker)


def test_last_frame_of_an_utterance_is_padded_with_silence(prepared: PreparedDataset) -> None:
    data = dataset(prepared, slice_frames=4000)
    utterance = data.utterances[0]
    sample = data[Draw(0, 0, 0)]
    missing = utterance.frames * prepared.spec.hop_length - utterance.samples
    assert missing > 0
    assert (sample.audio[-missing:] == 0).all()
    assert sample.audio[:-missing][-100:].abs().max() > 0


def test_memory_and_disk_give_the_same_crops(prepared: PreparedDataset) -> None:
    in_memory = dataset(prepared)
    on_disk = VoiceDataset(prepared, prepared.split("train"), TRAIN, ram_limit_bytes=0)
    assert in_memory.packed is not None
    assert on_disk.packed is None
    for draw in (Draw(0, 0, 0), Draw(3, 5, 1)):
        a, b = in_memory[draw], on_disk[draw]
        for name in ("content", "f0_hz", "voiced", "loudness_db", "audio"):
            torch.testing.assert_close(getattr(a, name), getattr(b, name), atol=5e-5, rtol=1e-6)
        assert a.speaker_id == b.speaker_id


@pytest.mark.parametrize("limit", [0, 10**9])
def test_unvoiced_frames_follow_the_models_rule(prepared: PreparedDataset, limit: int) -> None:
    split = prepared.split("train")
    kinds = {
        rule: VoiceDataset(prepared, split, TRAIN, ram_limit_bytes=limit, unvoiced_f0=rule)
        for rule in ("filled", "filled_hz")
    }
    told = {rule: [data[Draw(0, i, 0)] for i in range(len(split))] for rule, data in kinds.items()}
    pairs = list(zip(told["filled"], told["filled_hz"], strict=True))
    for log, hz in pairs:
        torch.testing.assert_close(log.f0_hz[log.voiced > 0], hz.f0_hz[log.voiced > 0])
    assert any((hz.f0_hz > log.f0_hz + 0.01).any() for log, hz in pairs)  # a line in Hz lies above one in log F0
    assert all((hz.f0_hz >= log.f0_hz - 0.01).all() for log, hz in pairs)


def test_crops_differ_by_epoch_visit_and_seed(prepared: PreparedDataset) -> None:
    data = dataset(prepared)
    first = data[Draw(0, 0, 0)].content
    assert torch.equal(first, data[Draw(0, 0, 0)].content)
    for other in (data[Draw(1, 0, 0)], data[Draw(0, 0, 1)], dataset(prepared, seed=5)[Draw(0, 0, 0)]):
        assert not torch.equal(first, other.content)


def test_louder_audio_is_said_to_be_louder(prepared: PreparedDataset) -> None:
    plain, changed = dataset(prepared), dataset(prepared, volume_augment=True)
    gains = []
    for epoch in range(12):
        a, b = plain[Draw(epoch, 0, 0)], changed[Draw(epoch, 0, 0)]
        if torch.equal(a.audio, b.audio):
            continue
        gain = 20 * torch.log10(b.audio.abs().max() / a.audio.abs().max())
        torch.testing.assert_close(b.loudness_db - a.loudness_db, gain.expand(32), atol=0.02, rtol=0)
        assert b.audio.abs().max() <= 1.0
        gains.append(float(gain))
    assert 2 <= len(gains) < 12, "about half of the crops change"
    assert -12.01 <= min(gains) < max(gains) <= 6.01


def test_every_epoch_has_its_own_order_and_visits_by_length() -> None:
    sampler = DrawSampler([64, 64, 32, 20, 96, 32, 32, 32], TRAIN)
    first, second = flat(sampler.epoch(0)), flat(sampler.epoch(1))
    assert [d.utterance for d in first] != [d.utterance for d in second]
    counts = [sum(d.utterance == i for d in first) for i in range(8)]
    assert counts == [2, 2, 1, 1, 3, 1, 1, 1]
    assert len(set(first)) == len(first)


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_an_epoch_without_overlap(processes: int) -> None:
    frames = [30] * 37
    shares = [flat(DrawSampler(frames, TRAIN, rank, processes).epoch(4)) for rank in range(processes)]
    together = [draw for share in shares for draw in share]
    assert len({len(share) for share in shares}) == 1, "all processes make the same number of steps"
    assert len(set(together)) == len(together), "no example is seen twice"
    assert len(together) > 37 - 2 * processes, "less than one global batch is left out"
    orders = [flat(DrawSampler(frames, TRAIN, 0, processes).epoch(e)) for e in (4, 5)]
    assert [d.utterance for d in orders[0]] != [d.utterance for d in orders[1]]


def test_what_is_left_out_changes_over_epochs() -> None:
    sampler = DrawSampler([30] * 7, TRAIN.model_copy(update={"batch_size": 4}))
    seen = {draw.utterance for epoch in range(6) for draw in flat(sampler.epoch(epoch))}
    assert seen == set(range(7))


def test_short_utterances_share_batches_with_their_like() -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(4, 33, 400).tolist()
    train = TRAIN.model_copy(update={"batch_size": 8})
    spread = [
        max(lengths[d.utterance] for d in b) - min(lengths[d.utterance] for d in b)
        for b in DrawSampler(lengths, train).epoch(0)
    ]
    assert np.mean(spread) < 5, "a random batch of 8 spreads over more than 20"


def test_a_start_in_mid_epoch_continues_the_same_order() -> None:
    frames = [40] * 9
    whole = list(islice(DrawSampler(frames, TRAIN), 12))
    sampler = DrawSampler(frames, TRAIN)
    position = sampler.position(6)
    assert position == (1, 2)
    assert list(islice(DrawSampler(frames, TRAIN, start=position), 6)) == whole[6:]
    assert DrawSampler(frames, TRAIN, start=position).position(6) == sampler.position(12)


def test_dataset_smaller_than_a_batch_is_visited_again_with_other_crops(prepared: PreparedDataset) -> None:
    sampler = DrawSampler([90, 90, 90], TRAIN.model_copy(update={"batch_size": 16}))
    batch = sampler.epoch(0)
    assert [len(b) for b in batch] == [16]
    assert len(set(batch[0])) == 16


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(prepared: PreparedDataset, workers: int) -> None:
    data = dataset(prepared, volume_augment=True)
    frames = [u.frames for u in data.utterances]
    alone = list(islice(make_loader(data, DrawSampler(frames, TRAIN), 0, False), 5))
    helped = list(islice(make_loader(data, DrawSampler(frames, TRAIN), workers, False), 5))
    for a, b in zip(alone, helped):
        assert all(torch.equal(x, y) for x, y in zip(a, b))


def test_collate_pads_and_batches_split_in_order(prepared: PreparedDataset) -> None:
    data = dataset(prepared)
    samples = [data[Draw(0, i, 0)] for i in range(3)]
    hop = prepared.spec.hop_length
    short = samples[1]._replace(
        **{n: getattr(samples[1], n)[:20] for n in ("content", "f0_hz", "voiced", "loudness_db")},
        audio=samples[1].audio[: 20 * hop],
    )
    batch = collate([samples[0], short, samples[2]], minimum_frames=40)
    assert batch.content.shape == (3, 16, 40)
    assert batch.audio.shape == (3, 40 * hop)
    assert batch.lengths.tolist() == [32, 20, 32]
    assert (batch.content[1, :, 20:] == 0).all()
    assert (batch.audio[1, 20 * hop :] == 0).all()
    assert (batch.loudness_db[1, 20:] == -100).all()
    assert (batch.f0_hz[1, 20:] == short.f0_hz[-1]).all()
    parts = batch.split(2)
    assert [len(p.lengths) for p in parts] == [2, 1]
    assert torch.equal(torch.cat([p.content for p in parts]), batch.content)
    assert len(batch.split(99)) == 3


def test_an_empty_split_is_an_error(prepared: PreparedDataset) -> None:
    with pytest.raises(DatasetError, match="no slice to train on"):
        VoiceDataset(prepared, [], TRAIN)


def test_samples_beyond_full_scale_survive_packing(prepared: PreparedDataset, tmp_path: object) -> None:
    class Loud:
        spec, speakers = prepared.spec, prepared.speakers
        features = prepared.features

        def audio(self, utterance: object, start: int = 0, stop: int | None = None) -> np.ndarray:
            return prepared.audio(utterance, start, stop) * 3.0

    loud = VoiceDataset(Loud(), prepared.split("train"), TRAIN)
    torch.testing.assert_close(loud[Draw(0, 0, 0)].audio, dataset(prepared)[Draw(0, 0, 0)].audio * 3, atol=2e-4, rtol=0)


def test_utterances_shorter_than_a_crop_are_used_whole(prepared: PreparedDataset) -> None:
    short = [replace(u, frames=10, samples=10 * prepared.spec.hop_length - 5) for u in prepared.split("train")]
    data = VoiceDataset(prepared, short, TRAIN)
    assert len(data[Draw(0, 0, 0)].f0_hz) == 10
    assert data.collate([data[Draw(0, 0, 0)]]).content.shape[2] == 10
