"""The one path from audio to Features, used by preparing, training and converting."""

import numpy as np

from svc.audio.signal import Audio
from svc.errors import AudioError, SpecMismatchError
from svc.features.spec import Features, FeatureSpec
from svc.paths import pretrain_dir
from svc.progress import Progress, part

ALIGN_CHUNK = 16_384
PROGRESS_SHARES = {"content": 0.6, "pitch": 0.38}


class FeatureExtractor:
    """Measures what a FeatureSpec asks for.

    `extract` is content, pitch and loudness together; the three parts can also be had one by one, so that
    preparing can keep them apart and conversion can replace F0. All take mono samples at `spec.sample_rate`.
    The networks are loaded at first use and kept.
    """

    def __init__(self, spec: FeatureSpec, device: str = "cpu") -> None:
        self.spec = spec
        self.device = device
        self._encoder = None
        self._estimator = None

    @property
    def encoder(self):
        """The spec's content encoder; SpecMismatchError if its weights are not those of the spec."""
        if self._encoder is None:
            from svc.registry import CONTENT_ENCODERS

            kind = CONTENT_ENCODERS.load(self.spec.content_encoder)
            # Imported voices do not say which copy of the encoder's file they were trained on.
            if self.spec.content_weights and kind.weights_sha256 != self.spec.content_weights:
                raise SpecMismatchError(
                    f"The features were made with other weights of '{self.spec.content_encoder}' "
                    f"({self.spec.content_weights[:12]}) than this program has ({kind.weights_sha256[:12]}): "
                    "prepare the recordings again, or install the version that made them."
                )
            self._encoder = kind(
                dict(self.spec.content_layers),
                self.spec.content_normalisation,
                self.device,
                stacked=self.spec.content_layers_mode == "stack",
            )
        return self._encoder

    @property
    def estimator(self):
        """The spec's F0 estimator; SpecMismatchError if its user's file is not the one of the spec."""
        if self._estimator is None:
            from svc.registry import PITCH_ESTIMATORS

            name, wanted = self.spec.pitch_estimator, self.spec.pitch_weights
            here = PITCH_ESTIMATORS.load(name).weights_hash() if wanted else ""
            if here != wanted:
                raise SpecMismatchError(
                    f"The features were made with another file of '{name}' ({wanted[:12]}) than lies in "
                    f"{pretrain_dir()}/ ({here[:12]}): put that one back, or prepare the recordings again; for a "
                    f"conversion, name the pitch estimator '{name}' itself to use the file that is here."
                )
            self._estimator = PITCH_ESTIMATORS.create(name, self.spec.f0_min_hz, self.spec.f0_max_hz, self.device)
        return self._estimator

    def extract(self, audio: Audio, progress: Progress | None = None) -> Features:
        """All features of `audio` (any rate, any channels), T = ceil(N / hop) frames of N samples at the spec's rate.

        Memory beyond the result does not grow with the length. Raises AudioError for audio without a sample.
        """
        samples = self.samples(audio)
        content_share, pitch_share = PROGRESS_SHARES["content"], PROGRESS_SHARES["pitch"]
        content = self.content(samples, part(progress, 0.0, content_share))
        f0_hz = self.pitch(samples, part(progress, content_share, pitch_share))
        loudness = self.loudness(samples)
        if progress:
            progress(1.0)
        return Features(content, f0_hz, f0_hz > 0, loudness, self.spec)

    def samples(self, audio: Audio) -> np.ndarray:
        """Mono float32 (N,) at `spec.sample_rate`."""
        samples = audio.mono().resampled(self.spec.sample_rate).samples[0]
        if len(samples) == 0:
            raise AudioError("The audio holds no samples: there is nothing to measure.")
        return samples

    def content(self, samples: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """Content (T, content_dim) float32 at our frames."""
        from svc.audio.resampling import resample
        from svc.content.alignment import align_frames

        asked = resample(samples, self.spec.sample_rate, self.encoder.sample_rate)
        if self.spec.content_alignment != "linear":
            return self._repeated_content(asked, self.spec.frames(len(samples)), progress)
        heard = self.encoder.encode(asked, progress)
        times = self._times(samples)
        out = np.empty((len(times), self.spec.content_dim), dtype=np.float32)
        for start in range(0, len(times), ALIGN_CHUNK):
            part = slice(start, start + ALIGN_CHUNK)
            out[part] = align_frames(heard.values, heard.times, times[part])
        return out

    def _repeated_content(self, samples: np.ndarray, frames: int, progress: Progress | None) -> np.ndarray:
        """Content (frames, D) by the rule of another program: each frame repeats one of the encoder's."""
        from svc.content.alignment import repeated_indices

        encode = getattr(self.encoder, "encode_original", self.encoder.encode)
        # One frame of the encoder at least, which programs have that never meet anything as short.
        values = encode(np.pad(samples, (0, max(0, self.encoder.receptive_field - len(samples)))), progress).values
        step = self.spec.hop_length * self.encoder.sample_rate, self.spec.sample_rate * self.encoder.hop_length
        return values[repeated_indices(self.spec.content_alignment, len(values), frames, step)].astype(np.float32)

    def pitch(self, samples: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """F0 (T,) float32 in Hz, 0 where unvoiced; octave errors repaired, median-smoothed if the spec says so."""
        from svc.pitch.editing import median_smooth, repair_octaves

        track = self.estimator.estimate(samples, self.spec.sample_rate, self._times(samples), progress)
        f0_hz = repair_octaves(track.f0_hz, self.spec.frame_rate)
        return median_smooth(f0_hz, self.spec.f0_median_frames)

    def loudness(self, samples: np.ndarray) -> np.ndarray:
        """Loudness (T,) float32 in dB of full scale."""
        from svc.audio.loudness import FLOOR_DB, frame_loudness_db, sovits_volume

        window, hop = self.spec.loudness_window, self.spec.hop_length
        if window != "fft":
            # The last, unfinished hop is a frame too; the others are what so-vits-svc measures.
            whole = np.pad(samples, (0, -len(samples) % hop))
            volume = sovits_volume(whole, hop, centred=window == "hop_start")
            return (20 * np.log10(np.maximum(volume, 10 ** (FLOOR_DB / 20)))).astype(np.float32)
        return frame_loudness_db(samples, self.spec.hop_length, self.spec.n_fft).astype(np.float32)

    def _times(self, samples: np.ndarray) -> np.ndarray:
        return self.spec.frame_times(self.spec.frames(len(samples)))
