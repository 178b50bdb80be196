"""From a batch to what the model takes, and to the audio of the segments that it decodes."""

import torch
from torch import Tensor

from svc.data.dataset import Batch
from svc.models.vits.voice_model import ModelInput


def model_input(batch: Batch, spectrogram: Tensor | None = None) -> ModelInput:
    """A batch as the model takes it; without a spectrogram the singer is told by the speaker table."""
    prompts = spectrogram is not None and batch.prompt.shape[1] > 0
    return ModelInput(
        content=batch.content,
        f0_hz=batch.f0_hz,
        voiced=batch.voiced,
        loudness_db=batch.loudness_db,
        lengths=batch.lengths,
        speaker_id=batch.speaker_id,
        spectrogram=spectrogram,
        shift_semitones=batch.shift_semitones,
        prompt=batch.prompt if prompts else None,
        prompt_lengths=batch.prompt_lengths if prompts else None,
        prompted=batch.prompted if prompts else None,
    )


def audio_segments(audio: Tensor, starts: Tensor, frames: int, hop: int) -> Tensor:
    """The samples (B, 1, frames * hop) of `audio` (B, N) from frame `starts` (B,) on."""
    index = starts.unsqueeze(1) * hop + torch.arange(frames * hop, device=audio.device)
    return audio.gather(1, index).unsqueeze(1)
