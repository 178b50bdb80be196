"""`svc check`: is everything there that a conversion or a training needs?"""

from pathlib import Path
from typing import Any

from svc.checkup import finding
from svc.checkup import findings as found_here
from svc.cli.console import emit
from svc.cli.options import Json, voice_file


def check(*, voice: Path | None = None, dataset: Path | None = None, json: Json = False) -> int:
    """Pre-flight: packages, device, disk, weights; with a voice and a dataset, whether they fit together.

    Parameters
    ----------
    voice
        A voice file to check, also of so-vits-svc, RVC or Applio.
    dataset
        A prepared dataset to check, against the voice when both are given.
    """
    findings = found_here()
    if voice or dataset:
        findings += _fit(voice, dataset)
    bad = [f for f in findings if f["state"] == "failed"]
    text = "\n".join(f"{f['state']:<9} {f['what']:<28} {f['detail']}" for f in findings)
    emit({"ok": not bad, "findings": findings}, json, text)
    return 1 if bad else 0


def _fit(voice: Path | None, dataset: Path | None) -> list[dict[str, Any]]:
    from svc.checkpoint.importers.opening import open_voice
    from svc.data.manifest import PreparedDataset
    from svc.errors import SvcError

    found, spec = [], None
    try:
        if voice:
            loaded = open_voice(voice_file(voice))
            loaded.build("cpu")
            spec = loaded.spec
            megabytes = sum(t.numel() * 4 for t in loaded.state.values()) / 2**20
            found.append(finding("ok", voice.name, f"loads; about {megabytes:.0f} MiB of weights in memory"))
        if dataset:
            prepared = PreparedDataset.open(dataset)
            if spec is not None:
                spec.require(prepared.spec, f"The dataset {dataset}")
            found.append(finding("ok", dataset.name, f"{len(prepared.utterances)} slices"))
    except SvcError as error:
        found.append(finding("failed", "fit", str(error)))
    return found
