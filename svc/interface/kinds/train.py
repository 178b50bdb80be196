"""Training a voice, with pause, resume and an early end that still gives a voice."""

import time
from pathlib import Path
from typing import Any

from svc.config import Config, load_config
from svc.data.manifest import MANIFEST_NAME, PreparedDataset
from svc.data.selection import exclude_slices
from svc.errors import InterruptedBySignal, SvcError
from svc.interface.disk import read_json, write_json
from svc.interface.files import slug
from svc.interface.jobs.context import JobContext
from svc.interface.kinds.gathering import link
from svc.interface.kinds.prepare import DATASET, prepare_songs
from svc.interface.voices import add_voice
from svc.settings import merge

PREPARE_SHARE = 0.25
LEAST_MINUTES = 0.02


def train(context: JobContext) -> dict[str, Any]:
    """Inputs "dataset" (a prepared folder) or "song-000", "song-001" ...; "base", a voice to start from, if wanted.

    Settings: "singer" (name shown for the voice), "recipe", "settings" (nested, over the recipe; train.max_minutes
    counts over all pauses), "base" ("builtin": the base voice that ships, where it fits), "excluded" (ids of slices of
    the given dataset to leave out). Events: "losses" (step, total, losses, speed, seconds_left), "message". Everything
    lies in work/: songs/, dataset/ (of a given one, links), run/ (with TensorBoard logs and samples). The voice goes to
    the user's library, and can be downloaded. Returns voice
    (its id there), steps, metrics.
    """
    from svc.checkpoint.resume import list_states
    from svc.conversion.converter import resolve_device
    from svc.training.loop import train_voice
    from svc.training.run_folder import RunFolder

    config, device = _config(context), resolve_device(context.device)
    run = RunFolder(context.work / "run")
    dataset = _dataset(context, config, device)
    config, base, judges = _from_base(context, config, dataset)
    share = 0.0 if context.has_input("dataset") else PREPARE_SHARE
    context.stage("training", share, 1 - share)
    if context.finish_wanted:
        result = _finish_now(run, dataset, config, device)
    else:
        started = bool(list_states(run.checkpoints))
        config = _time_left(context, config) if started else config
        watch = _Watch(context)
        try:
            result = train_voice(
                config,
                dataset,
                run.path,
                base=None if started else base,
                base_discriminator=None if started else judges,
                resume=started,
                device=device,
                progress=watch,
                messages=context.message,
            )
        except InterruptedBySignal:
            if not context.finish_wanted:
                raise
            result = _finish_now(run, dataset, config, device)
    title = str(context.settings.get("singer") or context.title)
    voice = add_voice(context.home, result.voice_path, title)
    link(result.voice_path, context.outputs / f"{slug(title)}.safetensors")
    return {"voice": voice, "steps": result.steps, "metrics": result.metrics}


def _config(context: JobContext) -> Config:
    from svc.paths import recipe

    return load_config(recipe(context.settings.get("recipe", "fast")), context.settings.get("settings") or {})


def _from_base(context: JobContext, config: Config, dataset: Path) -> tuple[Config, Path | None, Path | None]:
    """Settings, base voice and discriminators; what the base that ships brings lies under what the user changed."""
    from svc.checkpoint.voice import load_voice
    from svc.paths import recipe
    from svc.training.builtin_base import find_builtin_base, settings_from, why_not

    if context.has_input("base"):
        return config, context.input("base"), None
    found = find_builtin_base() if context.settings.get("base") == "builtin" else None
    if found is None:
        return config, None, None
    path = recipe(context.settings.get("recipe", "fast"))
    plain = load_config(path).model_dump(mode="json")
    mine = _changed(context.settings.get("settings") or {}, plain)
    voice = load_voice(found.voice)
    adapted = load_config(path, merge(settings_from(voice.config, found.discriminator is not None), mine))
    reason = why_not(voice, adapted, PreparedDataset.open(dataset).spec)
    if reason:
        context.message(f"The built-in base voice does not fit ({reason}): training starts from random weights.")
        return config, None, None
    context.message("Training starts from the built-in base voice.")
    return adapted, found.voice, found.discriminator


def _changed(values: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    """The settings of `values` (nested) that are not those of the recipe."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        before = plain.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            if kept := _changed(value, before):
                out[name] = kept
        elif value != (list(before) if isinstance(before, tuple) else before):
            out[name] = value
    return out


def _dataset(context: JobContext, config: Config, device: str) -> Path:
    """The prepared dataset: the one given, or what preparing the songs gives (again only what is missing)."""
    if not context.has_input("dataset"):
        prepare_songs(context, config, device, PREPARE_SHARE)
        return context.work / DATASET
    own = context.work / DATASET
    if not (own / MANIFEST_NAME).is_file():
        # Links of its own: another choice of slices, or the dataset's end, does not disturb a training under way.
        given = context.input("dataset")
        for path in sorted((given / "store").rglob("*.npy")):
            link(path, own / path.relative_to(given))
        # The last one, so that half a folder is no dataset; it is only ever replaced, so the given one stays as it is.
        link(given / MANIFEST_NAME, own / MANIFEST_NAME)
    excluded = context.settings.get("excluded") or []
    if set(excluded) != PreparedDataset.open(own).excluded:
        exclude_slices(own, excluded)
    return own


def _finish_now(run: Any, dataset: Path, config: Config, device: str) -> Any:
    """The voice of the newest training state: a continuation that is at its end when it begins."""
    from svc.checkpoint.resume import list_states
    from svc.training.loop import train_voice

    states = list_states(run.checkpoints)
    if not states:
        raise SvcError("Nothing has been learnt yet: let the training run for some minutes first.")
    ended = merge(config.model_dump(exclude_unset=True), {"train": {"max_steps": states[-1].step}})
    return train_voice(load_config(None, ended), dataset, run.path, resume=True, device=device)


def _time_left(context: JobContext, config: Config) -> Config:
    """The settings with the minutes that earlier attempts used taken off train.max_minutes."""
    if config.train.max_minutes is None:
        return config
    left = max(LEAST_MINUTES, config.train.max_minutes - _spent(context) / 60)
    return load_config(None, merge(config.model_dump(exclude_unset=True), {"train": {"max_minutes": left}}))


def _spent(context: JobContext) -> float:
    return float(read_json(context.work / "spent.json", {}).get("seconds", 0.0))


class _Watch:
    """Turns the training's reports into progress, events, and a note of the time spent."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._before = _spent(context)
        self._started = time.monotonic()

    def update(
        self, step: int, total: int, losses: dict[str, float], steps_per_second: float, seconds_left: float
    ) -> None:
        """See svc.training.progress.TrainProgress."""
        spent = self._before + time.monotonic() - self._started
        write_json(self._context.work / "spent.json", {"seconds": spent})
        self._context.event(
            "losses", step=step, total=total, losses=losses, speed=steps_per_second, seconds_left=seconds_left
        )
        self._context.progress(spent / max(spent + seconds_left, 1e-9), seconds_left)
