"""The search among a singer's frames, and what is made of the neighbours."""

import numpy as np
import pytest
import torch

from svc.checkpoint.index_files import FaissIndex
from svc.checkpoint.voice_index import SingerSounds
from svc.conversion import retrieval
from svc.conversion.retrieval import FrameSearch, MixedRetrieval, Retrieval

DIM = 6


def numbers(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)


def brute(queries: np.ndarray, vectors: np.ndarray, count: int = 8) -> tuple[np.ndarray, np.ndarray]:
    distances = np.square(queries[:, None].astype(np.float64) - vectors[None]).sum(axis=2)
    order = np.argsort(distances, axis=1)[:, :count]
    return order, np.take_along_axis(distances, order, axis=1)


@pytest.mark.parametrize("total", [1, 5, 8, 23, 25, 700, 4000])
def test_all_sizes_against_a_plain_search(monkeypatch: pytest.MonkeyPatch, total: int) -> None:
    monkeypatch.setattr(retrieval, "BLOCK_VECTORS", 1500)
    monkeypatch.setattr(retrieval, "RUN", 8)
    monkeypatch.setattr(retrieval, "QUERY_FRAMES", 7)
    vectors, queries = numbers(total), numbers(30, 1)
    found = FrameSearch(FaissIndex(vectors)).nearest(torch.from_numpy(queries))
    ids, distances = brute(queries, vectors)
    width = min(8, total)
    np.testing.assert_array_equal(found.ids[:, :width].numpy(), ids)
    np.testing.assert_allclose(found.distances[:, :width].numpy(), distances, rtol=1e-5)
    assert (found.ids[:, width:] == -1).all()
    weights = found.weights().numpy()
    np.testing.assert_allclose(
        weights[:, :width], distances**-2 / (distances**-2).sum(axis=1, keepdims=True), atol=1e-6
    )
    assert (weights[:, width:] == 0).all()


def test_distances_stay_exact_far_from_the_origin() -> None:
    vectors = numbers(2000) * 0.01 + 300
    queries = numbers(20, 1) * 0.01 + 300
    found = FrameSearch(FaissIndex(vectors)).nearest(torch.from_numpy(queries))
    _, distances = brute(queries, vectors)
    np.testing.assert_allclose(found.distances.numpy(), distances, rtol=1e-3)


def test_only_the_nearest_cells_are_searched() -> None:
    vectors, centres = numbers(300), numbers(6, 2)
    cells, _ = brute(vectors, centres, 1)
    queries = numbers(40, 3)
    near, _ = brute(queries, centres, 2)
    cell_of = cells[:, 0].astype(np.int32)
    for probes in (1, 2):
        found = FrameSearch(FaissIndex(vectors, centres, cell_of, probes)).nearest(torch.from_numpy(queries))
        for row, query in enumerate(queries):
            allowed = np.flatnonzero(np.isin(cell_of, near[row, :probes]))
            ids, _ = brute(query[None], vectors[allowed])
            np.testing.assert_array_equal(found.ids[row][: len(allowed)].numpy(), allowed[ids[0]])
    every = FrameSearch(FaissIndex(vectors, centres, cell_of, 99)).nearest(torch.from_numpy(queries))
    np.testing.assert_array_equal(every.ids.numpy(), brute(queries, vectors)[0])


def test_an_empty_cell_leaves_the_content_as_it_is() -> None:
    centres = np.stack([np.zeros(DIM), np.full(DIM, 100)]).astype(np.float32)
    frames = FaissIndex(numbers(10), centres, np.zeros(10, dtype=np.int32))
    queries = np.concatenate([numbers(3, 1), numbers(3, 1) + 100])
    result = Retrieval(SingerSounds(frames), 1.0, 0.0).blend(queries, np.ones(6))
    np.testing.assert_array_equal(result[3:], queries[3:])
    assert np.abs(result[:3] - queries[:3]).max() > 0.1


def test_a_stored_frame_gives_itself() -> None:
    vectors = numbers(50)
    result = Retrieval(SingerSounds(FaissIndex(vectors)), 1.0, 0.0).blend(vectors, np.ones(50))
    np.testing.assert_allclose(result, vectors, atol=1e-6)


def test_ratios_and_the_factor_of_unvoiced_frames() -> None:
    sounds = SingerSounds(FaissIndex(numbers(60)), numbers(4, 5))
    heard, voiced = numbers(20, 1), np.arange(20) % 2 == 0
    whole = Retrieval(sounds, 1.0, 0.0).blend(heard, voiced)
    half = Retrieval(sounds, 0.5, 0.0, unvoiced=0.2).blend(heard, voiced)
    share = np.where(voiced, 0.5, 0.1)[:, None]
    np.testing.assert_allclose(half, heard + share * (whole - heard), atol=1e-5)
    centres = sounds.clusters[brute(heard, sounds.clusters, 1)[0][:, 0]]
    np.testing.assert_allclose(
        Retrieval(sounds, 0.0, 0.25).blend(heard, np.ones(20)), 0.75 * heard + 0.25 * centres, atol=1e-6
    )
    both = Retrieval(sounds, 0.5, 1.0).blend(heard, np.ones(20))
    assert all((row == sounds.clusters).all(axis=1).any() for row in both)
    np.testing.assert_array_equal(Retrieval(sounds, 0.5, 0.0, unvoiced=0.0).blend(heard, np.zeros(20)), heard)


def test_frames_do_not_depend_on_their_neighbours() -> None:
    part = Retrieval(SingerSounds(FaissIndex(numbers(3000)), numbers(30, 4)), 0.7, 0.3, 0.5)
    heard, voiced = numbers(700, 1), np.arange(700) % 3 > 0
    whole = part.blend(heard, voiced)
    for start, stop in ((0, 1), (1, 300), (255, 700)):
        np.testing.assert_allclose(part.blend(heard[start:stop], voiced[start:stop]), whole[start:stop], atol=1e-5)


def test_several_singers_are_mixed_frame_by_frame() -> None:
    parts = [Retrieval(SingerSounds(FaissIndex(numbers(40, seed))), 1.0, 0.0) for seed in (0, 1)]
    heard, weights = numbers(10, 2), np.stack([np.linspace(0, 1, 10), np.linspace(1, 0, 10)], axis=1)
    mixed = MixedRetrieval(parts).blend(heard, np.ones(10), weights)
    each = [part.blend(heard, np.ones(10)) for part in parts]
    np.testing.assert_allclose(mixed, weights[:, :1] * each[0] + weights[:, 1:] * each[1], atol=1e-5)
