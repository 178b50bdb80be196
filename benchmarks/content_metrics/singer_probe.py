"""Who sings? A small recurrent network with attentive pooling tries to tell from a clip's frames.

It measures; no encoder is chosen or trained by it step by step. The order of frames is part of what it hears: a probe
on averaged frames would see nothing behind a normalisation over the recording.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

WIDTH = 64
CROP = 64
BATCH = 57
EPOCHS = 50
RATE = 4e-3
DROPOUT = 0.2


class SingerProbe(nn.Module):
    """A linear layer to 64, a GRU, a softmax over time that weights its states, and one score per singer."""

    def __init__(self, dim: int, singers: int) -> None:
        super().__init__()
        self.inward = nn.Sequential(nn.Linear(dim, WIDTH), nn.GELU(), nn.Dropout(DROPOUT))
        self.recurrent = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.attention = nn.Linear(WIDTH, 1)
        self.outward = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(WIDTH, singers))

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, D) to scores (B, singers)."""
        states, _ = self.recurrent(self.inward(frames))
        weights = self.attention(states).softmax(dim=1)
        return self.outward((weights * states).sum(dim=1))


def singer_accuracy(
    train: Sequence[np.ndarray],
    train_singers: Sequence[int],
    test: Sequence[np.ndarray],
    test_singers: Sequence[int],
    seeds: int = 3,
) -> float:
    """Share of test clips (T, D) whose singer is named rightly, mean over seeds; chance is one over the singers.

    Values are standardised over the training frames. Trains on random crops of CROP frames, tests on whole clips.
    """
    stacked = np.concatenate(train)
    mean, deviation = stacked.mean(axis=0), stacked.std(axis=0) + 1e-5
    clips = [torch.from_numpy(((v - mean) / deviation).astype(np.float32)) for v in train]
    held = [torch.from_numpy(((v - mean) / deviation).astype(np.float32)) for v in test]
    singers = torch.tensor(list(train_singers))
    scores = []
    for seed in range(seeds):
        probe = trained(clips, singers, seed)
        with torch.inference_mode():
            named = [int(probe(clip[None]).argmax()) for clip in held]
        scores.append(np.mean([a == b for a, b in zip(named, test_singers, strict=True)]))
    return float(np.mean(scores))


def trained(clips: Sequence[Tensor], singers: Tensor, seed: int) -> SingerProbe:
    """A probe after EPOCHS over the clips (T, D) whose singers (N,) are known; the same seed gives the same probe."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        probe = SingerProbe(clips[0].shape[1], int(singers.max()) + 1)
        optimiser = torch.optim.AdamW(probe.parameters(), lr=RATE, weight_decay=0.01)
        steps = EPOCHS * -(-len(clips) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
        for _ in range(EPOCHS):
            for chosen in torch.randperm(len(clips)).split(BATCH):
                batch = torch.stack([crop(clips[int(i)]) for i in chosen])
                loss = nn.functional.cross_entropy(probe(batch), singers[chosen], label_smoothing=0.1)
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(probe.parameters(), 1.0)
                optimiser.step()
                schedule.step()
    return probe.eval()


def crop(clip: Tensor) -> Tensor:
    """CROP frames from a random place; a shorter clip is repeated."""
    if len(clip) < CROP:
        clip = clip.repeat(-(-CROP // len(clip)), 1)
    start = int(torch.randint(len(clip) - CROP + 1, ()))
    return clip[start : start + CROP]
