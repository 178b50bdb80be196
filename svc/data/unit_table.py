"""Units as text: one line for each recording, its name and its units; phones in the same form."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from svc.errors import DatasetError

FRAME_SECONDS = "# seconds per frame:"


def write_units(path: Path, rows: Iterable[tuple[str, Sequence[int]]], frame_seconds: float) -> int:
    """Write lines of name, tab, units parted by spaces, atomically; returns how many lines there are."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    count = 0
    try:
        with open(unfinished, "w", encoding="utf-8", newline="\n") as file:
            file.write(f"{FRAME_SECONDS} {frame_seconds:.9g}\n")
            for name, units in rows:
                file.write(f"{' '.join(name.split())}\t{' '.join(map(str, units))}\n")
                count += 1
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def read_table(path: Path) -> dict[str, list[str]]:
    """Words by name: of units as `write_units` writes them, or of phones parted by commas or spaces.

    Lines that start with # are passed over. Raises DatasetError naming the line that is not understood.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise DatasetError(f"{path} is not a readable text file: give lines of a name, a tab and units.") from None
    table: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, tab, words = line.partition("\t")
        if not tab or name in table:
            problem = f"names '{name}' again" if tab else "has no tab"
            raise DatasetError(f"Line {number} of {path} {problem}: each line is a name, a tab and units or phones.")
        table[name] = words.replace(",", " ").split()
    if not table:
        raise DatasetError(f"{path} holds no lines: each is a name, a tab and units or phones.")
    return table


def read_units(path: Path) -> dict[str, list[int]]:
    """As `read_table`, with whole numbers; DatasetError for anything else."""
    table = read_table(path)
    try:
        return {name: [int(word) for word in words] for name, words in table.items()}
    except ValueError as error:
        raise DatasetError(
            f"{path} holds something else than units ({error}): use a file of  svc units apply."
        ) from None
