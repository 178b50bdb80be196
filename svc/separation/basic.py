"""Separation without a trained network: what is in the middle of the stereo image, sustained, and above the bass."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from svc.separation.masking import MaskStream
from svc.separation.separator import Separator, VocalStream

N_FFT = 4096
HOP = 1024
BLOCK_FRAMES = 256
STEP_FRAMES = 224
CENTRE_POWER = 2.0
CENTRE_BINS = 3  # the stereo image is measured over so many bins and frames
HARMONIC_FRAMES = 17  # 0.4 s
PERCUSSIVE_BINS = 31  # 330 Hz
LOW_CUT_HZ = 150.0


class Basic(Separator):
    """Centre extraction times a harmonic/percussive mask (Fitzgerald, DAFx 2010) times a low cut.

    For songs whose voice is mixed to the middle. In a mono recording everything is in the middle, so only the
    harmonic/percussive mask is left and most of the accompaniment stays.
    """

    name = "basic"
    quality_note = "basic: no trained network; much accompaniment stays in the vocals, and consonants suffer."
    sample_rate = 44_100

    def open_stream(self, pair: Callable[[], Iterator[np.ndarray]]) -> VocalStream:
        """A stream of masked blocks of 6 s."""
        return MaskStream(vocal_mask, N_FFT, HOP, BLOCK_FRAMES, STEP_FRAMES, self.device)


def vocal_mask(spectrum: Tensor) -> Tensor:
    """The share (0..1) of the vocals in each bin of (2, 2049, T) complex."""
    values = spectrum.cpu().numpy()
    mask = centre_share(values) * harmonic_share(values) * low_cut(values.shape[1])[:, None]
    return torch.from_numpy(mask.astype(np.float32)).to(spectrum.device).expand(2, -1, -1).clone()


def centre_share(spectrum: np.ndarray) -> np.ndarray:
    """How much both sides agree, (F, T): 1 for sound of equal level and phase left and right, 0 for one side only."""
    from scipy.ndimage import uniform_filter

    left, right = spectrum
    common = uniform_filter((left * right.conj()).real, CENTRE_BINS)
    level = uniform_filter((np.abs(left) ** 2 + np.abs(right) ** 2) / 2, CENTRE_BINS)
    return np.clip(common / (level + 1e-12), 0, 1) ** CENTRE_POWER


def harmonic_share(spectrum: np.ndarray) -> np.ndarray:
    """The share (F, T) of sustained sound: medians along time against medians along frequency, as power ratio."""
    from scipy.ndimage import median_filter

    magnitude = np.abs(spectrum).mean(axis=0)
    sustained = median_filter(magnitude, (1, HARMONIC_FRAMES)) ** 2
    struck = median_filter(magnitude, (PERCUSSIVE_BINS, 1)) ** 2
    return sustained / (sustained + struck + 1e-12)


def low_cut(bins: int) -> np.ndarray:
    """Gain (F,) that falls below the range of voices, 24 dB per octave."""
    frequencies = np.linspace(0, Basic.sample_rate / 2, bins)
    return 1 / (1 + (LOW_CUT_HZ / np.maximum(frequencies, 1.0)) ** 8)
