"""FeatureSpec and Features: what was measured, and how.

Frame convention, used everywhere: a recording of N samples has T = ceil(N / hop_length) frames;
frame t covers samples [t * hop, (t + 1) * hop) and its values belong to the time (t + 0.5) * hop / rate.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from svc.config import FeatureConfig
from svc.errors import AudioError, ConfigError, SpecMismatchError
from svc.settings import build

SPEC_VERSION = 1


@dataclass(frozen=True)
class FeatureSpec:
    """Everything that decides the numbers in Features. Rates in Hz, lengths in samples."""

    sample_rate: int
    hop_length: int
    n_fft: int
    n_mels: int
    mel_fmin_hz: float
    mel_fmax_hz: float | None
    content_encoder: str
    content_layers: tuple[tuple[int, float], ...]
    content_normalisation: str
    content_dim: int
    content_weights: str  # sha256 of the encoder's weight file; "" is any file of that encoder (imported voices)
    pitch_estimator: str
    f0_min_hz: float
    f0_max_hz: float
    f0_median_frames: int
    pitch_weights: str = ""  # sha256 of the F0 estimator's file where a user supplies it; "" is none, or any
    content_alignment: str = "linear"  # see FeatureConfig
    loudness_window: str = "fft"  # see FeatureConfig
    content_layers_mode: str = "sum"  # see FeatureConfig; "stack": content_dim holds all layers side by side
    version: int = SPEC_VERSION

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop_length

    @property
    def stacked_layers(self) -> int:
        """How many layers a content frame holds side by side; 1 where they are added up."""
        return len(self.content_layers) if self.content_layers_mode == "stack" else 1

    def frames(self, samples: int) -> int:
        """Number of frames T of a recording of `samples` samples at `sample_rate`."""
        return -(-samples // self.hop_length)

    def frame_times(self, frames: int) -> np.ndarray:
        """Centre time in seconds of each of `frames` frames, float64 (T,)."""
        return (np.arange(frames) + 0.5) * (self.hop_length / self.sample_rate)

    def fingerprint(self) -> str:
        """Short hash of all fields; features with another fingerprint are not interchangeable."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data = asdict(self)
        data["content_layers"] = [list(pair) for pair in self.content_layers]
        # So that fingerprints from before these fields stay what they were.
        usual_values = {"content_alignment": "linear", "loudness_window": "fft", "content_layers_mode": "sum"}
        for name, usual in (usual_values | {"pitch_weights": ""}).items():
            if data[name] == usual:
                del data[name]
        return data

    @staticmethod
    def from_dict(data: dict[str, Any]) -> "FeatureSpec":
        """Back from plain data; SpecMismatchError for an unknown version or fields."""
        version = data.get("version")
        if version != SPEC_VERSION:
            raise SpecMismatchError(
                f"The feature specification has version {version}, this program knows {SPEC_VERSION}: "
                "update the toolkit, or prepare the dataset again."
            )
        fields = dict(data)
        fields["content_layers"] = tuple((int(k), float(v)) for k, v in fields["content_layers"])
        try:
            return FeatureSpec(**fields)
        except TypeError as error:
            raise SpecMismatchError(
                f"The feature specification is incomplete or has unknown fields: {error}."
            ) from error

    def require(self, other: "FeatureSpec", what: str) -> None:
        """Raise SpecMismatchError naming the differing fields unless `other` equals this spec."""
        mine, theirs = asdict(self), asdict(other)
        different = [k for k in mine if mine[k] != theirs[k]]
        for name in ("content_weights", "pitch_weights"):
            if not (mine[name] and theirs[name]):
                different = [k for k in different if k != name]
        if different:
            parts = ", ".join(f"{k}: {theirs[k]} instead of {mine[k]}" for k in different)
            raise SpecMismatchError(f"{what} was made with other features ({parts}): prepare the recordings again.")


@dataclass(frozen=True)
class Features:
    """Measured features of one stretch of audio, all with T frames.

    content (T, content_dim) float32; f0_hz (T,) float32, 0 where unvoiced; voiced (T,) bool;
    loudness_db (T,) float32, dB of full scale (RMS of the frame's window, floor -100).
    """

    content: np.ndarray
    f0_hz: np.ndarray
    voiced: np.ndarray
    loudness_db: np.ndarray
    spec: FeatureSpec

    def __post_init__(self) -> None:
        counts = {len(self.content), len(self.f0_hz), len(self.voiced), len(self.loudness_db)}
        if len(counts) != 1:
            raise AudioError(f"Features disagree about their number of frames: {sorted(counts)}.")
        if self.content.ndim != 2 or self.content.shape[1] != self.spec.content_dim:
            raise AudioError(f"Content frames must be (T, {self.spec.content_dim}), got {self.content.shape}.")

    @property
    def frames(self) -> int:
        """Number of frames T."""
        return len(self.f0_hz)

    def cut(self, start: int, stop: int) -> "Features":
        """Frames [start, stop)."""
        return Features(
            self.content[start:stop],
            self.f0_hz[start:stop],
            self.voiced[start:stop],
            self.loudness_db[start:stop],
            self.spec,
        )


def config_from_spec(spec: FeatureSpec) -> FeatureConfig:
    """The settings that measure what `spec` says; ConfigError where they cannot."""
    plain = spec.to_dict()
    given = {name: plain[name] for name in FeatureConfig.model_fields if name in plain}
    layers = {str(number): weight for number, weight in spec.content_layers}
    return build(FeatureConfig, given | {"content_layers": layers}, "the features")


def spec_from_config(config: FeatureConfig) -> FeatureSpec:
    """The spec that `config` asks for; the encoder and estimator add their own facts."""
    from svc.registry import CONTENT_ENCODERS, PITCH_ESTIMATORS

    encoder = CONTENT_ENCODERS.load(config.content_encoder)
    layers = config.content_layers or encoder.default_layers
    stacked = config.content_layers_mode == "stack"
    if stacked and len(layers) < 2:
        raise ConfigError(
            "features.content_layers_mode stack needs two or more layers to mix: name them, such as "
            "--features.content-layers.6 1 --features.content-layers.12 1."
        )
    return FeatureSpec(
        sample_rate=config.sample_rate,
        hop_length=config.hop_length,
        n_fft=config.n_fft,
        n_mels=config.n_mels,
        mel_fmin_hz=config.mel_fmin_hz,
        mel_fmax_hz=config.mel_fmax_hz,
        content_encoder=config.content_encoder,
        content_layers=tuple(sorted((int(k), float(v)) for k, v in layers.items())),
        content_normalisation=config.content_normalisation,
        content_dim=encoder.dim * (len(layers) if stacked else 1),
        content_weights=encoder.weights_sha256,
        pitch_estimator=config.pitch_estimator,
        f0_min_hz=config.f0_min_hz,
        f0_max_hz=config.f0_max_hz,
        f0_median_frames=config.f0_median_frames,
        pitch_weights=PITCH_ESTIMATORS.load(config.pitch_estimator).weights_hash(),
        content_layers_mode=config.content_layers_mode,
        content_alignment=config.content_alignment,
        loudness_window=config.loudness_window,
    )
