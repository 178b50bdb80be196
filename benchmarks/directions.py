"""How conversions fare in directions that the tests T1 and T2 do not take: languages to a singer, women to a man.

    python benchmarks/directions.py --voice VOICE --target 02 [--prompt CLIP] [--from he ja de zh men women]
        [--clips 8] [--output FOLDER]

Sources: he, ja, de, zh as content_metrics/words.py has them (the last --clips of each); men and women are the first
--clips takes 2 of calm singing by RAVDESS singers that are not the target. The target is a RAVDESS singer: take 1 of
--target makes the centroid, take 2 is "herself". VOICE is a voice of that singer, or with --prompt any that takes one.
Each clip is sung in the octave nearest to the target's median.

Columns: cosine to the target by ResNet34 and Resemblyzer of source, converted and the target; word error (characters
for Japanese and Mandarin) of the converted clip against the text where it is known, else against what Whisper hears in
the source; DistilMOS of source and converted; F0 against the source, and a WORLD copy-synthesis of the same sources.
The judges' packages and files are needed (svc.evaluation.judges); they only measure.
"""

import argparse
from pathlib import Path

from content_metrics.words import Clip, clips_of, word_errors

from svc.audio.reading import read_audio
from svc.audio.writing import write_audio
from svc.config import ConvertOptions
from svc.conversion.converter import Converter
from svc.evaluation.judges import Judges, load_judges
from svc.evaluation.report import EvaluationPair, Target, evaluate_pairs
from svc.paths import shared_dir
from svc.registry import SPEAKER_ENCODERS

SENTENCES = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}
SOURCES = ("he", "ja", "de", "zh", "men", "women")


def ravdess_clips(audio: Path, women: bool, target: str, count: int) -> list[Clip]:
    """Takes 2 of singers of one sex (RAVDESS numbers men odd), the target left out, a singer after the other."""
    chosen = []
    for folder in sorted((audio / "singing/ravdess").glob("Actor_*")):
        singer = folder.name[-2:]
        if (int(singer) % 2 == 0) == women and singer != target:
            chosen += [p for p in sorted(folder.glob("03-02-01-01-*.*")) if p.stem.split("-")[5] == "02"]
    return [Clip(read_audio(path), "en", SENTENCES[path.stem.split("-")[4]]) for path in chosen[:count]]


def sources(name: str, audio: Path, target: str, count: int) -> list[Clip]:
    if name in ("men", "women"):
        return ravdess_clips(audio, name == "women", target, count)
    return clips_of(name, audio)[-count:]


def target_of(audio: Path, singer: str) -> Target:
    files = sorted((audio / f"singing/ravdess/Actor_{singer}").glob("03-02-*.*"))
    if not files:
        raise SystemExit(f"RAVDESS singer {singer} is not in {audio}: fetch the reference audio.")
    return Target(*([read_audio(p) for p in files if p.stem.split("-")[5] == take] for take in ("01", "02")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voice", type=Path, required=True)
    parser.add_argument("--target", default="02", help="number of the RAVDESS singer whom the voice is to be")
    parser.add_argument("--prompt", type=Path, help="clip of the target, for a voice that takes prompts")
    parser.add_argument("--from", dest="sources", nargs="+", choices=SOURCES, default=SOURCES)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--output", type=Path, help="keep the converted clips here")
    parser.add_argument("--shared", type=Path, default=shared_dir())
    args = parser.parse_args()
    judges = load_judges()
    if judges.missing:
        raise SystemExit("; ".join(f"{name}: {why}" for name, why in judges.missing.items()))
    audio, encoder = args.shared / "audio", SPEAKER_ENCODERS.create("resemblyzer")
    converter, target = Converter.load(args.voice, "cpu"), target_of(audio, args.target)
    options = ConvertOptions(separate="none", transpose="auto", prompt=args.prompt)
    print("| from | clips | ResNet34: source, converted, target | Resemblyzer | word error | DistilMOS | F0, cents |")
    print("|---|---|---|---|---|---|---|")
    for name in args.sources:
        clips = sources(name, audio, args.target, args.clips)
        made = [converter.convert_reported(clip.audio, options) for clip in clips]
        results = [result for result, _ in made]
        pairs = [EvaluationPair(c.audio, r, report.transpose_semitones) for c, (r, report) in zip(clips, made)]
        heard = evaluate_pairs(pairs, target, encoder, Judges(judges.verifier, None, judges.naturalness))
        already = iter(results)
        words = word_errors(clips, lambda _, already=already: next(already), judges.words)
        source, converted, own = heard["source"], heard["converted"], heard["herself"]
        cosines = (
            f"{source[f'speaker_{j}']:.2f}, **{converted[f'speaker_{j}']:.2f}**, {own[j]:.2f}"
            for j in ("resnet34", "resemblyzer")
        )
        print(
            f"| {name} | {len(clips)} | {' | '.join(cosines)} | {words.converted:.2f} | "
            f"{source['mos']:.2f}, {converted['mos']:.2f} | {converted['f0_cents_median']:.1f} (copy "
            f"{heard['floor']['f0_cents_median']:.1f}) |",
            flush=True,
        )
        for number, result in enumerate(results if args.output else ()):
            write_audio(args.output / f"{name}_{number:02d}.wav", result, "float")


if __name__ == "__main__":
    main()
