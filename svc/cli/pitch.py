"""`svc pitch`: the F0 of a recording as a CSV file."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from svc.cli.console import emit, say, stage
from svc.cli.options import Device, Json, UsageError, pick_device, require_exists
from svc.config import FeatureConfig
from svc.registry import PITCH_ESTIMATORS, SEPARATORS

_DEFAULTS = FeatureConfig()
Method = Annotated[str, Parameter(help=f"One of: {', '.join(PITCH_ESTIMATORS.names())}.")]
Separation = Annotated[str, Parameter(help=f"What takes the vocals out first: {', '.join(SEPARATORS.names())}.")]


def pitch(
    file: Path,
    *,
    output: Path,
    method: Method = _DEFAULTS.pitch_estimator,
    step_ms: float = 10.0,
    f0_min_hz: float = _DEFAULTS.f0_min_hz,
    f0_max_hz: float = _DEFAULTS.f0_max_hz,
    repair: bool = True,
    separate: Separation = "none",
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Write the F0 of a recording as lines of time in seconds, F0 in Hz, voiced 0 or 1.

    Edited in any text or spreadsheet program, the file goes back with  svc convert SONG --f0-file FILE.

    Parameters
    ----------
    file
        A recording of one voice, or a song together with --separate.
    output
        The CSV file.
    step_ms
        From line to line, in milliseconds (1 to 100).
    f0_min_hz
        Lowest F0 looked for, in Hz.
    f0_max_hz
        Highest F0 looked for, in Hz.
    repair
        Move short octave jumps back, as conversion does.
    """
    import numpy as np

    from svc.pitch.curve_file import write_curve
    from svc.pitch.editing import repair_octaves
    from svc.pitch.estimator import F0Track

    if not 1 <= step_ms <= 100:
        raise UsageError(f"--step-ms is {step_ms:g}: give 1 to 100 milliseconds.")
    PITCH_ESTIMATORS.require(method)
    SEPARATORS.require(separate)
    if output.suffix.lower() not in {".csv", ".txt"}:
        raise UsageError(f"{output} is to hold a table: give it the ending .csv.")
    require_exists(file, "recording")
    chosen = pick_device(device)
    with stage("Measuring") as update:
        estimator = PITCH_ESTIMATORS.create(method, f0_min_hz, f0_max_hz, chosen)
        samples, rate = _vocals(file, separate, chosen, lambda value: update(0.5 * value))
        times = np.arange(1 + int(len(samples) / rate * 1000 / step_ms)) * (step_ms / 1000)
        f0_hz = estimator.estimate(samples, rate, times, lambda value: update(0.5 + 0.5 * value)).f0_hz
    if repair:
        f0_hz = repair_octaves(f0_hz, 1000 / step_ms)
    write_curve(output, times, F0Track(f0_hz, f0_hz > 0))
    voiced = f0_hz[f0_hz > 0]
    median = float(np.median(voiced)) if len(voiced) else 0.0
    if not len(voiced):
        say(f"Note: nothing in {file} was found voiced.")
    share = len(voiced) / len(f0_hz)
    result = {
        "output": str(output),
        "method": method,
        "frames": len(f0_hz),
        "seconds": round(len(samples) / rate, 3),
        "voiced_share": round(share, 4),
        "f0_median_hz": round(median, 2),
    }
    emit(result, json, f"{len(f0_hz)} lines, {100 * share:.0f} % voiced, median {median:.1f} Hz -> {output}")
    return 0


def _vocals(file: Path, separate: str, device: str, progress):
    """Mono samples (N,) of a recording, or of its vocals, and their rate."""
    from svc.audio.reading import read_audio
    from svc.errors import AudioError

    audio = read_audio(file)
    if separate != "none":
        audio = SEPARATORS.create(separate, device=device).separate(audio, progress).vocals
    samples = audio.mono().samples[0]
    if not len(samples):
        raise AudioError(f"{file} holds no samples: there is nothing to measure.")
    progress(1.0)
    return samples, audio.sample_rate
