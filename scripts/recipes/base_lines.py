"""The lines that ship with the base: made singing, in one folder for each timbre or mixture of timbres.

    python scripts/recipes/made_singing.py lines --minutes 10 --timbres-per-line 1 --seed 2611
    python scripts/recipes/base_lines.py lines --output svc/assets/base_lines

`svc train` puts them beside a new singer's recordings (`train.replay_share`). They are other lines than the base was
trained on, by the same singers.
"""

import argparse
import shutil
from pathlib import Path

from base_voice import made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("made", type=Path, help="folder of made_singing.py")
    parser.add_argument("--output", type=Path, required=True, help="folder to write; SINGER/ID.ogg")
    arguments = parser.parse_args()
    for singer, files in made([arguments.made]).items():
        folder = arguments.output / singer
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            shutil.copyfile(path, folder / path.name)


if __name__ == "__main__":
    main()
