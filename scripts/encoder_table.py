"""CPU speed and memory of every content encoder and F0 method on a minute of real singing, and the line AUC of some.

    python scripts/encoder_table.py [--shared ../shared] [--seconds 60] [--only NAME ...]
    python scripts/encoder_table.py --line-auc whisper_ct2 --pretrain FOLDER

Each method runs in a process of its own, on one thread. Files that lie in --pretrain are used; where the real weights
cannot be had, the encoder runs on random ones of its published shape, in its own container (random_encoder_files.py):
what it hears is nothing, but it costs the same. Speed is processor time, so other work on the machine matters little.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

RATE = 44_100
# Same network, same size: the first of each row stands for the others.
TWINS = {
    "contentvec256l9": "contentvec768l12",
    "hubert_base": "contentvec768l12",
    "chinese_hubert_base": "contentvec768l12",
    "chinese_hubert_large": "hubert_large",
    "hubert_discrete_centres": "hubert_discrete",
    "wavlm_base_plus": "wavlm_base",
}
SHIPS = {"moonshine", "fcpe", "crepe", "crepe_tiny", "harvest", "dio", "fused", "swift_f0", "praat"}
MEGABYTE = 1024 * 1024


def singing(shared: Path, seconds: float) -> np.ndarray:
    """The first `seconds` of chants by one singer, one after the other: float32 (N,) at RATE."""
    from svc.audio.reading import read_audio

    parts, length = [], 0
    for path in sorted((shared / "audio" / "singing" / "pockettorah_trope").glob("*.ogg")):
        parts.append(read_audio(path).mono().resampled(RATE).samples[0])
        length += len(parts[-1])
        if length >= seconds * RATE:
            break
    if not parts:
        sys.exit(f"There is no singing in {shared}/audio/singing/pockettorah_trope.")
    return np.concatenate(parts)[: int(seconds * RATE)]


def random_weights(name: str, folder: Path) -> None:
    """A file for `name` with random weights of the published shape."""
    import random_encoder_files as files
    import torch

    if name in files.FILES:
        files.write_encoder_file(name, folder)
    elif name == "whisper_ct2":
        files.write_ct2_folder(folder / "whisper-ct2")
    elif name == "rmvpe":
        from svc.pitch.rmvpe_network import RmvpeNetwork, RmvpeShape

        network = RmvpeNetwork(RmvpeShape(16, 5, 4, 4, 256, 1, 128, 360))
        torch.save({key: value.half() for key, value in network.state_dict().items()}, folder / "rmvpe.pt")
    elif name == "fcpe_old":
        from svc.pitch.fcpe_old_network import FcpeOldNetwork, FcpeOldShape

        state = FcpeOldNetwork(FcpeOldShape(128, 512, 12, 512, 64, 266, 31, 360)).state_dict()
        old = {"original0": "weight_g", "original1": "weight_v"}
        renamed = {}
        for key, value in state.items():
            head, _, tail = key.rpartition(".")
            key = head.replace("parametrizations.weight", old[tail]) if tail in old else key
            renamed[key] = torch.randn_like(value) * 0.05 if value.is_floating_point() else value
        torch.save({"config": {}, "model": renamed}, folder / "fcpe.pt")


def child(kind: str, name: str, audio: Path) -> dict[str, Any]:
    """Run one method in this process; its cost."""
    import torch

    torch.set_num_threads(1)
    from svc.audio.resampling import resample
    from svc.registry import CONTENT_ENCODERS, PITCH_ESTIMATORS

    samples = np.load(audio)
    if kind == "content":
        encoder = CONTENT_ENCODERS.create(name)
        heard = resample(samples, RATE, encoder.sample_rate)
        started = time.process_time()
        shape = encoder.encode(heard).values.shape
    else:
        estimator = PITCH_ESTIMATORS.create(name)
        times = np.arange(0, len(samples) / RATE, 512 / RATE)
        started = time.process_time()
        shape = estimator.estimate(samples, RATE, times).f0_hz.shape
    spent = time.process_time() - started
    return {
        "seconds": spent,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE,
        "shape": list(shape),
    }


def measured(kind: str, name: str, audio: Path, pretrain: Path | None) -> dict[str, Any]:
    """The cost of one method, in a process of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        environment = dict(os.environ, OMP_NUM_THREADS="1")
        weights = "ships" if name in SHIPS else "real"
        if pretrain is not None:
            environment["SVC_PRETRAIN_DIR"] = str(pretrain)
        command = [sys.executable, __file__, "--child", kind, name, str(audio)]
        if name not in SHIPS and not (pretrain and has_weights(kind, name, environment)):
            weights = "random"
            environment["SVC_PRETRAIN_DIR"] = temporary
            subprocess.run(
                [sys.executable, __file__, "--write", name, temporary], env=environment, check=True, capture_output=True
            )
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            return {"fault": (done.stderr.strip().splitlines() or ["failed"])[-1]}
        return {**json.loads(done.stdout.splitlines()[-1]), "weights": weights}


def has_weights(kind: str, name: str, environment: dict[str, str]) -> bool:
    registry = "CONTENT_ENCODERS" if kind == "content" else "PITCH_ESTIMATORS"
    code = f"from svc.registry import {registry} as r; r.create({name!r})"
    return (
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False).returncode == 0
    )


def rows(only: list[str]) -> Iterator[tuple[str, str]]:
    from svc.registry import CONTENT_ENCODERS, PITCH_ESTIMATORS

    for kind, registry in (("content", CONTENT_ENCODERS), ("pitch", PITCH_ESTIMATORS)):
        for name in registry.names():
            if name in only or (not only and name not in TWINS):
                yield kind, name


def table(arguments: argparse.Namespace) -> None:
    samples = singing(arguments.shared, arguments.seconds)
    with tempfile.TemporaryDirectory() as folder:
        audio = Path(folder) / "audio.npy"
        np.save(audio, samples)
        print("| method | the same size | weights | processor time, x real time | peak memory, MB |")
        print("|---|---|---|---|---|")
        for kind, name in rows(arguments.only):
            cost = measured(kind, name, audio, arguments.pretrain)
            twins = ", ".join(f"`{twin}`" for twin, first in TWINS.items() if first == name)
            label = f"| {'content' if kind == 'content' else 'F0'} `{name}` | {twins} |"
            if "fault" in cost:
                print(f"{label} not run: {cost['fault']} | | |", flush=True)
                continue
            speed = cost["seconds"] / arguments.seconds
            print(f"{label} {cost['weights']} | {speed:.3f} | {cost['memory']:.0f} |", flush=True)


def takes(shared: Path, singers: int) -> Iterator[tuple[str, str, np.ndarray]]:
    """(singer, line, samples at 16 kHz): each RAVDESS singer's two lines, calm and with another emotion."""
    from svc.audio.reading import read_audio

    for actor in sorted((shared / "audio" / "singing" / "ravdess").glob("Actor_*"))[:singers]:
        for emotion in ("01", "04"):
            for line in ("01", "02"):
                path = next(actor.glob(f"03-02-{emotion}-01-{line}-01-*"))
                yield actor.name, line, read_audio(path).mono().resampled(16_000).samples[0]


def content_line_auc(name: str, shared: Path, singers: int) -> float:
    """Line AUC of an encoder's default layer; per take, mean and variance removed and silence left out."""
    from svc.evaluation.line_auc import line_auc, normalised
    from svc.registry import CONTENT_ENCODERS

    encoder = CONTENT_ENCODERS.create(name)
    frames, who, what = [], [], []
    for singer, line, samples in takes(shared, singers):
        values = encoder.encode(samples).values
        hop = encoder.hop_length
        padded = np.pad(samples.astype(np.float64), (hop, 2 * hop))
        at = np.arange(len(values)) * hop
        total = np.concatenate([[0.0], np.cumsum(np.square(padded))])
        level = 10 * np.log10((total[at + 2 * hop] - total[at]) / (2 * hop) + 1e-10)
        frames.append(normalised(values[level > level.max() - 35]))
        who.append(singer)
        what.append(line)
    return line_auc(frames, singers=who, lines=what)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("SVC_SHARED_DIR", "../shared")))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pretrain", type=Path, help="folder of real weight files")
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--line-auc", metavar="ENCODER")
    parser.add_argument("--singers", type=int, default=12)
    parser.add_argument("--child", nargs=3, metavar=("KIND", "NAME", "AUDIO"), help=argparse.SUPPRESS)
    parser.add_argument("--write", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(child(arguments.child[0], arguments.child[1], Path(arguments.child[2]))))
    elif arguments.write:
        random_weights(arguments.write[0], Path(arguments.write[1]))
    elif arguments.line_auc:
        if arguments.pretrain:
            os.environ["SVC_PRETRAIN_DIR"] = str(arguments.pretrain)
        auc = content_line_auc(arguments.line_auc, arguments.shared, arguments.singers)
        print(f"line AUC of {arguments.line_auc}, {arguments.singers} singers: {auc:.3f}")
    else:
        table(arguments)


if __name__ == "__main__":
    main()
