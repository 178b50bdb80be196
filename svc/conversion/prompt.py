"""A singer whom the voice never saw, told by some seconds of audio."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from svc.checkpoint.voice import SpeakerInfo
from svc.errors import AudioError, ConfigError
from svc.features.extractor import FeatureExtractor

LEAST_SECONDS = 1.0
MOST_SECONDS = 20.0
"""More is not listened to: the encoder was taught with two to four seconds, and is best on three to ten."""
SILENT_PEAK = 1e-3


@dataclass(frozen=True)
class PromptSinger:
    """Who a prompt tells to sing: the voice model's vector (1, G), and name and range of the one heard."""

    vector: Tensor
    info: SpeakerInfo


def hear_prompt(path: Path, model: Any, extractor: FeatureExtractor) -> PromptSinger:
    """The singer in the recording at `path`, of any audio format, vocals only.

    Raises ConfigError when the voice cannot take a prompt, AudioError for a file that cannot be read, is shorter than
    a second or silent.
    """
    import torch

    require_prompts(model)
    samples = _read(path, extractor)
    f0_hz = extractor.pitch(samples)
    sung = f0_hz[f0_hz > 0]
    low, median, high = np.percentile(sung, [5, 50, 95]).tolist() if len(sung) else (0.0, 0.0, 0.0)
    device = model.speaker.weight.device
    with torch.inference_mode():
        audio = torch.from_numpy(samples)[None].to(device)
        vector = model.prompt_encoder(audio, torch.tensor([len(samples)], device=device))
    minutes = round(len(samples) / extractor.spec.sample_rate / 60, 3)
    return PromptSinger(vector.clone(), SpeakerInfo(path.stem, minutes, low, median, high))


def require_prompts(model: Any) -> None:
    """ConfigError unless the voice `model` has a prompt encoder."""
    if model.prompt_encoder is None:
        raise ConfigError(
            "This voice cannot sing as a prompt, because it has no prompt encoder: use the built-in base voice or one "
            "trained from it, or choose a --speaker."
        )


def _read(path: Path, extractor: FeatureExtractor) -> np.ndarray:
    """The first seconds of the file, mono (N,) at the voice's rate."""
    from svc.audio.reading import AudioReader
    from svc.audio.signal import Audio

    with AudioReader(path) as reader:
        rate = reader.info.sample_rate
        blocks, left = [], round(MOST_SECONDS * rate)
        for block in reader.blocks(rate):
            blocks.append(block[:, :left])
            left -= blocks[-1].shape[1]
            if left <= 0:
                break
    read = np.concatenate(blocks, axis=1) if blocks else np.zeros((1, 0), np.float32)
    if read.shape[1] < LEAST_SECONDS * rate:
        raise AudioError(f"The prompt {path} is shorter than a second: give 3 to 10 seconds of singing.")
    samples = extractor.samples(Audio(read, rate))
    if np.abs(samples).max() < SILENT_PEAK:
        raise AudioError(f"The prompt {path} is silent: give 3 to 10 seconds of singing.")
    return samples
