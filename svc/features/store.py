"""Measured features on disk: one file per recording and stage, each keyed by exactly the settings it depends on."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from svc.features.spec import FeatureSpec

# Raised when a stage's numbers change for the same settings.
STAGE_VERSIONS = {"separated": 1, "audio": 1, "content": 1, "pitch": 1, "loudness": 1}


class FeatureStore:
    """Files `directory`/store/<recording>/<stage>-<key>.npy (and .json).

    <recording> is the beginning of the recording's sha256, <key> a hash of the settings that the stage depends on.
    So another F0 estimator leaves separation, audio and content untouched, and going back finds the old files.
    Writing is atomic; a file that cannot be read counts as missing.

    Stages and what they depend on:
        separated: `source` (separation method and its weights); int16 at the recording's own rate
        audio: `source`, sample rate; int16 (N,)
        content: audio, hop, encoder, layers, normalisation, weights, alignment; float16 (T, D)
        pitch: audio, hop, estimator and the user's file of it, range, smoothing; float32 (T,), 0 where unvoiced
        loudness: audio, hop, n_fft, window; float32 (T,)
    Other stages pass what they depend on as `settings`.
    """

    def __init__(self, directory: Path | str, spec: FeatureSpec, source: str = "none") -> None:
        self.directory = Path(directory)
        self.spec = spec
        self.source = source

    def key(self, stage: str, settings: dict[str, Any] | None = None) -> str:
        """Hash of what `stage` depends on (16 hex digits)."""
        basis = {"stage": stage, "version": STAGE_VERSIONS.get(stage, 1), **self._basis(stage), **(settings or {})}
        return hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()[:16]

    def _basis(self, stage: str) -> dict[str, Any]:
        spec = self.spec
        if stage == "separated":
            return {"source": self.source}
        audio = {"source": self.source, "rate": spec.sample_rate, "audio": STAGE_VERSIONS["audio"]}
        if stage == "content":
            return audio | {
                "hop": spec.hop_length,
                "encoder": spec.content_encoder,
                "layers": spec.content_layers,
                "normalisation": spec.content_normalisation,
                "weights": spec.content_weights,
                **({"mode": spec.content_layers_mode} if spec.content_layers_mode != "sum" else {}),
                **({"alignment": spec.content_alignment} if spec.content_alignment != "linear" else {}),
            }
        if stage == "pitch":
            weights = {"weights": spec.pitch_weights} if spec.pitch_weights else {}
            return audio | {
                "hop": spec.hop_length,
                "estimator": spec.pitch_estimator,
                "range": [spec.f0_min_hz, spec.f0_max_hz],
                "median": spec.f0_median_frames,
                **weights,
            }
        if stage == "loudness":
            window = {"window": spec.loudness_window} if spec.loudness_window != "fft" else {}
            return audio | {"hop": spec.hop_length, "n_fft": spec.n_fft, **window}
        return audio

    def path(
        self, recording_sha256: str, stage: str, ending: str = ".npy", settings: dict[str, Any] | None = None
    ) -> Path:
        """Where a stage of a recording lies, whether it exists or not."""
        return self.directory / "store" / recording_sha256[:16] / f"{stage}-{self.key(stage, settings)}{ending}"

    def name(self, path: Path) -> str:
        """A path of this store as the manifest writes it: relative, with forward slashes."""
        return path.relative_to(self.directory).as_posix()

    def remove_leftovers(self) -> None:
        """Delete half-written files of processes that were killed; those of living processes stay."""
        import psutil

        for path in (self.directory / "store").glob("*/.*.tmp"):
            pid = path.name.split(".")[-2]
            if not (pid.isdigit() and psutil.pid_exists(int(pid))):
                path.unlink(missing_ok=True)

    def load(self, recording_sha256: str, stage: str) -> np.ndarray | None:
        """A stage's array, mapped from disk (read-only), or None when it is not there or damaged."""
        return load_array(self.path(recording_sha256, stage))

    def save(self, recording_sha256: str, stage: str, array: np.ndarray) -> Path:
        """Write a stage's array atomically; its path."""
        path = self.path(recording_sha256, stage)
        save_array(path, array)
        return path

    def load_json(
        self, recording_sha256: str, stage: str, settings: dict[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """A stage's plain data, or None when it is not there or damaged."""
        try:
            data = json.loads(self.path(recording_sha256, stage, ".json", settings).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return data if isinstance(data, dict) else None

    def save_json(
        self, recording_sha256: str, stage: str, data: dict[str, Any], settings: dict[str, Any] | None = None
    ) -> Path:
        """Write a stage's plain data atomically; its path."""
        path = self.path(recording_sha256, stage, ".json", settings)
        text = json.dumps(data, allow_nan=False)
        _write(path, lambda file: file.write(text.encode()))
        return path


def load_array(path: Path) -> np.ndarray | None:
    """An array mapped from disk (read-only), or None when the file is missing or damaged."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None


def save_array(path: Path, array: np.ndarray) -> None:
    """Write an array as .npy atomically."""
    _write(path, lambda file: np.save(file, array, allow_pickle=False))


def _write(path: Path, write: Callable[[Any], Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
