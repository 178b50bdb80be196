"""Our own index file, and which of several singers' sounds are used."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from svc.checkpoint.index_files import FaissIndex
from svc.checkpoint.voice_index import (
    METADATA_KEY,
    SingerSounds,
    VoiceIndex,
    adopt_index,
    content_of,
    index_beside,
    load_index,
    open_index,
    save_index,
)
from svc.data.synthetic import SyntheticSize, synthetic_spec
from svc.errors import CheckpointError, SpecMismatchError

SPEC = synthetic_spec(SyntheticSize(content_dim=4))


def frames(seed: int, cells: bool = False) -> FaissIndex:
    values = np.random.default_rng(seed).standard_normal((20, 4)).astype(np.float32)
    if not cells:
        return FaissIndex(values.astype(np.float16).astype(np.float32))
    return FaissIndex(values, values[:3], (np.arange(20) % 3).astype(np.int32), 2)


def made() -> VoiceIndex:
    singers = {
        "anna": SingerSounds(frames(0), np.ones((2, 4), dtype=np.float32)),
        "bert": SingerSounds(frames(1, cells=True)),
        "cleo": SingerSounds(None, np.zeros((3, 4), dtype=np.float32)),
    }
    return VoiceIndex(4, singers, content_of(SPEC), {"seed": 0})


def test_written_and_read(tmp_path: Path) -> None:
    save_index(tmp_path / "deep" / "v.index.safetensors", made())
    back = open_index(tmp_path / "deep" / "v.index.safetensors")
    assert (back.dim, back.content, back.provenance) == (4, made().content, {"seed": 0})
    assert list(back.singers) == ["anna", "bert", "cleo"]
    for name, sounds in made().singers.items():
        for part in ("vectors", "cell_centres", "cell_of", "probes"):
            ours, theirs = getattr(sounds.frames, part, None), getattr(back.singers[name].frames, part, None)
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(sounds.clusters, back.singers[name].clusters)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["v.index.safetensors"]


def test_frames_that_are_halves_are_stored_as_halves(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    save_index(tmp_path / "i.safetensors", made())
    stored = load_file(tmp_path / "i.safetensors")
    assert stored["0.vectors"].dtype == np.float16 and stored["1.vectors"].dtype == np.float32


def test_damage_is_found(tmp_path: Path) -> None:
    path = tmp_path / "i.safetensors"
    save_index(path, made())
    whole = path.read_bytes()
    for length in (0, 7, 9, 200, len(whole) - 5):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"i\.safetensors"):
            open_index(path)
    for place in (len(whole) - 5, whole.index(b"anna") + 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CheckpointError, match="damaged"):
            open_index(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format_version": 2}, "newer version"),
        ({"format_version": "1"}, "damaged"),
        ({"dim": 5}, "do not fit"),
        ({"content": {"content_dim": 4}}, "do not fit"),
        ({"probes": [1]}, "do not fit"),
        ({"singers": 7}, "do not fit"),
    ],
)
def test_headers_that_do_not_fit(tmp_path: Path, change: dict, said: str) -> None:
    from safetensors.numpy import load_file, save_file

    from svc.checkpoint import voice_index

    path = tmp_path / "i.safetensors"
    save_index(path, made())
    tensors = load_file(path)
    text = path.read_bytes()
    size = int.from_bytes(text[:8], "little")
    header = json.loads(json.loads(text[8 : 8 + size])["__metadata__"][METADATA_KEY]) | change
    header.pop("sha256")
    header["sha256"] = voice_index._digest(header, tensors)
    save_file(tensors, path, {METADATA_KEY: json.dumps(header)})
    with pytest.raises(CheckpointError, match=said):
        load_index(path)


def test_what_is_no_index(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"x": np.ones(2, dtype=np.float32)}, tmp_path / "w.safetensors")
    (tmp_path / "text.index").write_text("hello, this is no index")
    (tmp_path / "feature_and_index.pkl").write_bytes(pickle.dumps({0: "faiss"}))
    for name, said in (
        ("w.safetensors", "no index but other weights"),
        ("text.index", "no index this program knows"),
        ("feature_and_index.pkl", r"svc index RECORDINGS --voice VOICE"),
        ("gone.index", "Cannot read"),
    ):
        with pytest.raises(CheckpointError, match=said) as caught:
            open_index(tmp_path / name)
        assert name in str(caught.value)


def test_another_encoder_is_refused() -> None:
    index = made()
    index.require(SPEC, "i")
    index.require(replace(SPEC, sample_rate=48_000, pitch_estimator="dio", content_weights=""), "i")
    for changes, said in (
        ({"content_dim": 5}, "4 values per frame .* gives 5"),
        ({"content_encoder": "other"}, "content_encoder: synthetic instead of other"),
        ({"content_layers": ((2, 1.0),)}, "content_layers"),
        ({"content_normalisation": "adaptive"}, "content_normalisation"),
        ({"content_weights": "1" * 64}, "content_weights"),
    ):
        with pytest.raises(SpecMismatchError, match=said):
            index.require(replace(SPEC, **changes), "i")
    VoiceIndex(4, {}, None).require(replace(SPEC, content_encoder="any"), "i")


def test_whose_sounds_are_used() -> None:
    index = made()
    assert index.sounds("bert", ["anna", "bert"], "i") is index.singers["bert"]
    with pytest.raises(CheckpointError, match="no sounds of 'dora', only of anna, bert, cleo"):
        index.sounds("dora", ["dora"], "i")
    nameless = VoiceIndex(4, {"": SingerSounds(frames(0))})
    assert nameless.sounds("dora", ["dora", "anna"], "i") is nameless.singers[""]
    one = VoiceIndex(4, {"anna": SingerSounds(frames(0))})
    assert one.sounds("dora", ["dora", "emma"], "i") is one.singers["anna"]
    with pytest.raises(CheckpointError, match="only of anna"):
        one.sounds("dora", ["dora", "anna"], "i")


def test_a_foreign_index_is_kept_beside_the_voice(tmp_path: Path) -> None:
    import struct

    values = frames(0).vectors
    start = b"IxF2" + struct.pack("<iqqq?iQ", 4, 20, 0, 0, True, 1, values.size)
    (tmp_path / "added.index").write_bytes(start + values.tobytes())
    target = adopt_index(tmp_path / "added.index", SPEC, tmp_path / "her.safetensors")
    assert target == index_beside(tmp_path / "her.safetensors") == tmp_path / "her.index.safetensors"
    kept = open_index(target)
    assert kept.content == content_of(SPEC) and kept.provenance == {"imported_from": "added.index"}
    np.testing.assert_array_equal(kept.singers[""].frames.vectors, values)
    with pytest.raises(SpecMismatchError, match="4 values per frame"):
        adopt_index(tmp_path / "added.index", replace(SPEC, content_dim=8), tmp_path / "other.safetensors")
    assert not (tmp_path / "other.index.safetensors").exists()
