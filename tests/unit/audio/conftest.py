"""Small files in every format the toolkit reads, made by the encoders themselves."""

from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

RATE = 48_000


class Encode(Protocol):
    def __call__(self, path: Path, container: str, codec: str | None, layout: str = ..., video: bool = ...) -> Path: ...


def tones(channels: int, samples: int, rate: int = RATE) -> np.ndarray:
    """Another tone in each channel, so that swapped channels show."""
    time = np.arange(samples) / rate
    return np.stack([0.2 * np.sin(2 * np.pi * (200 + 150 * c) * time) for c in range(channels)]).astype(np.float32)


@pytest.fixture()
def encode() -> Encode:
    """Writes one second of `tones` (or a video without sound for codec None) with FFmpeg's encoders."""

    def run(path: Path, container: str, codec: str | None, layout: str = "stereo", video: bool = False) -> Path:
        import av

        with av.open(str(path), "w", format=container) as out:
            picture = None
            if video:
                picture = out.add_stream("mpeg4", rate=10)
                picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
            if codec is not None:
                stream = out.add_stream(codec, rate=RATE)
                stream.layout = layout
                samples = tones(len(av.AudioLayout(layout).channels), RATE)
                frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
                frame.sample_rate = RATE
                convert = av.AudioResampler(format=stream.codec_context.format or "fltp", layout=layout, rate=RATE)
                for part in [*convert.resample(frame), *convert.resample(None)]:
                    out.mux(stream.encode(part))
                out.mux(stream.encode(None))
            if picture is not None:
                for _ in range(10):
                    out.mux(picture.encode(av.VideoFrame(32, 32, "yuv420p")))
                out.mux(picture.encode(None))
        return path

    return run
