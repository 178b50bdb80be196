"""Tune Moonshine tiny into a content encoder that hears less of who sings and at what pitch.

    python scripts/recipes/content_encoder.py --output scratch/enc --minutes 42
    python scripts/recipes/content_encoder.py --output scratch/enc --export

Runs again from where it stopped; `--export` writes the weight file for svc/assets. It starts from what
moonshine_weights.py wrote. Four things are asked at once:

- phones: a linear head names the phone of every frame of made speech and singing (eight languages' signs);
- agreement: takes of one line by several timbres give the same frames;
- nearness: frames of people's recordings, played 0.79 to 1.27 times as fast (pitch and formants move together), through
  a random equaliser, noise and room, are the delivered encoder's cleaned frames of the untouched recording;
- two adversaries (gradient reversal, Ganin et al. 2016) try to read timbre and F0 from the frames of made audio, where
  both are independent of the words.
"""

import argparse
import json
import os
import time
from pathlib import Path

import content_corpus as corpus
import numpy as np
import torch
from content_corpus import Clip, frame_positions
from safetensors.torch import load_file, save_file
from scipy.fft import next_fast_len
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from svc.content.levelling import frame_gains, levelled
from svc.content.moonshine import OPTIONS, SAMPLE_RATE, layer_windows
from svc.content.moonshine_network import CENTRE, HOP, RECEPTIVE_FIELD, WIDTH, MoonshineNetwork
from svc.paths import shared_dir

FRAMES = 200
CROP = (FRAMES - 1) * HOP + RECEPTIVE_FIELD
PAIRS, PEOPLE = 5, 6
LAST = 6  # index of the normed last layer in the network's outputs
F0_LOW_HZ, F0_BINS, F0_STEP = 65.0, 38, 1.0  # semitones
HELD_OUT = 60  # made lines for the figures in the log
RATES = (0.79, 1.27)
WEIGHTS = {"phones": 1.0, "agreement": 2.0, "nearness": 2.0, "timbre": 0.25, "f0": 0.25}
LEARNING_RATE = 2e-4


class Reverse(torch.autograd.Function):
    """The identity forwards, minus the gradient backwards."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return -gradient


class Heads(nn.Module):
    """Phones, and the two adversaries, from frames (B, T, 288)."""

    def __init__(self, phones: int, timbres: int) -> None:
        super().__init__()
        self.phones = nn.Linear(WIDTH, phones)
        self.f0 = nn.Sequential(nn.Conv1d(WIDTH, 192, 5, padding=2), nn.GELU(), nn.Conv1d(192, F0_BINS, 1))
        self.timbre_frames = nn.Sequential(nn.Conv1d(WIDTH, 192, 5, padding=2), nn.GELU(), nn.Conv1d(192, 192, 1))
        self.timbre = nn.Sequential(nn.Linear(384, 192), nn.GELU(), nn.Linear(192, timbres))

    def f0_logits(self, frames: Tensor) -> Tensor:
        return self.f0(frames.transpose(1, 2)).transpose(1, 2)

    def timbre_logits(self, frames: Tensor) -> Tensor:
        x = self.timbre_frames(frames.transpose(1, 2))
        return self.timbre(torch.cat([x.mean(2), x.float().std(2).to(x.dtype)], dim=1))


class Encoder(nn.Module):
    """The network with the delivered encoder's mean and scale taken out of its last layer."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        self.network = MoonshineNetwork()
        self.network.load_state_dict({k: v for k, v in state.items() if not k.startswith("corpus.")})
        self.register_buffer("mean", state["corpus.mean"][LAST].clone(), persistent=False)
        self.register_buffer("scale", state["corpus.scale"][LAST].clone(), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Levelled samples (B, CROP) -> (B, FRAMES, 288)."""
        return (self.network(samples, OPTIONS)[LAST].float() - self.mean) / self.scale


def delivered_frames(clips: list[Clip], state: dict[str, Tensor]) -> list[np.ndarray]:
    """Cleaned last-layer frames (T, 288) float16 of whole clips by the delivered encoder, frame t at sample 384 t."""
    network = MoonshineNetwork().eval()
    network.load_state_dict({k: v for k, v in state.items() if not k.startswith("corpus.")})
    mean, scale, leak = (state[f"corpus.{k}"][LAST] for k in ("mean", "scale", "leak"))
    frames = []
    for clip in clips:
        values = torch.cat([w[LAST] for _, _, w in layer_windows(network, clip.samples.astype(np.float32) / 32768)])
        z = (values - mean) / scale
        frames.append((z - z @ leak.T @ leak).numpy().astype(np.float16))
    return frames


def group_means(clips: list[Clip], frames: list[np.ndarray]) -> list[np.ndarray]:
    """The frames of each clip replaced by the mean over its group's timbres."""
    groups: dict[str, list[int]] = {}
    for i, clip in enumerate(clips):
        groups.setdefault(clip.group, []).append(i)
    out = list(frames)
    for members in groups.values():
        shortest = min(len(frames[i]) for i in members)
        mean = np.mean([frames[i][:shortest].astype(np.float32) for i in members], axis=0).astype(np.float16)
        for i in members:
            out[i] = mean
    return out


def play(samples: np.ndarray, start: int, rate: float, rng: np.random.Generator) -> np.ndarray:
    """CROP samples (float32) of a clip from `start`, played `rate` times as fast, coloured and levelled."""
    import soxr

    piece = samples[max(start, 0) : start + int(CROP * rate) + 64].astype(np.float32) / 32768
    piece = np.pad(piece, (max(-start, 0), 0))
    if rate != 1.0:
        piece = soxr.resample(piece, SAMPLE_RATE * rate, SAMPLE_RATE, quality="MQ")
    piece = np.pad(piece, (0, max(0, CROP - len(piece))))[:CROP]
    piece = coloured(piece, rng)
    return levelled(piece, 0, frame_gains(piece, HOP, SAMPLE_RATE), HOP)


def coloured(piece: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random smooth equaliser, sometimes a band limit, a room and noise."""
    room_heard = rng.random() < 0.2
    n = next_fast_len(2 * len(piece) if room_heard else len(piece), real=True)
    spectrum = np.fft.rfft(piece, n)
    axis = np.linspace(0, 1, len(spectrum)) ** 0.5
    points = rng.normal(0, 4.0, 9)
    gain = 10 ** (np.interp(axis, np.linspace(0, 1, 9), points) / 20)
    if rng.random() < 0.25:
        edge = rng.uniform(3400, 8000) / 8000
        gain = gain * (1 / (1 + np.exp((np.linspace(0, 1, len(spectrum)) - edge) * 200)))
    spectrum = spectrum * gain
    if room_heard:
        length = int(rng.uniform(0.1, 0.5) * SAMPLE_RATE)
        room = rng.normal(0, 1, length) * np.exp(-6.9 * np.arange(length) / length)
        room *= rng.uniform(0.1, 0.5) / np.sqrt((room**2).sum())
        room[0] = 1.0
        spectrum = spectrum * np.fft.rfft(room, n)
    out = np.fft.irfft(spectrum, n)[: len(piece)]
    power = np.sqrt(np.mean(out**2)) + 1e-5
    noise = rng.normal(0, power * 10 ** (-rng.uniform(15, 50) / 20), len(out))
    return (out + noise).astype(np.float32)


def read_frames(frames: np.ndarray, start: int, rate: float) -> np.ndarray:
    """Delivered frames (FRAMES, 288) at the places of a crop, between frames linearly."""
    place = (frame_positions(start + CENTRE * rate, FRAMES, rate) / HOP).clip(0, len(frames) - 1)
    low = np.floor(place).astype(int).clip(0, max(len(frames) - 2, 0))
    part = (place - low)[:, None].astype(np.float32)
    high = np.minimum(low + 1, len(frames) - 1)
    return frames[low].astype(np.float32) * (1 - part) + frames[high].astype(np.float32) * part


class Batches:
    """Random batches; the numbers of step k depend on the seed and k alone."""

    def __init__(self, made: list[Clip], people: list[Clip], state: dict[str, Tensor], cache: Path, seed: int) -> None:
        groups: dict[str, list[int]] = {}
        for i, clip in enumerate(made):
            groups.setdefault(clip.group, []).append(i)
        names = sorted(groups)
        self.held_out = [groups[name] for name in names[-HELD_OUT:]]
        self.groups = [groups[name] for name in names[:-HELD_OUT]]
        self.made, self.people, self.seed = made, people, seed
        self.timbres = sorted({name for clip in made for name in clip.timbres})
        if not cache.is_file():
            frames = delivered_frames(made + people, state)
            np.savez(cache, *(group_means(made, frames[: len(made)]) + frames[len(made) :]))
        stored = np.load(cache)
        self.frames = [stored[f"arr_{i}"] for i in range(len(made) + len(people))]
        self.length = np.array([len(clip.samples) for clip in people], dtype=float)

    def batch(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.seed, step))
        rows: dict[str, list] = {k: [] for k in ("samples", "target", "labels", "f0", "timbre", "voice")}
        for _ in range(PAIRS):
            members = self.groups[rng.integers(len(self.groups))]
            pair = rng.choice(members, 2, replace=len(members) < 2)
            self._pair(rows, [int(i) for i in pair], rng)
        for _ in range(PEOPLE):
            i = int(rng.choice(len(self.people), p=self.length / self.length.sum()))
            clip, rate = self.people[i], float(np.exp(rng.uniform(*np.log(RATES))))
            start = self._start(clip, rate, rng)
            rows["samples"].append(play(clip.samples, start, rate, rng))
            rows["target"].append(read_frames(self.frames[len(self.made) + i], start, rate))
        return {name: torch.from_numpy(np.stack(values)) for name, values in rows.items() if values}

    def _pair(self, rows: dict[str, list], pair: list[int], rng: np.random.Generator) -> None:
        rate = float(np.exp(rng.uniform(*np.log(RATES)))) if rng.random() < 0.5 else 1.0
        start = self._start(self.made[pair[0]], rate, rng)
        for i in pair:
            clip = self.made[i]
            rows["samples"].append(play(clip.samples, start, rate, rng))
            rows["target"].append(read_frames(self.frames[i], start, rate))
            labels, f0 = clip.frames(frame_positions(start + CENTRE * rate, FRAMES, rate))
            rows["labels"].append(labels)
            bins = 12 * np.log2(np.maximum(f0 * rate, 1) / F0_LOW_HZ) / F0_STEP
            rows["f0"].append(np.where(f0 > 0, bins.round().clip(0, F0_BINS - 1), -1).astype(np.int64))
            # Played faster the voice is another one: such crops teach the timbre's reader nothing.
            rows["timbre"].append(np.array([clip.timbres.get(t, 0.0) for t in self.timbres], dtype=np.float32))
            rows["voice"].append(np.float32(rate == 1.0))

    @staticmethod
    def _start(clip: Clip, rate: float, rng: np.random.Generator) -> int:
        room = len(clip.samples) - int(CROP * rate)
        return int(rng.integers(0, room + 1)) if room > 0 else -int(rng.integers(0, -room // 2 + 1))


def losses(encoder: Encoder, heads: Heads, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    made = 2 * PAIRS
    # On CPUs the plain form of attention has the faster backward pass at this length.
    with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
        z = encoder(batch["samples"])
        found = {"nearness": functional.mse_loss(z, batch["target"], reduction="none").mean(dim=(1, 2))}
        phones = heads.phones(z[:made]).float()
        f0 = heads.f0_logits(Reverse.apply(z[:made])).float()
        timbre = heads.timbre_logits(Reverse.apply(z[:made])).float()
    # The mean of several timbres' frames is a good direction, but only people's own frames must be kept.
    near = found["nearness"]
    found["nearness"] = 0.3 * near[:made].mean() + near[made:].mean()
    found["phones"] = functional.cross_entropy(phones.flatten(0, 1), batch["labels"].flatten(), label_smoothing=0.05)
    pairs = z[:made].unflatten(0, (PAIRS, 2))
    found["agreement"] = (pairs[:, 0] - pairs[:, 1]).square().mean()
    found["f0"] = functional.cross_entropy(f0.flatten(0, 1), batch["f0"].flatten(), ignore_index=-1)
    each = -(batch["timbre"] * timbre.log_softmax(1)).sum(1)
    found["timbre"] = (each * batch["voice"]).sum() / batch["voice"].sum().clamp(min=1)
    found["phones_right"] = (phones.argmax(-1) == batch["labels"]).float().mean()
    found["f0_right"] = ((f0.argmax(-1) - batch["f0"]).abs() <= 1)[batch["f0"] >= 0].float().mean()
    return found


@torch.inference_mode()
def figures(encoder: Encoder, heads: Heads, batches: Batches) -> dict[str, float]:
    """On made lines that trained nothing: phones right, cosine across timbres, R2 of log F0 by ridge regression."""
    rows, pitches, right, cosines = [], [], [], []
    rng = np.random.default_rng(0)
    for members in batches.held_out:
        views = []
        for i in members:
            clip = batches.made[i]
            piece = clip.samples[:CROP].astype(np.float32) / 32768
            piece = np.pad(piece, (0, CROP - len(piece)))
            samples = levelled(piece, 0, frame_gains(piece, HOP, SAMPLE_RATE), HOP)
            z = encoder(torch.from_numpy(samples)[None])[0]
            labels, f0 = clip.frames(frame_positions(CENTRE, FRAMES))
            inside = frame_positions(CENTRE, FRAMES) < len(clip.samples)
            right.append((heads.phones(z).argmax(-1).numpy() == labels)[inside].mean())
            rows.append(z.numpy()[inside & (f0 > 0)])
            pitches.append(np.log(f0[inside & (f0 > 0)]))
            views.append(z.numpy()[inside])
        for k in range(1, len(views)):
            a, b = views[0] - views[0].mean(0), views[k] - views[k].mean(0)
            cosines.append(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).mean())
    order = rng.permutation(len(rows))
    half = [order[: len(order) // 2], order[len(order) // 2 :]]
    x, y = ([np.concatenate([v[i] for i in part]) for part in half] for v in (rows, pitches))
    mean, middle = x[0].mean(0), y[0].mean()
    w = np.linalg.solve((x[0] - mean).T @ (x[0] - mean) + 10 * np.eye(WIDTH), (x[0] - mean).T @ (y[0] - middle))
    r2 = 1 - np.mean((y[1] - middle - (x[1] - mean) @ w) ** 2) / np.var(y[1])
    return {"phones": float(np.mean(right)), "cosine": float(np.mean(cosines)), "r2_f0": float(r2)}


def train(arguments: argparse.Namespace) -> None:
    torch.manual_seed(arguments.seed)
    output: Path = arguments.output
    state = {k: v.float() for k, v in load_file(arguments.start).items()}
    made, people, alphabet = corpus.load(arguments.corpus, arguments.made, output / "corpus.pkl")
    batches = Batches(made, people, state, output / "delivered.npz", arguments.seed)
    encoder, heads = Encoder(state), Heads(len(alphabet) + 1, len(batches.timbres))
    parameters = [
        {"params": [*encoder.parameters()], "peak": LEARNING_RATE},
        {"params": [*heads.parameters()], "peak": 1e-3},
    ]
    optimiser = torch.optim.AdamW(parameters, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    average = {k: v.clone() for k, v in encoder.network.state_dict().items()}
    step, saved = 0, output / "state.pt"
    if saved.is_file():
        stored = torch.load(saved, weights_only=True)
        encoder.load_state_dict(stored["encoder"])
        heads.load_state_dict(stored["heads"])
        optimiser.load_state_dict(stored["optimiser"])
        average, step = stored["average"], stored["step"]
    started = last = time.monotonic()
    log = (output / "log.jsonl").open("a")
    while step < arguments.steps and time.monotonic() - started < arguments.minutes * 60:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * min(1, step / 100) * (1 - 0.9 * step / arguments.steps)
        found = losses(encoder, heads, batches.batch(step))
        total = sum(weight * found[name] for name, weight in WEIGHTS.items())
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimiser.step()
        step += 1
        with torch.no_grad():
            for k, v in encoder.network.state_dict().items():
                average[k].lerp_(v, max(0.005, 1 / (step + 1)))
        if step % 25 == 0:
            row = {"step": step, "minutes": round((time.monotonic() - started) / 60, 2)}
            row |= {k: round(float(v), 4) for k, v in found.items()}
            if step % 200 == 0:
                kept = {k: v.clone() for k, v in encoder.network.state_dict().items()}
                encoder.network.load_state_dict(average)
                row |= {f"held_{k}": round(v, 4) for k, v in figures(encoder, heads, batches).items()}
                encoder.network.load_state_dict(kept)
            print(json.dumps(row), file=log, flush=True)
        if time.monotonic() - last > 120:
            save(saved, encoder, heads, optimiser, average, step)
            last = time.monotonic()
    save(saved, encoder, heads, optimiser, average, step)


def save(path: Path, encoder: Encoder, heads: Heads, optimiser, average: dict, step: int) -> None:
    part = path.with_suffix(".part")
    content = {"encoder": encoder.state_dict(), "heads": heads.state_dict(), "optimiser": optimiser.state_dict()}
    torch.save(content | {"average": average, "step": step}, part)
    os.replace(part, path)


def export(arguments: argparse.Namespace) -> None:
    """The averaged weights with fresh corpus statistics, fp16, as svc/assets takes them."""
    from moonshine_leak import constants

    stored = torch.load(arguments.output / "state.pt", weights_only=True)
    network = MoonshineNetwork().eval()
    network.load_state_dict(stored["average"])
    found = {k: torch.from_numpy(v) for k, v in constants(arguments.corpus, network).items()}
    weights = {k: v.half().contiguous() for k, v in stored["average"].items()}
    save_file(weights | {k: v.contiguous() for k, v in found.items()}, arguments.output / "candidate.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="folder for state, log and result")
    parser.add_argument("--corpus", type=Path, default=shared_dir() / "audio", help="the reference folder's audio/")
    parser.add_argument("--start", type=Path, default=Path("pretrain/moonshine_delivered.safetensors"))
    parser.add_argument("--made", type=Path, nargs="*", help="folders of made lines; kokoro_parallel is the default")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so many minutes of this call")
    parser.add_argument("--steps", type=int, default=1700, help="length of the learning-rate schedule")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--export", action="store_true", help="write candidate.safetensors from the stored state")
    arguments = parser.parse_args()
    arguments.made = arguments.made or [arguments.corpus / "made/kokoro_parallel"]
    arguments.output.mkdir(parents=True, exist_ok=True)
    export(arguments) if arguments.export else train(arguments)


if __name__ == "__main__":
    main()
