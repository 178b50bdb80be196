"""Where a run computes: device, number format, CUDA switches, and what running out of memory looks like."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils.memory import should_reduce_batch_size

from svc.config import TrainConfig
from svc.errors import ConfigError
from svc.training.cores import Cores


def make_accelerator(train: TrainConfig, device: str) -> Accelerator:
    """An Accelerator on `device` ("auto", "cpu", "cuda", "cuda:1", "mps") in the settings' precision.

    Several processes are started by `accelerate launch` or `torchrun`, and found in the environment.
    Raises ConfigError for a device that is not there or a precision it does not have.
    """
    kind = _checked_kind(device)
    if not _distributed():
        # accelerate keeps one state per process; a second run in it (the web page) may want another device.
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
        if ":" in device:
            torch.cuda.set_device(device)
    return Accelerator(
        cpu=kind == "cpu",
        mixed_precision=_precision(train.precision, kind),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def _distributed() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def _checked_kind(device: str) -> str:
    kind = device.partition(":")[0]
    found = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if found[name])
    if kind not in found:
        raise ConfigError(f"Unknown device '{device}': choose auto, cpu, cuda, cuda:<number> or mps.")
    if not found[kind]:
        raise ConfigError(f"The device '{device}' is not available here: use --device auto or --device cpu.")
    if ":" in device and not (device.partition(":")[2].isdigit() and int(device[5:]) < torch.cuda.device_count()):
        raise ConfigError(f"There is no device '{device}': this machine has {torch.cuda.device_count()} CUDA devices.")
    return kind


def _precision(wanted: str, kind: str) -> str:
    if wanted == "auto":
        return "bf16" if _fast_bf16(kind) else "no"
    if wanted == "fp16" and kind != "cuda":
        raise ConfigError("train.precision fp16 needs a CUDA device: set it to auto or fp32.")
    return "no" if wanted == "fp32" else wanted


def _fast_bf16(kind: str) -> bool:
    """Whether the device computes bfloat16 in hardware: CUDA since Ampere, x86 with AVX-512 BF16 or AMX."""
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return kind == "cpu" and found is not None and bool(found())


@contextmanager
def training_switches(device: torch.device) -> Iterator[Cores | None]:
    """TF32 on CUDA, the cores that are free on CPU, torch's random state kept; undone at the end.

    cuDNN does not try out its algorithms: the first step of a base took 24 s on an H100 with that and 4.5 s without,
    and the prompts of nearly every batch have another length, which would have it try again.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = (matmul.allow_tf32, cudnn.allow_tf32)
    threads = torch.get_num_threads()
    devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        try:
            if device.type == "cuda":
                matmul.allow_tf32, cudnn.allow_tf32 = True, True
            yield Cores(threads) if device.type == "cpu" else None
        finally:
            torch.set_num_threads(threads)
            matmul.allow_tf32, cudnn.allow_tf32 = before


def is_out_of_memory(error: Exception) -> bool:
    """Whether `error` says that device or main memory ran out."""
    if isinstance(error, torch.OutOfMemoryError) or should_reduce_batch_size(error):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("not enough memory" in text or "can't allocate memory" in text)


def release_memory(device: torch.device) -> None:
    """Give back what a failed step still held."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def memory_gb(device: torch.device) -> dict[str, float]:
    """Peak device memory in GB so far, on CUDA."""
    if device.type != "cuda":
        return {}
    return {"memory_gb": torch.cuda.max_memory_allocated(device) / 1e9}


def as_text(accelerator: Any) -> str:
    """Device and number format, for messages."""
    precision = {"no": "fp32"}.get(accelerator.mixed_precision, accelerator.mixed_precision)
    many = f", {accelerator.num_processes} processes" if accelerator.num_processes > 1 else ""
    return f"{accelerator.device} in {precision}{many}"
