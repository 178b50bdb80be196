"""Run test T1 or T2 of the reference folder on a voice: convert its 16 lines, score them, let the judge score them.

    python scripts/evaluate_tests.py t2 --voice runs/NAME/voice.safetensors --output results/t2

T2 uses the transpositions written in t2_lines.txt; T1 takes the octave nearest to the target's median, per line, with
--semitones the semitone nearest to it, and states it. OUTPUT then holds NAME_TRANSPOSE.wav of every line, `scores.json`
and `scores.md` (the toolkit's own figures with a WORLD copy-synthesis of the same sources in the same run) and
`judge.json` (what judge.py says, run in the judges' own environment: $SVC_JUDGES, default ~/svc-judges).
"""

import argparse
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from svc.audio.reading import AUDIO_SUFFIXES, read_audio
from svc.audio.signal import Audio
from svc.audio.writing import write_audio
from svc.config import ConvertOptions
from svc.conversion.converter import Converter
from svc.errors import SvcError
from svc.evaluation.judges import judges_dir, load_judges
from svc.evaluation.report import EvaluationPair, Target, evaluate_pairs, markdown_table, write_report
from svc.paths import shared_dir

SENTENCES = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}


@dataclass(frozen=True)
class Line:
    """One source line: its RAVDESS name, its file and the transposition of the reference rung."""

    name: str
    path: Path
    transpose_semitones: float

    @property
    def text(self) -> str:
        return SENTENCES[self.name.split("-")[4]]


def read_lines(shared: Path) -> list[Line]:
    lines = []
    for row in (shared / "judges" / "t2_lines.txt").read_text().split("\n"):
        if row.strip():
            name, transpose = row.split()
            lines.append(Line(name, find_take(shared, name), float(transpose)))
    return lines


def find_take(shared: Path, name: str) -> Path:
    """The RAVDESS file of that name, whatever its format."""
    found = sorted((shared / "audio/singing/ravdess" / f"Actor_{name[-2:]}").glob(f"{name}.*"))
    if not found:
        raise SystemExit(f"{name} is not in {shared / 'audio/singing/ravdess'}: fetch the reference audio.")
    return found[0]


def take_of_the_target(shared: Path, line: Line) -> Path:
    """The line as T2's target sings it herself."""
    return find_take(shared, "-".join(line.name.split("-")[:6]) + "-02")


def convert_lines(
    lines: list[Line], test: str, converter: Converter, options: ConvertOptions, output: Path, shared: Path
) -> tuple[list[EvaluationPair], float]:
    """All pairs, written as NAME_TRANSPOSE.wav, and the seconds of work per second of audio."""
    pairs, work, length = [], 0.0, 0.0
    for line in lines:
        source = read_audio(line.path)
        transpose = line.transpose_semitones if test == "t2" else options.transpose
        started = time.perf_counter()
        result, report = converter.convert_reported(source, options.model_copy(update={"transpose": transpose}))
        work, length = work + time.perf_counter() - started, length + source.seconds
        write_audio(output / f"{line.name}_{report.transpose_semitones:g}.wav", result, "float")
        parallel = None
        if test == "t2":
            parallel = read_audio(take_of_the_target(shared, line))
        joins = tuple(join / converter.sample_rate for join in report.joins)
        pairs.append(EvaluationPair(source, result, report.transpose_semitones, line.text, parallel, line.name, joins))
        print(f"{line.name}: {report.transpose_semitones:+g} semitones", file=sys.stderr)
    return pairs, work / length


def target_of(test: str, shared: Path) -> Target:
    """The target's clips as the README of the judges divides them."""
    if test == "t2":
        clips = sorted((shared / "audio/singing/ravdess/Actor_02").glob("*.*"))
        takes = [[read_audio(clip) for clip in clips if f"-{take}-02." in clip.name] for take in ("01", "02")]
        return Target(*takes)
    folder = shared / "audio/singing/pockettorah_trope"
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in AUDIO_SUFFIXES)[-20:]
    clips = [first_seconds(read_audio(path), 10.0) for path in files]
    return Target(clips[0::2], clips[1::2])


def first_seconds(audio: Audio, seconds: float) -> Audio:
    return audio.cut(0, round(seconds * audio.sample_rate))


def speaker_encoder():
    """The toolkit's own speaker encoder, or None with a message."""
    from svc.registry import SPEAKER_ENCODERS

    try:
        return SPEAKER_ENCODERS.create("resemblyzer")
    except (SvcError, ImportError) as error:
        print(f"No speaker encoder: {error}", file=sys.stderr)
        return None


def run_judge(test: str, output: Path, shared: Path) -> dict | None:
    """What the independent judge prints about OUTPUT, as numbers; None where it is not installed."""
    python = judges_dir() / "env" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    script = shared / "judges" / "judge.py"
    if not python.is_file():
        print(f"The independent judge was not run: there is no {python} (see {script.parent}).", file=sys.stderr)
        return None
    command = [str(python), str(script), test, str(output), str(shared / "audio")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"The independent judge failed:\n{done.stderr[-2000:]}")
    return parse_judge(done.stdout)


def parse_judge(text: str) -> dict:
    """The lines 'source {...}', 'converted {...}' and 'pitch [...]' of judge.py as plain numbers."""
    out: dict = {"output": text}
    number = r"(?:np\.float64\()?(-?\d+\.?\d*(?:e-?\d+)?|nan)"
    for row in text.splitlines():
        if row.startswith(("source ", "converted ")):
            out[row.split()[0]] = {key: finite(value) for key, value in re.findall(rf"'(\w+)': {number}", row)}
        elif row.startswith("pitch"):
            values = [finite(value) for value in re.findall(number, row)]
            out["pitch"] = dict(zip(("f0_cents_median", "rpa50", "octave", "vuv_error"), values))
    return out


def finite(text: str) -> float | None:
    return None if text == "nan" else float(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("test", choices=("t1", "t2"))
    parser.add_argument("--voice", type=Path, required=True, help="voice file")
    parser.add_argument("--output", type=Path, required=True, help="folder for the lines and the figures")
    parser.add_argument("--shared", type=Path, default=shared_dir(), help="reference folder")
    parser.add_argument("--speaker", help="speaker of the voice file")
    parser.add_argument("--prompt", type=Path, help="clip of the target instead of a speaker: T3, nothing trained")
    parser.add_argument("--semitones", action="store_true", help="T1: the nearest semitone, not the nearest octave")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--noise-scale", type=float, default=ConvertOptions().noise_scale)
    parser.add_argument("--protect", type=float, default=ConvertOptions().protect)
    parser.add_argument(
        "--no-judge", action="store_true", help="leave out judge.py and the words and naturalness judges"
    )
    parser.add_argument("--only-judge", action="store_true", help="convert and ask judge.py, leave out our own figures")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    for stale in args.output.glob("03-02-*_*.wav"):
        stale.unlink()  # the judge takes every file of a line, so another transposition's must not stay
    converter = Converter.load(args.voice, args.device)
    options = ConvertOptions(
        speaker=args.speaker,
        prompt=args.prompt,
        transpose="nearest" if args.semitones else "auto",
        seed=args.seed,
        noise_scale=args.noise_scale,
        protect=args.protect,
        separate="none",
    )
    lines = read_lines(args.shared)
    pairs, rtf = convert_lines(lines, args.test, converter, options, args.output, args.shared)
    if args.only_judge:
        ask_judge(args)
        return
    judges = None if args.no_judge else load_judges()
    report = evaluate_pairs(pairs, target_of(args.test, args.shared), speaker_encoder(), judges)
    report.update(
        test=args.test,
        voice=args.voice.name,
        voice_fingerprint=converter.fingerprint,
        options=options.model_dump(mode="json"),
        rtf=rtf,
        transpose_semitones={pair.name: pair.transpose_semitones for pair in pairs},
    )
    write_report(report, args.output / "scores.json")
    print(markdown_table(report))
    if not args.no_judge:
        ask_judge(args)


def ask_judge(args: argparse.Namespace) -> None:
    """Write and print what judge.py says of the lines in the output folder."""
    verdict = run_judge(args.test, args.output, args.shared)
    if verdict:
        (args.output / "judge.json").write_text(json.dumps(verdict, indent=1), encoding="utf-8")
        print(verdict["output"])


if __name__ == "__main__":
    main()
