"""Finding, downloading and safely reading weight files of demucs (Défossez et al., MIT).

A `.th` file is a pickle of `{klass, args, kwargs, state, training_args}`, named `<signature>-<sha256 prefix>.th`; a
bag is a yaml file that lists signatures and weighs their sources. demucs itself unpickles such files without
restriction; here only its model classes and `fractions.Fraction` may be named in them.
"""

import hashlib
import inspect
import os
import pickle
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from svc.errors import MissingExtraError, WeightError
from svc.paths import pretrain_dir
from svc.weights import sha256_of

ROOT_URL = "https://dl.fbaipublicfiles.com/demucs/"
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
    return {path.stem.rsplit("-", 1)[0]: path for path in sorted(folder.glob("*.th"))}


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


def download_model(
    model: str = "htdemucs",
    folder: Path | None = None,
    progress: Callable[[float], None] | None = None,
    root_url: str = ROOT_URL,
) -> Bag:
    """Downloads the files of `model` that are not in `folder` yet, and returns its bag.

    An interrupted download goes on where it stopped; a file gets its name only when its hash is right.
    Raises WeightError for an unknown model, no connection or a wrong hash.
    """
    require_package()
    folder = weight_folder() if folder is None else folder
    addresses = _addresses()
    bag = _named_bag(model, folder) or (Bag(model, (model,)) if model in addresses else None)
    if bag is None:
        raise WeightError(f"Unknown demucs model '{model}': choose one of {', '.join(PREFERRED)}.")
    here = local_files(folder)
    missing = [signature for signature in bag.signatures if signature not in here]
    unknown = [signature for signature in missing if signature not in addresses]
    if unknown:
        raise WeightError(f"demucs offers no file for {', '.join(unknown)}: put it into {folder}/ yourself.")
    folder.mkdir(parents=True, exist_ok=True)
    for index, signature in enumerate(missing):
        address = addresses[signature]

        def part(done: float, index: int = index) -> None:
            if progress is not None:
                progress((index + done) / len(missing))

        _download(root_url + address, folder / address.rpartition("/")[2], part)
    if progress is not None:
        progress(1.0)
    return bag


def _download(url: str, path: Path, progress: Callable[[float], None]) -> None:
    partial = path.with_name(f"{path.name}.part")
    checksum = path.stem.rpartition("-")[2]
    done = partial.stat().st_size if partial.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            if done and response.status != 206:  # the server cannot continue: from the start
                done = 0
            total = done + int(response.headers.get("Content-Length") or 0)
            with open(partial, "ab" if done else "wb") as file:
                while block := response.read(1 << 18):
                    file.write(block)
                    done += len(block)
                    progress(min(1.0, done / total) if total else 0.0)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: everything was here already
            raise _no_download(url, path, error) from error
    except OSError as error:
        raise _no_download(url, path, error) from error
    if total_missing := _incomplete(partial, checksum):
        raise WeightError(f"{url} {total_missing}: try again, or download it by hand into {path.parent}/.")
    os.replace(partial, path)


def _incomplete(partial: Path, checksum: str) -> str:
    if hashlib.sha256(partial.read_bytes()).hexdigest().startswith(checksum):
        return ""
    partial.unlink()
    return "arrived damaged"


def _no_download(url: str, path: Path, error: Exception) -> WeightError:
    return WeightError(f"Cannot download {url} ({error}): try again, or put the file into {path.parent}/ yourself.")


def _addresses() -> dict[str, str]:
    """Signature to address below the root, from the list that comes with demucs."""
    import demucs

    addresses, root = {}, ""
    listing = Path(demucs.__file__).parent / "remote" / "files.txt"
    for line in listing.read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if line.startswith("root:"):
            root = line.removeprefix("root:").strip()
        elif line and not line.startswith("#"):
            addresses[line.split("-", 1)[0]] = root + line
    return addresses


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
    bag, addresses = _named_bag(model, folder), _addresses()
    files = [ROOT_URL + addresses[s] for s in (bag.signatures if bag else ()) if s in addresses]
    return f"put {' and '.join(files) or 'its .th file'} into {folder}/, or choose the separation method 'spleeter'."
