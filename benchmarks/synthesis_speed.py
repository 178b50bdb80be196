"""How fast voices sing, as ratios measured in one process.

    python benchmarks/synthesis_speed.py [--threads 2] [--seconds 20]

`quality`: the model's synthesis over the summed time of its convolutions run alone on inputs of the same shapes (goal:
at most 1.2). `fast`: features and synthesis of a conversion over the length of the song (goal: at most 0.25).
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from conversion_bench import RATE, made_singing, random_voice
from torch import nn

CONVOLUTIONS = (nn.Conv1d, nn.ConvTranspose1d, nn.Conv2d)


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
clock = CLOCKS["wall"]


def best_time(work: Callable[[], object], repeats: int) -> float:
    """Shortest of several runs: what is in the way of one run is not the work's."""
    times = []
    for _ in range(repeats):
        started = clock()
        work()
        times.append(clock() - started)
    return min(times)


def recorded_convolutions(model: nn.Module, run: Callable[[], object]) -> Counter:
    """(module, input shape) of every convolution that `run` calls, with how often."""
    calls: Counter = Counter()
    hooks = [
        module.register_forward_hook(lambda module, inputs, _: calls.update([(module, tuple(inputs[0].shape))]))
        for module in model.modules()
        if isinstance(module, CONVOLUTIONS)
    ]
    run()
    for hook in hooks:
        hook.remove()
    return calls


def synthesis_over_convolutions(preset: str, seconds: float, repeats: int) -> dict:
    from svc.models.vits.voice_model import ModelInput

    model = random_voice(preset).build("cpu")
    shape = model.shape
    frames = round(seconds * shape.sample_rate / shape.hop_length)
    batch = ModelInput(
        content=torch.randn(1, shape.content_dim, frames),
        f0_hz=torch.full((1, frames), 220.0),
        voiced=torch.ones(1, frames),
        loudness_db=torch.full((1, frames), -20.0),
        lengths=torch.tensor([frames]),
        speaker_id=torch.tensor([0]),
    )
    noise = torch.randn(1, model.config.inter_channels, frames)
    source_noise = torch.randn(1, frames * shape.hop_length)

    def sing() -> object:
        return model.infer(batch, noise, torch.zeros(1), source_noise)

    with torch.inference_mode():
        calls = recorded_convolutions(model, sing)
        inputs = {size: torch.randn(size) for _, size in calls}

        def convolve() -> None:
            for (module, size), count in calls.items():
                for _ in range(count):
                    module(inputs[size])

        convolve()
        whole, alone = best_time(sing, repeats), best_time(convolve, repeats)
    return {
        "preset": preset,
        "seconds": seconds,
        "convolutions": sum(calls.values()),
        "synthesis_s": round(whole, 3),
        "convolutions_s": round(alone, 3),
        "synthesis_over_convolutions": round(whole / alone, 3),
        "synthesis_rtf": round(whole / seconds, 3),
    }


def conversion_rtf(preset: str, seconds: float, repeats: int) -> dict:
    from svc.audio.signal import Audio
    from svc.config import ConvertOptions
    from svc.conversion.converter import Converter

    converter = Converter(random_voice(preset))
    audio = Audio(made_singing(seconds)[None], RATE)
    # A fixed transposition: finding it is asked for once per song, not per second.
    options = ConvertOptions(transpose=0.0)
    converter.convert(Audio(audio.samples[:, : 3 * RATE], RATE), options)
    whole = best_time(lambda: converter.convert(audio, options), repeats)
    features = best_time(lambda: converter.extractor.extract(audio), repeats)
    return {
        "preset": preset,
        "seconds": seconds,
        "conversion_rtf": round(whole / seconds, 3),
        "features_rtf": round(features / seconds, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the converted singing")
    parser.add_argument("--quality-seconds", type=float, default=4.0, help="length of the quality voice's synthesis")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: summed over threads, for busy machines")
    parser.add_argument("--output", type=Path, help="also write the figures to this JSON file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    global clock
    clock = CLOCKS[args.clock]
    rows = []
    for measure, preset, seconds in (
        (synthesis_over_convolutions, "quality", args.quality_seconds),
        (conversion_rtf, "fast", args.seconds),
    ):
        rows.append(measure(preset, seconds, args.repeats))
        print(json.dumps(rows[-1]), flush=True)
    if args.output:
        args.output.write_text(
            json.dumps({"threads": args.threads, "clock": args.clock, "rows": rows}, indent=1), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
