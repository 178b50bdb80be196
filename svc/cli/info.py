"""`svc info`: what a file is."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from svc.cli.console import emit
from svc.cli.options import Json, require_exists


def info(file: Path, *, json: Json = False) -> int:
    """Say what a voice file, an audio file or a prepared dataset holds.

    Parameters
    ----------
    file
        A voice file (or the run folder it lies in), an audio file, or a dataset folder.
    """
    require_exists(file, "file")
    if (file / "voice.safetensors").is_file():
        result = _voice(file / "voice.safetensors")
    elif file.is_dir():
        result = _dataset(file)
    elif file.suffix.lower() in {".safetensors", ".pth", ".pt", ".ckpt", ".bin"}:
        result = _voice(file)
    else:
        result = _audio(file)
    emit(result, json, "\n".join(_lines(result)))
    return 0


def _voice(file: Path) -> dict[str, Any]:
    from svc.checkpoint.voice import load_voice

    voice = load_voice(file)
    return {
        "kind": "voice",
        "speakers": [asdict(s) for s in voice.speakers],
        "decoder": voice.config.decoder,
        "parameters": sum(int(t.numel()) for t in voice.state.values()),
        "features": voice.spec.to_dict(),
        "provenance": voice.provenance,
        "note": voice.note,
    }


def _audio(file: Path) -> dict[str, Any]:
    from svc.audio.reading import probe

    facts = probe(file)
    return {"kind": "audio", **asdict(facts), "seconds": facts.seconds if facts.frames else None}


def _dataset(folder: Path) -> dict[str, Any]:
    from svc.data.manifest import PreparedDataset

    dataset = PreparedDataset.open(folder)
    minutes = {
        name: round(sum(u.samples for u in dataset.utterances if u.speaker == name) / dataset.spec.sample_rate / 60, 2)
        for name in dataset.speakers
    }
    return {
        "kind": "dataset",
        "minutes": minutes,
        "slices": len(dataset.utterances),
        "held_out": len(dataset.split("validation")),
        "warnings": dataset.warnings,
        "features": dataset.spec.to_dict(),
    }


def _lines(result: dict[str, Any], indent: str = "") -> list[str]:
    lines = []
    for key, value in result.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", *_lines(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines.append(f"{indent}{key}:")
            for item in value:
                lines.append(f"{indent}  - " + ", ".join(f"{k} {v}" for k, v in item.items()))
        else:
            lines.append(f"{indent}{key}: {value}")
    return lines
