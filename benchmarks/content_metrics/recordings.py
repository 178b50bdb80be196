"""Recordings and made lines with what is known about their frames: F0, activity, phones."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

RATE = 16_000
HOP = 384
ACTIVE_DB = 35
F0_RATE = 80
PHONE_SECONDS = 0.025
PHONE_LEAD_SECONDS = 0.05
"""The made stock's phones sound this long before the frames that its durations give them: a linear classifier on 25 ms
log-mel frames tells most phones at 50 to 60 ms (0.262 right, 0.224 without), on Moonshine's frames at 40 to 50. Its F0
is on time to 5 ms."""
NASAL = "\u0303"
MODIFIERS = set("ːʲ→↗↘↓ʰ" + NASAL)
STRESS = set("ˈˌ")
NIT_SILENCE = {"pau", "sil", "br", "xx"}


@dataclass
class Recording:
    """Samples (N,) at 16 kHz; frame t of a hop lies at sample hop * t, and there are N // hop + 1 of them."""

    name: str
    samples: np.ndarray
    _f0: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    def f0(self, hop: int = HOP) -> np.ndarray:
        """F0 in Hz (T,), 0 where unvoiced: DIO refined by StoneMask, 60 to 900 Hz."""
        import pyworld

        if hop not in self._f0:
            signal, frames = self.samples.astype(np.float64), len(self.samples) // hop + 1
            coarse, times = pyworld.dio(signal, RATE, f0_floor=60, f0_ceil=900, frame_period=1000 * hop / RATE)
            f0 = pyworld.stonemask(signal, coarse, times, RATE)
            self._f0[hop] = np.pad(f0, (0, frames))[:frames]
        return self._f0[hop]

    def active(self, hop: int = HOP) -> np.ndarray:
        """Whether each frame is within 35 dB of the loudest (T,)."""
        level = frame_level(self.samples, hop)
        return level > level.max() - ACTIVE_DB


def frame_level(samples: np.ndarray, hop: int = HOP) -> np.ndarray:
    """Power in dB (T,) of the two hops around each frame."""
    power = np.square(np.pad(samples.astype(np.float64), (hop, 2 * hop)))
    total = np.concatenate([[0.0], np.cumsum(power)])
    first = np.arange(len(samples) // hop + 1) * hop
    return 10 * np.log10((total[first + 2 * hop] - total[first]) / (2 * hop) + 1e-10)


def load(path: Path, seconds: float = 60.0) -> Recording:
    """The first `seconds` of a file, mono at 16 kHz."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples = soxr.resample(samples.mean(axis=1)[: int(seconds * rate)], rate, RATE).astype(np.float32)
    return Recording(path.stem, samples)


Load = Callable[[Path], Recording]


def ravdess(root: Path, emotions: Sequence[str], takes: Sequence[str], singers: int | None = None) -> list[Path]:
    """Files of normal intensity, both sentences, in order of singer: `root` is the reference folder's audio/."""
    actors = sorted((root / "singing/ravdess").glob("Actor_*"))[:singers]
    if not actors:
        raise SystemExit(f"No singers in {root / 'singing/ravdess'}: --shared must name the reference folder.")
    wanted = [f"03-02-{e}-01-{line}-{take}" for e in emotions for line in ("01", "02") for take in takes]
    return [next(actor.glob(f"{name}-*")) for actor in actors for name in wanted]


@dataclass
class Stretches:
    """Labels over time: `labels[k]` (None: nothing is said) from `edges[k]` to `edges[k + 1]` seconds."""

    edges: np.ndarray
    labels: list[str | None]

    def at(self, hop_seconds: float, frames: int) -> list[str | None]:
        """The label at each frame; None outside."""
        index = np.searchsorted(self.edges, np.arange(frames) * hop_seconds + 1e-9, side="right") - 1
        return [self.labels[i] if 0 <= i < len(self.labels) else None for i in index]


@dataclass
class MadeLine:
    """One line of the made stock, in `recordings` timbres with the same frames."""

    facts: dict[str, Any]
    recordings: list[Recording]

    @property
    def language(self) -> str:
        return self.facts["lang"]

    @property
    def sung(self) -> bool:
        return self.facts["mode"] == "sung"

    def phones(self, hop: int, frames: int) -> list[str | None]:
        """Phone of each frame, as `phone_stretches` writes it."""
        return phone_stretches(self.facts["phonemes"], self.facts["durations"]).at(hop / RATE, frames)

    def f0(self, hop: int, frames: int) -> np.ndarray:
        """F0 (T,) in Hz that was asked of the engine; 0 where unvoiced."""
        curve = np.asarray([*self.facts["f0"], 0.0], dtype=np.float64)
        index = (np.arange(frames) * (hop / RATE) * F0_RATE + 1e-6).astype(int)
        return curve[np.minimum(index, len(curve) - 1)]


def phone_stretches(phonemes: str, durations: Sequence[int]) -> Stretches:
    """Phones of a made line: `durations` are 25 ms frames of the start pad, every character, and the end pad.

    Edges are where phones are heard, PHONE_LEAD_SECONDS before the frames.

    Length, palatalisation, nasality and tone marks belong to the phone before them (only nasality changes its name),
    stress marks to the one after; blanks, punctuation and pads are None.
    """
    if len(durations) != len(phonemes) + 2:
        raise ValueError(f"{len(durations)} durations do not fit {len(phonemes)} phonemes and two pads.")
    named: list[str | None] = [c if c.isalpha() and c not in MODIFIERS | STRESS else None for c in phonemes]
    for i, c in enumerate(phonemes):
        if c == NASAL and i and named[i - 1] is not None:
            named[i - 1] = named[i] = f"{named[i - 1]}{NASAL}"
        elif c in MODIFIERS and i:
            named[i] = named[i - 1]
    for i, c in enumerate(phonemes[:-1]):
        if c in STRESS:
            named[i] = named[i + 1]
    labels = [None, *named]
    labels.append(None)
    edges = np.concatenate([[0], np.cumsum(durations)]) * PHONE_SECONDS - PHONE_LEAD_SECONDS
    return Stretches(edges, labels)


def made_lines(root: Path, parallel: int, single: int, load: Load = load) -> list[MadeLine]:
    """Of each language up to `parallel` lines in several timbres and `single` in one, spread over the index."""
    index = root / "made/kokoro_parallel/index.jsonl"
    facts = [json.loads(row) for row in index.read_text(encoding="utf-8").splitlines()]
    chosen = []
    for language in sorted({f["lang"] for f in facts}):
        for many, count in ((True, parallel), (False, single)):
            rows = [f for f in facts if f["lang"] == language and (len(f["files"]) > 1) == many]
            chosen += [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int))]
    return [MadeLine(f, [load(index.parent / name) for name in f["files"]]) for f in chosen]


def nit_song(root: Path, load: Load = load) -> list[tuple[Recording, Stretches]]:
    """The recordings of nit_song070 that have phone labels (HTS full-context, 100 ns)."""
    found = []
    for path in sorted((root / "singing/nit_song070").glob("*.flac")):
        rows = [row.split() for row in path.with_suffix(".lab").read_text().splitlines() if row.strip()]
        phones = [re.search(r"\^[^-]*-([^+]+)\+", row[2]).group(1) for row in rows]  # type: ignore[union-attr]
        edges = np.array([int(row[0]) for row in rows] + [int(rows[-1][1])]) * 1e-7
        found.append((load(path), Stretches(edges, [None if p in NIT_SILENCE else p for p in phones])))
    return found
