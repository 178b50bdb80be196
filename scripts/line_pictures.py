"""Spectrograms of four lines of test T1 or T2: the source, the line as converted, and the target singing.

    python scripts/line_pictures.py t1 results/t1 --output docs/pictures/t1_lines.png

RESULTS is the folder that scripts/evaluate_tests.py wrote. On T2 the third column is the target's own take of the line;
on T1, where she sings other words, one of her recordings, low-passed by whoever recorded her.
"""

import argparse
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from evaluate_tests import read_lines, take_of_the_target, target_of
from PIL import Image

from svc.audio.reading import read_audio
from svc.audio.signal import Audio
from svc.paths import shared_dir

SECONDS = 4.0
HIGHEST_HZ = 12_000
FLOOR_DB = -80


def draw(axis: Any, audio: Audio, title: str) -> None:
    """The first seconds of `audio`, in dB below its loudest bin."""
    from scipy.signal import spectrogram

    mono = audio.mono()
    samples = mono.samples[0][: round(SECONDS * mono.sample_rate)]
    hz, seconds, power = spectrogram(samples, mono.sample_rate, nperseg=1024, noverlap=768)
    db = 10 * np.log10(power + 1e-14)
    axis.pcolormesh(seconds, hz, db - db.max(), vmin=FLOOR_DB, vmax=0)
    axis.set_ylim(0, HIGHEST_HZ)
    axis.set_xlim(0, SECONDS)
    axis.set_title(title, fontsize=8)
    axis.tick_params(labelsize=6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("test", choices=("t1", "t2"))
    parser.add_argument("results", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--shared", type=Path, default=shared_dir())
    arguments = parser.parse_args()
    lines = read_lines(arguments.shared)[::4]
    figure, axes = plt.subplots(len(lines), 3, figsize=(12, 2.1 * len(lines)), constrained_layout=True)
    herself = target_of("t1", arguments.shared).held_out_clips if arguments.test == "t1" else []
    for row, (line, line_axes) in enumerate(zip(lines, axes)):
        (made,) = arguments.results.glob(f"{line.name}_*.wav")
        target = herself[row] if herself else read_audio(take_of_the_target(arguments.shared, line))
        draw(line_axes[0], read_audio(line.path), f"{line.name}: {line.text}")
        draw(line_axes[1], read_audio(made), f"converted, {made.stem.rsplit('_', 1)[1]} semitones")
        draw(line_axes[2], target, "the target singing")
    drawn = BytesIO()
    figure.savefig(drawn, dpi=60, format="png")
    Image.open(drawn).convert("RGB").quantize(24).save(arguments.output, optimize=True)


if __name__ == "__main__":
    main()
