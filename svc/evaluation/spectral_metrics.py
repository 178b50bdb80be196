"""Numbers about the sound itself: timbre distance, brightness, clipping, clicks, silence, length."""

import numpy as np

from svc.evaluation.pitch_metrics import JUDGE_RATE, at_judge_rate

CEPSTRA = 24
HIGH_HZ = 8_000.0
CLIP_LEVEL = 0.999
SILENT_DB = -60.0


def mel_cepstra(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mel-cepstra 1 to 23 every 5 ms of the louder frames of mono samples (N,), (T, 23); WORLD at 16 kHz.

    Frames whose log of the envelope's root mean lies more than 6 under the loudest are left out.
    """
    import pyworld

    audio = at_judge_rate(samples, sample_rate)
    f0_hz, times = pyworld.dio(audio, JUDGE_RATE, frame_period=5.0)
    f0_hz = pyworld.stonemask(audio, f0_hz, times, JUDGE_RATE)
    envelope = pyworld.cheaptrick(audio, f0_hz, times, JUDGE_RATE)
    coded = pyworld.code_spectral_envelope(envelope, JUDGE_RATE, CEPSTRA)
    level = np.log(np.sqrt(envelope.mean(axis=1)) + 1e-12)
    return coded[level > level.max() - 6, 1:]


def mel_cepstral_distance(first: np.ndarray, second: np.ndarray, sample_rate: int) -> float:
    """Mel-cepstral distance in dB of two takes of the same line, aligned by dynamic time warping.

    (10 / ln 10) sqrt(2) times the mean Euclidean distance along the path (Kubichek 1993).
    """
    import librosa

    a, b = mel_cepstra(first, sample_rate), mel_cepstra(second, sample_rate)
    _, path = librosa.sequence.dtw(a.T, b.T)
    distance = np.sqrt(np.square(a[path[:, 0]] - b[path[:, 1]]).sum(axis=1))
    return float(10 / np.log(10) * np.sqrt(2) * distance.mean())


def high_frequency_ratio(samples: np.ndarray, sample_rate: int) -> float:
    """Share of the energy above 8 kHz, 0..1, of mono samples (N,); 0 for silence and for rates up to 16 kHz."""
    from scipy.signal import welch

    frequency, power = welch(samples.astype(np.float64), sample_rate, nperseg=min(4096, len(samples)))
    total = power.sum()
    return float(power[frequency >= HIGH_HZ].sum() / total) if total > 0 else 0.0


def clip_ratio(samples: np.ndarray) -> float:
    """Share of samples at full scale, |x| >= 0.999."""
    return float((np.abs(samples) >= CLIP_LEVEL).mean()) if samples.size else 0.0


def silence_leak_db(source: np.ndarray, result: np.ndarray, sample_rate: int) -> float:
    """Level of the result where the source is silent (50 ms frames under -60 dB of full scale), in dB of full scale.

    -100 when nothing is heard there; NaN when the source is nowhere silent.
    """
    frame = round(0.05 * sample_rate)
    count = min(len(source), len(result)) // frame
    power = [
        np.square(x[: count * frame].astype(np.float64).reshape(count, frame)).mean(axis=1) for x in (source, result)
    ]
    silent = power[0] < 10 ** (SILENT_DB / 10)
    if not silent.any():
        return float("nan")
    return float(max(-100.0, 10 * np.log10(power[1][silent].mean() + 1e-12)))


def click_strengths(samples: np.ndarray, sample_rate: int, positions: np.ndarray) -> np.ndarray:
    """How far each position stands out as a click: (P,) ratios, 1 is ordinary.

    The peak of |second difference| within 3 ms of the position over the 99th percentile of the same within 60 ms. A
    step or a broken period shows in the second difference however loud the music is; consonants and the attacks of
    notes do too, so compare with the source at the same positions (`click_excess`).
    """
    rough = np.abs(np.diff(samples.astype(np.float64), n=2, prepend=0.0, append=0.0))
    near, far = round(0.003 * sample_rate), round(0.060 * sample_rate)
    out = []
    for position in np.asarray(positions, dtype=np.int64):
        around = rough[max(0, position - far) : position + far]
        peak = rough[max(0, position - near) : position + near].max(initial=0.0)
        usual = float(np.percentile(around, 99)) if len(around) else 0.0
        out.append(peak / max(usual, 1e-6))
    return np.array(out)


def click_excess(source: np.ndarray, result: np.ndarray, sample_rate: int, positions: np.ndarray) -> float:
    """Largest click of `result` at the positions over what is ordinary there: above 1 is a click that was made.

    The reference is the larger of the source's strength at the same place and the result's own usual strength: the
    99th percentile at 400 evenly spread positions.
    """
    if len(positions) == 0:
        return 0.0
    made = click_strengths(result, sample_rate, positions)
    given = click_strengths(source, sample_rate, positions)
    spread = np.linspace(0, len(result) - 1, 400).astype(np.int64)
    usual = float(np.percentile(click_strengths(result, sample_rate, spread), 99))
    return float((made / np.maximum(given, max(usual, 1.0))).max())
