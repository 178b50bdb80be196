"""What content frames agree on, and what else they tell: the table of docs/features.md.

    python benchmarks/content_leak.py [--shared ../shared] [--singers 6] [--songs 8] [--forms original adaptive ...]

For each form of the Moonshine encoder, on recordings that no constant was fitted on (RAVDESS, pockettorah_trope):
cosine of frames between a slice of 5 to 15 s and its song, as delivered and with the fixed mean of all frames
removed; the same for a stream after its first 10 s; R2 of log F0 from frames by ridge regression on voiced frames,
five-fold by recording, over all and within recordings; line AUC: how often two singers' takes of one line are
nearer (DTW, cosine distance) than of two lines.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from content_metrics.forms import per_recording
from content_metrics.measures import cosine, pitch_r2
from content_metrics.recordings import RATE, Recording, frame_level, load

from svc.content.moonshine import Moonshine, layer_windows
from svc.content.moonshine_network import HOP
from svc.content.streaming import ContentStream
from svc.evaluation.line_auc import line_auc

FORMS = ["original", "original+recording", "none", "adaptive", "recording"]
Encode = Callable[[np.ndarray], np.ndarray]


def original_form(encoder: Moonshine) -> Encode:
    """The network as published: group norm and attention over the whole clip."""

    def encode(samples: np.ndarray) -> np.ndarray:
        frames = len(samples) // HOP + 1
        padded = np.pad(samples, (447, (frames - 1) * HOP + 895 - 447 - len(samples)))
        with torch.inference_mode():
            return encoder.network(torch.from_numpy(padded)[None])[6][0].numpy()

    return encode


def delivered(encoder: Moonshine) -> Encode:
    """Frames as the toolkit gives them."""
    return lambda samples: encoder.encode(samples).values


def original_recording(encoder: Moonshine) -> Encode:
    plain = original_form(encoder)
    return lambda samples: per_recording(plain(samples))


def slice_ranges(recording: Recording, rng: np.random.Generator, count: int = 3) -> list[tuple[int, int]]:
    """Random stretches of 5 to 15 s in frames, both ends moved to the quietest frame within 0.7 s."""
    level, ranges = frame_level(recording.samples), []
    for _ in range(count):
        length = min(int(rng.integers(5 * RATE // HOP, 15 * RATE // HOP)), len(level) - 60)
        start = int(rng.integers(0, len(level) - length))
        start, stop = (quietest(level, at) for at in (start, start + length))
        ranges.append((start, stop))
    return ranges


def quietest(level: np.ndarray, near: int) -> int:
    low = max(0, near - 30)
    return low + int(np.argmin(level[low : near + 31]))


def agreement(encode: Encode, songs: list[Recording], mean: np.ndarray) -> tuple[float, float]:
    """Mean cosine of slices with their songs: as delivered, and with `mean` removed."""
    rng, plain, centred = np.random.default_rng(1), [], []
    for song in songs:
        whole = encode(song.samples)
        for start, stop in slice_ranges(song, rng):
            alone = encode(song.samples[start * HOP : stop * HOP])[: stop - start]
            plain.append(cosine(alone, whole[start:stop]))
            centred.append(cosine(alone - mean, whole[start:stop] - mean))
    return float(np.concatenate(plain).mean()), float(np.concatenate(centred).mean())


def stream_agreement(
    encoder: Moonshine, songs: list[Recording], mean: np.ndarray
) -> Iterator[tuple[float, float, float]]:
    """(look-ahead, cosine as delivered, with `mean` removed) after the first 10 s of 25, in blocks of 0.5 s."""
    for lookahead in (0.24, 0.48, 0.72):
        plain, centred = [], []
        for song in songs:
            stream = ContentStream(encoder, lookahead_seconds=lookahead)
            samples = song.samples[: 25 * RATE]
            blocks = [samples[i : i + RATE // 2] for i in range(0, len(samples), RATE // 2)]
            parts = [stream.process(b, last=i == len(blocks) - 1).values for i, b in enumerate(blocks)]
            live, whole = np.concatenate(parts), encoder.encode(samples).values
            settled = slice(10 * RATE // HOP, None)
            plain.append(cosine(live[settled], whole[settled]))
            centred.append(cosine(live[settled] - mean, whole[settled] - mean))
        yield lookahead, float(np.concatenate(plain).mean()), float(np.concatenate(centred).mean())


def seam_error(encoder: Moonshine, song: Recording) -> float:
    """Largest difference between windows and one pass, relative to the largest value, over all layers."""
    once = next(iter(layer_windows(encoder.network, song.samples, core=10**9)))[2]
    pieces = [outputs for _, _, outputs in layer_windows(encoder.network, song.samples, core=150)]
    joined = [torch.cat([p[k] for p in pieces]) for k in range(7)]
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(joined, once, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--singers", type=int, default=6)
    parser.add_argument("--songs", type=int, default=6)
    parser.add_argument("--forms", nargs="+", default=FORMS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    singing = arguments.shared / "audio" / "singing"
    lines = [f"03-02-{emotion}-01-{line}-01" for emotion in ("01", "04") for line in ("01", "02")]
    actors = sorted(singing.glob("ravdess/Actor_*"))[: arguments.singers]
    takes = [load(next(actor.glob(f"{line}-*"))) for actor in actors for line in lines]
    chants = [load(path) for path in sorted(singing.glob("pockettorah_trope/*.ogg"))[:14]]
    songs = [chant for chant in chants if len(chant.samples) > 14 * RATE][: arguments.songs]
    print(f"{len(takes)} takes, {len(chants)} chants, {len(songs)} songs")
    adaptive = Moonshine()
    forms: dict[str, Encode] = {
        "original": original_form(adaptive),
        "original+recording": original_recording(adaptive),
        **{name: delivered(Moonshine(normalisation=name)) for name in ("none", "adaptive", "recording")},
    }
    print(f"seam error {seam_error(adaptive, songs[0]):.1e}")
    print("form | slice cosine | centred | R2 RAVDESS | within | R2 chant | within | line AUC")
    for name in arguments.forms:
        sung, chanted = ([forms[name](r.samples) for r in group] for group in (takes, chants))
        mean = np.concatenate([f[r.active()] for f, r in zip(sung + chanted, takes + chants, strict=True)]).mean(axis=0)
        figures = [*agreement(forms[name], songs, mean)]
        for frames, group in ((sung, takes), (chanted, chants)):
            f0 = [r.f0() * r.active() for r in group]
            figures += [pitch_r2(frames, f0, within) for within in (False, True)]
        active = [values[take.active()] for values, take in zip(sung, takes, strict=True)]
        parts = [take.name.split("-") for take in takes]
        figures.append(line_auc(active, lines=[part[4] for part in parts], singers=[part[6] for part in parts]))
        print(name, *(f"{figure:.4f}" for figure in figures), sep=" | ", flush=True)
        if name == "adaptive":
            for lookahead, plain, centred in stream_agreement(adaptive, songs[:3], mean):
                print(f"stream, look-ahead {lookahead} s: {plain:.4f}, centred {centred:.4f}", flush=True)


if __name__ == "__main__":
    main()
