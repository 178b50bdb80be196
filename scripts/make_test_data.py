"""Lay out the training recordings of test T1 or T2 as one folder per singer, from the reference audio.

    python scripts/make_test_data.py t2 dataset_raw/t2      # -> dataset_raw/t2/all, dataset_raw/t2/target
    python scripts/make_test_data.py t1 dataset_raw/t1

T2: the RAVDESS singers other than the four of the source lines; of singer 02 only take 1, also alone in `target`.
T1: the first files of pockettorah_trope until 600 s (`target`), and with them the 251 speakers of librispeech.
"""

import argparse
import shutil
from pathlib import Path

from svc.audio.reading import AUDIO_SUFFIXES, probe
from svc.paths import shared_dir

SOURCE_SINGERS = {"01", "03", "05", "12"}
T2_TARGET = "02"
T1_SECONDS = 600.0


def audio_files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    if not found:
        raise SystemExit(f"There is no audio in {folder}: fetch the reference audio.")
    return found


def lay(files: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, folder / file.name)


def make_t2(audio: Path, out: Path) -> None:
    for folder in sorted((audio / "singing" / "ravdess").glob("Actor_*")):
        singer = folder.name[-2:]
        if singer in SOURCE_SINGERS:
            continue
        files = audio_files(folder)
        if singer == T2_TARGET:
            files = [file for file in files if file.stem.split("-")[5] == "01"]
            lay(files, out / "target" / f"actor{singer}")
        lay(files, out / "all" / f"actor{singer}")


def make_t1(audio: Path, out: Path) -> None:
    seconds, chosen = 0.0, []
    for file in audio_files(audio / "singing" / "pockettorah_trope"):
        if seconds >= T1_SECONDS:
            break
        info = probe(file)
        seconds += info.frames / info.sample_rate
        chosen.append(file)
    lay(chosen, out / "all" / "trope")
    lay(chosen, out / "target" / "trope")
    for file in audio_files(audio / "speech" / "librispeech"):
        lay([file], out / "all" / f"libri{file.stem.split('-')[0]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("test", choices=("t1", "t2"))
    parser.add_argument("output", type=Path)
    parser.add_argument("--shared", type=Path, default=shared_dir(), help="reference folder")
    args = parser.parse_args()
    {"t1": make_t1, "t2": make_t2}[args.test](args.shared / "audio", args.output)


if __name__ == "__main__":
    main()
