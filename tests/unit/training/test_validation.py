"""What validation measures, and which clips it takes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_cases import Sink

from svc.audio.spectrogram import MelSettings
from svc.config import Config
from svc.data.manifest import PreparedDataset
from svc.training import setup as opening
from svc.training import validation
from svc.training.progress import ignore
from svc.training.run_folder import RunFolder
from svc.training.tracking import Tracker
from svc.training.validation import Validator, choose_clips, f0_error_cents, mel_distance, sing, stft_distance


@pytest.fixture
def prepared(tiny_data: Path) -> PreparedDataset:
    return PreparedDataset.open(tiny_data)


def test_clips_take_turns_over_singers_and_recordings(prepared: PreparedDataset) -> None:
    model = prepared.utterances[0]
    rows = [
        replace(model, id=f"{singer}{recording}{part}", speaker=singer, recording_sha256=f"{singer}{recording}")
        for singer in "ab"
        for recording in "xy"
        for part in "12"
    ]
    assert [u.id for u in choose_clips(rows, 4)] == ["ax1", "bx1", "ay1", "by1"]
    assert [u.id for u in choose_clips(rows, 5)][-1] == "ax2"
    assert len(choose_clips(rows, 99)) == 8


def test_only_held_out_recordings_are_scored(prepared: PreparedDataset) -> None:
    validator = Validator(prepared, 8, ignore)
    held_out = {f"{u.speaker}_{u.id}" for u in prepared.utterances if u.split == "validation"}
    assert {clip.name for clip in validator.clips} == held_out


def test_distances_are_zero_for_the_same_and_grow_with_change() -> None:
    settings = MelSettings(16_000, 1024, 256, 80)
    noise = torch.randn(8000, generator=torch.Generator().manual_seed(0)) * 0.1
    assert mel_distance(noise, noise, settings) == 0
    assert stft_distance(noise, noise) == 0
    assert 0 < mel_distance(noise, noise * 0.9, settings) < mel_distance(noise, noise * 0.3, settings)
    assert 0 < stft_distance(noise, noise * 0.9) < stft_distance(noise, noise * 0.3)


def test_mel_distance_of_a_gain_is_that_gain_in_nepers() -> None:
    noise = torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    assert mel_distance(noise, noise * 0.5, MelSettings(16_000, 1024, 256, 40)) == pytest.approx(np.log(2), abs=0.01)


def test_f0_error_is_the_median_over_frames_voiced_in_both() -> None:
    wanted = np.array([0, 100, 100, 100, 100, 100, 100.0])
    sung = np.array([90, 100, 100 * 2 ** (10 / 1200), 100 * 2 ** (10 / 1200), 100 * 2 ** (-10 / 1200), 200, 0])
    assert f0_error_cents(wanted, sung) == pytest.approx(10)
    assert f0_error_cents(wanted[:4], sung[:4]) is None


def test_scores_come_from_the_averaged_weights_and_leave_the_model(
    tiny_data: Path, tiny_config: Config, prepared: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = opening.setup(tiny_config, tiny_data, RunFolder(tmp_path), None, None, False, "cpu", ignore)
    run.tracker.close()
    validator = Validator(prepared, 1, ignore)
    state = run.state
    for tensor in state.ema.weights.values():
        if tensor.is_floating_point():
            tensor.mul_(0.5)
    own = {name: t.clone() for name, t in state.model.state_dict().items()}
    heard = []
    monkeypatch.setattr(
        validation,
        "sing",
        lambda s, clip: heard.append(s.model.state_dict()["speaker.weight"].clone()) or sing(s, clip),
    )
    torch.manual_seed(3)
    with Tracker(tmp_path, active=False) as tracker:
        scores = validator.validate(state, tracker)
        again = validator.validate(state, tracker)
    assert torch.equal(heard[0], state.ema.weights["speaker.weight"])
    assert all(torch.equal(own[name], t) for name, t in state.model.state_dict().items())
    assert state.model.training
    assert scores == again, "noise is fixed"
    expected = torch.Generator().manual_seed(3)
    assert torch.equal(torch.rand(2), torch.rand(2, generator=expected)), "no random number of the caller is used"


def test_a_missing_speaker_encoder_is_said_once(prepared: PreparedDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise ImportError("no such network here")

    monkeypatch.setattr(validation.SPEAKER_ENCODERS, "create", missing)
    said = Sink()
    validator = Validator(prepared, 1, said)
    samples = np.zeros(16_000, np.float32)
    assert validator._speaker_cosine(samples, samples) is None
    assert validator._speaker_cosine(samples, samples) is None
    assert said == ["Validation goes without the speaker cosine: no such network here"]
