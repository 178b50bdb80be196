"""Runs a HuBERT or ContentVec checkpoint in fairseq itself beside our own network, and reports the largest difference.

pip install 'svc-toolkit[fairseq]'
python scripts/check_fairseq_parity.py FILE.pt [--audio SONG.wav] [--seconds 5]

Exit code 1 when any layer differs by more than --tolerance (largest absolute difference in float32). fairseq is needed
by nothing else. It reads the file with torch's restricted reader, with its own Dictionary and Namespace allowed.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from svc.audio.reading import read_audio
from svc.content.hubert_files import read_hubert
from svc.content.hubert_network import HubertNetwork
from svc.errors import MissingExtraError, SvcError

RATE = 16_000
TOLERANCE = 5e-5
# Odd lengths too: the front end drops what does not fill a frame.
LENGTHS = (16_000, 15_999, 7_121)


@dataclass(frozen=True)
class Difference:
    """How far one layer is off: the largest absolute difference, and the largest value of the original."""

    name: str
    largest: float
    scale: float


def load_original(path: Path) -> Any:
    """fairseq's own model of a checkpoint, in float32 for inference; MissingExtraError without the package."""
    import torch

    try:
        from fairseq import checkpoint_utils
        from fairseq.data.dictionary import Dictionary
    except (ImportError, OSError, ValueError) as error:
        raise MissingExtraError("fairseq-fixed", "fairseq", "Running the original beside ours") from error
    with torch.serialization.safe_globals([Dictionary, argparse.Namespace]):
        models, _, _ = checkpoint_utils.load_model_ensemble_and_task([str(path)])
    return models[0].float().eval()


def compare(original: Any, network: HubertNetwork, clips: Sequence[np.ndarray]) -> list[Difference]:
    """Every layer of both over all clips (N,) at 16 kHz; `final_proj` of the last where the file has one.

    `original` has fairseq's interface: `extract_features(source, padding_mask, mask, output_layer)` gives a pair whose
    first is (1, T, D); layers count from 1 and None is the last behind the network's last norm. Raises SvcError where
    the shapes differ.
    """
    import torch

    worst: dict[str, Difference] = {}
    with torch.inference_mode():
        for clip in clips:
            wave = torch.from_numpy(np.ascontiguousarray(clip, dtype=np.float32))[None]
            ours = network(wave)
            layers: dict[str, tuple[int | None, torch.Tensor]] = {
                f"layer {number}": (number, ours[number]) for number in range(1, len(network.shape.heads) + 1)
            }
            layers["last"] = (None, ours[-1])
            for name, (number, mine) in layers.items():
                theirs = _extract(original, wave, number)
                _note(worst, name, theirs, mine)
                if number is None and network.final_proj is not None:
                    _note(worst, "last, projected", original.final_proj(theirs), network.final_proj(mine))
    return list(worst.values())


def _extract(original: Any, wave: Any, number: int | None) -> Any:
    import torch

    mask = torch.zeros(wave.shape, dtype=torch.bool)
    found = original.extract_features(source=wave, padding_mask=mask, mask=False, output_layer=number)
    return found[0]


def _note(worst: dict[str, Difference], name: str, theirs: Any, mine: Any) -> None:
    if theirs.shape != mine.shape:
        raise SvcError(f"{name}: fairseq gives {tuple(theirs.shape)}, ours {tuple(mine.shape)}.")
    largest, scale = float((theirs - mine).abs().max()), float(theirs.abs().max())
    largest = largest if np.isfinite(largest) else float("inf")
    before = worst.get(name, Difference(name, 0.0, 0.0))
    worst[name] = Difference(name, max(before.largest, largest), max(before.scale, scale))


def clips_of(audio: Path | None, seconds: float) -> list[np.ndarray]:
    """The beginning of a recording at 16 kHz, or noise of several lengths."""
    if audio is None:
        rng = np.random.default_rng(0)
        return [rng.normal(0, 0.1, length).astype(np.float32) for length in LENGTHS]
    samples = read_audio(audio).mono().resampled(RATE).samples[0]
    return [samples[: round(seconds * RATE)]]


def report(differences: Sequence[Difference], tolerance: float) -> str:
    """A line for each layer, and one for the worst."""
    lines = [f"{d.name:<18}{d.largest:.2e}  (values up to {d.scale:.2f})" for d in differences]
    worst = max(differences, key=lambda d: d.largest)
    verdict = "within" if worst.largest <= tolerance else "NOT within"
    return "\n".join([*lines, f"largest difference {worst.largest:.2e} in {worst.name}: {verdict} {tolerance:g}"])


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run both, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="a fairseq checkpoint of HuBERT or ContentVec")
    parser.add_argument("--audio", type=Path, help="a recording; without it, noise of several lengths")
    parser.add_argument("--seconds", type=float, default=5.0, help="how much of the recording")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE)
    arguments = parser.parse_args(argv)
    try:
        network = read_hubert(arguments.file).network()
        original = load_original(arguments.file)
        differences = compare(original, network, clips_of(arguments.audio, arguments.seconds))
    except SvcError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    print(report(differences, arguments.tolerance))
    return 0 if max(d.largest for d in differences) <= arguments.tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
