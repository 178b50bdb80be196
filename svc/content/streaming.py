"""Content of sound that is still arriving."""

import numpy as np

from svc.content.encoder import ContentEncoder, ContentFrames
from svc.errors import ConfigError


class ContentStream:
    """Content frames of a live recording, each encoded from the last `history_seconds` up to a look-ahead.

    A frame is given out once `lookahead_seconds` of sound after it have arrived: less delay, less agreement with
    the frames of the whole recording (figures in docs/features.md). Every call encodes the history again, so
    blocks of 0.2 s or more are sensible. Memory is flat. Not for normalisation "recording", which needs the end.
    """

    def __init__(self, encoder: ContentEncoder, history_seconds: float = 8.0, lookahead_seconds: float = 0.48) -> None:
        """Raises ConfigError for normalisation "recording" or a look-ahead not below the history."""
        if encoder.normalisation == "recording":
            raise ConfigError("A stream cannot remove the mean of its whole recording: choose normalisation adaptive.")
        if not 0 <= lookahead_seconds < history_seconds:
            raise ConfigError("The look-ahead of a content stream must be shorter than its history.")
        self.encoder = encoder
        self.lookahead_seconds = lookahead_seconds
        self._step = encoder.hop_length
        self._history = -(-round(history_seconds * encoder.sample_rate) // self._step)
        self._buffer = np.zeros(0, dtype=np.float32)
        self._first = 0  # frame at the buffer's first sample
        self._given = 0  # frames given out so far

    def process(self, samples: np.ndarray, last: bool = False) -> ContentFrames:
        """Frames that became ready with samples (n,) at the encoder's rate; all that remain when `last`.

        Together the results of all calls hold the same times as `encoder.encode` of the whole.
        """
        if len(samples):
            self._buffer = np.concatenate([self._buffer, self.encoder.check_samples(samples)])
        rate = self.encoder.sample_rate
        arrived = self._first * self._step + len(self._buffer)
        ready = arrived // self._step + 1 if last else int((arrived - self.lookahead_seconds * rate) // self._step) + 1
        if ready <= self._given or not len(self._buffer):
            return ContentFrames(np.zeros((0, self.encoder.output_dim), dtype=np.float32), np.zeros(0))
        frames = self.encoder.encode(self._buffer)
        part = slice(self._given - self._first, ready - self._first)
        result = ContentFrames(frames.values[part], frames.times[part] + self._first * (self._step / rate))
        self._given = ready
        self._forget()
        return result

    def _forget(self) -> None:
        """Drop what lies more than the history before the next frame."""
        start = max(self._first, self._given - self._history)
        self._buffer = self._buffer[(start - self._first) * self._step :]
        self._first = start
