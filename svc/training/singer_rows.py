"""Where a new singer of a base voice starts: at what its prompt encoder hears in the singer's own recordings."""

from collections.abc import Sequence

import numpy as np
import torch

from svc.data.manifest import PreparedDataset, Utterance
from svc.models.vits.voice_model import VoiceModel

MOST_UTTERANCES = 40
MOST_SECONDS = 8.0
LEAST_SECONDS = 1.0


def hear_singers(model: VoiceModel, prepared: PreparedDataset, names: Sequence[str]) -> None:
    """Set the speaker rows of `names` to the mean prompt vector over their training utterances.

    Up to 40 utterances of each, evenly spread over the dataset, 8 seconds of each. ValueError for a model without a
    prompt encoder.
    """
    encoder = model.prompt_encoder
    if encoder is None:
        raise ValueError("the model has no prompt encoder")
    training, device = encoder.training, model.speaker.weight.device
    encoder.eval()
    try:
        with torch.no_grad():
            for name in names:
                vectors = []
                for utterance in _chosen(prepared, name):
                    samples = prepared.audio(utterance, 0, round(MOST_SECONDS * prepared.spec.sample_rate))
                    audio = torch.from_numpy(samples)[None].to(device)
                    vectors.append(encoder(audio, torch.tensor([len(samples)], device=device))[0])
                model.speaker.weight[prepared.speakers.index(name)] = torch.stack(vectors).mean(dim=0)
    finally:
        encoder.train(training)


def _chosen(prepared: PreparedDataset, name: str) -> list[Utterance]:
    """Utterances of a singer, held-out ones only where there are no others, short ones likewise."""
    own = [u for u in prepared.utterances if u.speaker == name]
    for group in (
        [u for u in own if u.split == "train" and u.samples >= LEAST_SECONDS * prepared.spec.sample_rate],
        [u for u in own if u.split == "train"],
        own,
    ):
        if group:
            picks = np.unique(np.linspace(0, len(group) - 1, min(len(group), MOST_UTTERANCES)).round().astype(int))
            return [group[i] for i in picks]
    raise ValueError(f"the dataset holds nothing of {name}")
