"""How long preparing takes: `python benchmarks/prepare_speed.py [FOLDER] [--workers N]`.

FOLDER holds dry vocals; without one, 25 minutes are made up. Goal: 25 minutes of vocals in at most 5 minutes on two
cores, without separation. Prints JSON: first run, second run (nothing to do), and a run with another F0 estimator
(only F0 and what follows from it is measured again).
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from svc.config import load_config
from svc.data.prepare import prepare_dataset

MINUTES = 25
RATE = 44_100


def made_up_vocals(folder: Path) -> Path:
    """25 minutes of gliding voiced tones with pauses, in files of half a minute to five minutes."""
    import soundfile

    random = np.random.default_rng(0)
    left, number = MINUTES * 60, 0
    while left > 0:
        seconds = int(min(left, random.integers(30, 300)))
        t = np.arange(seconds * RATE) / RATE
        wander = sum(0.2 * np.sin(2 * np.pi * f * t + random.uniform(0, 6)) for f in (0.11, 0.43, 1.3))
        phase = 2 * np.pi * np.cumsum(random.uniform(110, 330) * 2.0**wander) / RATE
        tone = sum(np.sin(h * phase + random.uniform(0, 6)) / h for h in range(1, 12))
        tone *= t % 2.3 > 0.4
        soundfile.write(folder / f"{number:02d}.wav", 0.15 * tone + 1e-4 * random.standard_normal(len(t)), RATE)
        left, number = left - seconds, number + 1
    return folder


def timed(raw: Path, out: Path, workers: int, **features: str) -> tuple[float, float, float]:
    """Seconds taken, processor seconds, and minutes prepared."""
    config = load_config(None, {"prepare": {"separate": "none", "workers": workers}, "features": features})
    start, processor = time.perf_counter(), _processor_seconds()
    dataset = prepare_dataset(raw, out, config)
    minutes = sum(s.minutes for s in dataset.speaker_stats.values())
    return time.perf_counter() - start, _processor_seconds() - processor, minutes


def _processor_seconds() -> float:
    """Of this process and its finished children; on a busy machine the figure that means something."""
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--workers", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        raw = arguments.folder
        if raw is None:
            raw = Path(temporary) / "singer"
            raw.mkdir()
            made_up_vocals(raw)
        out = Path(temporary) / "dataset"
        first, processor, minutes = timed(raw, out, arguments.workers)
        again, _, _ = timed(raw, out, arguments.workers)
        other_f0, _, _ = timed(raw, out, arguments.workers, pitch_estimator="dio")
    result = {
        "minutes_of_vocals": round(minutes, 2),
        "processors": os.cpu_count(),
        "load_at_end": [round(x, 1) for x in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "first_run_seconds": round(first, 1),
        "first_run_processor_seconds": round(processor, 1),
        "times_real_time": round(first / (minutes * 60), 4),
        "second_run_seconds": round(again, 1),
        "other_f0_estimator_seconds": round(other_f0, 1),
        "goal": "25 minutes in 300 seconds: 0.2 x real time",
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
