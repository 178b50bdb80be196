"""`svc prepare`: raw songs to a training dataset and a report."""

import json as json_format
from pathlib import Path
from typing import Any

from svc.cli.console import emit, failure, say, stage
from svc.cli.options import Device, Json, Overrides, Recipe, Separate, pick_device, require_exists, resolve_config
from svc.config import Config
from svc.progress import some

MOST_NAMED = 20


def prepare(
    singer_dir: Path,
    *,
    output: Path,
    config: Recipe = "fast",
    separate: Separate = None,
    device: Device = "auto",
    json: Json = False,
    settings: Overrides | None = None,
) -> int:
    """Turn a folder of raw songs or vocals into slices with features, and report on the data.

    Parameters
    ----------
    singer_dir
        A folder of one singer's recordings, or a folder with one folder per singer.
    output
        Where the dataset is written. Running again does only what changed.
    """
    resolved = resolve_config(config, settings, {"prepare.separate": separate})
    require_exists(singer_dir, "folder")
    dataset, left_out = prepare_and_tell(singer_dir, output, resolved, pick_device(device))
    report = output / "report.md"
    unreadable = [r for r in left_out if r["code"] == "unreadable"]
    result = {
        "dataset": str(output),
        "report": str(report),
        "speakers": list(dataset.speakers),
        "slices": len(dataset.utterances),
        "minutes": round(sum(u.samples for u in dataset.utterances) / dataset.spec.sample_rate / 60, 2),
        "warnings": dataset.warnings,
        "left_out": left_out,
    }
    text = (
        f"{result['slices']} slices, {result['minutes']} minutes, singers: {some(list(dataset.speakers))} -> {output}"
    )
    emit(result, json, text)
    return 1 if unreadable else 0


def prepare_and_tell(singer_dir: Path, output: Path, config: Config, device: str):
    """Prepare with a progress bar and say what was left out and why; (PreparedDataset, recordings left out)."""
    from svc.data.prepare import prepare_dataset

    with stage(f"Preparing {singer_dir.name}") as update:
        dataset = prepare_dataset(singer_dir, output, config, device=device, progress=update)
    left_out = _left_out(output)
    for recording in left_out[:MOST_NAMED]:
        reason = f"{recording['name']}: {recording['error']}"
        if recording["code"] == "unreadable":
            say(failure(singer_dir / recording["name"], recording["error"]))
        else:
            say(f"Left out: {reason}.")
    if len(left_out) > MOST_NAMED:
        say(f"Left out: {len(left_out) - MOST_NAMED} more, see the report.")
    for warning in dataset.warnings:
        say(f"Warning: {warning}")
    say(f"The report on the recordings is in {output / 'report.md'}")
    return dataset, left_out


def _left_out(output: Path) -> list[dict[str, Any]]:
    """The recordings that the report says are not used: name, code (unreadable, unusable, duplicate) and error."""
    report = json_format.loads((output / "report.json").read_text(encoding="utf-8"))
    return [{key: r[key] for key in ("name", "code", "error")} for r in report["recordings"] if r["error"]]
