"""Trains the second stage after Spleeter on made mixtures: recordings -> svc/assets/refiner.safetensors.

    python scripts/recipes/vocal_refiner.py collect MATERIAL [--shared ../shared] [--soundfont FILE]
    python scripts/recipes/vocal_refiner.py train MATERIAL VOICES OUT [--minutes 8] [--device cuda]
    python scripts/recipes/vocal_refiner.py measure MATERIAL VOICES OUT
    python scripts/recipes/vocal_refiner.py mean FILE FILE RESULT

`collect` needs fluidsynth and a General MIDI soundfont (Debian: fluidsynth, fluid-soundfont-gm) and writes 180 made
pieces and one recorded band (mdn_multitrack) as Ogg Opus, 23 MB. VOICES is a folder of recordings by speaker, as
scripts/recipes/base_voice.py collects them; only what the reference folder's audio/README.md marks as free to ship may
lie there. OUT gets `refiner.safetensors` (running mean of the parameters, 16 bits), every 100 seconds and at the end,
and the state of the training: stopped at any moment the same command goes on where it was. --minutes are minutes of
training in all, and the learning rate falls to zero over them. Nothing that separation is tested on is read: not
waveform_playlist_stems, lithium, backing/librosa or RAVDESS.

`mean` writes the mean of two files. `measure` and the lines of progress give SDR of the vocals in dB on mixtures of
kept voices with kept pieces, of Spleeter and refined.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from made_mixtures.material import collect, load, replace, whole_songs
from made_mixtures.mixing import RATE, Mixture, Pool, mixtures

from svc.paths import shared_dir
from svc.separation.refiner import VocalRefiner, hear, load_refiner
from svc.separation.spleeter import BINS, FRAME_MULTIPLE, HOP, N_FFT, load_networks
from svc.separation.unet import SpleeterUNet
from svc.weights import SPLEETER

Networks = tuple[SpleeterUNet, SpleeterUNet]

FRAMES = 384  # 8.9 s; with the silence that Spleeter gets after a short song, 448
LEARNING_RATE = 2e-3
WARM_UP_SHARE = 0.03  # of the time
LONGEST_GRADIENT = 20.0
MEAN_DECAY = 0.998
FLOOR = 3e-4  # of the mixture's energy: nothing is gained below -35 dB
SHAPE_WEIGHT = 10.0
SHAPES = (512, 2048)
STAY_WEIGHT = 10.0
DEV_SEED, DEV_BATCHES, DEV_SIZE = 7, 12, 4
FIRST_SEED = 1000
SAVE_SECONDS = 100


class Judged(NamedTuple):
    """Loss (), error of each mixture in dB against the mixture, SDR of each voice in dB; without a voice NaN."""

    loss: Tensor
    error_db: Tensor
    sdr_db: Tensor


def transform(samples: Tensor, n_fft: int = N_FFT, hop: int = HOP) -> Tensor:
    """(B, 2, n) to (B, 2, T, F)."""
    window = torch.hann_window(n_fft, device=samples.device)
    flat = torch.stft(samples.flatten(0, 1), n_fft, hop, window=window, pad_mode="constant", return_complex=True)
    return flat.unflatten(0, samples.shape[:2]).transpose(2, 3)


def sound_of(mask: Tensor, spectrum: Tensor, length: int) -> Tensor:
    """(B, 2, n) of the masked bins, without all above them."""
    masked = F.pad(mask * spectrum, (0, N_FFT // 2 + 1 - BINS)).transpose(2, 3).flatten(0, 1)
    window = torch.hann_window(N_FFT, device=spectrum.device)
    return torch.istft(masked, N_FFT, HOP, window=window, length=length).unflatten(0, mask.shape[:2])


def estimate(
    networks: Networks, refiner: VocalRefiner, mix: Tensor, reduced: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """(lowest bins of the mixture, Spleeter's mask, refined mask), each (B, 2, T, BINS), as they are in a short song.

    `reduced`: the refiner computes in bfloat16.
    """
    spectrum = transform(mix)[..., :BINS]
    frames = spectrum.shape[2]
    padded = F.pad(spectrum, (0, 0, 0, -frames % FRAME_MULTIPLE + FRAME_MULTIPLE))
    with torch.no_grad():
        heard = hear(*networks, padded.abs())
    with torch.autocast(mix.device.type, torch.bfloat16, enabled=reduced):
        mask = refiner(padded, heard)
    return spectrum, heard.share[:, :, :frames], mask[:, :, :frames]


def judged(mask: Tensor, spectrum: Tensor, mixture: Mixture) -> Judged:
    """The error of the masked mixture below the voice's bandwidth, and that of its magnitudes at two resolutions."""
    length = mixture.voice.shape[2]
    found = sound_of(mask, spectrum, length)
    shape, wrong, whole, wanted = 0.0, 0.0, 0.0, 0.0
    for n_fft in SHAPES:
        below = torch.linspace(0, RATE / 2, n_fft // 2 + 1, device=found.device)
        below = (below < mixture.bandwidth_hz[:, None].clamp(max=BINS * RATE / N_FFT * 0.99)).float()[:, None, None]
        mine, voice, rest = (transform(s, n_fft, n_fft // 4) * below for s in (found, mixture.voice, mixture.rest))
        mix = voice + rest
        soft, target, scale = ((each.abs() + 1e-5) ** 0.5 for each in (mine, voice, mix))
        off = ((soft - target).abs() * below).mean(dim=(1, 2, 3))
        shape = shape + off / ((scale * below).mean(dim=(1, 2, 3)) + 1e-4)
        if n_fft == SHAPES[-1]:
            wrong, whole, wanted = ((each.abs() ** 2).sum(dim=(1, 2, 3)) for each in (mine - voice, mix, voice))
    error = 10 * torch.log10(wrong / (whole + 1e-6) + FLOOR)
    with torch.no_grad():
        sdr = 10 * torch.log10(wanted / (wrong + 1e-9) + 1e-6).masked_fill(wanted < 1e-4 * whole, float("nan"))
    return Judged((error + SHAPE_WEIGHT * shape).mean(), error.detach(), sdr)


def dev_db(
    networks: Networks, refiner: VocalRefiner, voices: Pool, bands: Pool, batches: int = DEV_BATCHES
) -> dict[str, float]:
    """Means over the kept mixtures: SDR and error of Spleeter and refined, and the share that gets better."""
    refiner.eval()
    rows = []
    with torch.inference_mode():
        for k in range(batches):
            mixture = mixtures(voices, bands, DEV_SIZE, (FRAMES - 1) * HOP, [DEV_SEED, k])
            spectrum, old, new = estimate(networks, refiner, mixture.voice + mixture.rest)
            before, after = (judged(mask, spectrum, mixture) for mask in (old, new))
            rows.append(torch.stack([before.sdr_db, after.sdr_db, before.error_db, after.error_db]).cpu())
    old_sdr, new_sdr, old_error, new_error = torch.cat(rows, dim=1)
    better = (new_sdr > old_sdr)[~new_sdr.isnan()].float().mean()
    values = (old_sdr.nanmean(), new_sdr.nanmean(), old_error.mean(), new_error.mean(), better)
    return dict(zip(("spleeter_sdr", "refined_sdr", "spleeter_error", "refined_error", "better"), map(float, values)))


@dataclass
class Run:
    """A training that can be left and taken up: network, optimiser, running mean of all its numbers, steps, seconds."""

    refiner: VocalRefiner
    optimiser: torch.optim.Optimizer
    mean: VocalRefiner
    step: int = 0
    spent: float = 0.0
    recent: list[Tensor] = field(default_factory=list)

    @staticmethod
    def open(out: Path, device: str, start: Path | None = None) -> Run:
        """As saved in `out`, or from the file `start`, or new."""
        torch.manual_seed(1)
        refiner, mean = (VocalRefiner().to(device, memory_format=torch.channels_last) for _ in range(2))
        if start is not None:
            refiner.load_state_dict({key: value.float() for key, value in load_file(start).items()}, strict=False)
        mean.load_state_dict(refiner.state_dict())
        optimiser = torch.optim.AdamW(refiner.parameters(), LEARNING_RATE, betas=(0.9, 0.98), weight_decay=1e-2)
        run = Run(refiner, optimiser, mean.requires_grad_(False))
        if (out / "state.pt").is_file():
            saved = torch.load(out / "state.pt", weights_only=True, map_location=device)
            refiner.load_state_dict(saved["refiner"])
            mean.load_state_dict(saved["mean"])
            optimiser.load_state_dict(saved["optimiser"])
            run.step, run.spent = saved["step"], saved["spent"]
        return run

    @staticmethod
    def _stay(estimated: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """How far the mask moved, weighted by the mixture: in whole songs Spleeter's is right more often than not."""
        spectrum, old, new = estimated
        level = spectrum.abs()
        return STAY_WEIGHT * ((new - old).abs() * level).mean() / (level.mean() + 1e-5)

    def advance(
        self,
        networks: Networks,
        voices: Pool,
        bands: Pool,
        songs: Pool | None,
        share: float,
        setting: argparse.Namespace,
    ) -> None:
        """One step; `share` 0..1 of the time is spent."""
        for group in self.optimiser.param_groups:
            fall = 0.5 * (1 + math.cos(math.pi * min(share, 1)))
            group["lr"] = setting.learning_rate * fall * min(1, (share + 1e-3) / WARM_UP_SHARE)
        mixture = mixtures(voices, bands, setting.batch, (setting.frames - 1) * HOP, [FIRST_SEED, self.step])
        # From a file on the batches may be too small to take statistics from.
        refiner = self.refiner.train(setting.start is None)
        spectrum, old, new = estimate(networks, refiner, mixture.voice + mixture.rest, not setting.float32)
        result = judged(new, spectrum, mixture)
        self.optimiser.zero_grad(set_to_none=True)
        result.loss.backward()
        if songs is not None:
            clip = mixtures(songs, songs, 1, (setting.frames - 1) * HOP, [FIRST_SEED, self.step, 1]).rest
            self._stay(estimate(networks, refiner, clip, not setting.float32)).backward()
        length = nn.utils.clip_grad_norm_(self.refiner.parameters(), LONGEST_GRADIENT)
        self.optimiser.step()
        self.step += 1
        with torch.no_grad():
            before = judged(old, spectrum, mixture) if self.step % 10 == 1 else None
        if before is not None:
            gain = (before.error_db - result.error_db).mean()
            self.recent.append(torch.stack([result.error_db.mean(), gain, length]).cpu())
            if not bool(self.recent[-1].isfinite().all()):
                raise SystemExit(f"step {self.step}: the training diverged; the last saved state is in order")
        decay = min(MEAN_DECAY, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            pairs = zip(self.mean.state_dict().values(), self.refiner.state_dict().values())
            floats = [(mean, now) for mean, now in pairs if mean.is_floating_point()]
            torch._foreach_lerp_([mean for mean, _ in floats], [now for _, now in floats], 1 - decay)

    def save(self, out: Path) -> None:
        """The state, and the mean as `refiner.safetensors`."""
        saved = {"refiner": self.refiner.state_dict(), "mean": self.mean.state_dict(), "spent": self.spent}
        saved |= {"optimiser": self.optimiser.state_dict(), "step": self.step}
        replace(out / "state.pt", lambda part: torch.save(saved, part))
        content = save(stored(self.mean))
        replace(out / "refiner.safetensors", lambda part: part.write_bytes(content))


def stored(refiner: VocalRefiner) -> dict[str, Tensor]:
    """What a weight file holds: kernels in 16 bits, all of one dimension in 32."""
    state = {k: v for k, v in refiner.state_dict().items() if not k.endswith("num_batches_tracked")}
    return {key: (value.half() if value.ndim > 1 else value.float()).cpu().contiguous() for key, value in state.items()}


def spleeter(device: str) -> Networks:
    networks = load_networks(SPLEETER.path(), device)
    return networks[0].to(memory_format=torch.channels_last), networks[1].to(memory_format=torch.channels_last)


def train(arguments: argparse.Namespace) -> None:
    out, device = arguments.out, arguments.device
    out.mkdir(parents=True, exist_ok=True)
    loaded = [load(arguments.material, arguments.voices, dev, arguments.threads or None) for dev in (True, False)]
    kept, stock = ([pool.to(device) for pool in pools] for pools in loaded)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = True
    networks, run = spleeter(device), Run.open(out, device, arguments.start)
    songs = whole_songs(arguments.songs).to(device) if arguments.songs else None
    whole, begun, told, saved = arguments.minutes * 60, time.monotonic() - run.spent, 0.0, run.spent
    while run.spent < whole:
        run.advance(networks, *stock, songs, run.spent / whole, arguments)
        run.spent = time.monotonic() - begun
        if run.spent - told > arguments.every and run.recent:
            told = run.spent
            error, gain, length = torch.stack(run.recent).mean(dim=0).tolist()
            run.recent.clear()
            print(
                f"step {run.step} {run.spent / 60:.2f} min: error {error:.2f} dB, {gain:+.2f} dB better than Spleeter, "
                f"gradient {length:.1f}",
                flush=True,
            )
        if run.spent - saved > arguments.save_every or run.spent >= whole:
            saved = run.spent
            run.save(out)
            print(f"step {run.step} dev {line(dev_db(networks, run.mean, *kept, arguments.dev_batches))}", flush=True)
            run.spent = time.monotonic() - begun


def line(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in figures.items())


def measure(arguments: argparse.Namespace) -> None:
    loaded = load(arguments.material, arguments.voices, True, arguments.threads or None)
    kept = [pool.to(arguments.device) for pool in loaded]
    refiner = load_refiner(arguments.out / "refiner.safetensors", arguments.device)
    print(line(dev_db(spleeter(arguments.device), refiner, *kept)))


def mean_of(first: Path, second: Path, result: Path) -> None:
    one, other = load_file(first), load_file(second)
    mean = {key: ((one[key].float() + other[key].float()) / 2).to(one[key].dtype).contiguous() for key in one}
    replace(result, lambda part: part.write_bytes(save(mean)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    collecting = steps.add_parser("collect")
    collecting.add_argument("material", type=Path)
    collecting.add_argument("--shared", type=Path, default=shared_dir())
    collecting.add_argument("--soundfont", type=Path, default=Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"))
    averaging = steps.add_parser("mean")
    for argument in ("first", "second", "result"):
        averaging.add_argument(argument, type=Path)
    for name in ("train", "measure"):
        step = steps.add_parser(name)
        for argument in ("material", "voices", "out"):
            step.add_argument(argument, type=Path)
        step.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
        step.add_argument("--threads", type=int, default=0)
        step.add_argument("--minutes", type=float, default=8.0)
        step.add_argument("--batch", type=int, default=12)
        step.add_argument("--frames", type=int, default=FRAMES, help="of a mixture, 23 ms each")
        step.add_argument("--float32", action="store_true", help="trains without bfloat16")
        step.add_argument("--start", type=Path, help="a refiner file to go on from; its norms are held")
        step.add_argument("--songs", type=Path, nargs="*", help="whole songs in which Spleeter's mask shall stay")
        step.add_argument("--learning-rate", type=float, default=LEARNING_RATE)
        step.add_argument("--dev-batches", type=int, default=DEV_BATCHES, help="of 4 mixtures, at each save")
        step.add_argument("--every", type=float, default=10.0, help="seconds between lines of progress")
        step.add_argument("--save-every", type=float, default=SAVE_SECONDS, help="seconds between saves")
    arguments = parser.parse_args()
    if arguments.step == "mean":
        return mean_of(arguments.first, arguments.second, arguments.result)
    if arguments.step == "collect":
        return collect(arguments.material, arguments.shared, arguments.soundfont)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    {"train": train, "measure": measure}[arguments.step](arguments)


if __name__ == "__main__":
    main()
