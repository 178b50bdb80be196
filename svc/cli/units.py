"""`svc units`: discrete units of content, learnt, applied and scored."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from svc.cli.console import emit, say, stage
from svc.cli.options import Device, Json, UsageError, pick_device
from svc.registry import CONTENT_ENCODERS

if TYPE_CHECKING:
    import numpy as np

    from svc.data.content_frames import Hearing

units = App(name="units", help="Discrete units: learn them, apply them, score them against phones.")

Encoder = Annotated[
    str | None,
    Parameter(help=f"Content encoder, where the file or dataset does not say: {', '.join(CONTENT_ENCODERS.names())}."),
]
Layer = Annotated[int | None, Parameter(help="Its layer, from 1; empty means the encoder's recommended one.")]
Normalisation = Annotated[
    Literal["none", "adaptive", "recording"], Parameter(help="How content is normalised; see docs/features.md.")
]
Centres = Annotated[
    Path,
    Parameter(name="--units", help="Centres: of `svc units learn`, joblib .km/.bin, so-vits-svc kmeans_*.pt, .npz."),
]
Singer = Annotated[str | None, Parameter(help="Whose centres, in a file that has them for several singers.")]

SCORES = (
    ("phone purity", "phone_purity"),
    ("cluster purity", "cluster_purity"),
    ("PNMI", "pnmi"),
    ("entropy of phones, nats", "phone_entropy"),
    ("entropy of units, nats", "unit_entropy"),
    ("frames per phone", "phone_run"),
    ("frames per unit", "unit_run"),
)


@units.command
def learn(
    *inputs: Path,
    output: Path,
    count: int = 100,
    encoder: Encoder = None,
    layer: Layer = None,
    normalisation: Normalisation = "adaptive",
    most_frames: int = 200_000,
    seed: int = 0,
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Learn units by k-means over the content of recordings.

    Parameters
    ----------
    inputs
        Prepared datasets, audio files (vocals), folders of them.
    output
        The file of centres, .safetensors.
    count
        How many units.
    most_frames
        Frames kept to learn from, drawn evenly from all.
    seed
        Of the draw and of the first centres; same seed, same units.
    """
    from svc.content.unit_files import write_centres
    from svc.content.unit_learning import FrameSample, learn_units
    from svc.data.content_frames import Recordings

    if not inputs:
        raise UsageError("Nothing to learn from: name at least one dataset, recording or folder.")
    if output.suffix != ".safetensors":
        raise UsageError(f"{output} is to hold units: give it the ending .safetensors.")
    if not 2 <= count <= most_frames:
        raise UsageError(f"--count is {count}: give 2 or more, and no more than --most-frames.")
    wanted = _hearing(encoder, layer, normalisation) if encoder else None
    found = Recordings.find(inputs, wanted, _hearing("moonshine", layer, normalisation))
    sample = FrameSample(most_frames, seed)
    with stage("Listening") as update:
        for recording in found.frames(pick_device(device), update):
            sample.add(recording.values)
    with stage("Learning") as update:
        learnt = learn_units(sample.frames(), count, seed, progress=update)
    facts = {"frames": sample.seen, "explained": round(learnt.explained, 4), **found.hearing.to_facts()}
    write_centres(output, learnt.centres, facts)
    result = {"output": str(output), "units": count, "iterations": learnt.iterations, **facts}
    text = f"{count} units from {sample.seen:,} frames, {100 * learnt.explained:.0f} % of their variance -> {output}"
    emit(result, json, text)
    return 0


@units.command
def apply(
    *inputs: Path,
    centres: Centres,
    output: Path,
    singer: Singer = None,
    encoder: Encoder = None,
    layer: Layer = None,
    normalisation: Normalisation = "adaptive",
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Write the units of recordings: for each a line of its name, a tab, and a unit for each frame.

    Parameters
    ----------
    inputs
        Prepared datasets, audio files (vocals), folders of them.
    output
        The text file.
    """
    from svc.content.units import nearest_units
    from svc.data.content_frames import Recordings
    from svc.data.unit_table import write_units

    if not inputs:
        raise UsageError("Nothing to hear: name at least one dataset, recording or folder.")
    values, known = _centres(centres, singer)
    found = Recordings.find(inputs, known or (_hearing(encoder, layer, normalisation) if encoder else None))
    rows: list[tuple[str, list[int]]] = []
    step = 0.0
    with stage("Listening") as update:
        for recording in found.frames(pick_device(device), update):
            step = float(recording.times[1] - recording.times[0]) if len(recording.times) > 1 else step
            rows.append((recording.name, nearest_units(recording.values, values).tolist()))
    write_units(output, rows, step)
    frames = sum(len(row) for _, row in rows)
    used = len({unit for _, row in rows for unit in row})
    result = {"output": str(output), "recordings": len(rows), "frames": frames, "used": used, "units": len(values)}
    emit(result, json, f"{len(rows)} recordings, {frames:,} frames, {used} of {len(values)} units used -> {output}")
    return 0


@units.command
def score(
    *inputs: Path,
    centres: Annotated[Path | None, Parameter(name="--units", help="Centres, as for `svc units apply`.")] = None,
    labels: Path | None = None,
    assigned: Path | None = None,
    phones: Path | None = None,
    singer: Singer = None,
    encoder: Encoder = None,
    layer: Layer = None,
    normalisation: Normalisation = "adaptive",
    keep_stress: bool = False,
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Say how well units tell phones: phone purity, cluster purity and PNMI (HuBERT, arXiv 2106.07447, section IV).

    Parameters
    ----------
    inputs
        Audio files or folders; NAME.lab (begin, end, phone) beside each, or in --labels.
    labels
        Folder of the label files, named as the recordings are.
    assigned
        Instead of recordings: units as `svc units apply` writes them, together with --phones.
    phones
        Lines of name, tab, and a phone for each frame.
    keep_stress
        Tell stressed from unstressed phones (AA1, AA0).
    """
    from svc.content.units import score_units

    if assigned or phones:
        if not (assigned and phones) or inputs or centres:
            raise UsageError("--assigned goes with --phones alone: give both, without recordings and --units.")
        from svc.data.unit_table import read_table, read_units

        heard, said = read_units(assigned), read_table(phones)
    else:
        if not inputs or centres is None:
            raise UsageError("Nothing to score: name recordings and --units, or --assigned and --phones.")
        values, known = _centres(centres, singer)
        hearing = known or (_hearing(encoder, layer, normalisation) if encoder else None)
        heard, said = _heard_and_said(inputs, labels, values, hearing, pick_device(device))
    scores = score_units(said, heard, keep_stress)
    rows = [f"{title:<26}{getattr(scores, name):.4f}" for title, name in SCORES]
    different = len({unit for row in heard.values() for unit in row})
    rows.append(
        f"{scores.frames:,} frames of {scores.utterances - scores.utterances_missing} recordings, {different} units"
    )
    emit({**asdict(scores), "units_used": different}, json, "\n".join(rows))
    return 0


def _heard_and_said(
    inputs: tuple[Path, ...], labels: Path | None, centres: "np.ndarray", hearing: "Hearing | None", device: str
) -> tuple[dict[str, list[int]], dict[str, list[str]]]:
    """Units and phones by recording, frame by frame, where a phone is marked."""
    from svc.content.phone_labels import OUTSIDE, read_labels
    from svc.content.units import nearest_units
    from svc.data.content_frames import Recordings
    from svc.errors import DatasetError

    found = Recordings.find(inputs, hearing)
    if found.datasets:
        raise UsageError("A prepared dataset has no phones: name the recordings that have label files.")
    places = {name: _label_file(path, labels) for name, path in found.files}
    missing = [name for name, place in places.items() if place is None]
    if len(missing) == len(places):
        raise DatasetError(f"No recording has a label file (.lab): {missing[0]}.lab would be one; see --labels.")
    if missing:
        say(f"Note: {len(missing)} recordings without a label file are left out, {missing[0]} first.")
    kept = Recordings(tuple((name, path) for name, path in found.files if places[name]), (), found.hearing)
    heard: dict[str, list[int]] = {}
    said: dict[str, list[str]] = {}
    with stage("Listening") as update:
        for recording in kept.frames(device, update):
            place = places[recording.name]
            assert place is not None
            marked = read_labels(place).at(recording.times)
            nearest = nearest_units(recording.values, centres).tolist()
            both = [(unit, phone) for unit, phone in zip(nearest, marked, strict=True) if phone != OUTSIDE]
            heard[recording.name] = [unit for unit, _ in both]
            said[recording.name] = [phone for _, phone in both]
    return heard, said


def _label_file(recording: Path, folder: Path | None) -> Path | None:
    place = (folder / recording.name if folder else recording).with_suffix(".lab")
    return place if place.is_file() else None


def _hearing(encoder: str, layer: int | None, normalisation: str) -> "Hearing":
    from svc.data.content_frames import Hearing

    CONTENT_ENCODERS.require(encoder)
    return Hearing.of(encoder, layer, normalisation)


def _centres(path: Path, singer: str | None) -> "tuple[np.ndarray, Hearing | None]":
    """Centres (K, D) of a file, and the content they were learnt on where the file says it."""
    from svc.content.unit_files import read_centres, read_facts
    from svc.data.content_frames import Hearing

    by_singer = read_centres(path)
    facts = read_facts(path)
    known: Any = Hearing.from_facts(facts, str(path)) if facts else None
    if singer is None and len(by_singer) == 1:
        return next(iter(by_singer.values())), known
    if singer not in by_singer:
        names = ", ".join(name for name in by_singer if name) or "nobody in particular"
        raise UsageError(f"{path} has units for {names}: choose with --singer.")
    return by_singer[singer], known
