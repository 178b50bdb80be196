"""Weight files of content encoders with random weights, small, in the containers of their programs."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from svc.content.encoder import ContentEncoder
from svc.registry import CONTENT_ENCODERS

_SCRIPT = Path(__file__).parents[1] / "scripts" / "random_encoder_files.py"


def load_script() -> ModuleType:
    """scripts/random_encoder_files.py as a module."""
    spec = importlib.util.spec_from_file_location("random_encoder_files", _SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


FILES = load_script()
WIDTH = FILES.tiny(FILES.BASE).width


def small_encoder(name: str, monkeypatch: pytest.MonkeyPatch) -> type[ContentEncoder]:
    """The class registered under `name`, made to expect the width of the small files; layers stay what they are."""
    kind = CONTENT_ENCODERS.load(name)
    if not name.startswith("whisper"):
        if name.startswith("hubert_discrete"):
            monkeypatch.setattr(kind, "width", WIDTH)
        if name != "hubert_discrete":
            small = FILES.tiny(FILES.FILES[name][2])
            monkeypatch.setattr(kind, "dim", small.final if kind.projected else small.width)
    return kind


def small_file(name: str, folder: Path) -> Path:
    """A small file for the encoder `name` in `folder`; a skip without the package that writes it."""
    if name == "whisper_ct2":
        pytest.importorskip("ctranslate2", reason="needs the optional package ctranslate2 (extra whisper-ct2)")
        return FILES.write_ct2_folder(folder / "whisper-ct2", FILES.tiny(FILES.WHISPER_BASE))
    return FILES.write_encoder_file(name, folder, small=True)
