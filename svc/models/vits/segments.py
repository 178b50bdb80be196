"""What a training pass draws at random, and the segments of a batch that it decodes."""

import torch
from torch import Tensor


def cut_segments(values: Tensor, starts: Tensor, frames: int) -> Tensor:
    """`frames` frames of each item from its own start: (B, T) or (B, C, T) to (B, frames) or (B, C, frames)."""
    index = starts.unsqueeze(1) + torch.arange(frames, device=values.device)
    if values.dim() == 3:
        index = index.unsqueeze(1).expand(-1, values.shape[1], -1)
    return values.gather(values.dim() - 1, index)


class Draw:
    """Random tensors of one training pass from one generator."""

    def __init__(self, device: torch.device, generator: torch.Generator | None) -> None:
        self.device = device
        self.generator = generator

    def normal(self, size: tuple[int, ...]) -> Tensor:
        """Standard normal."""
        return torch.randn(size, generator=self.generator, device=self.device)

    def uniform(self, size: tuple[int, ...]) -> Tensor:
        """0 to 1."""
        return torch.rand(size, generator=self.generator, device=self.device)

    def starts(self, lengths: Tensor, frames: int) -> Tensor:
        """(B,) first frames, such that a segment lies inside each item where it fits."""
        room = (lengths - frames + 1).clamp(min=1)
        return torch.minimum((self.uniform((len(lengths),)) * room).long(), room - 1)
