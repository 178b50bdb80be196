"""Foreign files that are no voice, or would run a program: one sentence, and nothing runs."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from svc.checkpoint.importers.assembly import ENCODERS
from svc.checkpoint.importers.keys import rvc_state, sovits_state
from svc.checkpoint.importers.opening import import_voice, is_foreign, open_voice
from svc.errors import CheckpointError
from svc.registry import CONTENT_ENCODERS


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_with_a_program_does_not_run(tmp_path: Path, legacy: bool) -> None:
    sprung = tmp_path / "sprung"
    path = tmp_path / "G_1.pth"
    torch.save({"model": Trap(sprung)}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match="open, which is refused"):
        open_voice(path)
    path.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(CheckpointError):
        import_voice(path)
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "is not a voice"),
        ({}, "no kind this program knows"),
        ({"model": [1]}, "is not a voice"),
        ({"model": {"conv.weight": torch.zeros(1)}}, "no kind this program knows"),
        ({"model": {1: torch.zeros(1)}}, "no kind this program knows"),
        ({"model": {"enc_p_.pre.weight": torch.zeros(1)}}, "so-vits-svc 3 voice"),
        ({"model": {"text_encoder.x": torch.zeros(1)}}, "so-vits-svc 4.0-v2"),
        ({"model_g": {"enc_p.hub.weight": torch.zeros(1)}}, "so-vits-svc 5.0"),
        ({"model_g": {"other": torch.zeros(1)}}, "so-vits-svc 5.0"),
        ({"weight": {"dec.mrfs.0.x": torch.zeros(1)}, "config": []}, "MRF HiFi-GAN"),
        ({"weight": {"dec.downsample_blocks.0.x": torch.zeros(1)}, "config": []}, "RefineGAN"),
        ({"weight": {"enc_p.emb_phone.weight": torch.zeros(4, 4)}, "config": []}, "lacks enc_p.encoder"),
        ({"weight": {"dec.pre_conv.x": torch.zeros(1)}, "config": [], "vocoder": "RefineGAN"}, "RefineGAN"),
        ({"weight": {"x": torch.zeros(1)}, "config": [], "vocoder": "Other"}, "vocoder 'Other'"),
        (OrderedDict({"denoise_fn.x": torch.zeros(1)}), "diffusion model"),
    ],
)
def test_other_files_are_named(tmp_path: Path, content: Any, said: str) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=said) as caught:
        import_voice(tmp_path / "x.pth")
    assert str(tmp_path / "x.pth") in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_torch_file(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    with pytest.raises(CheckpointError, match="no file"):
        import_voice(path)
    for data in (b"", b"RIFF1234WAVE", b"\x80\x02", b"PK\x03\x04" + bytes(20)):
        path.write_bytes(data)
        with pytest.raises(CheckpointError):
            open_voice(path)


def test_our_own_files_are_not_foreign(tmp_path: Path) -> None:
    path = tmp_path / "voice.safetensors"
    # The first byte of a header of 0x180 bytes is that of a pickle.
    path.write_bytes((0x180).to_bytes(8, "little") + b"{")
    assert not is_foreign(path)
    torch.save({}, path)
    assert is_foreign(path)
    assert not is_foreign(tmp_path / "missing")


def test_names_map_without_clashes() -> None:
    tensor = torch.ones(2, dtype=torch.float16)
    names = [
        "flow.wn.x",
        "flow.flows.0.enc.x",
        "flow.flows.6.post.bias",
        "dec.resblocks.7.convs1.0.weight_g",
        "pre.bias",
    ]
    mapped = sovits_state(dict.fromkeys(names, tensor))
    assert list(mapped) == [
        "flow.shared.x",
        "flow.couplings.3.post.bias",
        "decoder.resblocks.2.1.convs1.0.parametrizations.weight.original0",
        "content_input.content.bias",
    ]
    assert all(value.dtype == torch.float32 for value in mapped.values())
    assert rvc_state({"enc_p.emb_phone.weight": torch.ones(2, 3)})["content_input.content.weight"].shape == (2, 3, 1)


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "whisper"])  # whose sizes are its file's
def test_encoders_are_those_of_the_registry(name: str) -> None:
    if name not in CONTENT_ENCODERS.names():
        pytest.skip(f"{name} is not in this version")
    encoder = CONTENT_ENCODERS.load(name)
    dim, layer = ENCODERS[name]
    assert encoder.dim == dim and encoder.default_layers == {layer: 1.0}
