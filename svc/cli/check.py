"""`svc check`: is everything there that a conversion or a training needs?"""

import importlib.metadata
import shutil
from pathlib import Path
from typing import Any

from svc.cli.console import emit
from svc.cli.options import Json

REQUIRED = (
    "torch",
    "torchaudio",
    "numpy",
    "scipy",
    "soundfile",
    "soxr",
    "av",
    "torchfcpe",
    "accelerate",
    "tensorboard",
)
OPTIONAL = {
    "demucs": "separation",
    "gradio": "webui",
    "faster-whisper": "judges",
    "onnxruntime": "judges",
    "distillmos": "judges",
}
FREE_GB_WANTED = 5.0


def check(*, voice: Path | None = None, dataset: Path | None = None, json: Json = False) -> int:
    """Pre-flight: packages, device, disk, weights; with a voice and a dataset, whether they fit together.

    Parameters
    ----------
    voice
        A voice file to check.
    dataset
        A prepared dataset to check, against the voice when both are given.
    """
    findings = [*_packages(), _device(), _disk(), *_weights()]
    if voice or dataset:
        findings += _fit(voice, dataset)
    bad = [f for f in findings if f["state"] == "missing"]
    text = "\n".join(f"{f['state']:<9} {f['what']:<28} {f['detail']}" for f in findings)
    emit({"ok": not bad, "findings": findings}, json, text)
    return 1 if bad else 0


def _finding(state: str, what: str, detail: str) -> dict[str, Any]:
    return {"state": state, "what": what, "detail": detail}


def _packages() -> list[dict[str, Any]]:
    found = []
    for name in (*REQUIRED, *OPTIONAL):
        try:
            found.append(_finding("ok", name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            extra = OPTIONAL.get(name)
            hint = f"optional: pip install 'svc-toolkit[{extra}]'" if extra else "pip install svc-toolkit again"
            found.append(_finding("optional" if extra else "missing", name, hint))
    try:
        import torchaudio  # noqa: F401
    except OSError:
        advice = (
            "does not fit this torch: install the pair of one version, pip install torch==2.11.0 torchaudio==2.11.0"
        )
        found.append(_finding("missing", "torchaudio", advice))
    return found


def _device() -> dict[str, Any]:
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return _finding(
            "ok", "device", f"{torch.cuda.get_device_name()}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        )
    if torch.backends.mps.is_available():
        return _finding("ok", "device", "mps")
    return _finding("ok", "device", f"cpu, {torch.get_num_threads()} threads: use the fast preset")


def _disk() -> dict[str, Any]:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    state = "ok" if free >= FREE_GB_WANTED else "missing"
    return _finding(state, "disk", f"{free:.1f} GiB free here, {FREE_GB_WANTED:.0f} wanted for a training")


def _weights() -> list[dict[str, Any]]:
    from svc.errors import SvcError
    from svc.weights import embedded_weights

    found = []
    for weight in embedded_weights():
        try:
            weight.path()
            found.append(_finding("ok", weight.name, f"{weight.purpose}, {weight.licence}"))
        except SvcError as error:
            found.append(_finding("missing", weight.name, str(error)))
    return found


def _fit(voice: Path | None, dataset: Path | None) -> list[dict[str, Any]]:
    from svc.checkpoint.voice import load_voice
    from svc.data.manifest import PreparedDataset
    from svc.errors import SvcError

    found, spec = [], None
    try:
        if voice:
            loaded = load_voice(voice)
            loaded.build("cpu")
            spec = loaded.spec
            megabytes = sum(t.numel() * 4 for t in loaded.state.values()) / 2**20
            found.append(_finding("ok", voice.name, f"loads; about {megabytes:.0f} MiB of weights in memory"))
        if dataset:
            prepared = PreparedDataset.open(dataset)
            if spec is not None:
                spec.require(prepared.spec, f"The dataset {dataset}")
            found.append(_finding("ok", dataset.name, f"{len(prepared.utterances)} slices"))
    except SvcError as error:
        found.append(_finding("missing", "fit", str(error)))
    return found
