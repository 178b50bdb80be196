"""`svc info`: what a file is."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svc.cli.console import emit
from svc.cli.options import Json, voice_file

if TYPE_CHECKING:
    from svc.checkpoint.voice import Voice


def info(file: Path, *, config: Path | None = None, json: Json = False) -> int:
    """Say what a voice file, an index, an audio file or a prepared dataset holds.

    Parameters
    ----------
    file
        A voice file (or the run folder it lies in, or builtin), a voice of so-vits-svc, RVC or Applio, an index of ours
        or RVC's, so-vits-svc's clusters, an audio file, or a dataset folder.
    config
        The config.json of a so-vits-svc voice; by default the one beside the file.
    """
    from svc.checkpoint.voice_index import is_index

    file = voice_file(file, "file")
    if (file / "voice.safetensors").is_file():
        result = _voice(file / "voice.safetensors")
    elif file.is_dir():
        result = _dataset(file)
    elif is_index(file):
        result = _index(file)
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
        "speakers": [{k: v for k, v in asdict(s).items() if v is not None} for s in voice.speakers],
        "decoder": voice.config.decoder,
        "unvoiced_f0": voice.config.unvoiced_f0,
        "parameters": sum(int(t.numel()) for t in voice.state.values()),
        "features": voice.spec.to_dict(),
        **({"content_layer_shares": shares} if shares else {}),
        "provenance": voice.provenance,
        "note": voice.note,
    }


def _index(file: Path) -> dict[str, Any]:
    from svc.checkpoint.importers.assembly import encoders_of
    from svc.checkpoint.voice_index import ANY_SINGER, open_index, voice_beside

    index = open_index(file)
    singers = [
        {
            "name": name if name != ANY_SINGER else "(not in the file)",
            "vectors": len(sounds.frames.vectors) if sounds.frames else 0,
            "cells": len(sounds.frames.cell_centres) if sounds.frames and sounds.frames.cell_centres is not None else 0,
            "clusters": 0 if sounds.clusters is None else len(sounds.clusters),
        }
        for name, sounds in index.singers.items()
    ]
    told = index.content
    if told is not None:
        layers = " + ".join(str(layer) for layer, _ in told["content_layers"])
        maker, encoder = "this toolkit", f"{told['content_encoder']}, layer {layers}"
    else:
        maker = "RVC (faiss)" if ANY_SINGER in index.singers else "so-vits-svc (k-means)"
        able = ", ".join(encoders_of(index.dim)) or "none known here"
        encoder = f"not in the file: that of its voice (as many values give: {able})"
    voice = voice_beside(file)
    named = "" if voice else f" --index {shlex.quote(str(file))}"
    ratios = {"vectors": " --retrieval-ratio 0.5", "clusters": " --cluster-ratio 0.5"}
    asked = "".join(ratio for kind, ratio in ratios.items() if any(singer[kind] for singer in singers))
    return {
        "kind": "index",
        "made_by": maker,
        "singers": singers,
        "values_per_vector": index.dim,
        "content_encoder": encoder,
        **({"provenance": index.provenance} if index.provenance else {}),
        "use": f"svc convert SONG --voice {shlex.quote(str(voice)) if voice else 'VOICE'} --output DIR{named}{asked}",
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
