"""Who sings at each moment of a song, and whose recordings the content is looked up in.

A speaker curve is a CSV file: a header ``time,anna,bert`` with names of the voice's speakers, then one line per moment
with the time in seconds and a weight for each of them. Weights are scaled to sum to 1, straight lines are drawn
between the moments, and the first and last hold before and after.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from svc.conversion.retrieval import MixedRetrieval
from svc.errors import ConfigError

LARGEST_CURVE = 16_000_000
_EXAMPLE = "the first line is 'time' and names of speakers, each further line a time in seconds and their weights"


@dataclass(frozen=True)
class SpeakerCurve:
    """speakers: names of the columns; times (n,) seconds, rising; weights (n, columns), each row's sum 1."""

    speakers: tuple[str, ...]
    times: np.ndarray
    weights: np.ndarray

    def at(self, times: np.ndarray) -> np.ndarray:
        """Weights (T, columns) float32 at times (T,) in seconds."""
        columns = [np.interp(times, self.times, column) for column in self.weights.T]
        return np.stack(columns, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Lineup:
    """What a conversion is told beside its one speaker.

    columns: numbers of the voice's speakers in the order of the curve's and the retrieval's parts; without a curve
    there is one. curve, retrieval: None where not asked for; speaker_count: rows of the voice's speaker table.
    """

    columns: tuple[int, ...]
    speaker_count: int
    curve: SpeakerCurve | None = None
    retrieval: MixedRetrieval | None = None

    def weights(self, times: np.ndarray) -> np.ndarray:
        """(T, columns) float32 at times (T,) in seconds."""
        if self.curve is None:
            return np.ones((len(times), 1), dtype=np.float32)
        return self.curve.at(times)

    def content(self, content: np.ndarray, voiced: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Content (T, D) with what retrieval gives mixed in."""
        if self.retrieval is None:
            return content
        return self.retrieval.blend(content, voiced, self.weights(times))

    def speaker_weights(self, times: np.ndarray) -> np.ndarray | None:
        """(speaker_count, T) float32 for the model, or None when one speaker sings all of it."""
        if self.curve is None:
            return None
        out = np.zeros((self.speaker_count, len(times)), dtype=np.float32)
        out[list(self.columns)] = self.weights(times).T
        return out


def read_speaker_curve(path: Path) -> SpeakerCurve:
    """The curve in the CSV file at `path`; ConfigError names the line that is not understood."""
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_CURVE:
            raise ConfigError(
                f"The speaker curve {path} is larger than 16 MB: leave out moments between which it is straight."
            )
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The speaker curve {path} is not a readable text file: {_EXAMPLE}.") from error
    rows = [(n, row) for n, row in enumerate(_parted(lines), 1) if row and any(row) and not row[0].startswith("#")]
    if not rows or rows[0][1][0].lower() != "time" or len(rows[0][1]) < 2:
        raise ConfigError(f"The speaker curve {path} has no header: {_EXAMPLE}.")
    speakers = tuple(rows[0][1][1:])
    if len(set(speakers)) != len(speakers) or not all(speakers):
        raise ConfigError(f"The speaker curve {path} names a speaker twice or not at all: {_EXAMPLE}.")
    values: list[list[float]] = []
    for number, row in rows[1:]:
        moment = _moment(row, len(speakers), f"Line {number} of the speaker curve {path}")
        if values and moment[0] <= values[-1][0]:
            raise ConfigError(f"Line {number} of the speaker curve {path} is not later than the one before: sort them.")
        values.append(moment)
    if not values:
        raise ConfigError(f"The speaker curve {path} has a header only: {_EXAMPLE}.")
    table = np.array(values, dtype=np.float64)
    return SpeakerCurve(speakers, table[:, 0], table[:, 1:] / table[:, 1:].sum(axis=1, keepdims=True))


def _parted(lines: list[str]) -> list[list[str]]:
    mark = next((mark for mark in (";", "\t") if lines and mark in lines[0]), ",")
    try:
        return [[cell.strip() for cell in next(csv.reader([line], delimiter=mark), [])] for line in lines]
    except csv.Error as error:
        raise ConfigError(f"The speaker curve is not a table ({error}): {_EXAMPLE}.") from error


def _moment(row: list[str], speakers: int, where: str) -> list[float]:
    try:
        values = [float(cell) for cell in row]
    except ValueError:
        raise ConfigError(f"{where} is not understood: {_EXAMPLE}.") from None
    if len(values) != speakers + 1:
        raise ConfigError(f"{where} has {len(values) - 1} weights for {speakers} speakers: {_EXAMPLE}.")
    if not all(math.isfinite(value) for value in values) or min(values[1:]) < 0 or not 0 < sum(values[1:]) < math.inf:
        raise ConfigError(f"{where} has impossible weights: give numbers from 0 on, one of them above 0.")
    return values
