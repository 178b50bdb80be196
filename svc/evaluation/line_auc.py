"""Does content say what is sung, whoever sings it? Takes of one line by two singers against takes of two lines."""

from collections.abc import Sequence

import numpy as np

from svc.errors import ConfigError


def line_auc(frames: Sequence[np.ndarray], singers: Sequence[str], lines: Sequence[str]) -> float:
    """How often a pair of takes of one line is nearer than a pair of takes of two lines: 0.5 by chance, 1 is best.

    frames: (T, D) of each take, without its silence; singers, lines: who sings what. Only pairs of two singers
    count. The distance is the mean cosine distance along the best path of dynamic time warping. Raises ConfigError
    where there are no pairs of either kind.
    """
    from librosa.sequence import dtw

    unit = [take / (np.linalg.norm(take, axis=1, keepdims=True) + 1e-9) for take in frames]
    same: list[float] = []
    other: list[float] = []
    for i in range(len(unit)):
        for j in range(i):
            if singers[i] == singers[j]:
                continue
            total, path = dtw(C=1 - unit[i] @ unit[j].T, backtrack=True)
            (same if lines[i] == lines[j] else other).append(total[-1, -1] / len(path))
    if not same or not other:
        raise ConfigError("The line AUC needs two singers who share a line, and two lines.")
    nearer = np.array(same)[:, None] < np.array(other)[None]
    return float(nearer.mean())


def normalised(values: np.ndarray) -> np.ndarray:
    """Frames (T, D) with mean 0 and variance 1 of every value over the take."""
    return (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-5)
