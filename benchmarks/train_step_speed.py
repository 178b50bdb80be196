"""How many times faster a training step of the `fast` recipe is than one of `quality`, on CPU, in one process.

    python benchmarks/train_step_speed.py --json

Both get the same batch size and the same seconds of decoded segment and of slice; models, discriminators,
losses and optimisers are their own, the discriminators included. Times are means over an even number of steps,
because a recipe may train its discriminators every other step. Goal: at least 5 times.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from svc.config import Config, load_config
from svc.data.dataset import make_loader
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset
from svc.training.run_folder import RunFolder
from svc.training.setup import setup
from svc.training.steps import train_step

GOAL = 5.0
CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def recipe(name: str, batch: int, segment_frames: int, slice_frames: int) -> Config:
    same = {"batch_size": batch, "segment_frames": segment_frames, "slice_frames": slice_frames, "workers": 0}
    # The discriminators take part from the first step on, as they do in most of a run.
    same["adversarial_start_step"] = 0
    return load_config(CONFIGS / f"{name}.yaml", {"train": {**same, "validation_clips": 0, "accumulate": 1}})


def parameters(module: torch.nn.Module) -> float:
    return round(sum(p.numel() for p in module.parameters()) / 1e6, 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--segment-frames", type=int, default=20, help="decoded frames per slice")
    parser.add_argument("--slice-frames", type=int, default=172, help="frames per slice")
    parser.add_argument("--steps", type=int, default=6, help="timed steps of each recipe, alternating; even")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    size = SyntheticSize(
        recordings=2,
        slices=4,
        slice_seconds=6,
        held_out=False,
        content_dim=288,
        sample_rate=44_100,
        hop_length=512,
        n_fft=2048,
    )
    with tempfile.TemporaryDirectory() as folder:
        write_synthetic_dataset(Path(folder) / "data", size)
        runs, batches, seconds = {}, {}, {"fast": [], "quality": []}
        for name in seconds:
            config = recipe(name, args.batch_size, args.segment_frames, args.slice_frames)
            place = RunFolder(Path(folder) / name)
            runs[name] = setup(config, Path(folder) / "data", place, None, None, False, "cpu", lambda _: None)
            batches[name] = iter(make_loader(runs[name].dataset, runs[name].sampler, 0, False))
            train_step(runs[name].state, next(batches[name]))
        for step in range(args.steps):
            for name, run in runs.items():
                batch = next(batches[name])
                begin = time.process_time()
                train_step(run.state, batch)
                seconds[name].append(time.process_time() - begin)
            print(
                f"step {step + 1} of {args.steps}: " + ", ".join(f"{n} {s[-1]:.2f} s" for n, s in seconds.items()),
                file=sys.stderr,
            )
        means = {name: statistics.mean(values) for name, values in seconds.items()}
        result = {
            "ratio": round(means["quality"] / means["fast"], 2),
            "goal": GOAL,
            **{f"{name}_cpu_seconds": round(value, 3) for name, value in means.items()},
            **{f"{name}_generator_millions": parameters(run.state.model) for name, run in runs.items()},
            **{f"{name}_discriminator_millions": parameters(run.state.discriminator) for name, run in runs.items()},
        }
        for run in runs.values():
            run.tracker.close()
    if args.json:
        print(json.dumps(result))
    else:
        print("\n".join(f"{name}: {value}" for name, value in result.items()))
    return 0 if result["ratio"] >= GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
