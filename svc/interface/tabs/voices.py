"""Voices: the user's library; what each is, how it sounds, and what can be done with it."""

import html
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from svc.checkpoint.voice_index import is_index
from svc.config import ConvertOptions
from svc.errors import CheckpointError, ConfigError
from svc.interface.asked import asked, settings_box
from svc.interface.files import FileRefused, StoredFile, slug
from svc.interface.jobblock import JobBlock
from svc.interface.jobs.record import DONE, JobView
from svc.interface.page import Page
from svc.interface.presets import differences
from svc.interface.takes import note, settings_words
from svc.interface.voices import BUILTIN, VoiceEntry, change_voice, remove_voice, sample_name, sample_of

KINDS = ("sample", "import", "mix", "compress", "export")
LAYOUTS = ("sovits", "rvc")
ENDINGS = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")
INDEX_ENDINGS = (".index", ".pt", ".safetensors")
AUTO = ""
MOST_SINGERS = 20  # told with range and minutes each


def build(page: Page) -> None:
    """Build the tab; its actions are the API's /voices, /voice, /import_voice, /mix, /compress, /export and others."""
    library = gr.HTML("", elem_id="voices-table")
    with gr.Row():
        with gr.Column():
            voice = page.voice_choice("voices-voice")
            facts = gr.HTML("", elem_id="voices-facts")
            sample = page.player("voices.sample", "voices-sample")
        with gr.Column():
            files = gr.File(
                label=page.text("voices.files"),
                file_count="multiple",
                interactive=False,
                elem_id="voices-files",
                height=110,
                render=False,
            )
            outputs = [library, facts, sample, files]

            def render(view: JobView | None, request: gr.Request) -> Sequence[Any]:
                made = list(view.outputs.items()) if view and view.state == DONE and view.kind == "export" else []
                table = library_html(page, request)
                return [table, gr.skip(), gr.skip(), [page.serve(path, name) for name, path in made] or None]

            block = JobBlock(page, "voices", KINDS, outputs, render)
            files.render()
            _work(page, voice, block)
    _connect(page, voice, block, (library, facts, sample))
    _endpoints(page)


def _connect(page: Page, voice: Any, block: JobBlock, shown: tuple[Any, Any, Any]) -> None:
    """Show the chosen voice, again when a job has changed something."""
    library, facts, sample = shown

    def show(voice_id: str | None, request: gr.Request) -> list[Any]:
        entry = next((entry for entry in page.voices(request) if entry.id == voice_id), None)
        if entry is None:
            return [library_html(page, request), "", None]
        path = sample_of(page.home(request), entry)
        heard = page.serve(path, f"{entry.label}.flac") if path else None
        return [library_html(page, request), facts_html(page, request, entry), heard]

    page.on(voice.change, show, [voice], [library, facts, sample], queue=False)
    page.on(block.state_changed, show, [voice], [library, facts, sample], queue=False)


def _work(page: Page, voice: Any, block: JobBlock) -> None:
    """Everything that can be done with the chosen voice, and adding one."""

    def starts(button: Any, job: Any, *inputs: Any) -> None:
        def handler(request: gr.Request, *values: Any) -> list[Any]:
            return block.follow(job(page, request, *values), request)

        page.on(button.click, handler, inputs, block.components)

    hear = gr.Button(page.text("voices.make_sample"), elem_id="voices-make-sample")
    starts(hear, sample_job, voice)
    with gr.Accordion(page.text("voices.import"), open=False):
        given = gr.File(
            label=page.text("voices.import_files"), file_count="multiple", elem_id="voices-import", height=120
        )
        gr.Markdown(page.text("voices.import_help"))
        label = gr.Textbox("", label=page.text("voices.label"), elem_id="voices-import-label", max_length=100)
        branch = gr.Radio(
            [(page.text("choice.auto"), AUTO), ("4.1-Stable", "stable"), ("4.1-Latest", "latest")],
            value=AUTO,
            label=page.text("voices.branch"),
            elem_id="voices-branch",
        )
        start = gr.Button(page.text("voices.import_start"), variant="primary", elem_id="voices-import-start")
        starts(start, _uploaded, given, label, branch)
    with gr.Accordion(page.text("voices.mix"), open=False):
        other = page.voice_choice("voices-other", "voices.other")
        share = gr.Slider(0, 100, value=50, step=1, label=page.text("voices.share"), elem_id="voices-share")
        gr.Markdown(page.text("voices.mix_help"))
        starts(gr.Button(page.text("voices.mix_start"), elem_id="voices-mix-start"), _mixed_two, voice, other, share)
    with gr.Accordion(page.text("voices.smaller"), open=False):
        gr.Markdown(page.text("voices.compress_help"))
        starts(gr.Button(page.text("voices.compress"), elem_id="voices-compress"), compress_job, voice)
        save = gr.DownloadButton(page.text("voices.save"), elem_id="voices-save")
        layout = gr.Radio(
            [("so-vits-svc 4.1", "sovits"), ("RVC v2", "rvc")],
            value="sovits",
            label=page.text("voices.layout"),
            elem_id="voices-layout",
        )
        starts(gr.Button(page.text("voices.export"), elem_id="voices-export"), export_job, voice, layout)
    _changes(page, voice, block, save)


def _changes(page: Page, voice: Any, block: JobBlock, save: Any) -> None:
    """Renaming, forgetting the preset, and deleting: only of the user's own voices."""
    with gr.Accordion(page.text("voices.change"), open=False):
        name = gr.Textbox("", label=page.text("voices.label"), elem_id="voices-name", max_length=100)
        rename = gr.Button(page.text("voices.rename"), size="sm", elem_id="voices-rename")
        forget = gr.Button(page.text("voices.forget"), size="sm", elem_id="voices-forget")
        remove = gr.Button(page.text("voices.remove"), size="sm", variant="stop", elem_id="voices-remove")
        with gr.Row(visible=False) as sure:
            words = gr.HTML("", elem_id="voices-sure")
            yes = gr.Button(page.text("voices.remove_yes"), variant="stop", size="sm", elem_id="voices-remove-yes")
            no = gr.Button(page.text("voices.remove_no"), size="sm", elem_id="voices-remove-no")

    def listed(request: gr.Request, value: str | None) -> Any:
        entries = page.voices(request)
        known = [entry.id for entry in entries]
        value = value if value in known else (known[0] if known else None)
        return gr.update(choices=[(entry.label, entry.id) for entry in entries], value=value)

    def renamed(voice_id: str, label: str, request: gr.Request) -> list[Any]:
        change_label(page, request, voice_id, label)
        return [listed(request, voice_id), *block.follow(None, request)]

    def forgotten(voice_id: str, request: gr.Request) -> list[Any]:
        change_voice(page.home(request), page.voice(request, voice_id).id, preset={})
        return block.follow(None, request)

    def asks(voice_id: str, request: gr.Request) -> list[Any]:
        entry = page.voice(request, voice_id)
        if not entry.own:
            raise CheckpointError("This voice belongs to the server and is not deleted from here.")
        question = page.say(request, "voices.sure", voice=entry.label)
        return [gr.update(visible=True), f'<p role="alert">{html.escape(question)}</p>']

    def removed(voice_id: str, request: gr.Request) -> list[Any]:
        remove_voice(page.home(request), voice_id)
        return [gr.update(visible=False), listed(request, None), *block.follow(None, request)]

    def given(voice_id: str, request: gr.Request) -> Any:
        entry = next((entry for entry in page.voices(request) if entry.id == voice_id), None)
        return gr.update(value=page.serve(entry.path, f"{entry.label}.safetensors") if entry else None)

    page.on(voice.change, given, [voice], [save], queue=False)
    page.on(rename.click, renamed, [voice, name], [voice, *block.components], queue=False)
    page.on(forget.click, forgotten, [voice], block.components, queue=False)
    page.on(remove.click, asks, [voice], [sure, words], queue=False)
    page.on(no.click, lambda: gr.update(visible=False), [], [sure], queue=False)
    page.on(yes.click, removed, [voice], [sure, voice, *block.components], queue=False)


def library_html(page: Page, request: gr.Request) -> str:
    """All voices in a table: name, singers, range, rate, size, day."""
    entries = page.voices(request)
    if not entries:
        return f"<p>{html.escape(page.say(request, 'voices.empty'))}</p>"
    titles = "".join(
        f'<th scope="col">{html.escape(page.say(request, f"voices.column.{key}"))}</th>'
        for key in ("name", "range", "rate", "size", "made")
    )
    rows = "".join(_row(page, request, entry) for entry in entries)
    return (
        f'<div class="svc-scroll svc-low"><table class="svc-table"><thead><tr>{titles}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(page: Page, request: gr.Request, entry: VoiceEntry) -> str:
    owner = "" if entry.own else f" · {page.say(request, 'voices.builtin' if entry.id == BUILTIN else 'voices.server')}"
    ranges = ", ".join(range_of(speaker) for speaker in entry.speakers[:3])
    if more := len(entry.speakers[3:]):
        ranges += ", " + page.say(request, "voices.more", count=more)
    cells = (
        f"{entry.label}{owner}",
        ranges,
        f"{entry.sample_rate / 1000:g} kHz",
        f"{entry.size / 1e6:.1f} MB",
        time.strftime("%Y-%m-%d", time.localtime(entry.made)),
    )
    return f'<tr data-voice="{html.escape(entry.id)}">' + "".join(f"<td>{html.escape(c)}</td>" for c in cells) + "</tr>"


def range_of(speaker: dict[str, Any]) -> str:
    """The measured range of a singer as notes, such as A3-E5."""
    return f"{note(float(speaker.get('f0_low_hz') or 0))}–{note(float(speaker.get('f0_high_hz') or 0))}"


def facts_html(page: Page, request: gr.Request, entry: VoiceEntry) -> str:
    """One voice: its singers with minutes and range, where it comes from, its note and its preset."""

    def line(key: str, words: str) -> str:
        title = html.escape(page.say(request, f"voices.fact.{key}"))
        return f'<tr><th scope="row">{title}</th><td>{html.escape(words)}</td></tr>' if words else ""

    singers = "; ".join(
        page.say(
            request,
            "voices.singer",
            name=str(s.get("name", "")),
            minutes=f"{float(s.get('minutes') or 0):.1f}",
            range=range_of(s),
            median=note(float(s.get("f0_median_hz") or 0)),
        )
        for s in entry.speakers[:MOST_SINGERS]
    )
    if more := len(entry.speakers[MOST_SINGERS:]):
        singers += "; " + page.say(request, "voices.more", count=more)
    known = entry.provenance
    came = next((f"{key}: {known[key]}" for key in ("imported_from", "steps", "step") if known.get(key)), "")
    mixed = ", ".join(f"{part['weight']:.0%} {part['file']}" for part in known.get("mixed_from", []))
    preset = settings_words(page, request, {"options": entry.preset}) if entry.preset else ""
    rows = line("singers", singers) + line("from", mixed or came) + line("note", entry.note) + line("preset", preset)
    return f'<table class="svc-table"><tbody>{rows}</tbody></table>'


def sample_job(page: Page, request: gr.Request, voice_id: str) -> JobView:
    """Have the voice sing a few seconds of the demo song, with its preset."""
    entry = page.voice(request, voice_id)
    settings = {"preset": entry.preset, "keep": sample_name(entry), "voice": entry.label}
    return _submit(page, request, "sample", settings, {"voice": entry})


def compress_job(page: Page, request: gr.Request, voice_id: str) -> JobView:
    """A smaller copy of the voice, in the user's library."""
    entry = page.voice(request, voice_id)
    return _submit(page, request, "compress", {"label": f"{entry.label} (fp16)"}, {"voice": entry})


def export_job(page: Page, request: gr.Request, voice_id: str, layout: str) -> JobView:
    """The voice in the layout of another program."""
    if layout not in LAYOUTS:
        raise ConfigError(f"There is no layout '{str(layout)[:40]}': choose {' or '.join(LAYOUTS)}.")
    return _submit(page, request, "export", {"format": layout}, {"voice": page.voice(request, voice_id)})


def mix_job(page: Page, request: gr.Request, ids: list[str], weights: list[float]) -> JobView:
    """One voice made of several of one family."""
    entries = [page.voice(request, voice_id) for voice_id in ids]
    if len(entries) < 2 or len(weights) != len(entries):
        raise ConfigError("A mix needs two voices or more, and one weight for each.")
    label = " + ".join(entry.label for entry in entries)[:100]
    inputs = {f"voice-{number:03d}": entry for number, entry in enumerate(entries)}
    return _submit(page, request, "mix", {"weights": weights, "label": label}, inputs)


def _mixed_two(page: Page, request: gr.Request, first: str, second: str, share: float) -> JobView:
    return mix_job(page, request, [first, second], [float(share), 100 - float(share)])


def _submit(
    page: Page, request: gr.Request, kind: str, settings: dict[str, Any], voices: dict[str, VoiceEntry]
) -> JobView:
    names = " + ".join(entry.label for entry in voices.values())
    title = page.say(request, f"voices.job.{kind}", voice=names)
    inputs = {name: entry.path for name, entry in voices.items()}
    labels = {entry.path: entry.label for entry in voices.values()}
    return page.submit(request, kind, settings, title=title, inputs=inputs, labels=labels)


def _uploaded(page: Page, request: gr.Request, paths: list[str] | None, label: str, branch: str) -> JobView:
    """Sort what was uploaded into the voice, its settings and its index, and import it."""
    found: dict[str, StoredFile] = {}
    for path in paths or []:
        stored = keep_upload(page, request, path)
        part = part_of(stored)
        if part in found:
            raise FileRefused(
                f"'{found[part].label}' and '{stored.label}' cannot both be used: add one voice at a time."
            )
        found[part] = stored
    return import_job(page, request, found, label, {"sovits_branch": branch or None})


def keep_upload(page: Page, request: gr.Request, path: str) -> StoredFile:
    """Take one file of a voice; what is in it is looked at by the job, in a process of its own."""
    files = page.files(request)
    arrived = files.arrived(path)
    ending = arrived.suffix.lower()
    if ending not in (*ENDINGS, *INDEX_ENDINGS, ".json"):
        raise FileRefused(
            f"'{arrived.name}' is no file of a voice: add a .safetensors or .pth, and with it a config.json or .index."
        )
    return files.add(path, "voice", ending.removeprefix("."))


def part_of(stored: StoredFile) -> str:
    """Which part of a voice an uploaded file is: "file", "config" or "index", told by what it holds."""
    if stored.path.suffix.lower() == ".json":
        return "config"
    return "index" if is_index(stored.path) else "file"


def import_job(
    page: Page, request: gr.Request, parts: dict[str, StoredFile], label: str, choices: dict[str, Any]
) -> JobView:
    """Import a voice from stored files: "file", and if there are "config" and "index"."""
    if "file" not in parts:
        raise FileRefused("There is no voice yet: add its .safetensors or .pth file.")
    name = (label or "").strip() or Path(parts["file"].label).stem
    title = page.say(request, "voices.job.import", voice=slug(name))
    inputs = {part: stored.path for part, stored in parts.items()}
    labels = {stored.path: stored.label for stored in parts.values()}
    settings = {"label": name, **choices}
    return page.submit(request, "import", settings, title=title, inputs=inputs, labels=labels)


def change_label(page: Page, request: gr.Request, voice_id: str, label: str) -> None:
    """Call an own voice something else."""
    name = (label or "").strip()
    if not name:
        raise ConfigError("Write the new name first.")
    change_voice(page.home(request), page.voice(request, voice_id).id, label=name[:100])


def plain(entry: VoiceEntry) -> dict[str, Any]:
    """A voice as the API shows it: no paths of this machine."""
    return {
        "id": entry.id,
        "label": entry.label,
        "own": entry.own,
        "speakers": entry.speakers,
        "sample_rate": entry.sample_rate,
        "size": entry.size,
        "made": entry.made,
        "note": entry.note,
        "preset": entry.preset,
    }


def _endpoints(page: Page) -> None:
    """The API's actions on voices; each that takes long gives a job."""

    def box(key: str, value: str = "") -> Any:
        return gr.Textbox(value, label=page.text(key), visible=False)

    def upload(request: gr.Request, file: str) -> str:
        return keep_upload(page, request, file).id

    def import_voice(request: gr.Request, file: str, label: str = "", config: str = "", index: str = "") -> Any:
        ids = {"file": file, "config": config, "index": index}
        parts = {part: page.files(request).get(file_id) for part, file_id in ids.items() if file_id}
        return import_job(page, request, parts, label, {}).to_dict()

    def mix(request: gr.Request, voices: Any, weights: Any) -> dict[str, Any]:
        return mix_job(page, request, list(voices), [float(weight) for weight in weights]).to_dict()

    def preset(request: gr.Request, voice: str, options: Any = None) -> dict[str, Any]:
        wanted = ConvertOptions(**asked(ConvertOptions, options)).model_dump(mode="json")
        change_voice(page.home(request), page.voice(request, voice).id, preset=differences(wanted))
        return plain(page.voice(request, voice))

    def rename(request: gr.Request, voice: str, label: str) -> dict[str, Any]:
        change_label(page, request, voice, label)
        return plain(page.voice(request, voice))

    def remove(request: gr.Request, voice: str) -> str:
        remove_voice(page.home(request), voice)
        return voice

    voice = "common.voice"
    page.api("voices", lambda request: [plain(entry) for entry in page.voices(request)], [])
    page.api("add_voice_file", upload, [gr.File(label=page.text("voices.import_files"), visible=False)], box(voice))
    page.api("import_voice", import_voice, [box("voices.import_files"), *(box("voices.label") for _ in range(3))])
    page.api("sample", lambda request, voice: sample_job(page, request, voice).to_dict(), [box(voice)])
    page.api("compress", lambda request, voice: compress_job(page, request, voice).to_dict(), [box(voice)])
    page.api(
        "export",
        lambda request, voice, layout: export_job(page, request, voice, layout).to_dict(),
        [box(voice), box("voices.layout", "sovits")],
    )
    boxes = [gr.JSON([], label=page.text("voices.mix"), visible=False) for _ in range(2)]
    page.api("mix", mix, boxes)
    page.api("preset", preset, [box(voice), settings_box()])
    page.api("rename_voice", rename, [box(voice), box("voices.label")])
    page.api("remove_voice", remove, [box(voice)], box(voice))
