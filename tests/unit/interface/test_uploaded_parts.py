"""What an uploaded file of a voice is goes by what it holds, whatever it is called."""

from pathlib import Path

import numpy as np
import pytest
import torch
from cli_cases import tiny_voice
from foreign_voices import TINY_RVC, rvc_file

from svc.checkpoint.index_files import FaissIndex
from svc.checkpoint.voice_index import SingerSounds, VoiceIndex, save_index
from svc.interface.files import StoredFile

pytest.importorskip("gradio", reason="the page needs gradio (pip install 'svc-toolkit[webui]')")


def stored(path: Path, label: str) -> StoredFile:
    return StoredFile("a" * 12, label, "voice", path.stat().st_size, None, 0.0, path)


def test_names_mislead_and_contents_do_not(tmp_path: Path) -> None:
    from svc.interface.tabs.voices import part_of

    torch.save({"anna": {"cluster_centers_": np.ones((7, 4), np.float32)}}, tmp_path / "clusters.pt")
    save_index(tmp_path / "index.safetensors", VoiceIndex(4, {"anna": SingerSounds(FaissIndex(np.ones((9, 4), "f4")))}))
    tiny_voice(tmp_path / "voice.safetensors")
    torch.save(rvc_file(TINY_RVC, seed=3), tmp_path / "rvc.pth")
    (tmp_path / "data.json").write_text("{}")
    assert part_of(stored(tmp_path / "clusters.pt", "Anna.pt")) == "index"
    assert part_of(stored(tmp_path / "index.safetensors", "Anna.safetensors")) == "index"
    assert part_of(stored(tmp_path / "voice.safetensors", "kmeans_voice.index.safetensors")) == "file"
    assert part_of(stored(tmp_path / "rvc.pth", "kmeans_10000.pt")) == "file"
    assert part_of(stored(tmp_path / "data.json", "config.json")) == "config"
