"""F0 curves as CSV files that people can edit: time in seconds, F0 in Hz, voiced 0 or 1."""

import csv
import os
from pathlib import Path

import numpy as np

from svc.errors import AudioError
from svc.pitch.editing import voiced_runs
from svc.pitch.estimator import F0Track

HEADER = ("time", "f0_hz", "voiced")
TRUE, FALSE = {"1", "true", "yes", "v"}, {"0", "false", "no", "u", ""}
HIGHEST_HZ = 20_000.0


def write_curve(path: Path, times: np.ndarray, track: F0Track) -> None:
    """Write F0 at times (T,) in seconds as CSV with a header line; replaces the file only when complete."""
    path = Path(path)
    if len(times) != track.frames:
        raise AudioError(f"{len(times)} times do not fit {track.frames} F0 values: give one time for each.")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(unfinished, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADER)
            for time, f0, voiced in zip(times, track.f0_hz, track.voiced):
                writer.writerow((f"{time:.6f}", f"{f0:.4f}" if voiced else "0", int(voiced)))
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_curve(path: Path) -> tuple[np.ndarray, F0Track]:
    """Times (T,) in seconds, rising, and F0 of a CSV file with or without a header line.

    Columns are parted by commas, semicolons or tabs. Without the third column a frame is voiced where F0 > 0; with it,
    a frame marked unvoiced has F0 0 whatever stands there. Empty lines and lines that start with # are passed over.
    Raises AudioError naming the line that is not understood.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise AudioError(f"{path} is not a readable text file: give a CSV of time, Hz, voiced.") from None
    rows: list[tuple[float, float]] = []
    begun = False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        cells = [cell.strip().strip('"') for cell in _parted(line)]
        if not begun and not _is_number(cells[0]):
            begun = True
            continue
        begun = True
        time, f0 = _row(cells, f"Line {number} of {path}")
        if rows and time <= rows[-1][0]:
            raise AudioError(f"Line {number} of {path} has time {time:g} s, not after the line before: sort the lines.")
        rows.append((time, f0))
    if not rows:
        raise AudioError(f"{path} holds no F0 values: give lines of time, Hz, voiced.")
    times, f0s = np.array(rows, dtype=np.float64).T
    f0_hz = f0s.astype(np.float32)
    return times, F0Track(f0_hz, f0_hz > 0)


def curve_at(times: np.ndarray, track: F0Track, wanted: np.ndarray) -> F0Track:
    """The curve of a file at other times (T,): log F0 interpolated inside voiced stretches, unvoiced elsewhere.

    A voiced stretch reaches half a step of the file beyond its first and last line.
    """
    times, wanted = (np.asarray(x, dtype=np.float64) for x in (times, wanted))
    f0 = np.zeros(len(wanted), dtype=np.float32)
    reach = float(np.median(np.diff(times))) / 2 if len(times) > 1 else 0.005
    for start, stop in voiced_runs(track.voiced):
        inside = (wanted >= times[start] - reach) & (wanted < times[stop - 1] + reach)
        logs = np.log(track.f0_hz[start:stop].astype(np.float64))
        f0[inside] = np.exp(np.interp(wanted[inside], times[start:stop], logs))
    return F0Track(f0, f0 > 0)


def _parted(line: str) -> list[str]:
    separator = next((mark for mark in (";", "\t", ",") if mark in line), ",")
    cells = line.split(separator)
    # With semicolons or tabs, a comma is the decimal mark of many countries' spreadsheets.
    return cells if separator == "," else [cell.replace(",", ".") for cell in cells]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _row(cells: list[str], where: str) -> tuple[float, float]:
    if len(cells) < 2 or not _is_number(cells[0]) or not _is_number(cells[1] or "0"):
        raise AudioError(f"{where} is not understood: each line is time in seconds, F0 in Hz, voiced 0 or 1.")
    time, f0 = float(cells[0]), float(cells[1] or "0")
    if not (np.isfinite(time) and 0 <= f0 <= HIGHEST_HZ):
        raise AudioError(f"{where} has an impossible value: times are finite, F0 lies between 0 and 20000 Hz.")
    mark = cells[2].lower() if len(cells) > 2 else ("1" if f0 > 0 else "0")
    if _is_number(mark):
        mark = str(int(float(mark) > 0.5))
    if mark not in TRUE | FALSE:
        raise AudioError(f"{where} says voiced '{cells[2]}': use 0 or 1.")
    if mark in TRUE and f0 == 0:
        raise AudioError(f"{where} is voiced without an F0: give one in Hz, or voiced 0.")
    return time, f0 if mark in TRUE else 0.0
