"""The F0 of a whole song, to be looked at and drawn before anything is converted."""

from typing import Any

from svc.errors import SvcError
from svc.interface.jobs.context import JobContext
from svc.interface.kinds.convert import F0_FILE, LONGEST_SECONDS
from svc.interface.kinds.measure import F0_HIGH_HZ, F0_LOW_HZ

FRAME_RATE = 100


def melody(context: JobContext) -> dict[str, Any]:
    """Input "song"; settings "separate" (a method), "pitch_estimator" (a name, or None).

    Makes outputs/f0.csv, F0 in steps of 10 ms. Returns seconds, frames and the share of them that is voiced. SvcError
    for a song of more than LONGEST_SECONDS, since its vocals lie in memory.
    """
    import numpy as np

    from svc.conversion.converter import resolve_device
    from svc.pitch.curve_file import write_curve
    from svc.pitch.editing import repair_octaves
    from svc.pitch.estimator import F0Track
    from svc.registry import PITCH_ESTIMATORS

    device = resolve_device(context.device)
    context.stage("separation", 0.0, 0.7)
    vocals, rate = _vocals(context, device)
    context.stage("melody", 0.7, 0.3)
    name = context.settings.get("pitch_estimator") or "fcpe"
    times = np.arange(int(len(vocals) / rate * FRAME_RATE)) / FRAME_RATE
    estimator = PITCH_ESTIMATORS.create(name, F0_LOW_HZ, F0_HIGH_HZ, device)
    f0_hz = repair_octaves(estimator.estimate(vocals, rate, times, context.progress).f0_hz, float(FRAME_RATE))
    write_curve(context.outputs / F0_FILE, times, F0Track(f0_hz, f0_hz > 0))
    return {
        "seconds": round(len(vocals) / rate, 3),
        "frames": len(times),
        "voiced": round(float((f0_hz > 0).mean()), 4),
    }


def _vocals(context: JobContext, device: str) -> tuple[Any, int]:
    """The song's vocals, mono (N,), and their rate; the song itself is read block by block."""
    import numpy as np

    from svc.audio.reading import AudioReader, probe
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
    return np.concatenate(heard), info.sample_rate
