"""Singing voice conversion: raw songs in, a singer's voice out, any song sung by it.

Public names are resolved on first use, so importing the package costs nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Audio": "svc.audio.signal",
    "Config": "svc.config",
    "ConvertOptions": "svc.config",
    "Converter": "svc.conversion.converter",
    "convert_song": "svc.conversion.song",
    "prepare_dataset": "svc.data.prepare",
    "train_voice": "svc.training.loop",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'svc' has no attribute '{name}'")
    return getattr(import_module(_PUBLIC[name]), name)
