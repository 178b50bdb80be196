"""How good the vocals of each separation method are for conversion: distortion, pitch and time.

    python benchmarks/separation_for_conversion.py [METHOD ...] [--shared ../shared] [--json FILE] [--only TEXT]

Mixtures: `waveform_playlist_stems` (whole), `lithium` from 60 to 150 s, and eight sung lines of RAVDESS (four men, four
women), two over each of the four recordings of backing/librosa, at -5, 0 and +5 dB of
the voice against the backing. Nothing of it may be trained on.

SI-SDR of the vocals in dB (Le Roux et al., ICASSP 2019) over both channels at once, mono copied to both. F0 by the
toolkit's FCPE on separated against clean vocals: median distance in cents where both are voiced, share of frames where
only one is voiced. `sum`: the largest distance of vocals + accompaniment from the mixture. Times are processor seconds
per second of audio. "mean" is over all mixtures, "mean of groups" over playlist, lithium and the mean of the others.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from separation_quality import RATE, multitracks, si_sdr_db, stereo

from svc.audio.signal import Audio
from svc.paths import shared_dir
from svc.pitch.fcpe import Fcpe
from svc.registry import SEPARATORS
from svc.separation.separator import Separator

LEVELS_DB = (-5, 0, 5)
LINES = (  # two for each recording of backing/librosa, in the order of names
    "03-02-02-01-01-01-01",
    "03-02-04-02-02-01-02",
    "03-02-03-02-01-01-03",
    "03-02-05-01-02-01-08",
    "03-02-03-01-02-01-09",
    "03-02-04-01-01-01-12",
    "03-02-05-02-02-01-15",
    "03-02-03-02-02-01-20",
)


@dataclass(frozen=True)
class Score:
    """What one method did with one mixture."""

    name: str
    group: str
    si_sdr_db: float
    f0_cents: float
    voicing_errors: float
    sum_error: float
    seconds_per_second: float


Item = tuple[str, str, np.ndarray, np.ndarray]


def mixtures(shared: Path) -> Iterator[Item]:
    """Name, group, vocals and backing (2, n) of each mixture."""
    for name, vocals, rest in multitracks(shared):
        yield name, name.split()[0], vocals, rest
    backings = sorted((shared / "audio/backing/librosa").glob("*.ogg"))
    for k, line in enumerate(LINES):
        backing = backings[k * len(backings) // len(LINES)]
        (path,) = (shared / "audio/singing/ravdess" / f"Actor_{line[-2:]}").glob(f"{line}.*")
        vocals = stereo(path)
        whole = stereo(backing)
        start = (whole.shape[1] - vocals.shape[1]) * (1 + k % 2) // 3
        rest = np.resize(whole[:, max(0, start) :], vocals.shape) if start > 0 else _repeated(whole, vocals.shape[1])
        for level in LEVELS_DB:
            gain = np.sqrt((vocals**2).mean() / (rest**2).mean()) * 10 ** (-level / 20)
            yield f"{line[-2:]} + {_short(backing)}, {level:+d} dB", f"ravdess {level:+d} dB", vocals, rest * gain


def _repeated(samples: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([samples] * (length // samples.shape[1] + 1), axis=1)[:, :length]


def _short(path: Path) -> str:
    words = path.name.split(".")[0].replace("-", "_").split("_")
    return next(word for word in reversed(words) if word.isalpha() and len(word) > 2)


def f0_errors(tracker: Fcpe, clean: np.ndarray, separated: np.ndarray) -> tuple[float, float]:
    """(median distance in cents where both are voiced, share of frames where one is), both sides averaged."""
    times = np.arange(0, clean.shape[1] / RATE, 0.01)
    first, second = (tracker.estimate(samples.mean(axis=0), RATE, times).f0_hz for samples in (clean, separated))
    both = (first > 0) & (second > 0)
    cents = np.abs(1200 * np.log2(second[both] / first[both])) if both.any() else np.array([np.nan])
    return float(np.median(cents)), float(((first > 0) != (second > 0)).mean())


def score(separator: Separator, tracker: Fcpe, item: Item) -> Score:
    name, group, vocals, rest = item
    mix = Audio(np.ascontiguousarray(vocals + rest, dtype=np.float32), RATE)
    start = time.process_time()
    stems = separator.separate(mix)
    seconds = (time.process_time() - start) / mix.seconds
    found = stems.vocals.samples
    off = float(np.abs(found + stems.accompaniment.samples - mix.samples).max())
    return Score(name, group, si_sdr_db(vocals, found), *f0_errors(tracker, vocals, found), off, seconds)


def means(scores: list[Score]) -> dict[str, float]:
    """SI-SDR in dB: of each group, of all mixtures, and of playlist, lithium and all others as one group each."""
    groups = list(dict.fromkeys(s.group for s in scores))
    out = {group: float(np.mean([s.si_sdr_db for s in scores if s.group == group])) for group in groups}
    others = [s.si_sdr_db for s in scores if s.group.startswith("ravdess")]
    singles = [s.si_sdr_db for s in scores if not s.group.startswith("ravdess")]
    out["mean"] = float(np.mean(singles + others))
    out["mean of groups"] = float(np.mean(singles + ([float(np.mean(others))] if others else [])))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=["spleeter"], choices=SEPARATORS.names(), metavar="METHOD")
    parser.add_argument("--shared", type=Path, default=shared_dir())
    parser.add_argument("--only", default="", help="mixtures whose name holds this")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tracker, everything = Fcpe(), {}
    for method in arguments.methods:
        separator: Separator = SEPARATORS.create(method)
        print(
            f"\n{method}\n\n| mixture | SI-SDR | F0 cents | voicing | sum | x real time |\n|---|---|---|---|---|---|",
            flush=True,
        )
        scores = []
        for item in mixtures(arguments.shared):
            if arguments.only in item[0]:
                scores.append(score(separator, tracker, item))
                print_row(scores[-1])
        figures = means(scores)
        print("\n" + ", ".join(f"{name} {value:.2f}" for name, value in figures.items()))
        cents, voicing = np.nanmean([s.f0_cents for s in scores]), np.mean([s.voicing_errors for s in scores])
        print(f"F0 {cents:.1f} cents, voicing {voicing:.3f}")
        everything[method] = {"means": figures, "scores": [asdict(s) for s in scores]}
    if arguments.json:
        arguments.json.write_text(json.dumps(everything, indent=1))


def print_row(s: Score) -> None:
    pitch = f"{s.f0_cents:.1f} | {s.voicing_errors:.3f}"
    cells = f"{s.si_sdr_db:.2f} | {pitch} | {s.sum_error:.1e} | {s.seconds_per_second:.3f}"
    print(f"| {s.name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
