"""Whether training keeps a CUDA card busy: steps per second, waiting for data, memory, and the loss over minutes.

    python benchmarks/gpu_training.py                          # quality recipe, made-up data, 10 minutes
    python benchmarks/gpu_training.py --data prepared/anna --config configs/fast.yaml --minutes 5

Goals: the card waits for data at most 5 % of the time, and the mel loss falls. Without CUDA it ends with exit code 2.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch

from svc.config import load_config
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset
from svc.training.loop import train_voice
from svc.training.tracking import read_metrics

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
WAIT_GOAL = 0.05


class Lines:
    """Writes the progress of a run to stderr."""

    def update(
        self, step: int, total: int, losses: dict[str, float], steps_per_second: float, seconds_left: float
    ) -> None:
        text = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
        print(f"step {step}: {steps_per_second:.2f} steps/s, {seconds_left:.0f} s left, {text}", file=sys.stderr)


def summary(lines: list[dict], minutes: float) -> dict[str, object]:
    """The figures of a run from its metrics; the first tenth of the log lines (warming up) is left out of the speed."""
    train = [line for line in lines if line["kind"] == "train"]
    settled = train[len(train) // 10 :]
    edge = max(1, len(train) // 10)

    def mean(part: list[dict], name: str) -> float:
        return sum(line[name] for line in part) / len(part)

    first, last = mean(train[:edge], "mel"), mean(train[-edge:], "mel")
    return {
        "device": torch.cuda.get_device_name(),
        "minutes": minutes,
        "steps": train[-1]["step"],
        "steps_per_second": round(mean(settled, "steps_per_second"), 2),
        "data_wait_share": round(mean(settled, "data_wait"), 4),
        "data_wait_goal": WAIT_GOAL,
        "memory_gb": round(train[-1]["memory_gb"], 2),
        "mel_loss_first_tenth": round(first, 4),
        "mel_loss_last_tenth": round(last, 4),
        "reached": last < first and mean(settled, "data_wait") <= WAIT_GOAL,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="prepared dataset; made up when left out")
    parser.add_argument("--config", type=Path, default=CONFIGS / "quality.yaml")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--batch-size", type=int, help="slices per step, instead of the recipe's")
    parser.add_argument("--compile", action="store_true", help="torch.compile the generator")
    parser.add_argument("--keep", type=Path, help="write the run here and keep it")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("This benchmark needs a CUDA device, and there is none here: it was not run.", file=sys.stderr)
        return 2
    train = {"max_minutes": args.minutes, "max_steps": 10_000_000, "compile": args.compile, "validation_clips": 2}
    if args.batch_size:
        train["batch_size"] = args.batch_size
    config = load_config(args.config, {"train": train})
    with tempfile.TemporaryDirectory() as folder:
        data, run = args.data or Path(folder) / "data", args.keep or Path(folder) / "run"
        if args.data is None:
            size = SyntheticSize(
                singers=2,
                recordings=6,
                slices=10,
                slice_seconds=10,
                content_dim=288,
                sample_rate=44_100,
                hop_length=512,
                n_fft=2048,
            )
            write_synthetic_dataset(data, size)
        train_voice(
            config, data, run, device="cuda", progress=Lines(), messages=lambda text: print(text, file=sys.stderr)
        )
        result = summary(read_metrics(run / "metrics.jsonl"), args.minutes)
    print(json.dumps(result) if args.json else "\n".join(f"{name}: {value}" for name, value in result.items()))
    return 0 if result["reached"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
