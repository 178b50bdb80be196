"""Content replaced, in part, by the nearest sounds of the singer's own recordings.

Two rules, both frame by frame, so that windows of a song agree with a single pass over it:

- retrieval (RVC): the 8 stored frames nearest in squared Euclidean distance d, averaged with weights 1 / d^2;
- clusters (so-vits-svc): the nearest of the singer's k-means centres.

The result is mixed with the content that was heard by a ratio between 0 and 1.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from svc.checkpoint.index_files import FaissIndex
from svc.checkpoint.voice_index import SingerSounds

NEIGHBOURS = 8
# Distances from one matrix product lose the last digits, so more candidates are taken and measured exactly.
CANDIDATES = 24
QUERY_FRAMES = 256
BLOCK_VECTORS = 65_536
RUN = 64
# An exact match would weigh infinitely much; this still makes it all of the result.
_SMALLEST = 1e-9


@dataclass(frozen=True)
class Neighbours:
    """ids (T, 8) int64 of stored frames, nearest first, -1 where there are fewer; distances (T, 8), squared."""

    ids: Tensor
    distances: Tensor

    def weights(self) -> Tensor:
        """(T, 8), 1 / distance^2 made to sum to 1; 0 for places without a neighbour."""
        raw = self.distances.double().clamp(min=_SMALLEST).pow(-2) * (self.ids >= 0)
        return (raw / raw.sum(dim=1, keepdim=True)).float()


class FrameSearch:
    """Exhaustive search for the nearest of N frames; for an index with cells, in the nearest cells only, as faiss.

    Frames are kept around their mean, `middle`, since distances between large numbers would lose digits.
    """

    def __init__(self, frames: FaissIndex, device: str = "cpu") -> None:
        vectors = torch.from_numpy(frames.vectors).to(device)
        self.middle = vectors.mean(dim=0)
        self.vectors = vectors - self.middle
        self.norms = self.vectors.square().sum(dim=1)
        self.probes = frames.probes
        self.centres: Tensor | None = None
        self.members: list[Tensor] = []
        if frames.cell_centres is not None and frames.cell_of is not None:
            self.centres = torch.from_numpy(frames.cell_centres).to(device) - self.middle
            order = np.argsort(frames.cell_of, kind="stable")
            edges = np.searchsorted(frames.cell_of[order], np.arange(len(frames.cell_centres) + 1))
            ids = torch.from_numpy(order).to(device)
            self.members = [ids[a:b] for a, b in pairwise(edges)]

    def nearest(self, queries: Tensor, count: int = NEIGHBOURS) -> Neighbours:
        """The `count` nearest stored frames of each query (T, D) float32; memory does not grow with T or N."""
        parts = [self._chunk(part - self.middle, count) for part in queries.split(QUERY_FRAMES)]
        return Neighbours(torch.cat([p.ids for p in parts]), torch.cat([p.distances for p in parts]))

    def _chunk(self, queries: Tensor, count: int) -> Neighbours:
        best = Neighbours(
            torch.full((len(queries), count), -1, device=queries.device),
            torch.full((len(queries), count), torch.inf, device=queries.device),
        )
        if self.centres is None:
            for start in range(0, len(self.vectors), BLOCK_VECTORS):
                part = slice(start, start + BLOCK_VECTORS)
                vectors = self.vectors[part]
                index, distances = _closest(queries, vectors, self.norms[part], min(count, len(vectors)))
                best = _merged(best, Neighbours(index + start, distances))
            return best
        near = _closest(queries, self.centres, self.centres.square().sum(dim=1), min(self.probes, len(self.centres)))
        probed = near[0]
        for cell in probed.unique().tolist():
            rows = (probed == cell).any(dim=1).nonzero()[:, 0]
            if len(self.members[cell]) == 0:
                continue
            found = self._among(queries[rows], self.members[cell], count)
            merged = _merged(Neighbours(best.ids[rows], best.distances[rows]), found)
            best.ids[rows], best.distances[rows] = merged.ids, merged.distances
        return best

    def _among(self, queries: Tensor, ids: Tensor, count: int) -> Neighbours:
        index, distances = _closest(queries, self.vectors[ids], self.norms[ids], min(count, len(ids)))
        return Neighbours(ids[index], distances)


def _closest(queries: Tensor, vectors: Tensor, norms: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(index, squared distance), both (T, count) and nearest first, of vectors (N, D) to queries (T, D).

    norms (N,) are the squared lengths of the vectors.
    """
    rough = (queries @ vectors.T).mul_(-2).add_(norms)
    candidates = _smallest(rough, min(max(count, CANDIDATES), len(vectors)))
    exact = (vectors[candidates] - queries.unsqueeze(1)).square().sum(dim=2)
    distances, place = exact.sort(dim=1, stable=True)
    return candidates.gather(1, place)[:, :count], distances[:, :count]


def _smallest(values: Tensor, count: int) -> Tensor:
    """Columns (T, count) of the smallest values (T, N) of each row, in any order.

    Sorting whole rows takes most of the time of a search, so only runs of columns are sorted whose least value is
    among the `count` least of all runs: what is wanted lies in them.
    """
    rows, columns = values.shape
    runs = columns // RUN
    if runs <= 2 * count:
        return values.topk(count, dim=1, largest=False).indices
    whole = runs * RUN
    least = values[:, :whole].view(rows, runs, RUN).amin(dim=2)
    chosen = least.topk(count, dim=1, largest=False).indices
    inside = (chosen.unsqueeze(2) * RUN + torch.arange(RUN, device=values.device)).flatten(1)
    rest = torch.arange(whole, columns, device=values.device).expand(rows, -1)
    places = torch.cat([inside, rest], dim=1)
    return places.gather(1, values.gather(1, places).topk(count, dim=1, largest=False).indices)


def _merged(left: Neighbours, right: Neighbours) -> Neighbours:
    """The nearest of both, as many as `left` has."""
    distances, place = torch.cat([left.distances, right.distances], dim=1).sort(dim=1, stable=True)
    ids = torch.cat([left.ids, right.ids], dim=1).gather(1, place)
    kept = left.ids.shape[1]
    return Neighbours(ids[:, :kept], distances[:, :kept])


class Retrieval:
    """Mixes content with one singer's sounds.

    retrieval_ratio, cluster_ratio: share of the result, 0..1; where both are above 0 the clusters replace a part of
    what retrieval gave. unvoiced: factor of both in unvoiced frames, where the words are.
    """

    def __init__(
        self,
        sounds: SingerSounds,
        retrieval_ratio: float,
        cluster_ratio: float,
        unvoiced: float = 1.0,
        device: str = "cpu",
    ) -> None:
        self.device, self.unvoiced = device, unvoiced
        self.retrieval_ratio, self.cluster_ratio = retrieval_ratio, cluster_ratio
        self.search = FrameSearch(sounds.frames, device) if retrieval_ratio > 0 and sounds.frames else None
        centres = sounds.clusters if cluster_ratio > 0 else None
        self.centres = None if centres is None else torch.from_numpy(centres).to(device)

    @torch.inference_mode()
    def blend(self, content: np.ndarray, voiced: np.ndarray) -> np.ndarray:
        """Content (T, D) float32 and voicing (T,) of frames to content (T, D) float32."""
        mixed = torch.from_numpy(np.ascontiguousarray(content, dtype=np.float32)).to(self.device)
        share = torch.where(torch.from_numpy(np.asarray(voiced, dtype=bool)).to(self.device), 1.0, self.unvoiced)
        if self.search is not None:
            found = [self._retrieved(part) for part in mixed.split(QUERY_FRAMES)]
            mixed = torch.lerp(mixed, torch.cat(found), (self.retrieval_ratio * share)[:, None])
        if self.centres is not None:
            norms = self.centres.square().sum(dim=1)
            near = [_closest(part, self.centres, norms, 1)[0][:, 0] for part in mixed.split(QUERY_FRAMES)]
            mixed = torch.lerp(mixed, self.centres[torch.cat(near)], (self.cluster_ratio * share)[:, None])
        return mixed.cpu().numpy()

    def _retrieved(self, queries: Tensor) -> Tensor:
        """Weighted neighbours (T, D) of queries (T, D); a query without any keeps itself."""
        assert self.search is not None
        found = self.search.nearest(queries)
        weights = found.weights().nan_to_num(0.0)
        near = self.search.vectors[found.ids.clamp(min=0)]
        mean = torch.einsum("tk,tkd->td", weights, near) + self.search.middle
        return torch.where((found.ids >= 0).any(dim=1, keepdim=True), mean, queries)


@dataclass(frozen=True)
class MixedRetrieval:
    """Retrieval for several singers at once: what each of them gives, weighted as the singers are at each frame."""

    parts: list[Retrieval]

    def blend(self, content: np.ndarray, voiced: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """As Retrieval.blend; weights (T, singers), each frame's sum 1."""
        out = np.zeros_like(content, dtype=np.float32)
        for part, weight in zip(self.parts, weights.T):
            if weight.any():
                out += weight[:, None].astype(np.float32) * part.blend(content, voiced)
        return out
