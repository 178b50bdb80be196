"""FCPE: a small convolutional network reading mel spectrograms (package torchfcpe, MIT, weights bundled).

Luo et al., "FCPE: A Fast Context-based Pitch Estimation Model", 2025 (arXiv 2509.15140).
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from svc.errors import WeightError
from svc.pitch.estimator import PitchEstimator

WEIGHTS_SHA256 = "b9aeaeb673436eeda50ceafd632aa681aa63417e52eae4207503d180c9b10015"
MODEL_RATE = 16_000
# The package's own 0.006 voices 94 % of white and 56 % of pink noise; 0.03 voices 0 and 10 %, and loses 1.3 % of the
# frames of real singing (64.9 instead of 66.2 % voiced).
THRESHOLD = 0.03
# Up to SINGLE_PASS_HZ one pass is enough; above it, the slowed pass decides from SLOWED_FROM_HZ on.
SINGLE_PASS_HZ = 1100.0
SLOWED_FROM_HZ = 1000.0
SLOWED_THRESHOLD = 0.05


class Fcpe(PitchEstimator):
    """F0 by FCPE. Robust to noise and separation residue; quick on CPU.

    Range: the network's 360 output bins end at 1975.5 Hz (B6), which is the limit here; `harvest` and `dio` follow
    to 2000 Hz. But the network itself hears nothing above 1100 Hz (sawtooth: all frames at 1100 Hz, 4 % at 1150 Hz,
    none at 1300). So for an `f0_max_hz` above 1100 Hz, the sound is measured a second time at half speed, an octave
    lower, and that reading counts above 1000 Hz in frames where it is the surer one. This triples the time taken.
    """

    name: ClassVar[str] = "fcpe"
    lowest_hz: ClassVar[float] = 32.7
    highest_hz: ClassVar[float] = 1975.5
    step_seconds: ClassVar[float] = 0.01
    # The mel frame's centre lies 5 ms later, but the network was trained to answer for time k * 10 ms: on vibrato of
    # 5.5 Hz and 50 cents its error is least (1.0 cents) with 0 and 5.7 cents with 5 ms.
    offset_seconds: ClassVar[float] = 0.0
    weights_sha256: ClassVar[str] = WEIGHTS_SHA256

    def _measure(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        f0, confidence = self._at_speed(samples, sample_rate, 1)
        if self.f0_max_hz > SINGLE_PASS_HZ:
            f0_high, confidence_high = self._at_speed(samples, sample_rate, 2)
            frames = min(len(f0), len(f0_high))
            better = (confidence_high[:frames] > np.maximum(confidence[:frames], SLOWED_THRESHOLD)) & (
                f0_high[:frames] > SLOWED_FROM_HZ
            )
            f0[:frames][better] = f0_high[:frames][better]
        return f0

    def _at_speed(self, samples: np.ndarray, sample_rate: int, slower: int) -> tuple[np.ndarray, np.ndarray]:
        """F0 in Hz and confidence at 10 ms steps, heard `slower` times as slow and low."""
        import torch

        from svc.audio.resampling import resample

        wave = resample(samples, sample_rate, MODEL_RATE * slower)
        # Louder than full scale is legal in float files, but the mel front end complains on stdout about it.
        wave = wave / max(1.0, float(np.abs(wave).max(initial=0.0)))
        extractor = _load(self.device)
        with torch.inference_mode():
            audio = torch.from_numpy(np.ascontiguousarray(wave))[None, :, None].to(self.device)
            latent = extractor.model(extractor.wav2mel(audio, MODEL_RATE))[0, ::slower]
            f0, confidence = self._decode(latent, extractor.model.cent_table, slower)
        return f0.cpu().numpy().astype(np.float64) * slower, confidence.cpu().numpy()

    def _decode(self, latent: Any, cent_table: Any, slower: int) -> tuple[Any, Any]:
        """Weighted mean of the nine bins around the strongest one inside the range; latent (T, 360) -> Hz (T,)."""
        import torch

        low, high = (1200 * np.log2(hz / slower / 10) for hz in (self.f0_min_hz, self.f0_max_hz))
        allowed = (cent_table >= low - 20) & (cent_table <= high + 20)
        confidence, peak = latent.masked_fill(~allowed, 0.0).max(dim=-1)
        near = (peak[:, None] + torch.arange(-4, 5, device=peak.device)).clamp(0, len(cent_table) - 1)
        weight = latent.gather(1, near)
        cents = (cent_table[near] * weight).sum(1) / weight.sum(1).clamp_min(1e-9)
        f0 = 10 * torch.exp2(cents / 1200)
        return torch.where(confidence > THRESHOLD, f0, torch.zeros_like(f0)), confidence


@lru_cache(maxsize=2)
def _load(device: str) -> Any:
    """The network with its bundled weights, once per process and device; WeightError if the file is another one."""
    import torch
    import torchfcpe
    from torchfcpe.models_infer import InferCFNaiveMelPE
    from torchfcpe.tools import DotDict

    from svc.weights import sha256_of

    path = Path(torchfcpe.__file__).parent / "assets" / "fcpe_c_v001.pt"
    if not path.is_file() or sha256_of(path) != WEIGHTS_SHA256:
        raise WeightError(
            f"FCPE's weight file {path} is missing or not the expected one: reinstall it with  "
            "pip install --force-reinstall torchfcpe==0.0.4"
        )
    data = torch.load(path, map_location="cpu", weights_only=True)
    config = data["config_dict"]
    # Named here because the package prints a line for each that is missing.
    config["model"].update(conv_dropout=0.0, atten_dropout=0.0, use_harmonic_emb=False)
    config["mel"]["type"] = "default"
    return InferCFNaiveMelPE(DotDict(config), data["model"]).to(device).eval()
