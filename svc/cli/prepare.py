"""`svc prepare`: raw songs to a training dataset and a report."""

from pathlib import Path

from svc.cli.console import emit, say, stage
from svc.cli.options import Device, Json, Overrides, Recipe, Separate, pick_device, require_exists, resolve_config


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
    from svc.data.prepare import prepare_dataset

    require_exists(singer_dir, "folder")
    resolved = resolve_config(config, settings, {"prepare.separate": separate})
    with stage(f"Preparing {singer_dir.name}") as update:
        dataset = prepare_dataset(singer_dir, output, resolved, device=pick_device(device), progress=update)
    report = output / "report.md"
    say(f"The report on the recordings is in {report}")
    result = {
        "dataset": str(output),
        "report": str(report),
        "speakers": list(dataset.speakers),
        "slices": len(dataset.utterances),
        "minutes": round(sum(u.samples for u in dataset.utterances) / dataset.spec.sample_rate / 60, 2),
    }
    text = f"{result['slices']} slices, {result['minutes']} minutes, singers: {', '.join(dataset.speakers)} -> {output}"
    emit(result, json, text)
    return 0
