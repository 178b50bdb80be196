"""Peak memory and speed of converting long songs, in one run.

    python benchmarks/long_song.py [--voice FILE] [--song FILE] [--minutes 10 60] [--separate none]

Each length is converted in a process of its own from a file of looped singing. Goals with a `fast` voice: sixty minutes
under 3 GB, and within 5 % of the peak of ten minutes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conversion_bench import RATE, looped, made_singing, peak_memory_bytes, random_voice


def write_loop(path: Path, song: Path | None, minutes: float) -> None:
    from svc.audio.reading import read_audio
    from svc.audio.writing import AudioWriter

    if song is None:
        samples, rate = made_singing(60.0)[None], RATE
    else:
        audio = read_audio(song)
        samples, rate = audio.samples, audio.sample_rate
    with AudioWriter(path, rate, len(samples), "16") as writer:
        for block in looped(samples, round(minutes * 60 * rate)):
            writer.write(block)


def work(source: Path, target: Path, voice: Path, separate: str, threads: int) -> None:
    """The measured process: convert one song, print the figures."""
    import torch

    from svc.config import ConvertOptions
    from svc.conversion.converter import Converter
    from svc.conversion.song import convert_song

    torch.set_num_threads(threads)
    converter = Converter.load(voice)
    loaded, started = peak_memory_bytes(), time.process_time()
    report = convert_song(source, target, converter, ConvertOptions(separate=separate))
    figures = {
        "minutes": round(report.seconds / 60, 2),
        "rtf": round(report.rtf, 3),
        "cpu_seconds_per_second": round((time.process_time() - started) / report.seconds, 3),
        "peak_gb": round(peak_memory_bytes() / 1e9, 3),
        "peak_before_gb": round(loaded / 1e9, 3),
        "timings": report.timings,
    }
    print(json.dumps(figures))


def measure(minutes: float, args: argparse.Namespace, folder: Path, voice: Path) -> dict:
    source = folder / f"loop_{minutes:g}.flac"
    write_loop(source, args.song, minutes)
    command = [sys.executable, __file__, "--worker", str(source), str(folder / f"out_{minutes:g}.flac"), str(voice)]
    command += ["--separate", args.separate, "--threads", str(args.threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{minutes:g} minutes failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--voice", type=Path, help="voice file; default: random weights in the shape of configs/fast.yaml"
    )
    parser.add_argument("--song", type=Path, help="singing to loop; default: made on the spot")
    parser.add_argument("--minutes", type=float, nargs="+", default=[10.0, 60.0])
    parser.add_argument("--separate", default="none", help="separation method; 'none' measures the conversion alone")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="also write the figures to this JSON file")
    parser.add_argument("--worker", type=Path, nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(*args.worker, args.separate, args.threads)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        voice = args.voice
        if voice is None:
            from svc.checkpoint.voice import save_voice

            voice = folder / "random.safetensors"
            save_voice(voice, random_voice("fast"))
        rows = []
        for minutes in args.minutes:
            rows.append(measure(minutes, args, folder, voice))
            print(json.dumps(rows[-1]), flush=True)
    result = {"rows": rows, "peak_ratio": round(rows[-1]["peak_gb"] / rows[0]["peak_gb"], 3)}
    print(f"peak of {rows[-1]['minutes']:g} minutes over that of {rows[0]['minutes']:g}: {result['peak_ratio']}")
    if args.output:
        args.output.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
