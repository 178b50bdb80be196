"""What a decoder loses of a voice: recordings of a singer, and the same recordings sung by that singer's own voice.

    python benchmarks/copies.py --voice VOICE [--prompt CLIP] [--output FOLDER] RECORDING...

A copy has the content, the melody and the loudness of its recording and nothing to convert, so what it lacks is the
fault of the voice alone. RECORDINGs should not have trained it. Columns, means over the recordings:

DistilMOS    of the judges (svc.evaluation.judges), "-" where their files or packages are missing. It only measures.
harmonicity  per band of Hz: largest normalised correlation of the band with itself a cycle later (within 1.5 %), in
             voiced frames of the recording; 1 is a buzzer, 0 is noise.
jitter, rap  cycle-to-cycle differences of the period in percent (Praat's "local" and "rap"), by parselmouth, "-" where
             it is not installed (GPL, so the project does not bring it: pip install praat-parselmouth).
"""

import argparse
from pathlib import Path

import numpy as np
import scipy.signal
from content_metrics.words import RATE, mono

from svc.audio.reading import read_audio
from svc.audio.writing import write_audio
from svc.config import ConvertOptions
from svc.conversion.converter import Converter
from svc.evaluation.judges import load_judges
from svc.registry import PITCH_ESTIMATORS

BANDS_HZ = ((100, 1000), (1000, 2000), (2000, 3000), (3000, 4500), (4500, 7000))
SEARCH = 0.015
F0_RANGE_HZ = (65.0, 900.0)
STEP_SECONDS = 0.016


def harmonicity(samples: np.ndarray, times: np.ndarray, f0_hz: np.ndarray) -> list[float]:
    """Per band, the mean over frames at `times` (T,) in seconds with F0 (T,) in Hz; samples (N,) at RATE."""
    means = []
    for band in BANDS_HZ:
        y = scipy.signal.sosfiltfilt(scipy.signal.butter(6, band, "band", fs=RATE, output="sos"), samples)
        found = []
        for centre, period in zip((times * RATE).astype(int), RATE / f0_hz, strict=True):
            half = int(2.5 * period)
            lags = np.arange(int(period * (1 - SEARCH)), int(period * (1 + SEARCH)) + 2)
            if centre < half or centre + half + lags[-1] > len(y):
                continue
            here = y[centre - half : centre + half]
            later = np.stack([y[centre - half + lag : centre + half + lag] for lag in lags])
            found.append(np.max(later @ here / np.sqrt((later**2).sum(axis=1) * (here @ here) + 1e-12)))
        means.append(float(np.mean(found)) if found else np.nan)
    return means


def jitter_percent(samples: np.ndarray) -> tuple[float, float]:
    """Praat's local jitter and relative average perturbation; NaN without parselmouth."""
    try:
        import parselmouth
    except ImportError:
        return np.nan, np.nan
    points = parselmouth.praat.call(parselmouth.Sound(samples, RATE), "To PointProcess (periodic, cc)", *F0_RANGE_HZ)
    how = (0, 0, 0.0001, 0.02, 1.3)
    return tuple(100 * parselmouth.praat.call(points, f"Get jitter ({kind})", *how) for kind in ("local", "rap"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voice", type=Path, required=True)
    parser.add_argument("--prompt", type=Path, help="clip of the singer, for a voice that takes prompts")
    parser.add_argument("--output", type=Path, help="keep the copies here")
    parser.add_argument("recordings", type=Path, nargs="+")
    args = parser.parse_args()
    naturalness, estimator = load_judges().naturalness, PITCH_ESTIMATORS.create("fcpe", *F0_RANGE_HZ)
    converter = Converter.load(args.voice, "cpu")
    options = ConvertOptions(separate="none", transpose=0, prompt=args.prompt)
    rows: dict[str, list[list[float]]] = {"recordings": [], "copies": []}
    for path in args.recordings:
        recording = read_audio(path)
        copy, _ = converter.convert_reported(recording, options)
        if args.output:
            write_audio(args.output / f"{path.stem}.wav", copy, "float")
        heard = mono(recording)
        times = np.arange(0.0, len(heard) / RATE, STEP_SECONDS)
        track = estimator.estimate(heard, RATE, times)
        for name, samples in (("recordings", heard), ("copies", mono(copy))):
            mos = naturalness.score(samples) if naturalness else np.nan
            bands = harmonicity(samples, times[track.voiced], track.f0_hz[track.voiced])
            rows[name].append([mos, *bands, *jitter_percent(samples)])
    heads = ["DistilMOS", *(f"{low}-{high}" for low, high in BANDS_HZ), "jitter", "rap"]
    print("|", " | ".join([f"{len(args.recordings)} takes", *heads]), "|")
    print("|---" * (len(heads) + 1) + "|")
    for name, values in rows.items():
        columns = [np.array(column)[~np.isnan(column)] for column in zip(*values, strict=True)]
        print("|", " | ".join([name, *(f"{c.mean():.3f}" if len(c) else "-" for c in columns)]), "|")


if __name__ == "__main__":
    main()
