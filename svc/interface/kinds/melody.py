"""The F0 of a whole song, to be looked at and drawn before anything is converted."""

from typing import TYPE_CHECKING, Any

from svc.errors import SvcError
from svc.interface.jobs.context import JobContext
from svc.interface.kinds.convert import F0_FILE, LONGEST_SECONDS, write_f0
from svc.interface.kinds.measure import F0_HIGH_HZ, F0_LOW_HZ

if TYPE_CHECKING:
    from svc.audio.signal import Audio


def melody(context: JobContext) -> dict[str, Any]:
    """Input "song"; settings "separate" (a method), "pitch_estimator" (a name, or None).

    Makes outputs/f0.csv, F0 in steps of 10 ms. Returns seconds, frames and the share of them that is voiced. SvcError
    for a song of more than LONGEST_SECONDS, since its vocals lie in memory.
    """
    from svc.conversion.converter import resolve_device
    from svc.registry import PITCH_ESTIMATORS

    device = resolve_device(context.device)
    context.stage("separation", 0.0, 0.7)
    vocals = _vocals(context, device)
    context.stage("melody", 0.7, 0.3)
    name = context.settings.get("pitch_estimator") or "fcpe"
    estimator = PITCH_ESTIMATORS.create(name, F0_LOW_HZ, F0_HIGH_HZ, device)
    f0_hz = write_f0(context.outputs / F0_FILE, vocals, estimator, context.progress)
    return {
        "seconds": round(vocals.seconds, 3),
        "frames": len(f0_hz),
        "voiced": round(float((f0_hz > 0).mean()), 4),
    }


def _vocals(context: JobContext, device: str) -> "Audio":
    """The song's vocals, mono; the song itself is read block by block."""
    import numpy as np

    from svc.audio.reading import AudioReader, probe
    from svc.audio.signal import Audio
    from svc.separation.choosing import create_separator
    from svc.separation.separator import Source

    song = context.input("song")
    info = probe(song)
    heard: list[Any] = []
    length = 0
    refusal = SvcError(
        f"F0 is measured for songs of one second to {LONGEST_SECONDS / 60:.0f} minutes: choose another one."
    )

    def blocks() -> Any:
        with AudioReader(song) as reader:
            yield from reader.blocks(1 << 16)

    def keep(voice: Any, _: Any) -> None:
        nonlocal length
        length += voice.shape[1]
        if length > LONGEST_SECONDS * info.sample_rate:  # counted, since some files do not tell their length
            raise refusal
        heard.append(voice.mean(axis=0))

    separator = create_separator(context.settings["separate"], None, device)
    separator.separate_stream(Source(info.sample_rate, info.channels, info.frames, blocks), keep, context.progress)
    if length < info.sample_rate:
        raise refusal
    return Audio(np.concatenate(heard)[None], info.sample_rate)
