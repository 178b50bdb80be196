"""A reading of the spectrum straight off the prior's encoder: all frames of a slice teach it, cheaply."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

BANDS = 80


class FrameHead(nn.Module):
    """The prior's frames and who sings to 80 log-mel bands; used in training only."""

    def __init__(self, channels: int, speaker_channels: int) -> None:
        super().__init__()
        self.speaker = nn.Linear(speaker_channels, 2 * channels)
        self.expand = nn.Conv1d(channels, 2 * channels, 1)
        self.out = nn.Conv1d(2 * channels, BANDS, 1)
        nn.init.constant_(cast(Tensor, self.out.bias), -6.0)  # about the level of a quiet band

    def forward(self, hidden: Tensor, speaker: Tensor) -> Tensor:
        """hidden (B, C, T), speaker (B, G, 1) to log-mel (B, BANDS, T) in nepers, float32."""
        x = self.expand(hidden) + self.speaker(speaker.squeeze(2)).unsqueeze(2)
        return self.out(functional.gelu(x)).float()
