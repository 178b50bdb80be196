"""Converting a song: separate, convert, remix, as one job in the process that keeps the voice loaded."""

from pathlib import Path
from typing import Any

from svc.config import ConvertOptions, build
from svc.interface.jobs.context import JobContext
from svc.interface.kinds.gathering import song_format


def convert(context: JobContext) -> dict[str, Any]:
    """Inputs "song" and "voice"; settings "options" (fields of ConvertOptions) and "preview_seconds" (0: whole song).

    Makes outputs/mix.<format>. Returns the SongReport as plain data without paths, and "mix", the output's name.
    """
    from svc.conversion.converter import Converter, resolve_device
    from svc.conversion.song import SHARES, convert_song

    song, voice = context.input("song"), context.input("voice")
    options = build(ConvertOptions, context.settings["options"], "the form")
    device = resolve_device(context.device)
    context.stage("loading", 0.0, 0.02)
    key = (str(voice), voice.stat().st_mtime_ns, device)
    converter = context.kept.get(key, lambda: Converter.load(voice, device))
    seconds = float(context.settings.get("preview_seconds") or 0)
    if seconds:
        song = _beginning(song, context.work / "preview.wav", seconds)
    target = context.outputs / f"mix.{song_format(song, options)}"
    stages = iter(SHARES.items())
    name, share = next(stages)
    begun, share_start = name, 0.0
    context.stage(begun, 0.02, 0.98)

    def progress(done: float) -> None:
        nonlocal begun, share, share_start
        while done > share_start + share + 1e-9:
            share_start += share
            begun, share = next(stages, (begun, 1.0))
            context.rename_stage(begun)
        context.progress(done)

    report = convert_song(song, target, converter, options, progress).to_dict()
    del report["path"], report["source"]
    return {**report, "mix": target.name}


def _beginning(song: Path, target: Path, seconds: float) -> Path:
    """The first `seconds` of the song, as a wav file at `target`."""
    from svc.audio.reading import AudioReader
    from svc.audio.writing import AudioWriter

    with AudioReader(song) as reader:
        rate = reader.info.sample_rate
        with AudioWriter(target, rate, reader.info.channels, "float") as writer:
            for block in reader.blocks(rate, 0, round(seconds * rate)):
                writer.write(block)
    return target
