"""Files of a job under names that people know: made of their labels, never taken from them as paths."""

import os
import shutil
from pathlib import Path

from svc.config import ConvertOptions
from svc.interface.files import slug
from svc.interface.jobs.context import JobContext

# What a song's container is written as, where it cannot be written itself.
FALLBACK_FORMAT = "wav"


def song_format(song: Path, options: ConvertOptions) -> str:
    """The ending of a song's result: the asked format, else the song's own where it can be written, else wav."""
    from svc.audio.reading import probe
    from svc.conversion.batch import WRITABLE

    if options.format != "keep":
        return options.format
    container = probe(song).container
    return container if container in WRITABLE else FALLBACK_FORMAT


def link(source: Path, target: Path) -> Path:
    """`source` as `target` too, without a copy where the disk has hard links; what is there already stays."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            part = target.with_name(f".{target.name}.part")
            shutil.copyfile(source, part)
            os.replace(part, target)
    return target


def link_songs(context: JobContext, folder: Path, prefix: str = "song-") -> dict[Path, str]:
    """The job's inputs of that prefix linked into `folder`, in order: path there -> the name a person gave it."""
    names = FreeNames()
    songs = context.inputs(prefix)
    return {
        link(song, folder / names.free(Path(context.label(song)).stem, song.suffix)): context.label(song)
        for song in songs
    }


class FreeNames:
    """File names made of labels; no two are equal, compared without case as some file systems do."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def free(self, label: str, ending: str) -> str:
        """A name for `label` that was not given yet; `ending` with its dot."""
        stem, number = slug(label), 1
        name = f"{stem}{ending}"
        while name.casefold() in self._taken:
            number += 1
            name = f"{stem} ({number}){ending}"
        self._taken.add(name.casefold())
        return name
