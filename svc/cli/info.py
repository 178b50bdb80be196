"""`svc info`: what a file is."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svc.cli.console import emit
from svc.cli.options import Json, require_exists

if TYPE_CHECKING:
    from svc.checkpoint.voice import Voice


def info(file: Path, *, config: Path | None = None, json: Json = False) -> int:
    """Say what a voice file, an audio file or a prepared dataset holds.

    Parameters
    ----------
    file
        A voice file (or the run folder it lies in), a voice of so-vits-svc, RVC or Applio, an audio file, or a
        dataset folder.
    config
        The config.json of a so-vits-svc voice; by default the one beside the file.
    """
    require_exists(file, "file")
    if (file / "voice.safetensors").is_file():
        result = _voice(file / "voice.safetensors")
    elif file.is_dir():
        result = _dataset(file)
    elif file.suffix.lower() in {".safetensors", ".pth", ".pt", ".ckpt", ".bin"}:
        result = _voice(file, config)
    else:
        result = _audio(file)
    emit(result, json, "\n".join(lines(result)))
    return 0


def _voice(file: Path, config: Path | None = None) -> dict[str, Any]:
    from svc.checkpoint.importers.opening import open_voice

    return describe_voice(open_voice(file, config))


def describe_voice(voice: "Voice") -> dict[str, Any]:
    """What a voice is, as plain data."""
    from svc.models.vits.layer_mix import shares_of

    mix = voice.state.get("content_input.mix.logits")
    layers = [str(layer) for layer, _ in voice.spec.content_layers]
    shares = {} if mix is None else {k: round(float(v), 4) for k, v in zip(layers, shares_of(mix))}
    return {
        "kind": "voice",
        "speakers": [asdict(s) for s in voice.speakers],
        "decoder": voice.config.decoder,
        "unvoiced_f0": voice.config.unvoiced_f0,
        "parameters": sum(int(t.numel()) for t in voice.state.values()),
        "features": voice.spec.to_dict(),
        **({"content_layer_shares": shares} if shares else {}),
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


def lines(result: dict[str, Any], indent: str = "") -> list[str]:
    """Plain data as indented lines for people."""
    out = []
    for key, value in result.items():
        if isinstance(value, dict):
            out += [f"{indent}{key}:", *lines(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            out.append(f"{indent}{key}:")
            for item in value:
                out.append(f"{indent}  - " + ", ".join(f"{k} {v}" for k, v in item.items()))
        else:
            out.append(f"{indent}{key}: {value}")
    return out
