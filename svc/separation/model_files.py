"""Model files that users bring: finding the one that is meant, and what its stems are."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from svc.errors import CheckpointError, SvcError, WeightError
from svc.paths import pretrain_dir
from svc.registry import DEFAULT_SEPARATOR

TAIL_BYTES = 10_000 * 1024  # Ultimate Vocal Remover knows a file by the md5 of its end
VOCALS, LEAD, DEREVERB, DENOISE = "vocals", "lead", "dereverb", "denoise"
# What a stem of this name is: kept, or taken out; and what a model that gives it is for.
STEMS: dict[str, tuple[bool, str]] = {
    **dict.fromkeys(("vocals", "vocal", "voice", "singing"), (True, VOCALS)),
    **dict.fromkeys(
        ("instrumental", "instrum", "inst", "other", "accompaniment", "no vocals", "music"), (False, VOCALS)
    ),
    **dict.fromkeys(("karaoke", "lead", "lead vocals", "lead only"), (True, LEAD)),
    **dict.fromkeys(("backing", "backing vocals", "backing only"), (False, LEAD)),
    **dict.fromkeys(("noreverb", "no reverb", "dereverb", "no echo", "noecho", "no delay"), (True, DEREVERB)),
    **dict.fromkeys(("reverb", "echo", "delay"), (False, DEREVERB)),
    **dict.fromkeys(("no noise", "nonoise", "denoised", "dry"), (True, DENOISE)),
    **dict.fromkeys(("noise",), (False, DENOISE)),
}
# Publishers call the stem of any model "vocals"; then the file's name tells what it is for.
NAME_HINTS = (("karaoke", LEAD), ("dereverb", DEREVERB), ("deverb", DEREVERB), ("denoise", DENOISE))
PURPOSES = {
    VOCALS: "vocals from accompaniment",
    LEAD: "lead from backing vocals",
    DEREVERB: "dry sound from reverberation",
    DENOISE: "sound from noise",
}


@dataclass(frozen=True)
class Stem:
    """A model's stem: `kept` when it is what is wanted (else what is taken out), `kind` what the model is for."""

    kept: bool
    kind: str


def find_model(
    method: str,
    endings: Sequence[str],
    model: str | Path | None,
    folder: Path | None,
    kind_of: Callable[[Path], str] | None = None,
) -> Path:
    """The model file of `method`.

    `model` as a Path is the file itself; as a string its name (with or without its ending) in `folder`. Without
    `model` the folder must hold exactly one for vocals, which `kind_of` tells; without `folder` it is
    pretrain/<method>/. Raises WeightError that says which files are there and where to put one.
    """
    if isinstance(model, Path):
        if not model.is_file():
            raise WeightError(f"There is no model file {model}: check the path.")
        return model
    place = pretrain_dir() / method if folder is None else Path(folder)
    files = model_files(method, endings, place)
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
            f"or choose the separation method '{DEFAULT_SEPARATOR}'."
        )
    if len(files) > 1 and kind_of is not None:
        files = [path for path in files if kind_of(path) == VOCALS] or files
    if len(files) > 1:
        raise WeightError(
            f"{place}/ holds several models ({', '.join(p.name for p in files)}): name the one that is meant, or leave "
            "one of them there."
        )
    return files[0]


def model_files(method: str, endings: Sequence[str], folder: Path | None = None) -> list[Path]:
    """Files in `folder` (pretrain/<method>/) that may be models of a method."""
    place = pretrain_dir() / method if folder is None else folder
    return sorted(p for p in place.glob("*") if p.suffix.lower() in endings and p.is_file())


def stem_of(name: str, path: Path, karaoke: bool = False) -> Stem:
    """What the stem called `name` of the model `path` is; `karaoke` says that its vocals are the lead alone.

    WeightError for a stem that is neither a voice nor what a voice is freed from, such as drums.
    """
    known = STEMS.get(name.strip().lower().replace("_", " "))
    if known is None:
        raise WeightError(f"{path} separates '{name}', not vocals: use a model for vocals or instrumental.")
    kept, kind = known
    if kind in (VOCALS, DENOISE):
        kind = LEAD if karaoke else next((k for word, k in NAME_HINTS if word in path.stem.lower()), kind)
    return Stem(kept, kind)


def kind_or_none(read: Callable[[Path], Stem], path: Path) -> str:
    """What a model is for; "" for a file that cannot be understood, which is said when it is used."""
    try:
        return read(path).kind
    except SvcError:
        return ""


def require_vocals(stem: Stem, path: Path, named: bool) -> None:
    """WeightError for a model that was taken because no other is there, and is not for vocals."""
    if stem.kind != VOCALS and not named:
        raise WeightError(
            f"{path} separates {PURPOSES[stem.kind]}: name it as the model if that is meant, or put one for vocals "
            "there."
        )


def find_entry(path: Path, method: str = "") -> tuple[Mapping[str, Any], Path]:
    """What UVR's list says about a model file, and in which file; WeightError without.

    A list is any .json beside `path`, or in pretrain/<method>/.
    """
    own = path.with_suffix(".json")
    folders = dict.fromkeys([path.parent, *([pretrain_dir() / method] if method else [])])
    lists = [own] if own.is_file() else []
    lists += [p for folder in folders for p in sorted(folder.glob("*.json")) if p != own]
    key = tail_md5(path)
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
    advice = f" (`svc weights get uvr-{method}-list` brings it)" if method else ""
    raise WeightError(
        f"No list in {path.parent}/ knows {path.name} (md5 {key}): put UVR's model_data.json of this kind of model "
        f"there{advice}."
    )


def entry_stem(path: Path, entry: Mapping[str, Any], where: Path) -> Stem:
    """The primary stem of a model of UVR by its list's entry; CheckpointError where it names none."""
    primary = entry.get("primary_stem")
    if not isinstance(primary, str):
        raise CheckpointError(f"{where} does not say which stem {path.name} gives: get UVR's list anew.")
    if entry.get("is_bv_model"):
        raise WeightError(f"{path} separates backing vocals out of songs, which is not supported: use another model.")
    return stem_of(primary, path, bool(entry.get("is_karaoke")))


def tail_md5(path: Path) -> str:
    """The md5 by which UVR's lists know a file: that of its last 10,000 KiB."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return hashlib.md5(file.read(), usedforsecurity=False).hexdigest()
