"""Work on voices: a sample to hear, import, mix, compress, export."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from svc.config import ConvertOptions
from svc.interface.files import slug
from svc.interface.jobs.context import JobContext
from svc.interface.kinds.gathering import link
from svc.interface.voices import add_voice, own_folder
from svc.settings import build

SAMPLE_START, SAMPLE_STOP = 4.0, 14.0
VOICE_NAME = "voice.safetensors"


def sample(context: JobContext) -> dict[str, Any]:
    """A few seconds of the demo song sung by the input "voice"; settings "preset" (fields of ConvertOptions).

    Makes outputs/sample.flac, and keeps it as the file named by the setting "keep" in the user's folder samples/.
    """
    from svc.audio.reading import read_audio
    from svc.audio.writing import write_audio
    from svc.conversion.song import convert_song
    from svc.data.demo import demo_song
    from svc.interface.kinds.convert import converter_of

    options = build(ConvertOptions, {**context.settings.get("preset", {}), "vocals_only": True}, "the voice's settings")
    converter = converter_of(context)
    context.stage("conversion", 0.1, 0.9)
    whole = read_audio(demo_song())
    first, last = (round(seconds * whole.sample_rate) for seconds in (SAMPLE_START, SAMPLE_STOP))
    song = write_audio(context.work / "song.flac", whole.cut(first, last))
    target = context.outputs / "sample.flac"
    convert_song(song, target, converter, options, context.progress)
    kept = context.home / "samples" / f"{slug(context.settings['keep'])}.flac"
    part = kept.with_name(f".{kept.name}.part")
    kept.parent.mkdir(parents=True, exist_ok=True)
    part.unlink(missing_ok=True)
    os.replace(link(target, part), kept)
    return {}


def import_file(context: JobContext) -> dict[str, Any]:
    """Inputs "file" (a voice of ours, so-vits-svc, RVC or Applio), and if there are "config" and "index".

    Settings: "label", and what such files do not say: "content_encoder", "unvoiced_f0", "sovits_branch" (each may be
    None). The voice goes to the user's library, its index beside it. Returns "voice", its id there, and its singers.
    """
    from svc.checkpoint.importers.assembly import Choices
    from svc.checkpoint.importers.opening import import_voice, is_foreign
    from svc.checkpoint.voice import load_voice, save_voice
    from svc.checkpoint.voice_index import adopt_index

    file = context.input("file")
    settings = context.settings
    context.stage("importing", 0.0, 0.6)
    if is_foreign(file):
        told = (settings.get(key) or None for key in ("content_encoder", "unvoiced_f0", "sovits_branch"))
        encoder, unvoiced, branch = told
        choices = Choices(encoder, unvoiced, branch)
        voice = import_voice(file, context.input("config") if context.has_input("config") else None, choices)
        label = context.label(file)
        voice.provenance["imported_from"] = label
        # RVC files name nobody, so their singer is called like the file, which lies here under another name.
        first, *others = voice.speakers
        if first.name == file.stem:
            voice.speakers = [replace(first, name=Path(label).stem), *others]
    else:
        voice = load_voice(file)
    made = context.work / VOICE_NAME
    save_voice(made, voice)
    context.stage("importing", 0.6, 0.4)
    if context.has_input("index"):
        adopt_index(context.input("index"), voice.spec, made)
    added = _add(context, made, str(settings["label"]))
    return {**added, "singers": [speaker.name for speaker in voice.speakers]}


def mix(context: JobContext) -> dict[str, Any]:
    """Inputs "voice-000", "voice-001" ...; settings "weights" (one for each), "label". Returns "voice", an id."""
    from svc.checkpoint.importers.opening import open_voice
    from svc.checkpoint.operations import mix_voices
    from svc.checkpoint.voice import save_voice

    paths = context.inputs("voice-")
    context.stage("mixing_voices")
    voices = [open_voice(path) for path in paths]
    context.progress(0.4)
    mixed = mix_voices(voices, [float(w) for w in context.settings["weights"]], [context.label(path) for path in paths])
    context.progress(0.8)
    made = context.work / VOICE_NAME
    save_voice(made, mixed)
    return _add(context, made, str(context.settings["label"]))


def compress(context: JobContext) -> dict[str, Any]:
    """Input "voice"; settings "label". A voice in fp16 without training parts. Returns "voice", "bytes" of both."""
    from svc.checkpoint.importers.opening import open_voice
    from svc.checkpoint.operations import compressed
    from svc.checkpoint.voice import save_voice
    from svc.checkpoint.voice_index import index_beside

    path = context.input("voice")
    context.stage("compressing")
    made = context.work / VOICE_NAME
    save_voice(made, compressed(open_voice(path)), "fp16", False)
    if index_beside(path).is_file():
        link(index_beside(path), index_beside(made))
    added = _add(context, made, str(context.settings["label"]))
    return {**added, "bytes": made.stat().st_size, "bytes_before": path.stat().st_size}


def export(context: JobContext) -> dict[str, Any]:
    """Input "voice"; settings "format" (sovits or rvc). The files are the job's outputs; notes come as messages."""
    from svc.checkpoint.exporters.writing import export_voice
    from svc.checkpoint.importers.opening import open_voice

    voice = context.input("voice")
    layout = context.settings["format"]
    context.stage("exporting")
    name = slug(Path(context.label(voice)).stem)
    target = context.work / "export" / (name if layout == "sovits" else f"{name}.pth")
    made = export_voice(open_voice(voice), layout, target)
    for note in made.notes:
        context.message(note)
    for path in made.files:
        link(path, context.outputs / path.name)
    return {"precision": made.precision, "notes": list(made.notes)}


def _add(context: JobContext, made: Path, label: str) -> dict[str, Any]:
    """The voice file `made`, and the index beside it, in the user's library."""
    from svc.checkpoint.voice_index import index_beside

    voice_id = add_voice(context.home, made, label)
    if index_beside(made).is_file():
        link(index_beside(made), index_beside(own_folder(context.home, voice_id) / VOICE_NAME))
    return {"voice": voice_id}
