"""How fast an imported full-size so-vits-svc 4.1 voice sings, over a plain eager PyTorch form of the same network.

    python benchmarks/imported_speed.py [--seconds 60] [--threads 2] [--clock cpu]

A random voice of the default shape is written as a G_*.pth with its config.json and imported. Both forms get the same
features, turn about, in one process; `plain` is benchmarks/plain_sovits.py. Rows: the length in one call, and in the
windows of a conversion (12 s and 1 s of context to each side, which are extra work). Goal: 1.3 times as fast at 60 s.
Peak memory is measured in a process of its own for each form and length: flat for ours.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import plain_sovits as plain
from foreign_voices import Sizes, write_sovits

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
WINDOW_SECONDS, CONTEXT_SECONDS = 12.0, 1.0


def made_features(seconds: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Content (1, 768, T), a gliding F0 (1, T) and voicing (1, T)."""
    frames = round(seconds * plain.RATE / plain.HOP)
    generator = torch.Generator().manual_seed(0)
    content = torch.randn(1, 768, frames, generator=generator)
    f0_hz = 220 * 2 ** (0.5 * torch.sin(torch.arange(frames) / 40))[None]
    return content, f0_hz, (torch.arange(frames) % 90 > 9).float()[None]


def written_voice(folder: Path):
    """The foreign file's tensors, and our model of it."""
    from svc.checkpoint.importers.opening import import_voice

    path = write_sovits(folder, Sizes())
    return torch.load(path, weights_only=True)["model"], import_voice(path).build("cpu")


def ours(model, features: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Our audio of the features in one call."""
    from svc.models.vits.voice_model import ModelInput

    content, f0_hz, voiced = features
    frames = content.shape[2]
    batch = ModelInput(content, f0_hz, voiced, torch.zeros(1, frames), torch.tensor([frames]), torch.tensor([0]))
    return model.infer(batch, None, torch.zeros(1))


def ours_in_windows(model, features: tuple[torch.Tensor, ...]) -> None:
    """As a conversion computes it; what each window makes of its context is thrown away."""
    rate = plain.RATE / plain.HOP
    window, context = round(WINDOW_SECONDS * rate), round(CONTEXT_SECONDS * rate)
    frames = features[0].shape[2]
    for start in range(0, frames, window):
        low, high = max(0, start - context), min(frames, start + window + context)
        ours(model, tuple(part[..., low:high] for part in features))


def operations(work: Callable[[], object]) -> float:
    """Floating-point operations of `work`, in units of 10^9."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 1e9


def peak_gib(kind: str, seconds: float, threads: int) -> float:
    """Peak memory of a process that makes so much audio."""
    command = [sys.executable, __file__, "--child", kind, "--seconds", str(seconds), "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.strip().splitlines()[-1])


def child(kind: str, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state, model = written_voice(Path(folder))
    features = made_features(seconds)
    if kind == "plain":
        plain.sing(state, *features)
    elif kind == "ours":
        ours(model, features)
    else:
        ours_in_windows(model, features)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def measure(seconds: float, repeats: int, clock: Callable[[], float]) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        state, model = written_voice(Path(folder))
    short, features = made_features(3.0), made_features(seconds)
    difference = float((plain.sing(state, *short) - ours(model, short)).abs().max())
    speaker = state["emb_g.weight"][:1].unsqueeze(-1)
    one = made_features(1.0)
    frames = one[0].shape[2] * plain.HOP / plain.RATE
    counted = operations(lambda: plain.sing(state, *one)) / frames
    counted_decoder = operations(lambda: plain.decoder(state, torch.zeros(1, 192, one[0].shape[2]), one[1], speaker))
    forms: dict[str, Callable[[], object]] = {
        "plain": lambda: plain.sing(state, *features),
        "ours": lambda: ours(model, features),
        "ours_in_windows": lambda: ours_in_windows(model, features),
    }
    best = dict.fromkeys(forms, float("inf"))
    for _ in range(repeats):
        for name, work in forms.items():
            started = clock()
            work()
            best[name] = min(best[name], clock() - started)
    return {
        "seconds": seconds,
        "gflop_per_second_of_audio": round(counted, 1),
        "gflop_of_the_decoder": round(counted_decoder / frames, 1),
        "largest_difference": difference,
        **{f"{name}_s": round(value, 2) for name, value in best.items()},
        "plain_over_ours": round(best["plain"] / best["ours"], 2),
        "plain_over_ours_in_windows": round(best["plain"] / best["ours_in_windows"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: summed over threads, for busy machines")
    parser.add_argument("--no-memory", action="store_true", help="leave the measuring of peak memory out")
    parser.add_argument("--child", choices=("plain", "ours", "windows"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with torch.inference_mode():
        if args.child:
            return child(args.child, args.seconds)
        print(json.dumps(measure(args.seconds, args.repeats, CLOCKS[args.clock])), flush=True)
    if not args.no_memory:
        cases = [("plain", 20.0), ("plain", args.seconds), ("windows", args.seconds), ("windows", 3 * args.seconds)]
        print(json.dumps({f"peak_gib {kind} {s:g} s": round(peak_gib(kind, s, args.threads), 2) for kind, s in cases}))
    return None


if __name__ == "__main__":
    main()
