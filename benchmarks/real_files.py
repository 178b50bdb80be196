"""What trained files that arrive with plain packages do on real singing.

    svc weights get uvr-denoise-lite hifigan-universal
    python benchmarks/real_files.py [--shared ../shared] [--seconds 12]

Noise removal by UVR-DeNoise-Lite through our VR loader, for two kinds of added noise: signal-to-noise ratio in dB
before and after over the whole line, and how far the level sinks where nobody sings. Copy-synthesis by HiFi-GAN
universal: mean absolute distance of log mels (nepers), and F0 of the copy against that of the source. Times are
processor seconds per second of audio.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from svc.audio.reading import read_audio
from svc.audio.signal import Audio
from svc.checkpoint.vocoder import load_vocoder
from svc.evaluation.pitch_metrics import pitch_scores
from svc.evaluation.spectral_metrics import mel_cepstral_distance
from svc.paths import shared_dir
from svc.separation.choosing import choose
from svc.weights import weight_path

RATE = 44_100
LINES = ("nit_song070/nitech_jp_song070_f001_004.flac", "ravdess/Actor_02", "small")
LEVELS_DB = (40.0, 30.0, 20.0, 10.0)
FRAME = 2048
PAUSE_DB = 35.0  # this far below the loud parts nobody sings


def lines(shared: Path, seconds: float) -> list[tuple[str, Audio]]:
    """Sung lines at 44.1 kHz, mono, as long as asked at most."""
    singing = shared / "audio" / "singing"
    paths = [singing / LINES[0], next(iter(sorted((singing / LINES[1]).glob("*.flac")))), *_small(singing / LINES[2])]
    found = []
    for path in paths:
        mono = read_audio(path).mono().resampled(RATE)
        found.append((path.stem, mono.cut(0, min(mono.length, round(seconds * RATE)))))
    return found


def _small(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("smstools_*") if path.suffix in {".wav", ".flac", ".ogg"})[:1]


def noises(length: int) -> dict[str, np.ndarray]:
    """White noise, and noise that falls by 3 dB per octave, both (length,) of unit power."""
    rng = np.random.default_rng(0)
    white = rng.standard_normal(length)
    spectrum = np.fft.rfft(rng.standard_normal(length)) / np.sqrt(np.arange(1, length // 2 + 2))
    pink = np.fft.irfft(spectrum, length)
    return {"white": white / white.std(), "pink": pink / pink.std()}


def snr_db(clean: np.ndarray, given: np.ndarray) -> float:
    """Signal-to-noise ratio of `given` (N,) against `clean` (N,), the level of the clean part fitted."""
    clean, given = clean.astype(np.float64), given.astype(np.float64)
    wanted = (clean @ given) / (clean @ clean) * clean
    return float(10 * np.log10((wanted @ wanted) / max(((given - wanted) ** 2).sum(), 1e-30)))


def pauses(clean: np.ndarray) -> np.ndarray:
    """Which samples (N,) lie in frames where nobody sings."""
    frames = clean[: len(clean) // FRAME * FRAME].reshape(-1, FRAME)
    level = 10 * np.log10((frames**2).mean(axis=1) + 1e-12)
    quiet = np.repeat(level < np.percentile(level, 95) - PAUSE_DB, FRAME)
    return np.pad(quiet, (0, len(clean) - len(quiet)))


def level_db(samples: np.ndarray) -> float:
    """Mean power in dB of full scale."""
    return float(10 * np.log10((samples.astype(np.float64) ** 2).mean() + 1e-20))


def sinks(before: np.ndarray, after: np.ndarray, quiet: np.ndarray) -> str:
    """By how much the pauses sink, in words; "-" for a line without pauses."""
    return f"{level_db(before[quiet]) - level_db(after[quiet]):.1f} dB" if quiet.any() else "-"


def timed(work: Callable[[], Any], seconds: float) -> tuple[Any, float]:
    """What `work` returns, and its processor seconds per second of audio."""
    start = time.process_time()
    result = work()
    return result, (time.process_time() - start) / seconds


def denoising(found: list[tuple[str, Audio]]) -> None:
    """A row for each line, noise and level."""
    separator = choose(model="uvr-denoise-lite").create()
    print("| line | noise | SNR before | after | pauses sink by | x real time |\n|---|---|---|---|---|---|")
    for name, audio in found:
        clean = audio.samples[0]
        untouched = separator.separate(audio).vocals.samples[0]
        quiet = pauses(clean)
        sunk = sinks(clean, untouched, quiet)
        print(f"| {name} | none | - | {snr_db(clean, untouched):.1f} | {sunk} | |", flush=True)
        for kind, noise in noises(len(clean)).items():
            for level in LEVELS_DB:
                noisy = clean + noise * clean.std() * 10 ** (-level / 20)
                song = Audio(noisy[None].astype(np.float32), RATE)
                stems, speed = timed(lambda song=song: separator.separate(song), audio.seconds)
                before, after = snr_db(clean, noisy), snr_db(clean, stems.vocals.samples[0])
                sunk = sinks(noisy, stems.vocals.samples[0], quiet)
                print(f"| {name} | {kind} | {before:.1f} | {after:.1f} | {sunk} | {speed:.2f} |", flush=True)


def copying(found: list[tuple[str, Audio]]) -> None:
    """A row for each line."""
    vocoder = load_vocoder(weight_path("hifigan-universal", "generator_universal.pth.tar"))
    print("| line | log-mel distance | MCD | F0 median error | within 50 cents | voicing errors | x real time |")
    print("|---|---|---|---|---|---|---|")
    for name, audio in found:
        source = audio.resampled(vocoder.mel.sample_rate)
        made, speed = timed(lambda source=source: vocoder.copy(source), audio.seconds)
        rate, first, second = source.sample_rate, source.samples[0], made.samples[0]
        mel = float(np.abs(vocoder.mel_of(first) - vocoder.mel_of(second)).mean())
        scores = pitch_scores(first, second, rate)
        print(
            f"| {name} | {mel:.3f} | {mel_cepstral_distance(first, second, rate):.2f} dB "
            f"| {scores.f0_cents_median:.1f} cents | {100 * scores.rpa50:.1f} % "
            f"| {100 * scores.vuv_error:.1f} % | {speed:.2f} |",
            flush=True,
        )


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=shared_dir())
    parser.add_argument("--seconds", type=float, default=12.0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = lines(arguments.shared, arguments.seconds)
    denoising(found)
    print()
    copying(found)


if __name__ == "__main__":
    main()
