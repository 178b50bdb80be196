"""Measures of content frames that need no training beyond a closed form. Frames are lists of (T, D) arrays."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from svc.content.units import nearest_units, score_units

FOLDS = 5
RIDGE = 1e-3


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine (T,) of the rows of two arrays (T, D)."""
    return (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1) + 1e-9)


def pitch_r2(
    frames: Sequence[np.ndarray],
    f0_hz: Sequence[np.ndarray],
    within: bool = False,
    groups: Sequence[Hashable] | None = None,
) -> float:
    """R2 of log F0 by ridge regression from single frames, five-fold: 1 is told exactly, 0 or less not at all.

    Args:
        frames: per recording (T, D).
        f0_hz: per recording (T,); frames where it is 0 are left out.
        within: remove each recording's mean from frames and log F0 first, so that register does not count.
        groups: per recording what must not be divided among folds (a line, a singer); None: each is its own.
    """
    xs, ys = [], []
    for values, f0 in zip(frames, f0_hz, strict=True):
        voiced = f0 > 0
        x, y = values[voiced].astype(np.float64), np.log(f0[voiced])
        xs.append(x - x.mean(axis=0) * within if len(x) else x)
        ys.append(y - y.mean() * within if len(y) else y)
    names = list(range(len(xs))) if groups is None else list(groups)
    fold_of = {name: i % FOLDS for i, name in enumerate(dict.fromkeys(names))}
    folds = np.array([fold_of[name] for name in names])
    scale = np.concatenate(xs).std()
    told, true = [], []
    for fold in range(FOLDS):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        x, y = np.concatenate([xs[i] for i in train]) / scale, np.concatenate([ys[i] for i in train])
        predict = ridge(x, y[:, None], RIDGE)
        for i in test:
            told.append(predict(xs[i] / scale)[:, 0])
            true.append(ys[i])
    error, total = np.concatenate(told) - np.concatenate(true), np.concatenate(true)
    return float(1 - np.square(error).sum() / np.square(total - total.mean()).sum())


def ridge(x: np.ndarray, y: np.ndarray, weight: float) -> Callable[[np.ndarray], np.ndarray]:
    """Least squares from x (N, D) to y (N, K) with `weight` on the squared coefficients; returns the predictor."""
    mean, target = x.mean(axis=0), y.mean(axis=0)
    covariance = (x - mean).T @ (x - mean) / len(x) + weight * np.eye(x.shape[1])
    coefficients = np.linalg.solve(covariance, (x - mean).T @ (y - target) / len(x))
    return lambda values: (values - mean) @ coefficients + target


def timbre_agreement(lines: Sequence[Sequence[np.ndarray]], spoken: Sequence[np.ndarray]) -> float:
    """Mean cosine between the same frame in two timbres, the mean of all frames removed.

    `lines` holds per line one (T, D) per timbre, `spoken` per line a mask (T,) of the frames that count.
    """
    mean = np.concatenate([v[m] for line, m in zip(lines, spoken, strict=True) for v in line]).mean(axis=0)
    cosines = [
        cosine(line[i][mask] - mean, line[j][mask] - mean)
        for line, mask in zip(lines, spoken, strict=True)
        for i in range(len(line))
        for j in range(i)
    ]
    return float(np.concatenate(cosines).mean())


def unit_purity(frames: Sequence[np.ndarray], phones: Sequence[Sequence[str | None]], units: int = 100) -> float:
    """Share of frames whose phone is the commonest of their k-means unit, units learnt on the same frames.

    Frames without a phone count neither for the units nor for the score. Depends on `units` and on how many frames
    there are, so compare encoders on the same audio only.
    """
    from scipy.cluster.vq import kmeans2

    kept = [[p is not None for p in row] for row in phones]
    values = np.concatenate([v[k] for v, k in zip(frames, kept, strict=True)]).astype(np.float64)
    labels = [p for row in phones for p in row if p is not None]
    values = (values - values.mean(axis=0)) / values.std()
    centres, _ = kmeans2(values, units, minit="points", iter=25, seed=0)
    return score_units({"all": labels}, {"all": nearest_units(values, centres).tolist()}).phone_purity


def phone_probe(
    frames: Sequence[np.ndarray], phones: Sequence[Sequence[str | None]], test: Sequence[bool], kinds: Sequence[str]
) -> dict[str, float]:
    """Accuracy of phones by a linear least-squares classifier on single frames, per kind of recording.

    Trained on the recordings where `test` is False, over all kinds at once; scored on the others, per kind. A phone
    that training never saw counts as wrong.
    """
    kept = [np.array([p is not None for p in row]) for row in phones]
    labels = [[p for p in row if p is not None] for row in phones]
    train = [i for i, held in enumerate(test) if not held]
    names = {name: k for k, name in enumerate(sorted({p for i in train for p in labels[i]}))}
    x = np.concatenate([frames[i][kept[i]] for i in train]).astype(np.float64)
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-5
    one_hot = np.zeros((len(x), len(names)))
    one_hot[np.arange(len(x)), [names[p] for i in train for p in labels[i]]] = 1
    predict = ridge((x - mean) / deviation, one_hot, RIDGE)
    right: dict[str, list[np.ndarray]] = {}
    for i in np.flatnonzero(test):
        guess = predict((frames[i][kept[i]] - mean) / deviation).argmax(axis=1)
        truth = np.array([names.get(p, -1) for p in labels[i]])
        right.setdefault(kinds[i], []).append(guess == truth)
    return {kind: float(np.concatenate(parts).mean()) for kind, parts in sorted(right.items())}
