"""What a conversion did, as a picture: spectrogram and F0 of source and result, one above the other."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from svc.audio.signal import Audio
from svc.evaluation.pitch_metrics import FRAME_SECONDS, PitchScores, compare_f0, track_f0

SECONDS = 30.0
TOP_HZ = 16_000.0
RANGE_DB = 80.0
COLUMNS = 1500


def compare_pictures(
    source: Audio, result: Audio, path: Path | str, transpose_semitones: float = 0.0, start_seconds: float | None = None
) -> Path:
    """Write a PNG with the spectrograms of source and result and both F0 curves, and return its path.

    The F0 panel holds the requested F0 (the source's, transposed) and the result's, both tracked by harvest, and names
    the scores of `pitch_metrics`. At most 30 s are shown, from `start_seconds` on; None takes the loudest ones. The
    rates of the two may differ. The file is written atomically.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = Path(path)
    start = loudest_start(source) if start_seconds is None else start_seconds
    source, result = (_excerpt(audio, start) for audio in (source, result))
    figure = Figure(figsize=(12, 9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, 1, sharex=True)
    _spectrogram(axes[0], source, start, "source")
    _spectrogram(axes[1], result, start, "result")
    _curves(axes[2], source, result, start, transpose_semitones)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(temporary, format="png", dpi=80)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def loudest_start(audio: Audio) -> float:
    """Where the 30 s with the most energy begin, in whole seconds."""
    power = np.square(audio.mono().samples[0].astype(np.float64))
    seconds = int(audio.seconds)
    if seconds <= SECONDS:
        return 0.0
    each = power[: seconds * audio.sample_rate].reshape(seconds, audio.sample_rate).sum(axis=1)
    total = np.concatenate(([0.0], np.cumsum(each)))
    length = int(SECONDS)
    return float(np.argmax(total[length:] - total[:-length]))


def _excerpt(audio: Audio, start: float) -> Audio:
    first = round(start * audio.sample_rate)
    return audio.mono().cut(first, first + round(SECONDS * audio.sample_rate))


def _spectrogram(axis: Any, audio: Audio, start: float, title: str) -> None:
    from scipy.signal import ShortTimeFFT, get_window

    rate, size = audio.sample_rate, 2048
    hop = max(256, audio.length // COLUMNS)
    samples = np.pad(audio.samples[0], (0, max(0, size - audio.length)))
    stft = ShortTimeFFT(get_window("hann", size), hop, rate, scale_to="magnitude")
    level = 20 * np.log10(np.abs(stft.stft(samples)) + 1e-7)
    top = level.max()
    axis.imshow(
        level,
        origin="lower",
        aspect="auto",
        extent=(start, start + len(samples) / rate, 0, rate / 2000),
        vmin=top - RANGE_DB,
        vmax=top,
        cmap="magma",
    )
    axis.set_ylim(0, min(TOP_HZ, rate / 2) / 1000)
    axis.set_ylabel("kHz")
    axis.set_title(title)


def _curves(axis: Any, source: Audio, result: Audio, start: float, transpose_semitones: float) -> None:
    heard, made = (track_f0(audio.samples[0], audio.sample_rate) for audio in (source, result))
    scores = compare_f0(heard, made, transpose_semitones)
    asked = heard * 2.0 ** (transpose_semitones / 12.0)
    for f0_hz, label, style in ((asked, "requested", {"lw": 3.0, "alpha": 0.5}), (made, "result", {"lw": 1.2})):
        shown = np.where(f0_hz > 0, f0_hz, np.nan)
        axis.plot(start + np.arange(len(shown)) * FRAME_SECONDS, shown, label=label, **style)
    axis.set_yscale("log")
    axis.set_ylabel("F0 in Hz")
    axis.set_xlabel("seconds")
    axis.legend(loc="upper right")
    axis.set_title(_caption(scores, transpose_semitones))


def _caption(scores: PitchScores, transpose_semitones: float) -> str:
    return (
        f"F0, transposed by {transpose_semitones:+g} semitones: median error {scores.f0_cents_median:.1f} cents, "
        f"{scores.rpa50:.0%} within 50 cents, octave errors {scores.octave:.1%}, voicing errors {scores.vuv_error:.1%}"
    )
