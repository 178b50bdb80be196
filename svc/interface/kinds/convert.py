"""Converting a song: separate, convert, remix, as one job in the process that keeps the voice loaded."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svc.config import ConvertOptions
from svc.errors import SvcError
from svc.interface.jobs.context import JobContext
from svc.interface.kinds.gathering import song_format
from svc.progress import Progress
from svc.settings import build

if TYPE_CHECKING:
    import numpy as np

    from svc.audio.signal import Audio
    from svc.pitch.estimator import PitchEstimator

PICTURE, F0_FILE = "picture.png", "f0.csv"
LOADING_SHARE, LISTENING_SHARE = 0.02, 0.1
# More than that is not drawn, and its F0 not written: it would have to lie in memory.
LONGEST_SECONDS = 1200.0
F0_RATE = 100  # values per second
LOSSLESS = ("wav", "flac")


def convert(context: JobContext) -> dict[str, Any]:
    """Inputs "song", "voice", and if wanted "f0" (CSV), "curve" (CSV, who sings when) and "prompt" (a recording of who
    shall sing).

    Settings: "options" (fields of ConvertOptions), "preview_seconds" (0: whole song), "also" (more file formats of the
    mix). Makes outputs/mix.<format> for each format, vocals.flac and converted.flac, picture.png (spectrograms and
    F0 of both) and f0.csv (the F0 that was asked for, not transposed, to edit). Returns the SongReport as plain data
    without paths, and "mix", the output's name.
    """
    from svc.conversion.song import SHARES, convert_song

    song, options = context.input("song"), options_of(context)
    converter = converter_of(context)
    seconds = float(context.settings.get("preview_seconds") or 0)
    if seconds:
        song = _beginning(song, context.work / "preview.wav", seconds)
    wanted = song_format(song, options)
    formats = list(dict.fromkeys([wanted, *context.settings.get("also", ())]))
    first = next((name for name in LOSSLESS if name in formats), wanted)
    target = context.outputs / f"mix.{first}"
    report = convert_song(song, target, converter, options, _staged(context, SHARES), stems=context.outputs).to_dict()
    del report["path"], report["source"]
    context.stage("listening", 1 - LISTENING_SHARE, LISTENING_SHARE)
    for number, name in enumerate(formats, 1):
        if name != first:
            encode(target, context.outputs / f"mix.{name}")
        context.progress(0.3 * number / len(formats))
    _look(context, converter, options, report)
    return {**report, "mix": f"mix.{wanted}"}


def options_of(context: JobContext) -> ConvertOptions:
    """The job's options, with the files that came as inputs."""
    files = {"f0_file": "f0", "prompt": "prompt", "speaker_curve": "curve"}
    given = {field: str(context.input(name)) for field, name in files.items() if context.has_input(name)}
    options: ConvertOptions = build(ConvertOptions, {**context.settings["options"], **given}, "the form")
    return options


def converter_of(context: JobContext) -> Any:
    """The Converter of the job's voice, kept from job to job."""
    from svc.conversion.converter import Converter, resolve_device

    voice = context.input("voice")
    device = resolve_device(context.device)
    context.stage("loading", 0.0, LOADING_SHARE)
    key = (str(voice), voice.stat().st_mtime_ns, device)
    return context.kept.get(key, lambda: Converter.load(voice, device))


def encode(source: Path, target: Path) -> None:
    """Write the sound file `source` as `target` too, whose ending decides the format."""
    from svc.audio.reading import AudioReader
    from svc.audio.writing import AudioWriter

    with AudioReader(source) as reader:
        info = reader.info
        with AudioWriter(target, info.sample_rate, info.channels, info.bit_depth or "24") as writer:
            for block in reader.blocks(1 << 17):
                writer.write(block)


def _staged(context: JobContext, shares: dict[str, float]) -> Any:
    """A progress function that names the stages of a song as they come."""
    stages = iter(shares.items())
    name, share = next(stages)
    start = 0.0
    context.stage(name, LOADING_SHARE, 1 - LOADING_SHARE - LISTENING_SHARE)

    def progress(done: float) -> None:
        nonlocal name, share, start
        while done > start + share + 1e-9:
            start += share
            name, share = next(stages, (name, 1.0))
            context.rename_stage(name)
        context.progress(done)

    return progress


def _look(context: JobContext, converter: Any, options: ConvertOptions, report: dict[str, Any]) -> None:
    """The picture and the F0 of a song that is done; without them it is done all the same."""
    if report["seconds"] > LONGEST_SECONDS:
        context.message(f"No picture and no F0 file, since the song is longer than {LONGEST_SECONDS / 60:.0f} minutes.")
        return
    from svc.audio.reading import read_audio
    from svc.conversion.song import CONVERTED, VOCALS
    from svc.evaluation.pictures import compare_pictures

    vocals, converted = (read_audio(context.outputs / name) for name in (VOCALS, CONVERTED))
    try:
        if options.f0_file:
            shutil.copyfile(options.f0_file, context.outputs / F0_FILE)
        else:
            _write_f0(context.outputs / F0_FILE, vocals, converter, options)
        context.progress(0.6)
        compare_pictures(vocals, converted, context.outputs / PICTURE, report["transpose_semitones"])
    except SvcError as error:
        context.message(str(error))


def _write_f0(path: Path, vocals: "Audio", converter: Any, options: ConvertOptions) -> None:
    """The F0 of the vocals, measured as the conversion measures it, not transposed."""
    from svc.registry import PITCH_ESTIMATORS

    spec = converter.spec
    name = options.pitch_estimator or spec.pitch_estimator
    write_f0(path, vocals, PITCH_ESTIMATORS.create(name, spec.f0_min_hz, spec.f0_max_hz, converter.device))


def write_f0(
    path: Path, vocals: "Audio", estimator: "PitchEstimator", progress: Progress | None = None
) -> "np.ndarray":
    """Write the F0 of `vocals` in steps of 10 ms, octaves repaired, as CSV; F0 (T,) in Hz, 0 where unvoiced."""
    import numpy as np

    from svc.pitch.curve_file import write_curve
    from svc.pitch.editing import repair_octaves
    from svc.pitch.estimator import F0Track

    times = np.arange(int(vocals.seconds * F0_RATE)) / F0_RATE
    heard = estimator.estimate(vocals.mono().samples[0], vocals.sample_rate, times, progress)
    f0_hz = repair_octaves(heard.f0_hz, float(F0_RATE))
    write_curve(path, times, F0Track(f0_hz, f0_hz > 0))
    return f0_hz


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
