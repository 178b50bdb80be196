"""The range a song is sung in, measured on its loudest part, so that a transposition can be suggested."""

from typing import Any

from svc.errors import SvcError
from svc.interface.jobs.context import JobContext

# The excerpt: long enough for the range, short enough to be separated quickly.
SECONDS = 40.0
F0_LOW_HZ, F0_HIGH_HZ = 50.0, 1100.0


def measure(context: JobContext) -> dict[str, Any]:
    """Input "song"; settings "separate" (a method), "pitch_estimator" (a name, or None).

    Returns low_hz, median_hz and high_hz (5 %, 50 % and 95 % of the sung F0). SvcError where nothing is sung.
    """
    import numpy as np

    from svc.conversion.converter import resolve_device
    from svc.registry import PITCH_ESTIMATORS
    from svc.separation.choosing import create_separator

    device = resolve_device(context.device)
    context.stage("separation", 0.0, 0.8)
    excerpt = _loudest(context)
    separator = create_separator(context.settings["separate"], None, device)
    vocals = separator.separate(excerpt, context.progress).vocals.mono()
    context.stage("range", 0.8, 0.2)
    name = context.settings.get("pitch_estimator") or "fcpe"
    times = np.arange(int(vocals.seconds * 100)) / 100
    estimator = PITCH_ESTIMATORS.create(name, F0_LOW_HZ, F0_HIGH_HZ, device)
    f0_hz = estimator.estimate(vocals.samples[0], vocals.sample_rate, times, context.progress).f0_hz
    sung = f0_hz[f0_hz > 0]
    if len(sung) < 50:
        raise SvcError(
            "Hardly anything is sung in this song, so its range is not known: choose the transposition by ear."
        )
    low, median, high = (round(float(value), 1) for value in np.percentile(sung, (5, 50, 95)))
    return {"low_hz": low, "median_hz": median, "high_hz": high}


def _loudest(context: JobContext) -> Any:
    """The SECONDS of the song with the most energy, found block by block."""
    import numpy as np

    from svc.audio.reading import AudioReader
    from svc.audio.signal import Audio

    song = context.input("song")
    with AudioReader(song) as reader:
        rate = reader.info.sample_rate
        power = np.array([float(np.square(block).sum()) for block in reader.blocks(rate)])
    span = int(SECONDS)
    start = 0
    if len(power) > span:
        total = np.concatenate(([0.0], np.cumsum(power)))
        start = int(np.argmax(total[span:] - total[:-span]))
    with AudioReader(song) as reader:
        blocks = list(reader.blocks(rate, start * rate, (start + span) * rate))
    if not blocks:
        raise SvcError("The song holds no sound: choose another one.")
    return Audio(np.concatenate(blocks, axis=1), rate)
