"""The silence slicer of openvpi's audio-slicer (also RVC's training slicer), range for range.

It cuts only in silences of at least `min_interval_seconds`, at the frame of least energy, once the chunk before
has reached `min_seconds`. Nothing bounds a chunk's length from above; `max_seconds` is this project's addition.
"""

import numpy as np

from svc.audio.slicing import QuietSlicer, runs


class RmsSlicer:
    """Chunks between silences, as audio-slicer cuts them; the defaults are those of its class.

    `threshold_db` is relative to full scale. Silences keep up to `max_silence_kept_seconds` on each side.
    With `max_seconds`, chunks longer than that are divided by QuietSlicer; without it the ranges are exactly
    audio-slicer's.
    """

    def __init__(
        self,
        min_seconds: float = 5.0,
        max_seconds: float | None = None,
        threshold_db: float = -40.0,
        min_interval_seconds: float = 0.3,
        hop_seconds: float = 0.02,
        max_silence_kept_seconds: float = 5.0,
    ) -> None:
        self.min_seconds, self.max_seconds = min_seconds, max_seconds
        self.threshold_db = threshold_db
        self.min_interval_seconds, self.hop_seconds = min_interval_seconds, hop_seconds
        self.max_silence_kept_seconds = max_silence_kept_seconds

    def ranges(
        self,
        samples: np.ndarray,
        sample_rate: int,
        voiced: np.ndarray | None = None,
        frame_rate: float | None = None,
    ) -> list[tuple[int, int]]:
        """Ordered sample ranges [start, stop) of the chunks of mono `samples` (N,).

        `voiced` and `frame_rate` only matter where `max_seconds` divides a chunk.
        """
        chunks = self._chunks(samples, sample_rate)
        if self.max_seconds is None:
            return chunks
        divide = QuietSlicer(min(self.min_seconds, self.max_seconds / 2), self.max_seconds)
        out: list[tuple[int, int]] = []
        for start, stop in chunks:
            if stop - start <= self.max_seconds * sample_rate:
                out.append((start, stop))
                continue
            notes, rate = None, None
            if voiced is not None:
                rate = frame_rate or len(voiced) * sample_rate / len(samples)
                notes = voiced[int(start * rate / sample_rate) : max(1, int(np.ceil(stop * rate / sample_rate)))]
            parts = divide.ranges(samples[start:stop], sample_rate, notes, rate)
            out += [(start + a, start + b) for a, b in parts]
        return out

    def _chunks(self, samples: np.ndarray, sample_rate: int) -> list[tuple[int, int]]:
        length = len(samples)
        hop = round(sample_rate * self.hop_seconds)
        interval = sample_rate * self.min_interval_seconds
        window = min(round(interval), 4 * hop)
        min_length = round(sample_rate * self.min_seconds / hop)
        if -(-length // hop) <= min_length:
            return [(0, length)] if length else []
        energy = frame_energies(samples, hop, window)
        left_out = silences(
            energy,
            threshold=10 ** (self.threshold_db / 20),
            min_length=min_length,
            min_interval=round(interval / hop),
            kept=round(sample_rate * self.max_silence_kept_seconds / hop),
        )
        chunks, begin = [], 0
        for start, stop in left_out:
            chunks.append((begin, start))
            begin = stop
        chunks.append((begin, len(energy)))
        in_samples = [(a * hop, min(b * hop, length)) for a, b in chunks]
        return [(a, b) for a, b in in_samples if a < b]


def frame_energies(samples: np.ndarray, hop: int, window: int) -> np.ndarray:
    """RMS of `window` samples around each multiple of `hop`, zeros beyond the ends, float32 (1 + N // hop,)."""
    half = window // 2
    total = np.concatenate([[0.0], np.cumsum(np.square(np.pad(samples, half), dtype=np.float64))])
    starts = np.arange(1 + (len(samples) + 2 * half - window) // hop) * hop
    power = np.maximum(total[starts + window] - total[starts], 0.0) / window
    return np.sqrt(power).astype(np.float32)


def silences(
    energy: np.ndarray, threshold: float, min_length: int, min_interval: int, kept: int
) -> list[tuple[int, int]]:
    """Frame ranges [start, stop) that fall between chunks, in order; start == stop is a plain cut.

    A run of frames under `threshold` counts when it opens the file and is longer than `kept`, or lasts at least
    `min_interval` with at least `min_length` from the last cut to its end. Up to `kept` frames long it is cut
    once, at its quietest frame; longer ones lose what lies between the quietest frame of their first and of
    their last `kept` frames (while these overlap, the overlap's quietest frame is always lost). Of equal frames
    the first counts.
    """

    def quietest(start: int, stop: int) -> int:
        return start + int(np.argmin(energy[start : stop + 1]))

    frames = len(energy)
    found: list[tuple[int, int]] = []
    clip_start = 0
    for start, stop in runs(energy < threshold):
        if stop == frames:
            if frames - start >= min_interval:
                found.append((quietest(start, min(frames, start + kept)), frames + 1))
            continue
        opens = start == 0 and stop > kept
        if not opens and (stop - start < min_interval or stop - clip_start < min_length):
            continue
        if stop - start <= kept:
            first = last = quietest(start, stop)
        else:
            first, last = quietest(start, start + kept), quietest(stop - kept, stop)
            if stop - start <= 2 * kept:
                middle = quietest(stop - kept, start + kept)
                last = last if start == 0 else max(last, middle)
                first = min(first, middle)
        found.append((0 if start == 0 else first, last))
        clip_start = last
    return found
