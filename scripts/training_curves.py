"""What minutes of recordings and minutes of training bring: test T1 at each, from the built-in base voice.

    python scripts/training_curves.py OUTPUT --recordings 0.5 1 3 10 --recordings-steps 290 --steps 60 290 579

OUTPUT gets, for each amount of recordings with --recordings-steps, and for each number of steps with the most
recordings, a training (`runs/`), the converted lines and the judge's figures (`lines/`), and `curves.md`, both curves
as tables. What is done already is not done again, so it may be stopped at any time. Steps and not minutes, since
machines differ: 579 steps are ten minutes of two cores.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from make_test_data import audio_files

from svc.audio.reading import read_audio
from svc.audio.writing import write_audio
from svc.paths import shared_dir

TARGET = "audio/singing/pockettorah_trope"
COLUMNS = {"resnet": "ResNet34", "resemblyzer": "Resemblyzer", "wer": "word error", "mos": "DistilMOS"}


def lay_recordings(shared: Path, minutes: float, folder: Path) -> Path:
    """The first `minutes` of T1's target: whole files, the last one cut."""
    singer, left = folder / "trope", minutes * 60
    if singer.is_dir():
        return folder
    made = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(made, ignore_errors=True)
    for file in audio_files(shared / TARGET):
        audio = read_audio(file)
        kept = audio.cut(0, min(audio.length, round(left * audio.sample_rate)))
        write_audio(made / "trope" / f"{file.stem}.flac", kept, "16")
        left -= kept.seconds
        if left < 0.5:
            break
    made.rename(folder)
    return folder


def train(recordings: Path, run: str, steps: int, runs: Path, threads: int) -> Path:
    """The voice of a training that stops after `steps`."""
    voice = runs / run / "voice.safetensors"
    finished = runs / run / "finished"
    if not finished.is_file():
        shutil.rmtree(runs / run, ignore_errors=True)
        command = [sys.executable, "-m", "svc", "train", str(recordings), "--run", run, "--separate", "none"]
        command += ["--train.max-steps", str(steps), "--device", "cpu"]
        environment = {**os.environ, "SVC_RUNS_DIR": str(runs), "OMP_NUM_THREADS": str(threads)}
        subprocess.run(command, env=environment, check=True)
        finished.touch()
    return voice


def judged(voice: Path, output: Path, shared: Path) -> dict[str, float]:
    """What judge.py says of T1's lines, sung by `voice`."""
    verdict = output / "judge.json"
    if not verdict.is_file():
        script = Path(__file__).with_name("evaluate_tests.py")
        command = [sys.executable, str(script), "t1", "--voice", str(voice), "--output", str(output)]
        subprocess.run([*command, "--shared", str(shared), "--only-judge"], check=True)
    if not verdict.is_file():
        raise SystemExit(
            "Without the independent judge there is no curve: see the judges' README in the reference folder."
        )
    return json.loads(verdict.read_text(encoding="utf-8"))["converted"]


def measure(output: Path, shared: Path, minutes: float, steps: int, threads: int) -> dict[str, float]:
    """The judge's figures of one point of the curves."""
    name = f"{minutes:g}min_{steps}"
    data = lay_recordings(shared, minutes, output / "recordings" / f"{minutes:g}")
    return judged(train(data, name, steps, output / "runs", threads), output / "lines" / name, shared)


def table(title: str, rows: dict[str, dict[str, float]]) -> str:
    """One curve as Markdown."""
    lines = [f"| {title} | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    lines += [f"| {at} | " + " | ".join(f"{row[name]:.3f}" for name in COLUMNS) + " |" for at, row in rows.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--recordings", type=float, nargs="+", default=(0.5, 1, 3, 10), help="minutes of recordings")
    parser.add_argument("--recordings-steps", type=int, default=290, help="steps of each amount of recordings")
    parser.add_argument("--steps", type=int, nargs="+", default=(60, 290, 579))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shared", type=Path, default=shared_dir())
    args = parser.parse_args()
    most, fixed = max(args.recordings), args.recordings_steps
    points = [(minutes, fixed) for minutes in args.recordings] + [(most, steps) for steps in args.steps]
    figures = {}
    for minutes, steps in sorted(set(points), key=lambda point: (-point[0], -point[1])):
        figures[minutes, steps] = measure(args.output, args.shared, minutes, steps, args.threads)
    text = table("minutes of recordings", {f"{minutes:g}": figures[minutes, fixed] for minutes in args.recordings})
    text += "\n" + table("steps of training", {str(steps): figures[most, steps] for steps in args.steps})
    (args.output / "curves.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
