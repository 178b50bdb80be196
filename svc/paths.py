"""The only place that knows where things lie on disk."""

import os
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"


def pretrain_dir() -> Path:
    """Downloaded or user-supplied weights: $SVC_PRETRAIN_DIR, else ./pretrain."""
    return Path(os.environ.get("SVC_PRETRAIN_DIR", "pretrain"))


def runs_dir() -> Path:
    """Where training runs are written: $SVC_RUNS_DIR, else ./runs."""
    return Path(os.environ.get("SVC_RUNS_DIR", "runs"))


def interface_dir() -> Path:
    """Where the web page keeps uploads, jobs and results: $SVC_WEB_DIR, else ./web_data."""
    return Path(os.environ.get("SVC_WEB_DIR", "web_data"))


def raw_dir() -> Path:
    """Where users drop raw songs: ./dataset_raw."""
    return Path("dataset_raw")


def shared_dir() -> Path:
    """Reference material for development tests: $SVC_SHARED_DIR, else ../shared."""
    return Path(os.environ.get("SVC_SHARED_DIR", "../shared"))


def asset(name: str) -> Path:
    """Path of an embedded asset file; the file ships with the package."""
    return ASSETS / name


def recipe(name: str) -> Path:
    """A recipe by name ("fast") or the path of a YAML file; ConfigError names the recipes that ship."""
    from svc.errors import ConfigError

    if name.endswith((".yaml", ".yml")) or "/" in name or "\\" in name:
        return Path(name)
    folders = [Path(__file__).parent / "configs", Path(__file__).parents[1] / "configs"]
    for folder in folders:
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    raise ConfigError(f"There is no recipe '{name}': use {', '.join(known)}, or the path of a YAML file.")


def run_dir(name: str) -> Path:
    """Folder of the run called `name`; ConfigError for a name that would leave runs/."""
    from svc.errors import ConfigError

    if not name or name in {".", ".."} or any(c in name for c in '/\\:*?"<>|') or name.startswith("~"):
        raise ConfigError(f"'{name}' cannot be the name of a run: use letters, digits, spaces, dots and dashes.")
    return runs_dir() / name
