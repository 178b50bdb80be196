"""Finding the one model file of a method whose weights the user brings, and telling vocals from the rest by name."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from svc.errors import CheckpointError, WeightError
from svc.paths import pretrain_dir

TAIL_BYTES = 10_000 * 1024  # Ultimate Vocal Remover knows a file by the md5 of its end
VOCAL_NAMES = frozenset({"vocals", "vocal", "voice", "singing"})
REST_NAMES = frozenset({"instrumental", "instrum", "inst", "other", "accompaniment", "no_vocals", "no vocals", "music"})


def find_model(method: str, endings: Sequence[str], model: str | None, folder: Path | None) -> Path:
    """The model file of `method`: `model` is its name (with or without its ending) in `folder`.

    Without `model` the folder must hold exactly one; without `folder` it is pretrain/<method>/. Raises WeightError
    that says which files are there and where to put one.
    """
    place = pretrain_dir() / method if folder is None else Path(folder)
    files = sorted(p for p in place.glob("*") if p.suffix.lower() in endings and p.is_file())
    kinds = " or ".join(endings)
    if model is not None:
        named = [p for p in files if model in (p.name, p.stem)]
        if not named:
            there = f"it holds {', '.join(p.name for p in files)}" if files else "it holds no such file"
            raise WeightError(
                f"There is no {method} model '{model}' in {place}/ ({there}): put its {kinds} file there."
            )
        if len(named) > 1:
            raise WeightError(f"'{model}' is the name of several files in {place}/: give the ending too.")
        return named[0]
    if not files:
        raise WeightError(
            f"There is no model for the separation method '{method}' in {place}/: put a {kinds} file there, "
            "or choose the separation method 'spleeter'."
        )
    if len(files) > 1:
        raise WeightError(
            f"{place}/ holds several models ({', '.join(p.name for p in files)}): leave one of them there."
        )
    return files[0]


def is_vocals(stem: str, path: Path) -> bool:
    """Whether a stem is the vocals (True) or the accompaniment (False). WeightError for anything else."""
    name = stem.strip().lower()
    if name in VOCAL_NAMES:
        return True
    if name in REST_NAMES:
        return False
    raise WeightError(f"{path} separates '{stem}', not vocals: use a model for vocals or instrumental.")


def find_entry(path: Path) -> tuple[Mapping[str, Any], Path]:
    """What UVR's list (any .json beside `path`) says about a model file, and in which file; WeightError without."""
    own = path.with_suffix(".json")
    lists = ([own] if own.is_file() else []) + sorted(p for p in path.parent.glob("*.json") if p != own)
    key = hashlib.md5(path.read_bytes()[-TAIL_BYTES:], usedforsecurity=False).hexdigest()
    for place in lists:
        try:
            data = json.loads(place.read_text(encoding="utf-8"))
        except (ValueError, OSError, RecursionError):
            raise CheckpointError(f"{place} is damaged: get UVR's list of models anew.") from None
        entry = data.get(key) if isinstance(data, dict) else None
        if isinstance(entry, dict):
            return entry, place
        if place == own and isinstance(data, dict) and "primary_stem" in data:
            return data, place
    raise WeightError(
        f"No list in {path.parent}/ knows {path.name} (md5 {key}): put UVR's model_data.json of this kind of model "
        "there."
    )
