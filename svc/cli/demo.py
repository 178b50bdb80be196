"""`svc demo`: the whole way on embedded songs, with nothing to download."""

import shutil
import time
from pathlib import Path
from typing import Any

from svc.cli.base_choice import Start, from_builtin
from svc.cli.console import emit, say, stage
from svc.cli.options import Device, Json, pick_device, resolve_config
from svc.cli.train import run_training
from svc.config import Config, ConvertOptions


def demo(
    *, output: Path = Path("demo_output"), minutes: float = 5.0, device: Device = "auto", json: Json = False
) -> int:
    """Raw demo songs -> separate -> slice -> features -> train -> convert a demo song -> remix -> report.

    Parameters
    ----------
    output
        Folder for everything the demo makes; a training of an earlier demo in it is replaced.
    minutes
        Minutes of training; more sounds better.
    """
    from svc.conversion.converter import Converter
    from svc.conversion.song import convert_song
    from svc.data.demo import demo_singer, demo_song
    from svc.data.prepare import prepare_dataset

    started, chosen = time.monotonic(), pick_device(device)

    def resolve(of_base: dict[str, Any]) -> Config:
        return resolve_config("demo", None, {"train.max_minutes": minutes}, of_base)

    config = resolve({})
    dataset, run = output / "dataset", output / "run"
    with stage("Separate, slice, features") as update:
        prepared = prepare_dataset(demo_singer(), dataset, config, device=chosen, progress=update)
    if run.is_dir():
        shutil.rmtree(run)
    config, start = from_builtin(Start(), dataset, config, resolve)
    trained = run_training(dataset, run, config, start, chosen)
    song = demo_song()
    result = output / f"{song.stem}_sung_by_{prepared.speakers[0]}.flac"
    with stage("Convert and remix") as update:
        converter = Converter.load(trained.voice_path, device=chosen)
        report = convert_song(song, result, converter, ConvertOptions(), progress=update)
    with stage("Pictures and report") as update:
        dry = output / "converted_vocals.wav"
        page = write_report(output, song, dry, report, converter, trained.metrics)
    say(f"Done in {(time.monotonic() - started) / 60:.1f} minutes.")
    made = {
        "song": str(result),
        "source": str(song),
        "vocals": str(dry),
        "voice": str(trained.voice_path),
        "tensorboard": str(run / "tensorboard"),
        "report": str(page),
        "transpose_semitones": report.transpose_semitones,
        "steps": trained.steps,
    }
    text = "\n".join(f"{name + ':':<13}{made[name]}" for name in ("song", "voice", "tensorboard", "report"))
    emit(made, json, text)
    return 0


def write_report(output: Path, song: Path, dry: Path, report, converter, metrics: dict[str, float]) -> Path:
    """A short report.md with a picture of the source's vocals and of the result's, which are written to `dry`."""
    from svc.audio.reading import read_audio
    from svc.conversion.song import convert_song
    from svc.evaluation.pictures import compare_pictures
    from svc.registry import SEPARATORS

    separator = SEPARATORS.create(report.separate, device=converter.device)
    source = separator.separate(read_audio(song)).vocals.mono()
    convert_song(song, dry, converter, ConvertOptions(vocals_only=True))
    picture = output / "report.png"
    compare_pictures(source, read_audio(dry).mono(), picture, transpose_semitones=report.transpose_semitones)
    lines = [
        "# Demo report",
        "",
        f"- source: {song.name}, {report.seconds:.1f} s",
        f"- sung by: {report.speaker}, transposed by {report.transpose_semitones:+.0f} semitones",
        f"- separation: {report.separate}",
        *(f"- {name}: {value:.3f}" for name, value in metrics.items()),
        "",
        "![Spectrogram and F0 of the source's vocals and of the result's](report.png)",
    ]
    page = output / "report.md"
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return page
