"""Which separator is meant: a method, and for methods with files of the user's a model by path or by name."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from svc.errors import ConfigError, WeightError
from svc.paths import pretrain_dir
from svc.registry import DEFAULT_SEPARATOR, SEPARATORS
from svc.separation.model_files import find_model, model_files, require_vocals
from svc.separation.separator import Separator
from svc.weights import RemoteFile, WeightEntry, catalogue, hash_of, weight_path

# A model given beside these takes their place: the default, and what the default was when older settings were written.
REPLACED = (DEFAULT_SEPARATOR, "spleeter")
STAGED = "lead"
METHODS = {".ckpt": "roformer", ".onnx": "mdx", ".pth": "vr", ".th": "demucs"}


@dataclass(frozen=True)
class Choice:
    """A registered method, what its constructor is given besides the device, and the files that decide its result."""

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()

    def create(self, device: str = "cpu") -> Separator:
        """The separator; raises what its constructor does."""
        made: Separator = SEPARATORS.create(self.method, device, **self.options)
        return made

    def __str__(self) -> str:
        return f"{self.method} ({', '.join(path.name for path in self.files)})" if self.files else self.method

    def identity(self) -> str:
        """The method, its revision and a hash of its weights: what decides the vocals that come out."""
        kind = SEPARATORS.load(self.method)
        shipped, revision = (str(getattr(kind, name, "")) for name in ("weights_sha256", "revision"))
        parts = [revision, shipped, *(hash_of(path) for path in self.files)]
        return ":".join([self.method, *(part[:16] for part in parts if part)])


def choose(method: str = DEFAULT_SEPARATOR, model: str | Path | None = None) -> Choice:
    """The separator that `method` and `model` mean.

    `model` is a file, a name of the weight catalogue, or the name of a file in pretrain/<method>/. A model settles the
    method, so `method` may then be left at its default; with the method 'lead' it is the first of three models.
    Raises ConfigError for a method that has no models or another kind of them, WeightError for a model that is not
    here, in one sentence that says how to get it.
    """
    SEPARATORS.require(method)
    if method == STAGED:
        from svc.separation.lead import choose_stages

        return choose_stages(model)
    if not model:
        return _unnamed(method)
    if method not in {*REPLACED, *METHODS.values()}:
        raise ConfigError(f"The separation method '{method}' has no models: leave out the method, or '{model}'.")
    wanted = "" if method in REPLACED else method
    path = Path(model)
    if path.is_file():
        return _of_file(path, wanted)
    entry = next((entry for entry in catalogue() if entry.name == str(model)), None)
    if entry is not None:
        return _of_entry(entry, wanted)
    if len(path.parts) > 1:
        raise WeightError(f"There is no model file {model}: check the path.")
    return _of_name(str(model), wanted)


def create_separator(method: str, model: str | None = None, device: str = "cpu") -> Separator:
    """The separator that `method` and `model` mean, see `choose`."""
    return choose(method, model).create(device)


def _unnamed(method: str) -> Choice:
    if method == "demucs":
        from svc.separation.demucs_weights import find_bag, local_files, require_package, weight_folder

        require_package()
        folder = weight_folder()
        bag, files = find_bag(None, folder), local_files(folder)
        return Choice(method, {"model": bag.name}, tuple(files[signature] for signature in bag.signatures))
    if method not in METHODS.values():
        return Choice(method)
    kind = SEPARATORS.load(method)
    path = find_model(method, kind.endings, None, None, kind.kind_of)
    require_vocals(kind.stem_of(path), path, named=False)
    return Choice(method, {"model": path}, (path,))


def _of_file(path: Path, wanted: str) -> Choice:
    method = METHODS.get(path.suffix.lower())
    if method is None:
        endings = ", ".join(f"{ending} ({name})" for ending, name in METHODS.items())
        raise ConfigError(f"{path} is no separation model by its ending: use one of {endings}.")
    if wanted and wanted != method:
        raise ConfigError(f"{path} is a model of the method '{method}', not of '{wanted}': leave out the method.")
    return Choice(method, {"model": path}, (path,))


def _of_entry(entry: WeightEntry, wanted: str) -> Choice:
    models = [file for file in entry.files if Path(file.path).suffix in METHODS]
    if not models:
        raise ConfigError(
            f"'{entry.name}' of the weight catalogue is no one separation model: give the path of a file instead."
        )
    paths = {file: weight_path(entry.name, file.name) for file in entry.files}
    if len(models) == 1:
        return _of_file(paths[models[0]], wanted)
    return _bag(entry, models, paths, wanted)


def _bag(entry: WeightEntry, models: list[RemoteFile], paths: dict[RemoteFile, Path], wanted: str) -> Choice:
    """Several files of demucs that work together, under the name that demucs has for them."""
    first = _of_file(paths[models[0]], wanted)
    if first.method != "demucs" or len({path.parent for path in paths.values()}) > 1:
        raise WeightError(f"The files of '{entry.name}' lie in several folders: put them into one.")
    options = {"model": entry.name.replace("-", "_"), "folder": paths[models[0]].parent}
    return Choice("demucs", options, tuple(paths[file] for file in models))


def _of_name(name: str, wanted: str) -> Choice:
    found = [
        path
        for ending, method in METHODS.items()
        for path in model_files(method, (ending,))
        if name in (path.name, path.stem) and wanted in ("", method)
    ]
    if len(found) == 1:
        return _of_file(found[0], wanted)
    if found:
        raise WeightError(f"'{name}' is the name of several files ({', '.join(map(str, found))}): give the path.")
    folders = ", ".join(str(pretrain_dir() / method) for method in ([wanted] if wanted else METHODS.values()))
    raise WeightError(
        f"There is no separation model '{name}': it is no file, not in the catalogue (svc weights list) and not in "
        f"{folders}."
    )
