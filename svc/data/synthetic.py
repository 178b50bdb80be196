"""A made-up prepared dataset, for tests and benchmarks: gliding harmonic tones with features to match.

It has the files and the manifest of a real one, but needs no recordings, no separator and no encoder.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from svc.data.manifest import PreparedDataset, SpeakerStats, StoredRecording, Utterance
from svc.features.spec import FeatureSpec

SYNTHETIC_ENCODER = "synthetic"


@dataclass(frozen=True)
class SyntheticSize:
    """How much to make; the last recording of every singer is held out when `held_out`."""

    singers: int = 1
    recordings: int = 3
    slices: int = 2
    slice_seconds: float = 2.0
    held_out: bool = True
    content_dim: int = 16
    sample_rate: int = 16_000
    hop_length: int = 256
    n_fft: int = 1024


def synthetic_spec(size: SyntheticSize) -> FeatureSpec:
    """A spec of the wanted sizes; its content encoder does not exist."""
    return FeatureSpec(
        sample_rate=size.sample_rate,
        hop_length=size.hop_length,
        n_fft=size.n_fft,
        n_mels=80,
        mel_fmin_hz=0.0,
        mel_fmax_hz=None,
        content_encoder=SYNTHETIC_ENCODER,
        content_layers=((1, 1.0),),
        content_normalisation="none",
        content_dim=size.content_dim,
        content_weights="0" * 64,
        pitch_estimator="fcpe",
        f0_min_hz=50.0,
        f0_max_hz=1100.0,
        f0_median_frames=0,
    )


def write_synthetic_dataset(directory: Path, size: SyntheticSize | None = None, seed: int = 0) -> PreparedDataset:
    """Write the dataset to `directory` and open it."""
    size = size or SyntheticSize()
    spec = synthetic_spec(size)
    random = np.random.default_rng(seed)
    frames = int(size.slice_seconds * spec.frame_rate)
    singers = [f"singer{i}" for i in range(size.singers)]
    utterances: list[Utterance] = []
    stored: dict[str, StoredRecording] = {}
    for singer_index, singer in enumerate(singers):
        for recording in range(size.recordings):
            key = hashlib.sha256(f"{seed} {singer} {recording}".encode()).hexdigest()
            stored[key] = _write_recording(
                directory, key, spec, frames * size.slices, 150.0 * 1.5**singer_index, random
            )
            split = "validation" if size.held_out and recording == size.recordings - 1 else "train"
            utterances += [_utterance(singer, recording, key, part, frames, spec, split) for part in range(size.slices)]
    minutes = size.recordings * size.slices * size.slice_seconds / 60
    stats = {name: SpeakerStats(name, minutes, 120.0, 200.0, 300.0) for name in singers}
    PreparedDataset(directory, spec, singers, utterances, stored, stats).save()
    return PreparedDataset.open(directory)


def _utterance(
    singer: str, recording: int, key: str, part: int, frames: int, spec: FeatureSpec, split: str
) -> Utterance:
    start = part * frames * spec.hop_length
    # The last frame is only partly filled, as in real slices.
    samples = frames * spec.hop_length - spec.hop_length // 3
    return Utterance(
        id=f"{key[:12]}-{part}",
        speaker=singer,
        recording=f"{singer}/{recording}.wav",
        recording_sha256=key,
        start=start,
        samples=samples,
        frames=frames,
        split=split,
        f0_low_hz=120.0,
        f0_median_hz=200.0,
        f0_high_hz=300.0,
    )


def _write_recording(
    directory: Path, key: str, spec: FeatureSpec, frames: int, centre_hz: float, random: np.random.Generator
) -> StoredRecording:
    times = np.arange(frames) / spec.frame_rate
    octaves = 0.4 * np.sin(2 * np.pi * random.uniform(0.2, 0.6) * times + random.uniform(0, 6))
    f0_hz = (centre_hz * 2.0**octaves).astype(np.float32)
    vowel = np.stack([np.sin(2 * np.pi * rate * times) for rate in (0.7, 1.3)], axis=1)
    content = vowel @ random.standard_normal((2, spec.content_dim)) + 0.1 * random.standard_normal(
        (frames, spec.content_dim)
    )
    per_sample = np.repeat(f0_hz, spec.hop_length)
    phase = 2 * np.pi * np.cumsum(per_sample) / spec.sample_rate
    tilt = 1.5 + 0.5 * np.repeat(vowel[:, 0], spec.hop_length)
    audio = sum(np.sin(h * phase) * h**-tilt for h in range(1, 9))
    voiced = np.sin(2 * np.pi * 0.9 * times) > -0.7
    audio = 0.2 * audio * np.repeat(voiced, spec.hop_length) + 0.003 * random.standard_normal(len(phase))
    scale = float(np.abs(audio).max()) / 32767
    loudness = 10 * np.log10(np.square(audio).reshape(frames, -1).mean(axis=1) + 1e-10)
    arrays = {
        "audio": np.round(audio / scale).astype(np.int16),
        "content": content.astype(np.float16),
        "pitch": np.where(voiced, f0_hz, 0).astype(np.float32),
        "loudness": loudness.astype(np.float32),
    }
    names = {}
    for name, array in arrays.items():
        names[name] = f"store/{key[:32]}/{name}-{key[:8]}.npy"
        path = directory / names[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array)
    return StoredRecording(audio_scale=scale, **names)
