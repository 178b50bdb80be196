"""The embedded content encoder: Moonshine tiny's, tuned on made singing (svc/assets/moonshine_singing.md).

The original looks at the whole clip in its group norm and in its attention, so a slice and its song disagree.
Here the level is controlled locally, the group norm has fixed statistics, and attention sees SPAN frames to each
side: a frame depends on at most 2.9 s to each side (and on the level within 4.9 s), and windows with that much
margin give what one pass would give. See docs/features.md.
"""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from svc.content.encoder import ContentEncoder, ContentFrames, Progress
from svc.content.levelling import frame_gains, levelled
from svc.content.moonshine_network import (
    CENTRE,
    HOP,
    LAYERS,
    RECEPTIVE_FIELD,
    WIDTH,
    MoonshineNetwork,
    MoonshineOptions,
)
from svc.weights import MOONSHINE as WEIGHTS

SAMPLE_RATE = 16_000
SPAN = 20
MARGIN = LAYERS * SPAN
CORE = 600
# Mean and standard deviation behind the first convolution over levelled speech, as group_statistics in
# scripts/recipes/moonshine_leak.py measures them to 1 %.
OPTIONS = MoonshineOptions(span=SPAN, group_mean=0.0, group_std=0.0697)


def layer_windows(
    network: MoonshineNetwork, samples: np.ndarray, device: str = "cpu", core: int = CORE
) -> Iterator[tuple[int, int, list[Tensor]]]:
    """(start, stop, seven (stop - start, 288)) for consecutive stretches of the N // 384 + 1 frames of samples (N,).

    Frame t is centred on sample 384 t; silence lies beyond both ends. `core` is the length of a stretch in frames;
    it decides memory and speed, not the result.
    """
    frames = len(samples) // HOP + 1
    gains = frame_gains(samples, HOP, SAMPLE_RATE)
    for start in range(0, frames, core):
        stop = min(start + core, frames)
        first, last = max(0, start - MARGIN), min(frames, stop + MARGIN)
        begin, end = first * HOP - CENTRE, (last - 1) * HOP - CENTRE + RECEPTIVE_FIELD
        inside = max(begin, 0)
        piece = levelled(samples[inside:end], inside, gains, HOP)
        piece = np.pad(piece, (inside - begin, end - inside - len(piece)))
        with torch.inference_mode():
            outputs = network(torch.from_numpy(piece).to(device)[None], OPTIONS)
        yield start, stop, [layer[0, start - first : stop - first] for layer in outputs]


class Moonshine(ContentEncoder):
    """288 values every 24 ms; layers 1 to 6, and 7, which is layer 6 after the network's last norm.

    Normalisation "none" gives the layers as they are; "adaptive" takes out the directions that tell F0 and level
    in a fixed corpus and divides by one number, both stored with the weights; "recording" then also removes the
    mean and variance of each value over the recording.
    """

    name: ClassVar[str] = "moonshine"
    sample_rate: ClassVar[int] = SAMPLE_RATE
    dim: ClassVar[int] = WIDTH
    layer_count: ClassVar[int] = LAYERS + 1
    default_layers: ClassVar[dict[int, float]] = {7: 1.0}
    weights_sha256: ClassVar[str] = WEIGHTS.sha256
    receptive_field: ClassVar[int] = RECEPTIVE_FIELD
    hop_length: ClassVar[int] = HOP

    def __init__(
        self,
        layers: dict[int, float] | None = None,
        normalisation: str = "adaptive",
        device: str = "cpu",
        *,
        stacked: bool = False,
    ) -> None:
        super().__init__(layers, normalisation, device, stacked=stacked)
        from safetensors.torch import load_file

        state = {name: value.float() for name, value in load_file(WEIGHTS.path()).items()}
        # mean (7, 288) and scale (7,) of the corpus, leak (7, K, 288): orthonormal directions taken out.
        self.mean, self.scale, self.leak = (state.pop(f"corpus.{k}").to(device) for k in ("mean", "scale", "leak"))
        self.network = MoonshineNetwork()
        self.network.load_state_dict(state)
        self.network.eval().requires_grad_(False).to(device)

    def encode(self, samples: np.ndarray, progress: Progress | None = None) -> ContentFrames:
        """See ContentEncoder.encode; T' = N // 384 + 1 frames, frame t at 384 t / 16000 seconds."""
        samples = self.check_samples(samples)
        frames = len(samples) // HOP + 1
        values = np.empty((frames, self.output_dim), dtype=np.float32)
        for start, stop, outputs in layer_windows(self.network, samples, self.device):
            cleaned = [self._cleaned(layer, outputs[layer - 1]) for layer in self.layers]
            values[start:stop] = self.combined(cleaned).cpu().numpy()
            if progress:
                progress(stop / frames)
        if self.normalisation == "recording":
            values -= values.mean(axis=0, dtype=np.float64).astype(np.float32)
            values /= values.std(axis=0, dtype=np.float64).astype(np.float32) + 1e-5
        return ContentFrames(values, np.arange(frames) * (HOP / SAMPLE_RATE))

    def _cleaned(self, layer: int, values: Tensor) -> Tensor:
        """Frames (T, 288) of one layer in the chosen normalisation."""
        if self.normalisation == "none":
            return values
        mean, leak = self.mean[layer - 1], self.leak[layer - 1]
        return (values - (values - mean) @ leak.T @ leak) / self.scale[layer - 1]
