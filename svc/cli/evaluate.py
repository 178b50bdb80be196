"""`svc evaluate`: convert held-out lines, then score them."""

from pathlib import Path

from svc.cli.console import emit, say, stage
from svc.cli.options import Device, Json, Options, UsageError, pick_device, require_exists, voice_file
from svc.config import ConvertOptions

CENTROID_SHARE = 2  # every second target clip makes the centroid, the others are "herself"


def evaluate(
    *,
    voice: Path,
    source: Path,
    target: Path,
    output: Path,
    texts: Path | None = None,
    parallel: Path | None = None,
    language: str = "en",
    device: Device = "auto",
    json: Json = False,
    options: Options | None = None,
) -> int:
    """Convert the recordings in SOURCE with a voice and measure pitch, speaker, words and sound of the results.

    Parameters
    ----------
    voice
        The voice file, or builtin.
    source
        Folder of other singers' vocals (or songs, with --separate).
    target
        Folder of the singer's own vocals that were not trained on.
    output
        JSON file for the figures; a Markdown table is written beside it, the audio into a folder beside it.
    texts
        Known words, one line each: file name, tab, words.
    parallel
        Folder of the singer's own takes of the same lines, under the same file names.
    language
        Language of the words, for Whisper.
    """
    if output.suffix != ".json":
        raise UsageError(f"--output {output} must end in .json: a table and a folder of audio are written beside it.")
    from svc.evaluation.judges import load_judges
    from svc.evaluation.report import evaluate_pairs, markdown_table, write_report
    from svc.registry import SPEAKER_ENCODERS

    voice = voice_file(voice)
    for path, what in ((source, "source folder"), (target, "target folder")):
        require_exists(path, what)
    chosen = _vocals_unless_asked(options)
    pairs = _convert_all(voice, source, output, chosen, pick_device(device), texts, parallel)
    with stage("Scoring") as update:
        encoder = SPEAKER_ENCODERS.create("resemblyzer", device="cpu")
        report = evaluate_pairs(pairs, _target(target), encoder, load_judges(), language, progress=update)
    write_report(report, output)
    for name, why in report["missing"].items():
        say(f"Not measured: {name}: {why}")
    emit(report, json, markdown_table(report))
    return 0


def _vocals_unless_asked(options: ConvertOptions | None) -> ConvertOptions:
    """Sources are vocals unless --separate says otherwise; the accompaniment is never scored."""
    from svc.settings import build

    given = options.model_dump(exclude_unset=True) if options else {}
    return build(ConvertOptions, {"separate": "none", **given, "vocals_only": True}, "the command line")


def _convert_all(
    voice: Path,
    source: Path,
    output: Path,
    options: ConvertOptions,
    device: str,
    texts: Path | None,
    parallel: Path | None,
):
    from svc.audio.reading import find_audio, read_audio
    from svc.conversion.converter import Converter
    from svc.conversion.song import convert_song
    from svc.evaluation.report import EvaluationPair

    converter = Converter.load(voice, device=device)
    words = _read_texts(texts)
    folder = output.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    files = find_audio(source)
    pairs = []
    with stage("Converting") as update:
        for index, path in enumerate(files):
            made = folder / f"{index:04d}.wav"
            report = convert_song(path, made, converter, options)
            pairs.append(
                EvaluationPair(
                    source=_vocals(path, options, device),
                    converted=read_audio(made),
                    transpose_semitones=report.transpose_semitones,
                    text=words.get(path.name) or words.get(path.stem),
                    parallel=_parallel_take(parallel, path),
                    name=path.name,
                    joins_seconds=report.joins_seconds,
                )
            )
            update((index + 1) / len(files))
    return pairs


def _vocals(path: Path, options: ConvertOptions, device: str):
    from svc.audio.reading import read_audio
    from svc.separation.choosing import create_separator

    return create_separator(options.separate, options.separate_model, device).separate(read_audio(path)).vocals


def _parallel_take(folder: Path | None, path: Path):
    from svc.audio.reading import read_audio

    if folder is None:
        return None
    found = [file for file in folder.iterdir() if file.stem == path.stem]
    return read_audio(found[0]) if found else None


def _read_texts(texts: Path | None) -> dict[str, str]:
    if texts is None:
        return {}
    lines = require_exists(texts, "list of words").read_text(encoding="utf-8").splitlines()
    table = {}
    for number, line in enumerate(lines, 1):
        name, tab, words = line.partition("\t")
        if line.strip() and not tab:
            raise UsageError(f"Line {number} of {texts} has no tab: write the file name, a tab, then the words.")
        table[name.strip()] = words.strip()
    return table


def _target(folder: Path):
    from svc.audio.reading import find_audio, read_audio
    from svc.evaluation.report import Target

    clips = [read_audio(path) for path in find_audio(folder)]
    return Target(clips[::CENTROID_SHARE], clips[1::CENTROID_SHARE])
