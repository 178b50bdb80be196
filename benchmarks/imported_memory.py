"""Peak memory of a long unbroken take through an imported full-size so-vits-svc 4.1 voice.

    python benchmarks/imported_memory.py [--minutes 10] [--threads 2] [--content encoder]

A random voice of the default shape is written as a G_*.pth with its config.json; a process of its own imports it and
converts one gliding note without a pause, so that no window ends in silence. `--content encoder` hears it with a
random network of ContentVec's real size, `given` leaves that out and hands random content over. Goal: under 4 GB.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from conversion_bench import RATE, looped, peak_memory_bytes

SECONDS_OF_LOOP = 20


def unbroken(seconds: int) -> np.ndarray:
    """One note that glides up and down and never stops: float32 (N,); its end fits its beginning."""
    time_s = np.arange(seconds * RATE) / RATE
    octaves = 0.5 * np.sin(2 * np.pi * time_s / seconds * 4)
    cycles = np.cumsum(180 * 2**octaves) / RATE
    # A whole number of cycles, so that the loop has no click.
    phase = 2 * np.pi * cycles * round(cycles[-1]) / cycles[-1]
    return (0.12 * sum(np.sin(k * phase) / k for k in range(1, 13))).astype(np.float32)


def write_contentvec(folder: Path) -> None:
    """A file of ContentVec's names and sizes with random weights."""
    import torch

    generator = torch.Generator().manual_seed(0)

    def draw(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator) / size[-1] ** 0.5

    def pair(name: str, *size: int) -> dict[str, torch.Tensor]:
        return {f"{name}.weight": draw(*size), f"{name}.bias": torch.zeros(size[0])}

    def norm(name: str, size: int) -> dict[str, torch.Tensor]:
        return {f"{name}.weight": torch.ones(size), f"{name}.bias": torch.zeros(size)}

    state = {"mask_emb": draw(768), "label_embs_concat": draw(504, 256)}
    for i, kernel in enumerate((10, 3, 3, 3, 3, 2, 2)):
        state[f"feature_extractor.conv_layers.{i}.0.weight"] = draw(512, 512 if i else 1, kernel)
    state |= norm("feature_extractor.conv_layers.0.2", 512)
    state |= norm("layer_norm", 512) | pair("post_extract_proj", 768, 512)
    state |= {"encoder.pos_conv.0.bias": torch.zeros(768), "encoder.pos_conv.0.weight_g": torch.ones(1, 1, 128)}
    state["encoder.pos_conv.0.weight_v"] = draw(768, 48, 128)
    for i in range(12):
        for part in ("q", "k", "v", "out"):
            state |= pair(f"encoder.layers.{i}.self_attn.{part}_proj", 768, 768)
        state |= norm(f"encoder.layers.{i}.self_attn_layer_norm", 768)
        state |= pair(f"encoder.layers.{i}.fc1", 3072, 768) | pair(f"encoder.layers.{i}.fc2", 768, 3072)
        state |= norm(f"encoder.layers.{i}.final_layer_norm", 768)
    state |= norm("encoder.layer_norm", 768) | pair("final_proj", 256, 768)
    settings = {"model": {"encoder_attention_heads": 12, "layer_norm_first": False, "activation_fn": "gelu"}}
    torch.save({"model": state, "cfg": settings}, folder / "checkpoint_best_legacy_500.pt")


def give_content(converter) -> None:
    """Random content in place of the encoder's."""
    spec, generator = converter.spec, np.random.default_rng(0)

    def content(samples: np.ndarray, progress=None) -> np.ndarray:
        return generator.standard_normal((spec.frames(len(samples)), spec.content_dim), dtype=np.float32)

    converter.extractor.content = content


def work(source: Path, voice: Path, content: str, threads: int) -> None:
    """The measured process: convert the take, print the figures."""
    import torch

    from svc.config import ConvertOptions
    from svc.conversion.converter import Converter
    from svc.conversion.song import convert_song

    torch.set_num_threads(threads)
    converter = Converter.load(voice)
    if content == "given":
        give_content(converter)
    loaded, started, cpu = peak_memory_bytes(), time.perf_counter(), time.process_time()
    report = convert_song(source, source.with_name("out.flac"), converter, ConvertOptions(separate="none"))
    figures = {
        "minutes": round(report.seconds / 60, 2),
        "content": content,
        "threads": threads,
        "peak_gb": round(peak_memory_bytes() / 1e9, 3),
        "peak_before_gb": round(loaded / 1e9, 3),
        "rtf": round((time.perf_counter() - started) / report.seconds, 3),
        "cpu_seconds_per_second": round((time.process_time() - cpu) / report.seconds, 3),
    }
    print(json.dumps(figures), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, nargs="+", default=[10.0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--content", choices=("encoder", "given"), default="encoder")
    parser.add_argument("--worker", type=Path, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(*args.worker, args.content, args.threads)
        return
    from foreign_voices import Sizes, write_sovits

    from svc.audio.writing import AudioWriter

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        voice = write_sovits(folder, Sizes(volume=True))
        write_contentvec(folder)
        for minutes in args.minutes:
            source = folder / f"take_{minutes:g}.flac"
            with AudioWriter(source, RATE, 1, "16") as writer:
                for block in looped(unbroken(SECONDS_OF_LOOP)[None], round(minutes * 60 * RATE)):
                    writer.write(block)
            command = [sys.executable, __file__, "--worker", str(source), str(voice), "--content", args.content]
            command += ["--threads", str(args.threads)]
            environment = os.environ | {"SVC_PRETRAIN_DIR": str(folder)}
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            if done.returncode:
                raise SystemExit(f"{minutes:g} minutes failed:\n{done.stderr[-3000:]}")
            print(done.stdout.splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
