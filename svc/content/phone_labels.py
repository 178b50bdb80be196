"""Which phone sounds when: label files of HTS (100 ns) and of Audacity (seconds), read at any times."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path

from svc.errors import DatasetError

TICKS_PER_SECOND = 10_000_000
# In HTS' full context labels the phone stands between its neighbours: p1^p2-PHONE+p3=p4.
IN_CONTEXT = re.compile(r"-([^-+]+)\+")
OUTSIDE = ""


class PhoneLabels:
    """Phones (n) and the seconds where each begins and ends."""

    def __init__(self, starts: Sequence[float], ends: Sequence[float], phones: Sequence[str]) -> None:
        self.starts, self.ends, self.phones = list(starts), list(ends), list(phones)

    def at(self, times: Iterable[float]) -> list[str]:
        """The phone at each time in seconds; OUTSIDE where none is marked."""
        found = []
        for time in times:
            index = bisect_right(self.starts, time) - 1
            found.append(self.phones[index] if index >= 0 and time < self.ends[index] else OUTSIDE)
        return found


def read_labels(path: Path) -> PhoneLabels:
    """The labels of a `.lab` or `.txt` file: lines of begin, end and phone or full context label.

    Whole numbers are HTS' units of 100 ns, numbers with a point are seconds. Raises DatasetError naming the line that
    is not understood.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise DatasetError(f"{path} is not a readable text file: give lines of begin, end and phone.") from None
    rows = [(number, line.split(None, 2)) for number, line in enumerate(lines, 1) if line.strip()]
    in_seconds = any("." in cell for _, cells in rows for cell in cells[:2])
    starts: list[float] = []
    ends: list[float] = []
    phones: list[str] = []
    for number, cells in rows:
        try:
            start, end, text = float(cells[0]), float(cells[1]), cells[2]
        except (ValueError, IndexError):
            raise DatasetError(f"Line {number} of {path} is not understood: give begin, end and phone.") from None
        if not in_seconds:
            start, end = start / TICKS_PER_SECOND, end / TICKS_PER_SECOND
        if end < start or (starts and start < starts[-1]):
            raise DatasetError(f"Line {number} of {path} goes back in time: sort the lines.")
        inside = IN_CONTEXT.search(text)
        starts.append(start)
        ends.append(end)
        phones.append(inside[1] if inside else text.strip())
    if not phones:
        raise DatasetError(f"{path} holds no labels: give lines of begin, end and phone.")
    return PhoneLabels(starts, ends, phones)
