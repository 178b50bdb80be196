"""Retrieval and clusters as RVC and so-vits-svc compute them, from the files they wrote."""

from pathlib import Path

import numpy as np
import pytest
import torch

from svc.checkpoint.index_files import FaissIndex
from svc.checkpoint.voice_index import SingerSounds, open_index
from svc.conversion.retrieval import FrameSearch, Retrieval
from svc.errors import CheckpointError


def case(shared: Path, name: str) -> Path:
    folder = shared / "golden" / "voices" / name
    if not folder.is_dir():
        pytest.skip(f"reference folder {folder} is not here")
    return folder


def blended(sounds: SingerSounds, content: np.ndarray, *ratios: float) -> np.ndarray:
    return Retrieval(sounds, *ratios).blend(content, np.ones(len(content), dtype=bool))


def test_rvc_index(shared: Path) -> None:
    folder = case(shared, "rvc_index")
    sounds = open_index(next(folder.glob("*.index"))).singers[""]
    with np.load(folder / "golden.npz") as golden:
        frames, queries = sounds.frames, golden["in_query"]
        np.testing.assert_array_equal(frames.vectors, golden["vectors"])
        np.testing.assert_array_equal(frames.cell_centres, golden["coarse_centroids"])
        np.testing.assert_array_equal(frames.cell_of, golden["list_of_vector"])
        assert frames.probes == golden["nprobe"]
        found = FrameSearch(frames).nearest(torch.from_numpy(queries))
        np.testing.assert_array_equal(found.ids.numpy(), golden["out_ids"])
        there = golden["out_ids"] >= 0
        np.testing.assert_allclose(found.distances.numpy()[there], golden["out_score"][there], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.weights().numpy()[:-1], golden["out_weights"], atol=1e-5)
        np.testing.assert_allclose(blended(sounds, queries, 1.0, 0.0)[:-1], golden["out_retrieved"], atol=2e-5)
        result = blended(sounds, queries, 0.5, 0.0)
        np.testing.assert_allclose(result[:-1], golden["out_blend_0.5"], atol=2e-5)
        # The program's own NaN for a frame that is stored exactly is not reproduced.
        assert golden["out_exact_match_row_is_nan"]
        np.testing.assert_allclose(result[-1], queries[-1], atol=1e-6)
        every = FrameSearch(FaissIndex(frames.vectors)).nearest(torch.from_numpy(queries))
        np.testing.assert_array_equal(every.ids.numpy(), golden["out_brute_ids"])
        assert (golden["out_ids"] != golden["out_brute_ids"]).any()


def test_rvc_protection_of_unvoiced_frames(shared: Path) -> None:
    folder = case(shared, "rvc_index")
    sounds = open_index(next(folder.glob("*.index"))).singers[""]
    with np.load(folder / "golden.npz") as golden:
        heard = np.repeat(golden["in_query"][:-1], 2, axis=0)
        voiced = golden["in_pitchf"] >= 1
        assert voiced.any() and not voiced.all()
        result = Retrieval(sounds, 0.5, 0.0, unvoiced=0.33).blend(heard, voiced)
        np.testing.assert_allclose(result, golden["out_vc_feats_protect0.33"], atol=2e-5)


@pytest.mark.parametrize("name", ["kmeans_10000.pt", "kmeans_10000_numpy1.pt"])
@pytest.mark.filterwarnings("error::UserWarning")
def test_sovits_clusters(shared: Path, name: str) -> None:
    folder = case(shared, "kmeans")
    index = open_index(folder / name)
    assert list(index.singers) == ["alto", "tenor"] and index.dim == 256
    with np.load(folder / "golden.npz") as golden:
        for singer, sounds in index.singers.items():
            centres, content = golden[f"centers_{singer}"], golden[f"in_{singer}_c"].T
            np.testing.assert_array_equal(sounds.clusters, centres)
            nearest = centres[golden[f"out_{singer}_pred"]]
            np.testing.assert_array_equal(blended(sounds, content, 0.0, 1.0), nearest)
            np.testing.assert_allclose(
                blended(sounds, content, 0.0, 0.5), golden[f"out_{singer}_blend_0.5"].T, atol=1e-6
            )


def test_sovits_retrieval_is_refused_as_a_pickle_and_right_as_numbers(shared: Path) -> None:
    folder = case(shared, "sovits_index_pickle")
    with pytest.raises(CheckpointError, match=r"is a pickle .* svc index RECORDINGS --voice VOICE"):
        open_index(folder / "feature_and_index.pkl")
    with np.load(folder / "golden.npz") as golden:
        for singer in (0, 1):
            frames = FaissIndex(golden[f"vectors_spk{singer}"])
            content = golden[f"in_spk{singer}_c"]
            found = FrameSearch(frames).nearest(torch.from_numpy(content))
            np.testing.assert_array_equal(found.ids.numpy(), golden[f"out_spk{singer}_ids"])
            result = blended(SingerSounds(frames), content, 0.5, 0.0)
            np.testing.assert_allclose(result, golden[f"out_spk{singer}_blend_0.5"], atol=1e-5)
