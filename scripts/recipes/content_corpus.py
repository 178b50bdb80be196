"""The audio that teaches the content encoder: made speech and singing with phones and F0, and open recordings.

Only what may train shipped weights (the reference folder's audio/README.md): made lines of kokoro_parallel and of
made_singing.py, LibriSpeech (CC BY 4.0), Picovoice commands (Apache-2.0), kerstin without its last 40 files (CC0),
LJ Speech (public domain), vocobox_martin (MIT), smstools (CC BY 4.0), oatsu (MIT).
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from svc.content.moonshine import SAMPLE_RATE
from svc.content.moonshine_network import HOP

REAL = (
    "speech/librispeech",
    "speech/picovoice_commands",
    "speech/kerstin",
    "speech/ljspeech_32",
    "singing/vocobox_martin",
    "singing/small",
)
NOT_SHIPPABLE = ("csd_", "opensinger_")
KERSTIN_TEST = 40
SUFFIXES = (".ogg", ".flac", ".wav", ".opus")
MAX_SECONDS = 20
# Signs of the phone alphabet that belong to the phone before or behind them, or to no phone at all.
STRESS, LENGTH, SILENCE = "ˈˌ", "ːʲʰ̃↘↗→↓ꭧ", " ()"
PHONE_STEP = 0.025
# Kokoro's phones sound this long before the frames that the durations give them, see benchmarks/content_metrics. The
# file that ships was tuned without it.
PHONE_LEAD = 0.05
F0_STEP = 0.0125


@dataclass
class Clip:
    """One recording: samples (N,) int16 at 16 kHz; made lines also phones and F0 at 40 and 80 frames a second."""

    samples: np.ndarray
    speaker: str
    group: str = ""  # clips of one group hold the same words, durations and melody
    language: str = ""
    phones: np.ndarray | None = None  # (P,) int16, -1 where it does not count
    f0_hz: np.ndarray | None = None  # (Q,), 0 where unvoiced
    timbres: dict[str, float] = field(default_factory=dict)

    def frames(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Phones (int64, -1 unknown) and F0 (Hz, 0 unvoiced) at `positions` in samples of the clip."""
        assert self.phones is not None and self.f0_hz is not None
        seconds = positions / SAMPLE_RATE
        phone, tone = np.floor((seconds + PHONE_LEAD) / PHONE_STEP).astype(int), np.floor(seconds / F0_STEP).astype(int)
        outside = (phone < 0) | (phone >= len(self.phones))
        labels = np.where(outside, 0, self.phones[phone.clip(0, len(self.phones) - 1)])
        f0 = np.where(outside, 0, self.f0_hz[tone.clip(0, len(self.f0_hz) - 1)])
        return labels.astype(np.int64), f0


def read(path: Path) -> np.ndarray:
    """At most MAX_SECONDS of a recording, mono at 16 kHz, int16."""
    import soundfile
    import soxr

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True, frames=MAX_SECONDS * 48_000)
    mono = soxr.resample(samples.mean(axis=1)[: MAX_SECONDS * rate], rate, SAMPLE_RATE)
    return np.round(mono.clip(-1, 1) * 32767).astype(np.int16)


def phone_labels(phonemes: str, durations: list[int], alphabet: dict[str, int]) -> np.ndarray:
    """One label for each 25 ms: 0 is silence; modifiers take their neighbour's phone; `alphabet` grows as needed."""
    labels: list[int] = []
    for sign in phonemes:
        if sign in SILENCE:
            labels.append(0)
        elif sign in STRESS:
            labels.append(-2)  # of the phone that follows
        elif sign in LENGTH:
            labels.append(labels[-1] if labels else 0)
        else:
            labels.append(alphabet.setdefault(sign, len(alphabet) + 1))
    for i in range(len(labels) - 2, -1, -1):
        if labels[i] == -2:
            labels[i] = labels[i + 1]
    everything = [0, *[max(label, 0) for label in labels], 0]
    return np.repeat(np.array(everything, dtype=np.int16), durations)


def made_clips(folder: Path, alphabet: dict[str, int]) -> list[Clip]:
    """All lines of a folder of made speech and singing (index*.jsonl beside the files)."""
    clips = []
    for index in sorted(folder.glob("index*.jsonl")):
        for row in map(json.loads, index.read_text(encoding="utf-8").splitlines()):
            phones = phone_labels(row["phonemes"], row["durations"], alphabet)
            f0 = np.array(row["f0"], dtype=np.float32)
            for name, timbres in zip(row["files"], row["timbres"], strict=True):
                speaker = "+".join(sorted(timbres))
                group = f"{folder.name}/{row['id']}"
                clips.append(Clip(read(folder / name), speaker, group, row["lang"], phones, f0, timbres))
    return clips


def real_clips(root: Path) -> list[Clip]:
    """Open recordings of people, without labels."""
    clips = []
    for source in REAL:
        files = sorted(p for p in (root / source).rglob("*") if p.suffix in SUFFIXES)
        files = [p for p in files if not any(bad in p.as_posix() for bad in NOT_SHIPPABLE)]
        if source == "speech/kerstin":
            files = files[:-KERSTIN_TEST]
        if not files:
            raise SystemExit(f"No recordings in {root / source}: --corpus must name the reference folder's audio/.")
        clips += [Clip(read(path), speaker_of(source, path)) for path in files]
    return [clip for clip in clips if len(clip.samples) > SAMPLE_RATE]


def speaker_of(source: str, path: Path) -> str:
    if source == "speech/librispeech":
        return "libri-" + re.split(r"[-_.]", path.name)[0]
    return source.split("/")[1] if source != "speech/picovoice_commands" else ""


def load(root: Path, made: list[Path], cache: Path) -> tuple[list[Clip], list[Clip], dict[str, int]]:
    """Made clips, real clips and the phone alphabet (silence is 0), decoded once into `cache`."""
    import pickle  # our own cache, written by this script

    if cache.is_file():
        return pickle.loads(cache.read_bytes())
    alphabet: dict[str, int] = {}
    clips = [clip for folder in made for clip in made_clips(folder, alphabet)]
    result = clips, real_clips(root), alphabet
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_bytes(pickle.dumps(result))
    return result


def frame_positions(first: int, frames: int, stride: float = 1.0) -> np.ndarray:
    """Sample positions of `frames` encoder frames, of a clip played `stride` times as fast from sample `first`."""
    return first + np.arange(frames) * HOP * stride
