"""What retrieval and clusters buy in likeness and cost in words: test T1 (or T2) at several ratios, in one run.

    svc index runs/NAME/dataset --voice runs/NAME/voice.safetensors
    python scripts/evaluate_retrieval.py t1 --voice runs/NAME/voice.safetensors --output results/retrieval

Each setting is what scripts/evaluate_tests.py does with these options, in a folder of its own below OUTPUT;
`retrieval.json` and `retrieval.md` set the figures side by side, the first row being no retrieval. Settings are written
RETRIEVAL:CLUSTER:UNVOICED, the last being the factor of both in unvoiced frames.
"""

import argparse
import json
from pathlib import Path

from evaluate_tests import convert_lines, read_lines, run_judge, speaker_encoder, target_of

from svc.config import ConvertOptions
from svc.conversion.converter import Converter
from svc.evaluation.judges import load_judges
from svc.evaluation.report import evaluate_pairs, write_report
from svc.paths import shared_dir

SETTINGS = ("0:0:0.33", "0.25:0:0.33", "0.5:0:0.33", "0.5:0:1", "0.75:0:0.33", "1:0:0.33", "0:0.25:0.33", "0:0.5:0.33")


def options_of(setting: str, base: ConvertOptions) -> ConvertOptions:
    """`base` with the three numbers of a setting."""
    retrieval, cluster, unvoiced = (float(part) for part in setting.split(":"))
    changes = {"retrieval_ratio": retrieval, "cluster_ratio": cluster, "retrieval_unvoiced": unvoiced}
    if retrieval == cluster == 0:
        changes["index"] = None
    return ConvertOptions(**(base.model_dump() | changes))


def table(rows: dict[str, dict]) -> str:
    """The figures of all settings as Markdown, each column that any of them has."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = ["| retrieval : cluster : unvoiced | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for setting, row in rows.items():
        cells = ("-" if row.get(name) is None else f"{row[name]:.3f}" for name in columns)
        lines.append(f"| {setting} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figures(report: dict, verdict: dict | None) -> dict:
    """The numbers of one setting: means of our own report, then what the independent judge says of the results."""
    own = {name: value for name, value in report["converted"].items() if isinstance(value, (int, float))}
    judged = {f"judge {name}": value for name, value in (verdict or {}).get("converted", {}).items()}
    return {**own, **judged, **{f"judge {k}": v for k, v in (verdict or {}).get("pitch", {}).items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("test", choices=("t1", "t2"))
    parser.add_argument("--voice", type=Path, required=True, help="voice file with an index beside it")
    parser.add_argument("--index", help="index file, when it does not lie beside the voice")
    parser.add_argument("--output", type=Path, required=True, help="folder for the lines and the figures")
    parser.add_argument("--settings", nargs="+", default=SETTINGS, help="any number of RETRIEVAL:CLUSTER:UNVOICED")
    parser.add_argument("--shared", type=Path, default=shared_dir(), help="reference folder")
    parser.add_argument("--speaker", help="speaker of the voice file")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--lines", type=int, help="only so many lines, for a trial; the judge is left out then")
    parser.add_argument("--no-judge", action="store_true", help="leave out judge.py and the words judges")
    args = parser.parse_args()
    converter = Converter.load(args.voice, args.device)
    base = ConvertOptions(speaker=args.speaker, separate="none", index=args.index)
    lines = read_lines(args.shared)[: args.lines]
    target, encoder = target_of(args.test, args.shared), speaker_encoder()
    judges = None if args.no_judge else load_judges()
    rows, reports = {}, {}
    for setting in args.settings:
        folder = args.output / setting.replace(":", "_")
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob("*.wav"):
            stale.unlink()
        options = options_of(setting, base)
        pairs, rtf = convert_lines(lines, args.test, converter, options, folder, args.shared)
        report = evaluate_pairs(pairs, target, encoder, judges)
        report.update(test=args.test, voice=args.voice.name, options=options.model_dump(mode="json"), rtf=rtf)
        write_report(report, folder / "scores.json")
        whole = args.lines is None and not args.no_judge
        verdict = run_judge(args.test, folder, args.shared) if whole else None
        rows[setting] = {**figures(report, verdict), "rtf": rtf}
        reports[setting] = {"figures": rows[setting], "judge": verdict, "options": report["options"]}
        (args.output / "retrieval.json").write_text(json.dumps(reports, indent=1), encoding="utf-8")
        (args.output / "retrieval.md").write_text(table(rows) + "\n", encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
