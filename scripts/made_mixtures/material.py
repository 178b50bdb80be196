"""What the refiner learns from: made pieces and a recorded band written once as Ogg Opus, and recordings of voices.

Nothing that separation is tested on is read; some speakers, files and pieces are kept for choosing.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
import soxr

from made_mixtures.mixing import RATE, Pool
from svc.audio.reading import read_audio

PIECES, PIECE_SECONDS, PIECE_CUT = 90, 24.0, slice(3 * RATE, 18 * RATE)
WIDE_SEEDS, WIDE_SECONDS = range(2000, 2090), 14.0
STEM_SECONDS = 48
OPUS_RATE, OPUS_LEVEL = 48_000, 0.9  # 64 kbit/s
SUFFIXES = (".ogg", ".opus", ".flac", ".wav")
REFUSED = re.compile(r"ravdess|nit_?song|song070|lithium|playlist|pockettorah|opensinger|csd_", re.I)
KERSTIN_TEST = re.compile(r"de_rhasspy-0(6[789]|[789])\d")  # holds her last files, kept for the figures of languages
KEPT_SPEAKERS, KEPT_FILES = 14, 10  # one of so many

# Groups of voices by the name of the folder: share of the mixtures, bandwidth in Hz.
VOICES = {
    "martin": (0.08, RATE / 2),
    "smstools|oatsu": (0.12, RATE / 2),
    "kerstin": (0.10, RATE / 2),
    "lj": (0.04, 10_500),
    "libri": (0.14, 7_600),
    "pico": (0.09, 7_600),
    "": (0.43, 11_500),
}
MDN_SHARE = 0.15


def collect(material: Path, shared: Path, soundfont: Path) -> None:
    """Writes all backing; what is there already is kept."""
    from made_mixtures.band import play

    for seeds, wide in ((range(PIECES), False), (WIDE_SEEDS, True)):
        for k, seed in enumerate(seeds):
            folder = "dev" if k % 10 == 9 else "bands"
            path = material / folder / (f"{seed}.ogg" if wide else f"{seed:04d}.ogg")
            if not path.is_file():
                write_opus(path, play(seed, soundfont, WIDE_SECONDS, True) if wide else piece(seed, soundfont))
    multitrack = sorted((shared / "audio/backing/mdn_multitrack").glob("*.mp3"))
    for folder, dev, seconds in (("stems", False, STEM_SECONDS), ("dev_stems", True, STEM_SECONDS // 3)):
        for k, stem in enumerate(stems(multitrack, dev)):
            write_opus(material / folder / f"mdn_{k}.ogg", stem[:, : seconds * RATE])


def piece(seed: int, soundfont: Path) -> np.ndarray:
    from made_mixtures.band import play

    return play(seed, soundfont, PIECE_SECONDS)[:, PIECE_CUT]


def stems(paths: list[Path], dev: bool) -> np.ndarray:
    """(stem, 2, n): the first 60 % of a multitrack to train on, the rest for choosing."""
    parts = [read_audio(path).resampled(RATE).samples for path in paths]
    length = min(part.shape[1] for part in parts)
    border = length * 6 // 10
    cut = slice(border, length) if dev else slice(0, border)
    return np.stack([part[:, cut] if len(part) == 2 else np.repeat(part[:1, cut], 2, axis=0) for part in parts])


def write_opus(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = np.clip(soxr.resample(samples.T.astype(np.float32), RATE, OPUS_RATE), -1, 1)
    replace(
        path,
        lambda part: soundfile.write(
            part, sound, OPUS_RATE, format="OGG", subtype="OPUS", compression_level=OPUS_LEVEL
        ),
    )


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """`write` fills a file beside `path` that then takes its place."""
    part = path.with_name(f"{path.name}.part")
    write(part)
    os.replace(part, path)


def decoded(path: Path, channels: int) -> np.ndarray:
    """(channels, n) of 16 bits at 44.1 kHz."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if samples.shape[1] != channels:
        samples = np.repeat(samples.mean(axis=1, keepdims=True), channels, axis=1)
    samples = soxr.resample(samples, rate, RATE)
    return np.ascontiguousarray(np.clip(np.round(samples.T * 32767), -32768, 32767).astype(np.int16))


def decoded_mono(path: Path) -> np.ndarray:
    return decoded(path, 1)


def number(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def group_of(folder: str) -> int:
    return next(k for k, pattern in enumerate(VOICES) if re.match(pattern, folder))


def is_kept(path: Path) -> bool:
    """Whether a recording is for choosing: a whole speaker where there are many, else every tenth file."""
    folder = path.parent.name
    if folder.startswith(("smstools", "oatsu")):
        return "female" in folder
    if re.match("martin|kerstin|lj", folder):
        return number(path.name) % KEPT_FILES == 0
    return number(folder) % KEPT_SPEAKERS == 0


def voice_files(folder: Path, dev: bool) -> list[Path]:
    """All recordings below `folder` that are for this purpose; those of the tests are refused."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    refused = [path for path in paths if REFUSED.search(str(path.relative_to(folder)))]
    if refused:
        raise SystemExit(f"{refused[0]} is kept for tests: take it out of {folder}")
    kerstin = [path for path in paths if path.parent.name == "kerstin" and KERSTIN_TEST.search(path.name)]
    return [path for path in paths if path not in set(kerstin) and is_kept(path) == dev]


def load(material: Path, voices: Path, dev: bool, workers: int | None) -> tuple[Pool, Pool]:
    """(voices, backing) in main memory: no graphics card may be in use yet, since workers are forked."""
    files = voice_files(voices, dev)
    backing = sorted((material / ("dev" if dev else "bands")).glob("*.ogg"))
    with ProcessPoolExecutor(workers) as pool:
        sung = list(pool.map(decoded_mono, files, chunksize=16))
        played = list(pool.map(decoded, backing, [2] * len(backing), chunksize=4))
    groups = [group_of(path.parent.name) for path in files]
    widths = [width for _, width in VOICES.values()]
    parts = [(samples, group, widths[group]) for samples, group in zip(sung, groups) if samples.shape[1] > RATE // 2]
    shares = {k: share for k, (share, _) in enumerate(VOICES.values())}
    bands = [(samples, 0, RATE / 2) for samples in played]
    bands += [(samples, 1, RATE / 2) for samples in stem_mixes(material / ("dev_stems" if dev else "stems"))]
    minutes = sum(samples.shape[1] for samples, _, _ in parts) / RATE / 60
    name = "kept" if dev else "train"
    print(f"{name}: {len(parts)} recordings, {minutes:.0f} minutes, {len(bands)} pieces", flush=True)
    return Pool.of(parts, shares), Pool.of(bands, {0: 1 - MDN_SHARE, 1: MDN_SHARE})


def whole_songs(paths: list[Path]) -> Pool:
    """Songs of which only the mixture is known."""
    songs = [decoded(path, 2) for path in paths]
    return Pool.of([(samples, 0, RATE / 2) for samples in songs], {0: 1.0})


def stem_mixes(folder: Path) -> list[np.ndarray]:
    """Each stem of the recorded band, and each sum of two, three, or all of them."""
    stems = [decoded(path, 2).astype(np.int32) for path in sorted(folder.glob("*.ogg"))]
    length = min((stem.shape[1] for stem in stems), default=0)
    chosen = [kept for kept in range(1, 1 << len(stems)) if bin(kept).count("1") in (1, 2, 3, len(stems))]
    sums = [sum(stem[:, :length] for k, stem in enumerate(stems) if kept >> k & 1) for kept in chosen]
    return [np.clip(each // 2, -32768, 32767).astype(np.int16) for each in sums]
