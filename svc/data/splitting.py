"""Which recordings are held out for validation."""

import hashlib
from dataclasses import dataclass, replace

from svc.data.manifest import Utterance

MOST_HELD_OUT = 0.35


@dataclass(frozen=True)
class Split:
    """Utterances with their split decided, and what a user should know about it."""

    utterances: list[Utterance]
    notes: list[str]


def split_by_recording(utterances: list[Utterance], fraction: float) -> Split:
    """Decide the split of each singer's utterances.

    About `fraction` of a singer's recordings, at least one where there are two or more, are held out whole: slices of
    one recording sound alike, so a slice of a training recording would flatter the model. The choice depends only on
    the recordings' content. No more than about a third of a singer's sound is held out; where every recording is
    longer than that, and for a single recording, its last slices are held out instead, which is noted.
    `fraction` 0 holds nothing out.
    """
    out: list[Utterance] = []
    notes: list[str] = []
    for speaker in dict.fromkeys(u.speaker for u in utterances):
        own = [u for u in utterances if u.speaker == speaker]
        held = _held_out(own, fraction, notes) if fraction > 0 else set()
        out += [replace(u, split="validation" if u.id in held else "train") for u in own]
    return Split(out, notes)


def _held_out(own: list[Utterance], fraction: float, notes: list[str]) -> set[str]:
    """Ids of one singer's held-out utterances."""
    length: dict[str, int] = {}
    for u in own:
        length[u.recording_sha256] = length.get(u.recording_sha256, 0) + u.samples
    total = sum(length.values())
    wanted = max(1, round(fraction * len(length)))
    chosen: list[str] = []
    held = 0
    for sha256 in sorted(length, key=lambda key: hashlib.sha256(f"split {key}".encode()).hexdigest()):
        if len(length) < 2 or len(chosen) == wanted or len(chosen) == len(length) - 1:
            break
        # One long recording among short ones must not eat the training material.
        if held + length[sha256] <= max(2 * fraction, 0.02) * total or (
            not chosen and length[sha256] == min(length.values()) and length[sha256] <= MOST_HELD_OUT * total
        ):
            chosen.append(sha256)
            held += length[sha256]
    if not chosen and len(length) > 1:
        shortest = min(length, key=lambda key: (length[key], key))
        if length[shortest] <= MOST_HELD_OUT * total:
            chosen = [shortest]
    if chosen:
        return {u.id for u in own if u.recording_sha256 in chosen}
    return _last_slices(own, fraction, notes)


def _last_slices(own: list[Utterance], fraction: float, notes: list[str]) -> set[str]:
    speaker = own[0].speaker
    if len(own) < 2:
        notes.append(
            f"{speaker}: there is only one slice, so nothing is held out and validation cannot tell overfitting."
        )
        return set()
    recording = own[-1].recording_sha256
    candidates = sorted((u for u in own if u.recording_sha256 == recording), key=lambda u: u.start)
    count = min(len(own) - 1, max(1, round(fraction * len(own))))
    notes.append(
        f"{speaker}: no recording is short enough to be held out whole, so the last {count} slice(s) of "
        f"{own[-1].recording} are: validation figures will look better than they are."
    )
    return {u.id for u in candidates[-count:]}
