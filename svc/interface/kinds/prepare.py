"""Preparing a singer's songs for training: separate, slice, measure. Every stage is stored, so it can be paused."""

from pathlib import Path
from typing import Any

from svc.config import Config, load_config
from svc.errors import SvcError
from svc.interface.jobs.context import JobContext
from svc.interface.kinds.gathering import link_songs
from svc.settings import merge

DATASET = "dataset"


def prepare(context: JobContext) -> dict[str, Any]:
    """Inputs "song-000", "song-001" ...; settings "singer", "singer_folder", "settings" (features and prepare, nested).

    The dataset lies in work/dataset. It holds every slice, those that the measures advise against as well: a person
    decides about each. Returns the minutes and the number of slices.
    """
    from svc.conversion.converter import resolve_device

    config = load_config(None, merge(context.settings.get("settings") or {}, {"prepare": {"keep_flagged": True}}))
    prepared = prepare_songs(context, config, resolve_device(context.device), 1.0)
    seconds = sum(u.samples for u in prepared.utterances) / prepared.spec.sample_rate
    return {"minutes": round(seconds / 60, 2), "slices": len(prepared.utterances)}


def prepare_songs(context: JobContext, config: Config, device: str, share: float) -> Any:
    """The job's songs as a prepared dataset in work/dataset; `share` of the job's progress."""
    from svc.data.prepare import prepare_dataset

    # The singer of the voice is called as the folder is.
    raw = context.work / "songs" / context.settings.get("singer_folder", "singer")
    if not link_songs(context, raw):
        raise SvcError("There is nothing to learn from: add some songs of the singer.")
    context.stage("preparing", 0.0, share)
    dataset: Path = context.work / DATASET
    prepared = prepare_dataset(raw, dataset, config, device=device, progress=context.progress)
    for warning in prepared.warnings:
        context.message(warning)
    return prepared
