"""`svc train`: a singer's recordings to a voice."""

import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from svc.cli.base_choice import Start, from_builtin, from_own
from svc.cli.console import emit, say, stage
from svc.cli.options import (
    BUILTIN,
    Device,
    Json,
    Overrides,
    Recipe,
    Separate,
    UsageError,
    pick_device,
    require_exists,
    resolve_config,
)
from svc.cli.prepare import prepare_and_tell
from svc.config import Config

Base = Annotated[
    str,
    Parameter(
        help="Voice file to start from, also a G_*.pth of so-vits-svc (its config.json beside it) or a file of RVC; "
        "'builtin' for the one that ships, where the settings fit it, or 'none'."
    ),
]


def train(
    singer_dir: Path,
    *,
    run: str,
    config: Recipe = "fast",
    base: Base = "builtin",
    base_discriminator: Path | None = None,
    resume: Annotated[bool, Parameter(negative="", help="Continue this run from its newest training state.")] = False,
    resume_previous: Annotated[
        bool, Parameter(negative="", help="Continue from the state before the newest, when that one is damaged.")
    ] = False,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    separate: Separate = None,
    device: Device = "auto",
    json: Json = False,
    settings: Overrides | None = None,
) -> int:
    """Train a voice from a folder of raw songs or vocals, or from a prepared dataset.

    Parameters
    ----------
    singer_dir
        A folder of recordings, a folder with one folder per singer, or the output of `svc prepare`.
    run
        Name of the run; everything is written to runs/NAME.
    base_discriminator
        Discriminators to start from: the discriminator.safetensors of the base voice's run, or the D_*.pth of
        so-vits-svc or RVC.
    max_minutes
        Stop training after this many minutes.
    max_steps
        Stop training at this step.
    """
    from svc.paths import run_dir

    changes = {"train.max_minutes": max_minutes, "train.max_steps": max_steps, "prepare.separate": separate}
    resolved, place = resolve_config(config, settings, changes), run_dir(run)
    require_exists(singer_dir, "folder")
    if base_discriminator is not None:
        require_exists(base_discriminator, "discriminator file")

    def resolve(of_base: dict[str, Any]) -> Config:
        return resolve_config(config, settings, changes, of_base)

    start = Start(base_path(base), base_discriminator, "previous" if resume_previous else resume)
    chosen = pick_device(device)
    _fail_early(place, start)
    resolved = from_own(start, place, _adopted(resolved, start, settings), resolve)
    dataset = prepared_dataset(singer_dir, place, resolved, chosen)
    if base == BUILTIN:
        resolved, start = from_builtin(start, dataset, resolved, resolve)
    result = run_training(dataset, place, resolved, start, chosen)
    summary = {
        "voice": str(result.voice_path),
        "steps": result.steps,
        "metrics": result.metrics,
        "tensorboard": str(place / "tensorboard"),
    }
    scores = ", ".join(f"{name} {value:.3f}" for name, value in result.metrics.items() if "/" in name)
    emit(summary, json, f"{result.steps} steps -> {result.voice_path}\n{scores}".rstrip())
    return 0


def _fail_early(place: Path, start: Start) -> None:
    """What training would refuse is refused before the minutes that preparing takes."""
    from svc.training.run_folder import RunFolder

    if not start.resume:
        RunFolder(place).require_new()


def _adopted(config: Config, start: Start, settings: Overrides | None) -> Config:
    """`config`, with what a base of another program decides."""
    from svc.checkpoint.importers.opening import is_foreign
    from svc.training.adoption import adopt, adopt_discriminators, is_imported, open_base

    if start.base is not None:
        voice = open_base(start.base)
        given = settings.model_dump(exclude_unset=True) if settings is not None else {}
        if is_imported(voice) and (given.get("model") or given.get("features")):
            raise UsageError(
                f"The model and the features of {start.base} are those of the program that made it: leave out settings "
                "that begin with --model or --features."
            )
        config = adopt(config, voice)
    if start.discriminator is not None and is_foreign(start.discriminator):
        config = adopt_discriminators(config, start.discriminator)
    return config


def prepared_dataset(singer_dir: Path, place: Path, config: Config, device: str) -> Path:
    """`singer_dir` itself if it is a prepared dataset, else what preparing it gives, in the run folder."""
    from svc.data.manifest import MANIFEST_NAME

    if (singer_dir / MANIFEST_NAME).is_file():
        return singer_dir
    dataset = place / "dataset"
    prepare_and_tell(singer_dir, dataset, config, device)
    return dataset


def run_training(dataset: Path, place: Path, config: Config, start: Start, device: str):
    """Train with a progress bar; a TrainResult."""
    from svc.training.loop import train_voice

    with stage("Training") as update:
        bar = _Bar(update)
        return train_voice(
            config,
            dataset,
            place,
            base=start.base,
            resume=start.resume,
            device=device,
            base_discriminator=start.discriminator,
            progress=bar,
            messages=say,
        )


class _Bar:
    """Turns the training's reports into a progress bar with speed, time left and losses."""

    def __init__(self, update) -> None:
        self._update = update
        self._started = time.monotonic()

    def update(
        self, step: int, total: int, losses: dict[str, float], steps_per_second: float, seconds_left: float
    ) -> None:
        """See svc.training.progress.TrainProgress."""
        elapsed = time.monotonic() - self._started
        fraction = elapsed / (elapsed + seconds_left)
        shown = " ".join(f"{name.split('/')[-1]} {value:.2f}" for name, value in losses.items())
        self._update(fraction, f"step {step}  {steps_per_second:.2f}/s  {seconds_left / 60:.1f} min left  {shown}")


def base_path(base: str) -> Path | None:
    """The file that --base means; None for 'none', and for 'builtin', which is looked for once features are known."""
    if base in ("none", BUILTIN):
        return None
    return require_exists(Path(base), "base voice")
