"""From open recordings and made singing to the built-in base voice: collect, prepare, train, export.

    python scripts/recipes/base_voice.py --work scratch/base --minutes 90

Every stage goes on from where it stopped, so the training can be done in pieces. `--gpu` trains with sixteen times the
slices a step, longer ones, and learning rates that sink to the end of --minutes; with `--start VOICE` and
`--start-discriminator FILE` it goes on from a base instead of random weights. Only what may train shipped weights
(the reference folder's audio/README.md): LibriSpeech (CC BY 4.0), Picovoice commands (Apache-2.0), kerstin without its
last 40 files (CC0), LJ Speech (public domain), vocobox_martin (MIT), smstools (CC BY 4.0), oatsu (MIT), and made lines
of Kokoro (Apache-2.0), one singer for each timbre or mixture of timbres. Picovoice does not say who speaks, so each of
its recordings counts as a singer of its own: the prompt encoder learns from the recording itself.

`--export` writes generator and discriminators as svc/assets takes them: fp16, of the speaker table only the pure
timbres of Kokoro.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from svc.audio.reading import AUDIO_SUFFIXES
from svc.paths import shared_dir

RECIPE = Path(__file__).resolve().parents[2] / "configs" / "base.yaml"
KERSTIN_TEST = 40
NOT_SHIPPABLE = ("csd_", "opensinger_")
PURE_TIMBRE = re.compile("[a-z][fm]_[a-z]+")
GPU = {
    "batch-size": 128,
    "slice-frames": 128,
    "segment-frames": 128,
    "adversarial-frames": 48,
    "learning-rate": 6e-4,
    "discriminator-learning-rate": 1.5e-4,
    "lr-decay": 1.0,
    "lr-end": 0.03,
    "warmup-steps": 60,
    "ema-decay": 0.997,
    "adversarial-start-step": 0,
    "max-steps": 200_000,
    "workers": 9,
}
NOTE = (
    "The built-in base voice. Its named singers are made voices of Kokoro-82M (Apache-2.0); people's recordings (CC0, "
    "CC BY 4.0, Apache-2.0, MIT, public domain) taught it too, but their rows are not in this file."
)


def audio_files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    if not found:
        raise SystemExit(f"There is no audio in {folder}: --corpus must name the reference folder's audio/.")
    return found


def people(root: Path) -> dict[str, list[Path]]:
    """Singer or speaker -> recordings."""
    out: dict[str, list[Path]] = {}
    for path in audio_files(root / "speech/librispeech"):
        out.setdefault(f"libri{path.stem.split('-')[0]}", []).append(path)
    for path in audio_files(root / "speech/picovoice_commands"):
        out[f"pico{path.stem[:8]}"] = [path]
    out["kerstin"] = audio_files(root / "speech/kerstin")[:-KERSTIN_TEST]
    out["lj"] = audio_files(root / "speech/ljspeech_32")
    out["martin"] = audio_files(root / "singing/vocobox_martin")
    for path in audio_files(root / "singing/small"):
        if not any(bad in path.as_posix() for bad in NOT_SHIPPABLE):
            out.setdefault(re.sub(r"\W", "_", path.stem)[:24], []).append(path)
    return out


def made(folders: list[Path]) -> dict[str, list[Path]]:
    """Timbre or mixture -> made lines."""
    out: dict[str, list[Path]] = {}
    for folder in folders:
        for index in sorted(folder.glob("index*.jsonl")):
            for row in map(json.loads, index.read_text(encoding="utf-8").splitlines()):
                for name, timbres in zip(row["files"], row["timbres"], strict=True):
                    parts = [t if w == 1 else f"{t}{round(100 * w)}" for t, w in sorted(timbres.items())]
                    out.setdefault("-".join(parts), []).append(folder / name)
    return out


def collect(arguments: argparse.Namespace, raw: Path) -> None:
    """raw/SINGER/files, copied once."""
    if (raw / ".complete").is_file():
        return
    singers = people(arguments.corpus) | made(arguments.made)
    for singer, files in singers.items():
        (raw / singer).mkdir(parents=True, exist_ok=True)
        for path in files:
            shutil.copyfile(path, raw / singer / f"{path.parent.name}_{path.name}")
    (raw / ".complete").touch()


def export(work: Path, out: Path) -> None:
    """The run's voice and discriminators as svc/assets takes them."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    from svc.checkpoint.voice import load_voice, save_voice
    from svc.config import load_config
    from svc.data.manifest import PreparedDataset
    from svc.training.singer_rows import hear_singers

    run = work / "run"
    voice = load_voice(run / "voice.safetensors")
    kept = [i for i, speaker in enumerate(voice.speakers) if PURE_TIMBRE.fullmatch(speaker.name)]
    model = voice.build(inference=False)
    # A row that few slices taught is worse than what the prompt encoder hears in all of them.
    hear_singers(model, PreparedDataset.open(work / "dataset"), [voice.speakers[i].name for i in kept])
    voice.state["speaker.weight"] = model.speaker.weight.detach()[kept]
    voice.speakers = [voice.speakers[i] for i in kept]
    voice.note = NOTE
    # Of parts that the base does not have, it shall ask what the recipe `fast` does, which starts from it.
    fast = load_config(RECIPE.with_name("fast.yaml")).model
    voice.config = voice.config.model_copy(update={"posterior_layers": fast.posterior_layers, "dropout": fast.dropout})
    out.mkdir(parents=True, exist_ok=True)
    save_voice(out / "base_voice.safetensors", voice, "fp16", training_parts=False)
    with safe_open(run / "discriminator.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = file.metadata()
    halves = {name: t.half() if t.dtype == torch.float32 else t for name, t in tensors.items()}
    save_file(halves, out / "base_discriminator.safetensors", header)
    for path in sorted(out.glob("base_*.safetensors")):
        print(path, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())


def svc(*words: object) -> None:
    done = subprocess.run([sys.executable, "-m", "svc", *map(str, words)], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for recordings, dataset and run")
    parser.add_argument("--corpus", type=Path, default=shared_dir() / "audio", help="the reference folder's audio/")
    parser.add_argument("--made", type=Path, nargs="*", help="folders of made lines; kokoro_parallel is the default")
    parser.add_argument("--minutes", type=float, default=90, help="minutes of training of this call")
    parser.add_argument("--gpu", action="store_true", help="the settings for a large GPU")
    parser.add_argument("--start", default="none", help="a base to go on from")
    parser.add_argument("--start-discriminator", type=Path, help="its discriminators")
    parser.add_argument("--until", choices=("collect", "prepare", "train"), default="train")
    parser.add_argument("--export", type=Path, help="write the files for svc/assets into this folder and stop")
    arguments = parser.parse_args()
    arguments.made = arguments.made or [arguments.corpus / "made/kokoro_parallel"]
    raw, dataset, run = (arguments.work / name for name in ("raw", "dataset", "run"))
    if arguments.export is not None:
        export(arguments.work, arguments.export)
        return
    collect(arguments, raw)
    if arguments.until == "collect":
        return
    svc("prepare", raw, "--output", dataset, "--config", RECIPE, "--separate", "none")
    if arguments.until == "prepare":
        return
    os.environ["SVC_RUNS_DIR"] = str(arguments.work)
    words: list[object] = ["--base", arguments.start]
    if arguments.start_discriminator is not None:
        words += ["--base-discriminator", arguments.start_discriminator]
    if (run / "checkpoints").is_dir():
        words = ["--resume"]
    if arguments.gpu:
        words += [word for name, value in GPU.items() for word in (f"--train.{name}", value)]
    svc("train", dataset, "--run", "run", "--config", RECIPE, "--train.max-minutes", arguments.minutes, *words)


if __name__ == "__main__":
    main()
