"""The report on a dataset: report.json for programs, report.md for people."""

import json
from pathlib import Path
from typing import Any

from svc.data.manifest import write_text

JSON_NAME = "report.json"
TEXT_NAME = "report.md"
REPORT_VERSION = 1
MOST_SLICES_PER_FINDING = 20


def write(out_dir: Path, data: dict[str, Any]) -> None:
    """Write both files atomically."""
    plain = {"version": REPORT_VERSION, **data}
    write_text(out_dir / JSON_NAME, json.dumps(plain, ensure_ascii=False, indent=1))
    write_text(out_dir / TEXT_NAME, render(data))


def render(data: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = ["# Report on the recordings", ""]
    lines += _singers(data["singers"])
    if data["warnings"]:
        lines += ["## Warnings", "", *(f"- {text}" for text in data["warnings"]), ""]
    lines += _unused(data["recordings"])
    lines += _findings(data["recordings"])
    if data["notes"]:
        lines += ["## Notes", "", *(f"- {text}" for text in data["notes"]), ""]
    return "\n".join(lines)


def _singers(singers: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| singer | recordings (unused) | usable minutes | slices (dropped) | held out | F0 low / median / high |",
        "|---|---|---|---|---|---|",
    ]
    for s in singers:
        f0 = " / ".join(f"{hz:.0f}" for hz in s["f0_hz"]) + " Hz" if s["f0_hz"] else "-"
        lines.append(
            f"| {_cell(s['name'])} | {s['recordings']} ({s['unused_recordings']}) | {s['minutes']:.1f} | "
            f"{s['slices']} ({s['dropped_slices']}) | {s['validation_slices']} | {f0} |"
        )
    return [*lines, ""]


def _unused(recordings: list[dict[str, Any]]) -> list[str]:
    bad = [r for r in recordings if r["error"]]
    if not bad:
        return []
    lines = ["## Recordings that are not used", "", "| recording | why, and what to do |", "|---|---|"]
    lines += [f"| {_cell(r['name'])} | {_cell(r['error'])} |" for r in bad]
    return [*lines, ""]


def _findings(recordings: list[dict[str, Any]]) -> list[str]:
    """Slices with findings, by finding; dropped ones first."""
    groups: dict[tuple[bool, str], list[tuple[str, dict[str, Any], dict[str, Any]]]] = {}
    for recording in recordings:
        for piece in recording["slices"]:
            for found in piece["findings"]:
                key = (piece["verdict"] == "drop" and found["drop"], found["code"])
                groups.setdefault(key, []).append((recording["name"], piece, found))
    lines: list[str] = []
    for (dropped, code), items in sorted(groups.items(), key=lambda item: (not item[0][0], item[0][1])):
        verdict = "left out" if dropped else "kept"
        lines += [f"## {code.replace('_', ' ')}: {len(items)} slice(s), {verdict}", ""]
        lines += [f"What to do: {items[0][2]['advice']}.", ""]
        for name, piece, found in items[:MOST_SLICES_PER_FINDING]:
            start, stop = piece["start_seconds"], piece["start_seconds"] + piece["seconds"]
            lines.append(f"- {name}, {start:.1f} to {stop:.1f} s: {found['reason']}")
        if len(items) > MOST_SLICES_PER_FINDING:
            lines.append(f"- and {len(items) - MOST_SLICES_PER_FINDING} more, see {JSON_NAME}")
        lines.append("")
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
