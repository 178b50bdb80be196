"""A person's choice of slices: some are left out of a prepared dataset, and nothing is measured or written anew."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from svc.data.manifest import PreparedDataset, SpeakerStats, Utterance
from svc.errors import DatasetError


def exclude_slices(directory: Path | str, excluded: Iterable[str]) -> PreparedDataset:
    """Leave the slices with these ids out of training and validation of the dataset, and all others in.

    The manifest is written again, atomically: its `excluded` list, and minutes and F0 range of each singer, which a
    voice keeps. Raises DatasetError for an unknown id, and when a singer would have no slice to train on.
    """
    dataset = PreparedDataset.open(directory)
    left_out = frozenset(excluded)
    unknown = left_out - {u.id for u in dataset.utterances}
    if unknown:
        raise DatasetError(f"The dataset has no slice {sorted(unknown)[0]}: prepare the recordings again.")
    chosen = replace(dataset, excluded=left_out)
    training = {u.speaker for u in chosen.split("train")}
    for name in dataset.speakers:
        if name not in training:
            raise DatasetError(f"No slice of {name} is left to train on: keep at least one that is not held out.")
    chosen = replace(chosen, speaker_stats={name: _stats(chosen, name) for name in dataset.speakers})
    chosen.save()
    return chosen


def _stats(dataset: PreparedDataset, name: str) -> SpeakerStats:
    """Minutes, and the 5th, 50th and 95th percentile of F0 in Hz over voiced frames of the slices in use."""
    own: list[Utterance] = [u for u in dataset.kept if u.speaker == name]
    minutes = round(sum(u.samples for u in own) / dataset.spec.sample_rate / 60, 3)
    together = np.concatenate([dataset.f0_hz(u) for u in own])
    voiced = together[together > 0]
    if not len(voiced):
        return SpeakerStats(name, minutes, 0.0, 0.0, 0.0)
    low, median, high = np.percentile(voiced, [5, 50, 95]).round(2).tolist()
    return SpeakerStats(name, minutes, low, median, high)
