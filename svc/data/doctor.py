"""Is this recording good to learn from? Measures, findings with reason and advice, and a verdict per slice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from svc.data.bandwidth import bandwidth_hz
from svc.data.measures import (
    fingerprint,
    quick_decays_per_second,
    second_voice_share,
    snr_db,
    waveform_match,
)
from svc.features.spec import FeatureSpec
from svc.registry import DEFAULT_SEPARATOR

MEASURES_VERSION = 2

SHORTEST_SECONDS = 1.0
SILENT_PEAK = 1e-3
QUIET_DB = -45.0
TOO_QUIET_DB = -58.0
NOISY_DB = 22.0
TOO_NOISY_DB = 12.0
CLIPPED_SHARE = 2e-4
TOO_CLIPPED_SHARE = 1e-2
LEAST_VOICED_SHARE = 0.05
REVERBERANT_DECAYS = 0.7
SECOND_VOICE_SHARE = 0.25
ALIKE_COSINE = 0.93
COMPARE_RATE = 4_000
COMPARE_SECONDS = 30
SAME_WAVEFORM = 0.9
LITTLE_SECONDS = 30.0

NOTHING_HEARD = "nothing is heard in it above its own noise: remove it, or record louder"


@dataclass(frozen=True)
class Finding:
    """One thing found about a slice or recording.

    `code` is a short stable name, `drop` whether it rules the slice out, `reason` says what was measured and `advice`
    what to do about it.
    """

    code: str
    drop: bool
    reason: str
    advice: str


def unusable_recording(seconds: float, peak: float) -> str | None:
    """Why a recording cannot be used at all, told before any network hears it; None if it can."""
    if seconds < SHORTEST_SECONDS:
        return f"too short ({seconds:.2f} s of at least {SHORTEST_SECONDS:g} s): remove it, or join it with others"
    if peak < SILENT_PEAK:
        return "silent: remove it, or check whether the right channel or track was exported"
    return None


def measure(
    samples: np.ndarray,
    f0_hz: np.ndarray,
    loudness_db: np.ndarray,
    slices: list[tuple[int, int]],
    clipped: list[int],
    spec: FeatureSpec,
) -> dict[str, Any]:
    """Measures of a recording and its slices as plain data.

    Args:
        samples: (N,) mono at `spec.sample_rate`.
        f0_hz, loudness_db: (T,).
        slices: (start, samples) of each.
        clipped: clipped samples in each tenth of a second, or empty.
    """
    pauses_snr = snr_db(loudness_db, f0_hz, spec.frame_rate)
    return {
        "recording": {
            "snr_db": _rounded(pauses_snr),
            "quick_decays_per_second": _rounded(quick_decays_per_second(samples, spec.sample_rate)),
            "bandwidth_hz": bandwidth_hz(samples, spec.sample_rate),
            "fingerprint": fingerprint(samples, spec),
        },
        "slices": [
            _measure_slice(samples[start : start + count], start, f0_hz, loudness_db, clipped, spec)
            for start, count in slices
        ],
    }


def _measure_slice(
    samples: np.ndarray,
    start: int,
    f0_hz: np.ndarray,
    loudness_db: np.ndarray,
    clipped: list[int],
    spec: FeatureSpec,
) -> dict[str, Any]:
    first = start // spec.hop_length
    part = slice(first, first + spec.frames(len(samples)))
    f0, loudness = f0_hz[part], loudness_db[part]
    sung = f0[f0 > 0]
    tenths = slice(int(start / spec.sample_rate * 10), int(np.ceil((start + len(samples)) / spec.sample_rate * 10)))
    low, median, high = np.percentile(sung, [5, 50, 95]).tolist() if len(sung) else (0.0, 0.0, 0.0)
    return {
        "seconds": round(len(samples) / spec.sample_rate, 3),
        "voiced_share": _rounded(len(sung) / max(1, len(f0))),
        "f0_low_hz": _rounded(low),
        "f0_median_hz": _rounded(median),
        "f0_high_hz": _rounded(high),
        "level_db": _rounded(float(np.median(loudness[f0 > 0])) if len(sung) else float(np.percentile(loudness, 95))),
        "snr_db": _rounded(snr_db(loudness, f0, spec.frame_rate)),
        "clipped_share": round(sum(clipped[tenths]) / max(1, len(samples)), 6),
        "second_voice_share": _rounded(second_voice_share(samples, f0, spec)),
    }


def judge_slice(slice_measures: dict[str, Any], recording_measures: dict[str, Any]) -> list[Finding]:
    """What is wrong with a slice; empty when nothing is. It is to be dropped if any finding says `drop`."""
    found = [*_judge_level(slice_measures), *_judge_cleanness(slice_measures, recording_measures)]
    share = slice_measures["second_voice_share"]
    if share is not None and share >= SECOND_VOICE_SHARE:
        found.append(
            Finding(
                "second_voice",
                False,
                f"in {share:.0%} of the steady notes something else sounds between the harmonics",
                "if it is a choir, a duet or has backing, use a track with one voice or separate it "
                f"(--separate {DEFAULT_SEPARATOR}); growl and hoarseness can look the same",
            )
        )
    return found


def _judge_level(m: dict[str, Any]) -> list[Finding]:
    level, voiced = m["level_db"], m["voiced_share"]
    if voiced < LEAST_VOICED_SHARE:
        return [
            Finding(
                "no_voice",
                True,
                f"only {voiced:.0%} of it is sung or spoken",
                "remove it, or check that it holds a voice",
            )
        ]
    if level < QUIET_DB:
        return [
            Finding(
                "too_quiet",
                level < TOO_QUIET_DB,
                f"the voice is at {level:.0f} dB of full scale",
                "record or export it louder",
            )
        ]
    return []


def _judge_cleanness(m: dict[str, Any], recording: dict[str, Any]) -> list[Finding]:
    found = []
    snr = m["snr_db"] if m["snr_db"] is not None else recording["snr_db"]
    if snr is not None and snr < NOISY_DB:
        found.append(
            Finding(
                "noisy",
                snr < TOO_NOISY_DB,
                f"the voice is only {snr:.0f} dB above what is heard in pauses",
                f"use a cleaner recording, or separate it (--separate {DEFAULT_SEPARATOR})",
            )
        )
    share = m["clipped_share"]
    if share > CLIPPED_SHARE:
        found.append(
            Finding(
                "clipped",
                share > TOO_CLIPPED_SHARE,
                f"{share:.2%} of its samples are clipped",
                "record it with less gain, or use an earlier version of it",
            )
        )
    decays = recording["quick_decays_per_second"]
    if decays is not None and decays < REVERBERANT_DECAYS:
        found.append(
            Finding(
                "reverberant",
                False,
                f"sound hardly ever dies away quickly ({decays:.1f} times a second, dry singing 2 or more)",
                "if it has reverberation, use a dry recording: the voice will learn the room",
            )
        )
    return found


def near_duplicates(
    fingerprints: list[list[float]], seconds: list[float], load: Callable[[int], np.ndarray]
) -> dict[int, int]:
    """Index of each recording that is the same performance as an earlier one -> index of that one.

    Where two fingerprints are alike and the lengths within 2 % (or 0.1 s), the waveforms decide: `load(index)` gives
    mono samples at `COMPARE_RATE`. Another level, rate, format or file start does not hide a copy; another take of the
    same notes is no copy.
    """
    if not fingerprints:
        return {}
    pictures = np.asarray(fingerprints, dtype=np.float32)
    length = np.asarray(seconds)
    found: dict[int, int] = {}
    for index in range(1, len(pictures)):
        alike = pictures[:index] @ pictures[index] > ALIKE_COSINE
        alike &= np.abs(length[:index] - length[index]) <= np.maximum(0.1, 0.02 * length[index])
        for earlier in np.flatnonzero(alike).tolist():
            if earlier not in found and waveform_match(load(earlier), load(index)) > SAME_WAVEFORM:
                found[index] = earlier
                break
    return found


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)
