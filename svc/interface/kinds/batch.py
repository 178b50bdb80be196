"""Many songs with one voice: each is done for itself, a bad one does not stop the others, and all come in one zip."""

import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from svc.config import ConvertOptions
from svc.errors import SvcError
from svc.interface.disk import read_json, write_json
from svc.interface.files import resolve_allowed
from svc.interface.jobs.context import JobContext
from svc.interface.kinds.gathering import FreeNames, link, song_format
from svc.settings import build

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
MADE = "made"
ZIP_NAME = "songs.zip"
LOADING_SHARE = 0.02


def batch(context: JobContext) -> dict[str, Any]:
    """Inputs "voice", and "song-000" ... or "folder" with its songs; settings "options" (fields of ConvertOptions).

    Events: "files" (names, in order), "file" (index, state, reason, result). Results lie in work/made until the end,
    then in the outputs, singly and in songs.zip; a job that goes on after a pause keeps what is done. Returns the
    counts of done and failed songs. Raises SvcError when not one song could be converted.
    """
    from svc.conversion.converter import Converter, resolve_device
    from svc.conversion.song import convert_song

    voice = context.input("voice")
    options = build(ConvertOptions, context.settings["options"], "the form")
    songs = list(_songs(context))
    context.event("files", names=[name for _, name in songs])
    device = resolve_device(context.device)
    context.stage("loading", 0.0, LOADING_SHARE)
    key = (str(voice), voice.stat().st_mtime_ns, device)
    converter = context.kept.get(key, lambda: Converter.load(voice, device))
    note = context.work / "done.json"
    done: dict[str, str] = read_json(note, {})
    names, reasons = FreeNames(), {}
    share = (1 - LOADING_SHARE) / len(songs)
    for index, (song, name) in enumerate(songs):
        context.stage("converting_songs", LOADING_SHARE + index * share, share)
        try:
            result = names.free(str(Path(name).with_suffix("")), f".{song_format(song, options)}")
            if name not in done:
                context.event("file", index=index, state=RUNNING)
                convert_song(song, context.work / MADE / result, converter, options, context.progress)
                done[name] = result
                write_json(note, done)
            context.event("file", index=index, state=DONE, result=done[name])
        except SvcError as error:
            reasons[name] = context.clean(str(error)).replace(str(song), name)
        except Exception:
            traceback.print_exc()
            reasons[name] = "Something went wrong with this song: the details are in the server's log."
        if name in reasons:
            context.event("file", index=index, state=FAILED, reason=reasons[name])
    if not done:
        raise SvcError(f"None of the songs could be converted: {next(iter(reasons.values()))}")
    _pack(context, list(done.values()))
    return {"done": len(done), "failed": len(reasons)}


def _songs(context: JobContext) -> Iterator[tuple[Path, str]]:
    """(file, its name for people) of every song; of a folder those inside it alone, wherever links in it lead."""
    if not context.has_input("folder"):
        for song in context.inputs("song-"):
            yield song, context.label(song)
        return
    from svc.audio.reading import find_audio

    folder = context.input("folder")
    found = 0
    for file in find_audio(folder):
        try:
            real = resolve_allowed(file, [folder])
        except SvcError:
            continue
        found += 1
        yield real, file.relative_to(folder).as_posix()
    if not found:
        raise SvcError(f"There are no songs in '{context.label(folder)}': choose another folder.")


def _pack(context: JobContext, results: list[str]) -> None:
    """The results in the outputs, and in one zip there; sound does not get smaller, so it is only stored."""
    for name in results:
        link(context.work / MADE / name, context.outputs / name)
    if len(results) > 1:
        part = context.work / "zip.part"
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for name in results:
                archive.write(context.work / MADE / name, name)
        link(part, context.outputs / ZIP_NAME)
        part.unlink()
