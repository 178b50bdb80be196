"""How well each method separates mixtures whose parts are known.

    python benchmarks/separation_quality.py [--shared ../shared] [--methods spleeter basic none] [--float FILE]

SI-SDR in dB (Le Roux et al., ICASSP 2019), vocals / accompaniment, over both channels at once; "mix" is the mixture
taken as either. Times are processor seconds per second of audio. `--float FILE` adds Spleeter with the networks in
32 bits (scripts/recipes/spleeter_weights.py --float FILE).
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from svc.audio.reading import read_audio
from svc.audio.signal import Audio
from svc.paths import shared_dir
from svc.registry import SEPARATORS
from svc.separation.separator import Separator
from svc.separation.spleeter import Spleeter

RATE = 44_100
SAMPLE = tuple[str, np.ndarray, np.ndarray]


def si_sdr_db(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio over all channels and samples."""
    wanted, given = reference.astype(np.float64).ravel(), estimate.astype(np.float64).ravel()
    target = (wanted @ given) / (wanted @ wanted) * wanted
    error = given - target
    return float(10 * np.log10((target @ target) / max(error @ error, 1e-30)))


def stereo(path: Path) -> np.ndarray:
    """The file at 44.1 kHz, mono copied to both channels."""
    samples = read_audio(path).resampled(RATE).samples
    return np.repeat(samples, 2, axis=0) if len(samples) == 1 else samples[:2]


def multitracks(shared: Path) -> Iterator[SAMPLE]:
    """Name, vocals and accompaniment of the two songs whose tracks are known."""
    songs = shared / "audio" / "songs"
    folder = songs / "waveform_playlist_stems"
    parts = [stereo(folder / f"{name}.mp3") for name in ("Vocals30", "BassDrums30", "Guitar30", "PianoSynth30")]
    rest = sum_of(parts[1:])
    length = min(parts[0].shape[1], rest.shape[1])
    yield "playlist", parts[0][:, :length], rest[:, :length]
    folder = songs / "everything_is_free" / "lithium"
    cut = slice(60 * RATE, 150 * RATE)
    yield "lithium 60-150 s", stereo(folder / "vocals.ogg")[:, cut], stereo(folder / "accompaniment.ogg")[:, cut]


def mixtures(shared: Path) -> Iterator[SAMPLE]:
    """Name, vocals and accompaniment of each mixture."""
    yield from multitracks(shared)
    backing = sum_of([stereo(path) for path in sorted((shared / "audio" / "backing" / "mdn_multitrack").glob("*.mp3"))])
    clips = sorted((shared / "audio" / "singing" / "ravdess").rglob("*.ogg"))
    for clip in clips[:: max(1, len(clips) // 5)][:5]:
        vocals = stereo(clip)
        rest = np.resize(backing, (2, max(backing.shape[1], vocals.shape[1])))[:, : vocals.shape[1]]
        gain = np.sqrt((vocals**2).mean() / (rest**2).mean())
        yield f"{clip.stem} + backing, 0 dB", vocals, rest * gain


def sum_of(parts: list[np.ndarray]) -> np.ndarray:
    """Their sum, as long as the shortest."""
    length = min(part.shape[1] for part in parts)
    return np.sum([part[:, :length] for part in parts], axis=0, dtype=np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=shared_dir())
    parser.add_argument("--methods", nargs="+", default=["basic", "spleeter"], choices=SEPARATORS.names())
    parser.add_argument("--float", type=Path, metavar="FILE")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    separators: dict[str, Separator] = {name: SEPARATORS.create(name) for name in arguments.methods}
    separators["spleeter, plain"] = Spleeter(plain=True)
    if arguments.float:
        separators["spleeter, 32 bits"] = Spleeter(weights=arguments.float)
        separators["spleeter, 32 bits, plain"] = Spleeter(plain=True, weights=arguments.float)
    print("| mixture | mix | " + " | ".join(separators) + " |\n|" + "---|" * (len(separators) + 2), flush=True)
    rows = []
    for name, vocals, accompaniment in mixtures(arguments.shared):
        length = min(vocals.shape[1], accompaniment.shape[1])
        vocals, accompaniment = vocals[:, :length], accompaniment[:, :length]
        mix = Audio(np.ascontiguousarray(vocals + accompaniment), RATE)
        row = [(si_sdr_db(vocals, mix.samples), si_sdr_db(accompaniment, mix.samples), 0.0)]
        for separator in separators.values():
            start = time.process_time()
            stems = separator.separate(mix)
            seconds = (time.process_time() - start) / mix.seconds
            parts = (stems.vocals.samples, stems.accompaniment.samples)
            row.append((si_sdr_db(vocals, parts[0]), si_sdr_db(accompaniment, parts[1]), seconds))
        rows.append(row)
        print_row(name, row)
    print_row("mean", list(np.mean(rows, axis=0)))


def print_row(name: str, row: list) -> None:
    cells = [f"{voice:.1f} / {rest:.1f}" + (f" ({load:.2f}x)" if load else "") for voice, rest, load in row]
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
