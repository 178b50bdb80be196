"""Statistics of Moonshine's layers over openly licensed speech and singing, and the directions that tell F0 and level.

Used by moonshine_weights.py. The corpus is the reference folder's `audio/`: only recordings whose licence lets a
derived file ship (LibriSpeech CC BY 4.0, Picovoice commands Apache-2.0, made speech and singing Apache-2.0,
nit_song070 CC BY 3.0, vocobox_martin MIT, oatsu MIT, smstools CC BY 4.0).
"""

from pathlib import Path

import numpy as np
import torch

from svc.content.levelling import frame_gains, levelled
from svc.content.moonshine import SAMPLE_RATE, layer_windows
from svc.content.moonshine_network import HOP, MoonshineNetwork

SOURCES = {
    "speech/librispeech": (8, 1.0),
    "speech/picovoice_commands/wav": (60, 1.0),
    "made/kokoro_parallel": (32, 2.0),
    "singing/nit_song070": (1, 3.0),
    "singing/vocobox_martin": (2, 3.0),
    "singing/small": (1, 3.0),
}
NOT_SHIPPABLE = ("csd_", "opensinger_")
MAX_SECONDS = 20
DIRECTIONS = 48
RIDGE = 1e-2
ACTIVE_DB = 35


def corpus(root: Path) -> list[tuple[Path, float]]:
    """Files and weights: of each source every n-th file in order of name."""
    chosen = []
    for folder, (every, weight) in SOURCES.items():
        files = sorted(p for p in (root / folder).rglob("*") if p.suffix in (".ogg", ".flac", ".wav", ".opus"))
        files = [p for p in files if not any(bad in p.as_posix() for bad in NOT_SHIPPABLE)]
        if not files:
            raise SystemExit(f"No recordings in {root / folder}: --corpus must name the reference folder's audio/.")
        chosen += [(path, weight) for path in files[::every]]
    return chosen


def read(path: Path) -> np.ndarray:
    """At most MAX_SECONDS of a recording, mono at 16 kHz."""
    import soundfile
    import soxr

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1)[: MAX_SECONDS * rate], rate, SAMPLE_RATE).astype(np.float32)


def group_statistics(root: Path, network: MoonshineNetwork) -> tuple[float, float]:
    """Mean and standard deviation behind the first convolution, over the corpus's speech after levelling."""
    means, squares = [], []
    for path in (path for path, _ in corpus(root) if (root / "speech") in path.parents):
        samples = read(path)
        samples = levelled(samples, 0, frame_gains(samples, HOP, SAMPLE_RATE), HOP)
        x = torch.tanh(network.conv1(torch.from_numpy(samples)[None, None]))
        means.append(float(x.mean()))
        squares.append(float(x.square().mean()))
    mean = float(np.mean(means))
    return mean, float(np.sqrt(np.mean(squares) - mean**2))


def frames_of(path: Path, network: MoonshineNetwork) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Active frames of one recording: layers (7, T, 288), F0 in Hz (T,), level in dB after levelling (T,)."""
    import pyworld

    samples = read(path)
    layers = [outputs for _, _, outputs in layer_windows(network, samples)]
    values = np.stack([np.concatenate([w[k].numpy() for w in layers]) for k in range(7)])
    signal = samples.astype(np.float64)
    coarse, times = pyworld.dio(signal, SAMPLE_RATE, f0_floor=60, f0_ceil=900, frame_period=1000 * HOP / SAMPLE_RATE)
    f0 = pyworld.stonemask(signal, coarse, times, SAMPLE_RATE)
    frames = values.shape[1]
    f0 = np.pad(f0, (0, max(0, frames - len(f0))))[:frames]
    padded = np.pad(signal, (HOP, 2 * HOP))
    power = np.array([np.mean(padded[t * HOP : (t + 2) * HOP] ** 2) for t in range(frames)])
    level = 10 * np.log10(power + 1e-10)
    active = level > level.max() - ACTIVE_DB
    gain = 20 * np.log10(frame_gains(samples, HOP, SAMPLE_RATE))
    return values[:, active].astype(np.float16), f0[active], (level + gain)[active]


def constants(root: Path, network: MoonshineNetwork) -> dict[str, np.ndarray]:
    """corpus.mean (7, 288), corpus.scale (7,), corpus.leak (7, DIRECTIONS, 288)."""
    chosen = corpus(root)
    measured = [frames_of(path, network) for path, _ in chosen]
    weights = [weight for _, weight in chosen]
    print(f"{len(chosen)} recordings, {sum(len(f0) for _, f0, _ in measured)} active frames")
    per_layer = [layer_constants([m[0][k] for m in measured], measured, weights) for k in range(7)]
    names = ("corpus.mean", "corpus.scale", "corpus.leak")
    return {name: np.stack([c[i] for c in per_layer]).astype(np.float32) for i, name in enumerate(names)}


def layer_constants(
    values: list[np.ndarray], measured: list[tuple[np.ndarray, np.ndarray, np.ndarray]], weights: list[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (288,), scale () and leak directions (K, 288) of one layer.

    Iterative null-space projection (Ravfogel et al. 2020, arXiv 2004.07667) with ridge regressions in turn on
    log F0, on log F0 within each recording, and (every sixth) on level.
    """
    stacked = np.concatenate(values).astype(np.float64)
    mean, scale = stacked.mean(axis=0), stacked.std(axis=0).mean()
    overall, within, level = Moments(), Moments(), Moments()
    for x, (_, f0, loudness), weight in zip(values, measured, weights, strict=True):
        z = (x.astype(np.float64) - mean) / scale
        voiced = f0 > 0
        level.add(z, loudness, weight)
        if voiced.sum() > 5:
            log_f0 = np.log(f0[voiced])
            overall.add(z[voiced], log_f0, weight)
            within.add(z[voiced] - z[voiced].mean(axis=0), log_f0 - log_f0.mean(), weight)
    directions = np.zeros((0, stacked.shape[1]))
    for i in range(DIRECTIONS):
        moments = level if i % 6 == 5 else (overall, within)[i % 2]
        covariance, cross = moments.result()
        keep = np.eye(stacked.shape[1]) - directions.T @ directions
        found = keep @ np.linalg.solve(keep @ covariance @ keep + RIDGE * np.eye(len(keep)), keep @ cross)
        directions = np.vstack([directions, found / np.linalg.norm(found)])
    return mean, scale, directions


class Moments:
    """Weighted covariance of frames, and their covariance with a target."""

    def __init__(self) -> None:
        self.count, self.x, self.y, self.xx, self.xy = 0.0, 0.0, 0.0, 0.0, 0.0

    def add(self, x: np.ndarray, y: np.ndarray, weight: float) -> None:
        self.count += weight * len(x)
        self.x = self.x + weight * x.sum(axis=0)
        self.y += weight * y.sum()
        self.xx = self.xx + weight * (x.T @ x)
        self.xy = self.xy + weight * (x.T @ y)

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        mean, target = self.x / self.count, self.y / self.count
        return self.xx / self.count - np.outer(mean, mean), self.xy / self.count - mean * target
