"""Discrete units: the nearest k-means centre of every content frame, and how well units tell phones.

Units and their scores follow Hsu et al., "HuBERT", arXiv 2106.07447, section IV; reading files is beside it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from svc.errors import ConfigError

BLOCK = 4096
# Inside the logarithms, as in the program whose figures are published.
TINY = 1e-8


def nearest_units(values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Index (T,) int64 of the centre of (K, D) with the least Euclidean distance to each frame of values (T, D).

    Raises ConfigError where D differs. Memory does not grow with T beyond the result.
    """
    if values.ndim != 2 or centres.ndim != 2 or values.shape[1] != centres.shape[1]:
        raise ConfigError(
            f"Units for {centres.shape[-1]} values do not fit content of {values.shape[-1]} values: use the encoder "
            "and layer they were learnt on."
        )
    units = np.empty(len(values), dtype=np.int64)
    squares = (centres**2).sum(axis=1)
    for start in range(0, len(values), BLOCK):
        # |x|^2 is the same for every centre, so it does not decide.
        units[start : start + BLOCK] = (squares - 2 * values[start : start + BLOCK] @ centres.T).argmin(axis=1)
    return units


def pulled_to_units(values: np.ndarray, centres: np.ndarray, ratio: float) -> np.ndarray:
    """Frames (T, D) moved towards their nearest centre: 0 leaves them, 1 is the centre itself.

    Raises ConfigError for a ratio outside 0..1 and as `nearest_units` does.
    """
    if not 0 <= ratio <= 1:
        raise ConfigError(f"The share of the units must be between 0 and 1, not {ratio}.")
    return (ratio * centres[nearest_units(values, centres)] + (1 - ratio) * values).astype(np.float32)


@dataclass(frozen=True)
class UnitScores:
    """How units and phones agree over the frames of all utterances that have both.

    Purities are 0..1, entropies in nats; `pnmi` is the share of the phones' entropy that the units tell.
    `phone_run` and `unit_run` are the mean lengths in frames of stretches without change, over all utterances.
    """

    phone_purity: float
    cluster_purity: float
    phone_entropy: float
    unit_entropy: float
    mutual_information: float
    pnmi: float
    phone_run: float
    unit_run: float
    frames: int
    frames_unmatched: int
    utterances: int
    utterances_missing: int


def score_units(
    phones: Mapping[str, Sequence[str]], units: Mapping[str, Sequence[int]], keep_stress: bool = False
) -> UnitScores:
    """Scores of `units` against `phones`, both frame by frame and by utterance name.

    Where lengths differ the longer is cut and the difference counted in `frames_unmatched`; an utterance of `phones`
    without units counts as missing. Stress digits ("AA1") are taken off unless `keep_stress`. Raises ConfigError
    when no frame has both
    or only one phone occurs.
    """
    named = {name: [p if keep_stress else p.rstrip("0123456789") for p in row] for name, row in phones.items()}
    common = [name for name in named if name in units]
    pairs = [pair for name in common for pair in zip(named[name], units[name], strict=False)]
    if not pairs:
        raise ConfigError("No utterance has both phones and units: give both files the same utterances.")
    joint = joint_distribution([phone for phone, _ in pairs], [unit for _, unit in pairs])
    if len(joint) < 2:
        raise ConfigError("Only one phone occurs, so units have nothing to tell: use more recordings.")
    phone_share, unit_share = joint.sum(axis=1), joint.sum(axis=0)
    phone_entropy = _entropy(phone_share)
    information = float((joint * np.log(joint / np.outer(phone_share, unit_share) + TINY)).sum())
    return UnitScores(
        phone_purity=float(joint.max(axis=0).sum()),
        cluster_purity=float(joint.max(axis=1).sum()),
        phone_entropy=phone_entropy,
        unit_entropy=_entropy(unit_share),
        mutual_information=information,
        pnmi=information / phone_entropy,
        phone_run=_mean_run(named.values()),
        unit_run=_mean_run(units[name] for name in common),
        frames=len(pairs),
        frames_unmatched=sum(abs(len(named[name]) - len(units[name])) for name in common),
        utterances=len(named),
        utterances_missing=len(named) - len(common),
    )


def joint_distribution(phones: Sequence[str | int], units: Sequence[int]) -> np.ndarray:
    """Share of frames (phones, units), rows and columns in sorted order, summing to 1."""
    rows, row = np.unique(np.asarray(phones), return_inverse=True)
    columns, column = np.unique(np.asarray(units), return_inverse=True)
    counts = np.zeros((len(rows), len(columns)))
    np.add.at(counts, (row, column), 1)
    return counts / counts.sum()


def _entropy(shares: np.ndarray) -> float:
    return float(-(shares * np.log(shares + TINY)).sum())


def _mean_run(rows: Iterable[Sequence[str] | Sequence[int]]) -> float:
    runs = [len(list(run)) for row in rows for _, run in groupby(row)]
    return float(np.mean(runs))
