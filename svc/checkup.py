"""What a conversion or a training needs of this machine: packages, device, disk, weights."""

import importlib.metadata
import shutil
from pathlib import Path
from typing import Any

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
    "hibari-tts": "speech",
    "faster-whisper": "judges",
    "ctranslate2": "whisper-ct2",
    "onnxruntime": "judges",
    "distillmos": "judges",
}
FREE_GB_WANTED, FREE_GB_NEEDED = 5.0, 0.5


def findings() -> list[dict[str, Any]]:
    """Each as state ("ok", "optional", "warning" or "failed"), what, and detail: a version, or what to do."""
    return [*_packages(), _device(), _disk(), *_weights()]


def finding(state: str, what: str, detail: str) -> dict[str, Any]:
    """One line of a check."""
    return {"state": state, "what": what, "detail": detail}


def _packages() -> list[dict[str, Any]]:
    found = []
    for name in (*REQUIRED, *OPTIONAL):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            extra = OPTIONAL.get(name)
            hint = f"for more: pip install 'svc-toolkit[{extra}]'" if extra else "missing: install svc-toolkit again"
            found.append(finding("optional" if extra else "failed", name, hint))
            continue
        found.append(_torchaudio(version) if name == "torchaudio" else finding("ok", name, version))
    return found


def _torchaudio(version: str) -> dict[str, Any]:
    """It is compiled against one version of torch and does not load with another."""
    try:
        import torchaudio  # noqa: F401
    except (OSError, ImportError):
        torch = importlib.metadata.version("torch")
        advice = f"{version} does not fit torch {torch}: install a pair of one version, such as 2.11.0 of both"
        return finding("failed", "torchaudio", advice)
    return finding("ok", "torchaudio", version)


def _device() -> dict[str, Any]:
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return finding(
            "ok", "device", f"{torch.cuda.get_device_name()}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        )
    if torch.backends.mps.is_available():
        return finding("ok", "device", "mps")
    return finding("ok", "device", f"cpu, {torch.get_num_threads()} threads: use the fast preset")


def _disk() -> dict[str, Any]:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    state = "ok" if free >= FREE_GB_WANTED else "warning" if free >= FREE_GB_NEEDED else "failed"
    return finding(state, "disk", f"{free:.1f} GiB free here, {FREE_GB_WANTED:.0f} wanted for a training")


def _weights() -> list[dict[str, Any]]:
    from svc.errors import SvcError
    from svc.weights import embedded_weights

    found = []
    for weight in embedded_weights():
        try:
            weight.path()
            found.append(finding("ok", weight.name, f"{weight.purpose}, {weight.licence}"))
        except SvcError as error:
            found.append(finding("failed", weight.name, str(error)))
    return found
