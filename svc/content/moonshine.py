"""The embedded content encoder: Moonshine tiny's speech encoder, run over windows."""

from typing import ClassVar

import numpy as np
import torch
from safetensors.torch import load_file

from svc.content.encoder import ContentEncoder, ContentFrames, Progress
from svc.content.moonshine_network import HOP, RECEPTIVE_FIELD, WIDTH, MoonshineNetwork, MoonshineOptions
from svc.weights import WeightFile

WEIGHTS = WeightFile(
    name="moonshine_tiny.safetensors",
    sha256="543d590fb23fe0378663b5c9cfac70a303443297045f28aa541992cf8680247b",
    bytes=15_369_080,
    licence="MIT",
    purpose="content encoder 'moonshine'",
)
CENTRE = 447
CORE, MARGIN = 334, 62


class Moonshine(ContentEncoder):
    """288 values every 24 ms; layer 7 is layer 6 after the network's last norm."""

    name: ClassVar[str] = "moonshine"
    sample_rate: ClassVar[int] = 16_000
    dim: ClassVar[int] = WIDTH
    layer_count: ClassVar[int] = 7
    default_layers: ClassVar[dict[int, float]] = {7: 1.0}
    weights_sha256: ClassVar[str] = WEIGHTS.sha256
    receptive_field: ClassVar[int] = RECEPTIVE_FIELD

    def __init__(
        self, layers: dict[int, float] | None = None, normalisation: str = "adaptive", device: str = "cpu"
    ) -> None:
        super().__init__(layers, normalisation, device)
        self.network = MoonshineNetwork()
        self.network.load_state_dict({k: v.float() for k, v in load_file(WEIGHTS.path()).items()})
        self.network.eval().requires_grad_(False).to(device)

    def encode(self, samples: np.ndarray, progress: Progress | None = None) -> ContentFrames:
        """See ContentEncoder.encode; T' = N // 384 + 1 frames, frame t at 384 t / 16000 seconds."""
        samples = self.check_samples(samples)
        frames = len(samples) // HOP + 1
        values = np.empty((frames, WIDTH), dtype=np.float32)
        for start in range(0, frames, CORE):
            stop = min(start + CORE, frames)
            first, last = max(0, start - MARGIN), min(frames, stop + MARGIN)
            values[start:stop] = self._window(samples, first, last)[start - first : stop - first]
            if progress:
                progress(stop / frames)
        return ContentFrames(values, np.arange(frames) * (HOP / self.sample_rate))

    @torch.inference_mode()
    def _window(self, samples: np.ndarray, first: int, last: int) -> np.ndarray:
        """Frames [first, last) of the recording, silence beyond its ends: (last - first, 288)."""
        begin = first * HOP - CENTRE
        end = (last - 1) * HOP - CENTRE + RECEPTIVE_FIELD
        piece = samples[max(begin, 0) : end]
        piece = np.pad(piece, (max(-begin, 0), end - max(begin, 0) - len(piece)))
        outputs = self.network(torch.from_numpy(piece).to(self.device)[None], MoonshineOptions())
        mixed = sum(outputs[layer - 1] * weight for layer, weight in self.layers.items())
        return mixed[0].float().cpu().numpy()
