"""From a prepared singer to an index: content frames to find neighbours among, and k-means centres of them."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from svc.checkpoint.index_files import FaissIndex
from svc.checkpoint.voice_index import SingerSounds, VoiceIndex, content_of
from svc.data.manifest import PreparedDataset
from svc.errors import DatasetError
from svc.progress import Progress

FRAMES_PER_SECOND = 50.0
"""Encoders give at most so many different frames; ours between them are blends of neighbours."""
LARGEST_INDEX = 100_000
FRAMES_PER_CLUSTER = 4
SILENT_BELOW_LOUD_DB = 45.0
ITERATIONS = 20
_ROWS = 4096


def build_index(
    dataset: PreparedDataset, clusters: int = 512, seed: int = 0, progress: Progress | None = None
) -> VoiceIndex:
    """The index of every singer in `dataset`, from the training slices alone.

    Silent frames are left out, and so many others that at most 50 a second and 100,000 a singer remain, evenly over
    the recordings. A singer with few frames gets fewer than `clusters` centres. The same dataset and seed give the
    same index. Raises DatasetError for a singer without frames.
    """
    singers = {}
    for number, singer in enumerate(dataset.speakers):
        frames = _frames(dataset, singer)
        if len(frames) == 0:
            raise DatasetError(
                f"{dataset.directory} holds no sounding training slices of '{singer}': prepare more recordings."
            )
        centres = k_means(frames, min(clusters, math.ceil(len(frames) / FRAMES_PER_CLUSTER)), seed)
        singers[singer] = SingerSounds(FaissIndex(frames), centres)
        if progress:
            progress((number + 1) / len(dataset.speakers))
    provenance = {"dataset": dataset.fingerprint(), "seed": seed}
    return VoiceIndex(dataset.spec.content_dim, singers, content_of(dataset.spec), provenance)


def _frames(dataset: PreparedDataset, singer: str) -> np.ndarray:
    """Content (N, D) float32 of a singer's sounding frames."""
    utterances = [u for u in dataset.split("train") if u.speaker == singer]
    total = sum(u.frames for u in utterances)
    step = max(1, round(dataset.spec.frame_rate / FRAMES_PER_SECOND), math.ceil(total / LARGEST_INDEX))
    levels = [dataset.features(u).loudness_db[::step] for u in utterances]
    if not levels:
        return np.zeros((0, dataset.spec.content_dim), dtype=np.float32)
    floor = np.percentile(np.concatenate(levels), 95) - SILENT_BELOW_LOUD_DB
    kept = [dataset.features(u).content[::step][level > floor] for u, level in zip(utterances, levels)]
    return np.concatenate(kept).astype(np.float32)


def k_means(frames: np.ndarray, clusters: int, seed: int = 0) -> np.ndarray:
    """Centres (clusters, D) float32 of frames (N, D), N >= clusters (Lloyd's algorithm).

    Begins at frames drawn at random; a centre that loses all its frames goes to the frame farthest from its own.
    """
    data = torch.from_numpy(frames)
    centres = data[torch.from_numpy(np.random.default_rng(seed).permutation(len(frames))[:clusters])].clone()
    before = None
    for _ in range(ITERATIONS):
        parts = list(_assigned(data, centres))
        nearest, distances = torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])
        if before is not None and torch.equal(nearest, before):
            break
        before = nearest
        counts = torch.bincount(nearest, minlength=clusters)
        sums = torch.zeros(centres.shape, dtype=torch.float64).index_add_(0, nearest, data.double())
        centres = (sums / counts.clamp(min=1)[:, None]).float()
        empty = (counts == 0).nonzero()[:, 0]
        centres[empty] = data[distances.topk(len(empty)).indices]
    return centres.numpy()


def _assigned(data: Tensor, centres: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """(number of the nearest centre, squared distance to it) of rows of `data`, block by block."""
    norms = centres.square().sum(dim=1)
    for rows in data.split(_ROWS):
        least, nearest = (norms - 2 * (rows @ centres.T)).min(dim=1)
        yield nearest, least + rows.square().sum(dim=1)
