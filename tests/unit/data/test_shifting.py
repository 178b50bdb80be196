"""Crops played faster or slower, and prompts beside them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from svc.config import TrainConfig
from svc.data.dataset import Draw, VoiceDataset, collate
from svc.data.manifest import PreparedDataset
from svc.data.prompts import PromptChooser
from svc.data.shifting import ratio_of, shift, source_frames
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset

TRAIN = TrainConfig(batch_size=2, slice_frames=32, segment_frames=8, volume_augment=False)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return write_synthetic_dataset(tmp_path_factory.mktemp("data"), SyntheticSize(singers=2, recordings=3))


def dataset(prepared: PreparedDataset, prompts: bool = False, **changes: object) -> VoiceDataset:
    return VoiceDataset(prepared, prepared.split("train"), TRAIN.model_copy(update=changes), prompts=prompts)


@pytest.mark.parametrize("semitones", [-4.0, 0.5, 3.7])
def test_sound_and_frames_move_together(semitones: float) -> None:
    rate, hop, ratio = 16_000, 256, ratio_of(semitones)
    read, frames = source_frames(40, ratio, 1000)
    assert frames == 40
    seconds = np.arange(read * hop) / rate
    # A glide of 200 Hz at the start by 100 Hz per second, and frames that say so.
    audio = torch.from_numpy(np.sin(2 * np.pi * (200 * seconds + 50 * seconds**2)).astype(np.float32))
    middle = (torch.arange(read) + 0.5) * hop / rate
    crop = (torch.stack([middle, 2 * middle], 1), 200 + 100 * middle, torch.ones(read), -20 * middle, audio)
    content, f0_hz, voiced, loudness_db, played = shift(crop, ratio, frames, rate)
    assert len(played) == frames * hop
    at = (np.arange(frames) + 0.5) * hop / rate * ratio
    inside = (at > middle[0].item()) & (at < middle[-1].item())
    np.testing.assert_allclose(content[:, 0].numpy()[inside], at[inside], atol=1e-5)
    np.testing.assert_allclose(loudness_db.numpy()[inside], -20 * at[inside], atol=1e-4)
    np.testing.assert_allclose(f0_hz.numpy()[inside], (200 + 100 * at[inside]) * ratio, rtol=1e-5)
    assert (voiced == 1).all()
    played_at = np.arange(frames * hop) / rate * ratio
    wanted = np.sin(2 * np.pi * (200 * played_at + 50 * played_at**2))
    np.testing.assert_allclose(played.numpy()[hop:-hop], wanted[hop:-hop], atol=2e-3)


def test_shifts_are_a_function_of_the_draw_and_leave_the_others_alone(prepared: PreparedDataset) -> None:
    plain, moved = dataset(prepared), dataset(prepared, shift_augment=0.5)
    draws = [Draw(0, i % len(plain), i) for i in range(40)]
    shifted = [moved[d].shift_semitones for d in draws]
    assert [moved[d].shift_semitones for d in draws] == shifted
    assert 8 < sum(s != 0 for s in shifted) < 32
    assert max(abs(s) for s in shifted) <= 4
    untouched = next(d for d, s in zip(draws, shifted) if s == 0)
    assert torch.equal(plain[untouched].audio, moved[untouched].audio)
    changed = next(d for d, s in zip(draws, shifted) if s != 0)
    assert not torch.equal(plain[changed].f0_hz, moved[changed].f0_hz)
    assert plain[changed].audio.shape == moved[changed].audio.shape


def test_bandwidth_moves_with_the_sound_up_to_half_the_rate(prepared: PreparedDataset) -> None:
    nyquist = prepared.spec.sample_rate / 2
    narrow = replace(
        prepared,
        utterances=[
            replace(u, bandwidth_hz=0.6 * nyquist if i % 2 else nyquist) for i, u in enumerate(prepared.utterances)
        ],
    )
    data = dataset(narrow, shift_augment=1.0)
    for i, utterance in enumerate(data.utterances):
        sample = data[Draw(0, i, 0)]
        ratio = ratio_of(sample.shift_semitones)
        assert sample.bandwidth_hz == pytest.approx(min(nyquist, utterance.bandwidth_hz * ratio))
    batch = collate([data[Draw(0, i, 0)] for i in range(3)])
    assert batch.bandwidth_hz.shape == batch.shift_semitones.shape == (3,)


def test_prompts_are_other_audio_of_the_same_singer(prepared: PreparedDataset) -> None:
    data = dataset(prepared, prompts=True, prompt_probability=0.25)
    rate = prepared.spec.frame_rate
    chooser = PromptChooser(data.utterances, rate)
    random = np.random.default_rng(0)
    for index, utterance in enumerate(data.utterances):
        stretch = chooser.choose(random, index, 0, 32)
        other = data.utterances[stretch.utterance]
        assert stretch.utterance != index and other.speaker == utterance.speaker
        assert other.recording_sha256 != utterance.recording_sha256
        assert 0 <= stretch.start < stretch.stop <= other.frames
    samples = [data[Draw(0, i % len(data), i)] for i in range(60)]
    assert 5 < sum(s.prompted for s in samples) < 28
    batch = data.collate(samples[:4])
    assert batch.prompt.shape == (4, int(batch.prompt_lengths.max()))
    for i, n in enumerate(batch.prompt_lengths.tolist()):
        assert torch.equal(batch.prompt[i, :n], samples[i].prompt)
        assert (batch.prompt[i, n:] == 0).all()
    assert dataset(prepared)[Draw(0, 0, 0)].prompt.numel() == 0


def test_a_lone_utterance_prompts_from_beside_the_crop(prepared: PreparedDataset) -> None:
    lone = replace(prepared.utterances[0], frames=4000)
    chooser = PromptChooser([lone], prepared.spec.frame_rate)
    random = np.random.default_rng(0)
    for start, stop in ((0, 400), (1800, 2200), (3600, 4000)):
        for _ in range(20):
            stretch = chooser.choose(random, 0, start, stop)
            assert stretch.stop <= start or stretch.start >= stop
    everything = chooser.choose(random, 0, 10, 3990)
    assert 0 <= everything.start < everything.stop <= 4000
