"""Finding and safely reading weight files of demucs (Défossez et al., MIT); `svc weights get` brings them.

A `.th` file is a pickle of `{klass, args, kwargs, state, training_args}`, named `<signature>-<sha256 prefix>.th`; a
bag is a yaml file that lists signatures and weighs their sources. demucs itself unpickles such files without
restriction; here only its model classes and `fractions.Fraction` may be named in them.
"""

import inspect
import pickle
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from svc.errors import MissingExtraError, WeightError
from svc.paths import pretrain_dir
from svc.registry import DEFAULT_SEPARATOR
from svc.weights import WeightEntry, catalogue, sha256_of

PREFERRED = ("htdemucs_ft", "htdemucs", "mdx_extra", "hdemucs_mmi", "mdx")


@dataclass(frozen=True)
class Bag:
    """Models by signature whose outputs are averaged; `weights` per model and source, None for equal ones."""

    name: str
    signatures: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...] | None = None
    segment_seconds: float | None = None


def require_package() -> None:
    """Raise MissingExtraError unless demucs can be imported."""
    try:
        import demucs.htdemucs  # noqa: F401
    except (ImportError, OSError) as error:
        raise MissingExtraError("demucs", "separation", "Separation with demucs") from error


def weight_folder() -> Path:
    """Where demucs' files are looked for: pretrain/demucs/ if it exists, else pretrain/."""
    own = pretrain_dir() / "demucs"
    return own if own.is_dir() else pretrain_dir()


def local_files(folder: Path) -> dict[str, Path]:
    """Weight files in `folder` by signature."""
    return {signature_of(path): path for path in sorted(folder.glob("*.th"))}


def signature_of(path: Path) -> str:
    """What demucs calls a file: its name without the digits of its hash."""
    return path.stem.rsplit("-", 1)[0]


def find_bag(model: str | None, folder: Path) -> Bag:
    """The bag called `model` (a bag's name or a signature), or the best one whose files all lie in `folder`.

    Raises WeightError that names the missing files and where to put them.
    """
    files = local_files(folder)
    if model is not None:
        bag = _named_bag(model, folder) or (Bag(model, (model,)) if model in files else None)
        if bag is None:
            raise WeightError(f"There is no demucs model '{model}' in {folder}/: {_advice('htdemucs', folder)}")
        missing = [signature for signature in bag.signatures if signature not in files]
        if missing:
            raise WeightError(f"The demucs model '{model}' lacks {', '.join(missing)}: {_advice(model, folder)}")
        return bag
    local = [path.stem for path in sorted(folder.glob("*.yaml"))]
    for name in (*PREFERRED, *local):
        bag = _named_bag(name, folder)
        if bag is not None and all(signature in files for signature in bag.signatures):
            return bag
    if len(files) == 1:
        (signature,) = files
        return Bag(signature, (signature,))
    if files:
        raise WeightError(f"{folder}/ holds several demucs models ({', '.join(files)}): name one of them.")
    raise WeightError(f"There are no demucs weights in {folder}/: {_advice('htdemucs', folder)}")


def load_models(bag: Bag, folder: Path, device: str) -> list[torch.nn.Module]:
    """The bag's models in evaluation mode on `device`, in order. Raises WeightError for damaged or foreign files."""
    files = local_files(folder)
    models = [read_model(files[signature]) for signature in bag.signatures]
    first: Any = models[0]
    for model in models:
        other: Any = model
        if (other.sources, other.samplerate, other.audio_channels) != (
            first.sources,
            first.samplerate,
            first.audio_channels,
        ):
            raise WeightError(f"The models of the bag '{bag.name}' do not fit together: download them again.")
        wanted = bag.segment_seconds
        if wanted is not None and (not hasattr(other, "use_train_segment") or wanted <= other.segment):
            other.segment = wanted
    if bag.weights is not None and (
        len(bag.weights) != len(models) or any(len(row) != len(first.sources) for row in bag.weights)
    ):
        raise WeightError(f"The bag '{bag.name}' weighs other models or sources than it has: download it again.")
    return [model.to(device) for model in models]


def read_model(path: Path) -> torch.nn.Module:
    """The model of one `.th` file, strict, in 32 bits and evaluation mode.

    Raises WeightError when the file's hash is not the one in its name, when it names anything but demucs' models and
    fractions, or does not fit its model. Nothing else in the file is ever run.
    """
    require_package()
    from demucs.demucs import Demucs
    from demucs.hdemucs import HDemucs
    from demucs.htdemucs import HTDemucs

    _, dash, checksum = path.stem.rpartition("-")
    if dash and not sha256_of(path).startswith(checksum):
        raise WeightError(f"{path} is damaged (its sha256 does not begin with {checksum}): download it again.")
    classes = [HTDemucs, HDemucs, Demucs]
    try:
        with torch.serialization.safe_globals([*classes, Fraction]):
            package = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightError(
            f"{path} is not a demucs model that can be read safely ({reason}): download it again."
        ) from error
    try:
        kind, state = package["klass"], package["state"]
        if kind not in classes:
            raise WeightError(f"{path} holds no demucs model: put a file from demucs' own list there.")
        if state.get("__quantized"):
            raise WeightError(f"{path} is a compressed (diffq) model: use 'htdemucs' or 'mdx_extra' instead.")
        known = inspect.signature(kind).parameters
        model = kind(*package["args"], **{key: value for key, value in package["kwargs"].items() if key in known})
        model.load_state_dict(state)
    except (KeyError, TypeError, AttributeError, RuntimeError, AssertionError) as error:
        raise WeightError(f"{path} does not fit the installed demucs: update both, or download it again.") from error
    if model.audio_channels != 2 or "vocals" not in model.sources:
        raise WeightError(f"{path} does not separate vocals from stereo songs: use a music separation model.")
    return model.float().eval().requires_grad_(False)


def _named_bag(name: str, folder: Path) -> Bag | None:
    """The bag `name` from a yaml file in `folder` or in the package; None when there is none."""
    import demucs
    import yaml

    if Path(name).name != name:
        raise WeightError(f"'{name}' is not the name of a demucs model: give a name without a path.")
    for place in (folder, Path(demucs.__file__).parent / "remote"):
        path = place / f"{name}.yaml"
        if not path.is_file():
            continue
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
            weights = data.get("weights")
            return Bag(
                name,
                tuple(str(signature) for signature in data["models"]),
                None if weights is None else tuple(tuple(float(w) for w in row) for row in weights),
                None if data.get("segment") is None else float(data["segment"]),
            )
        except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, UnicodeDecodeError) as error:
            raise WeightError(f"{path} is not a list of demucs models: download it again.") from error
    return None


def _advice(model: str, folder: Path) -> str:
    """What to do about files that are not there; those that the catalogue knows can be downloaded."""
    bag = _named_bag(model, folder)
    entry = next((entry for entry in catalogue() if bag and _signatures(entry) == set(bag.signatures)), None)
    get = f"run  svc weights get {entry.name}  or " if entry else ""
    what = " and ".join(file.name for file in entry.files) if entry else "its .th file"
    return f"{get}put {what} into {folder}/, or choose the separation method '{DEFAULT_SEPARATOR}'."


def _signatures(entry: WeightEntry) -> set[str]:
    return {signature_of(Path(file.path)) for file in entry.files if file.path.endswith(".th")}
