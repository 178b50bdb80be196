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
    "ctranslate2": "whisper-ct2",
    "onnxruntime": "judges",
    "distillmos": "judges",
}
FREE_GB_WANTED, FREE_GB_NEEDED = 5.0, 0.5


def check(*, voice: Path | None = None, dataset: Path | None = None, json: Json = False) -> int:
    """Pre-flight: packages, device, disk, weights; with a voice and a dataset, whether they fit together.

    Parameters
    ----------
    voice
        A voice file to check, also of so-vits-svc, RVC or Applio.
    dataset
        A prepared dataset to check, against the voice when both are given.
    """
    findings = [*_packages(), _device(), _disk(), *_weights()]
    if voice or dataset:
        findings += _fit(voice, dataset)
    bad = [f for f in findings if f["state"] == "failed"]
    text = "\n".join(f"{f['state']:<9} {f['what']:<28} {f['detail']}" for f in findings)
    emit({"ok": not bad, "findings": findings}, json, text)
    return 1 if bad else 0


def _finding(state: str, what: str, detail: str) -> dict[str, Any]:
    return {"state": state, "what": what, "detail": detail}


def _packages() -> list[dict[str, Any]]:
    found = []
    for name in (*REQUIRED, *OPTIONAL):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            extra = OPTIONAL.get(name)
            hint = f"for more: pip install 'svc-toolkit[{extra}]'" if extra else "missing: install svc-toolkit again"
            found.append(_finding("optional" if extra else "failed", name, hint))
            continue
        found.append(_torchaudio(version) if name == "torchaudio" else _finding("ok", name, version))
    return found


def _torchaudio(version: str) -> dict[str, Any]:
    """It is compiled against one version of torch and does not load with another."""
    try:
        import torchaudio  # noqa: F401
    except (OSError, ImportError):
        torch = importlib.metadata.version("torch")
        advice = f"{version} does not fit torch {torch}: install a pair of one version, such as 2.11.0 of both"
        return _finding("failed", "torchaudio", advice)
    return _finding("ok", "torchaudio", version)


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
    state = "ok" if free >= FREE_GB_WANTED else "warning" if free >= FREE_GB_NEEDED else "failed"
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
            found.append(_finding("failed", weight.name, str(error)))
    return found


def _fit(voice: Path | None, dataset: Path | None) -> list[dict[str, Any]]:
    from svc.checkpoint.importers.opening import open_voice
    from svc.data.manifest import PreparedDataset
    from svc.errors import SvcError

    found, spec = [], None
    try:
        if voice:
            loaded = open_voice(voice)
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
        found.append(_finding("failed", "fit", str(error)))
    return found
