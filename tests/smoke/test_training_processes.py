"""Two processes on one machine (DDP over gloo) train one voice."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from svc.checkpoint.voice import load_voice
from svc.config import load_config
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset
from svc.training.tracking import read_metrics

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import hashlib, json, os, sys
from svc.config import Config
from svc.training import loop
seen, make_step = [], loop.step_within_memory
def watch(run, batch):
    seen.append(hashlib.sha256(batch.content.numpy().tobytes()).hexdigest())
    return make_step(run, batch)
loop.step_within_memory = watch
finish = loop.export
def export(run):
    digest = hashlib.sha256()
    for part in (run.state.model, run.state.accelerator.unwrap_model(run.state.discriminator)):
        for tensor in part.state_dict().values():
            digest.update(tensor.numpy().tobytes())
    with open(sys.argv[4] + os.environ["RANK"] + ".json", "w") as file:
        json.dump({"weights": digest.hexdigest(), "batches": seen}, file)
    return finish(run)
loop.export = export
loop.train_voice(Config.model_validate_json(sys.argv[1]), sys.argv[2], sys.argv[3], device="cpu")
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.skipif(sys.platform != "linux", reason="gloo in wheels for other systems is not tested")
def test_two_processes_hold_the_same_weights_and_see_other_batches(tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "data", SyntheticSize(slice_seconds=1.0))
    train = {
        "max_steps": 3,
        "log_every": 1,
        "validation_clips": 1,
        "validate_every": 3,
        "accumulate": 2,
        "batch_size": 1,
    }
    config = load_config(ROOT / "configs" / "debug.yaml", {"train": train})
    command = [sys.executable, "-c", PROGRAM, config.model_dump_json(), str(tmp_path / "data"), str(tmp_path / "run")]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [*command, str(tmp_path / "rank")],
            cwd=ROOT,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=600)
            assert process.returncode == 0, errors[-2000:]
    finally:
        for process in processes:
            process.kill()
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2))
    assert first["weights"] == second["weights"]
    assert len(first["batches"]) == 3
    assert not set(first["batches"]) & set(second["batches"])
    assert load_voice(tmp_path / "run" / "voice.safetensors").provenance["steps"] == 3
    kinds = [(line["step"], line["kind"]) for line in read_metrics(tmp_path / "run" / "metrics.jsonl")]
    assert kinds == [(1, "train"), (2, "train"), (3, "train"), (3, "validation")], "one process writes"
