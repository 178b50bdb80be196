"""Separate: vocals and accompaniment of songs, with an honest word on each method."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from svc.errors import ConfigError
from svc.interface.jobblock import JobBlock
from svc.interface.jobs.record import DONE, JobView
from svc.interface.kinds.separate import STEMS
from svc.interface.listening import address, download, player
from svc.interface.page import Page
from svc.interface.songlist import SongList, inputs_of
from svc.registry import DEFAULT_SEPARATOR, SEPARATORS

# Methods that take models of the user's from pretrain/<method>/, and the endings of these.
MODEL_ENDINGS = {"roformer": (".ckpt",), "mdx": (".onnx",), "vr": (".pth",)}
FORMATS = ("flac", "wav")


def build(page: Page) -> None:
    """Build the tab; its action is the API's /separate."""
    with gr.Row():
        with gr.Column():
            songs = SongList(page, "separate", "separate.songs")
            method = gr.Dropdown(
                [(name, name) for name in usable()],
                value=DEFAULT_SEPARATOR,
                label=page.text("separate.method"),
                elem_id="separate-method",
                allow_custom_value=True,
            )
            note = gr.HTML("", elem_id="separate-note")
            form = gr.Radio(
                list(FORMATS),
                value=FORMATS[0],
                label=page.text("separate.format"),
                info=page.text("separate.format_help"),
                elem_id="separate-format",
            )
            start = gr.Button(page.text("separate.start"), variant="primary", elem_id="separate-start")
            with gr.Accordion(page.text("separate.methods"), open=False):
                overview = gr.HTML("", elem_id="separate-methods")
        with gr.Column():
            results = gr.HTML("", elem_id="separate-results", render=False)

            def render(view: JobView | None, request: gr.Request) -> Sequence[Any]:
                return [results_html(page, request, view) if view is not None and view.state == DONE else ""]

            block = JobBlock(page, "separate", ("separate",), [results], render)
            results.render()

    def separate(request: gr.Request, ids: str, chosen: str, ending: str) -> JobView:
        stored = songs.stored(ids, request)
        if not stored:
            raise ConfigError("Add some songs first.")
        if chosen not in usable():
            raise ConfigError(f"There is no method '{str(chosen)[:60]}' here: use {', '.join(usable())}.")
        if ending not in FORMATS:
            raise ConfigError(f"Stems are written as {' or '.join(FORMATS)}, not as '{str(ending)[:20]}'.")
        name, _, model = chosen.partition("/")
        title = page.say(request, "separate.title", song=stored[0].label, more=len(stored) - 1)
        if len(stored) == 1:
            title = page.say(request, "separate.title_one", song=stored[0].label)
        settings = {"method": name, "model": model or None, "format": ending}
        inputs, labels = inputs_of(stored)
        return page.submit(request, "separate", settings, title=title, inputs=inputs, labels=labels)

    def clicked(ids: str, chosen: str, ending: str, request: gr.Request) -> list[Any]:
        return block.follow(separate(request, ids, chosen, ending), request)

    def noted(chosen: str, request: gr.Request) -> str:
        return f"<p>{html.escape(quality(page, request, chosen))}</p>"

    def opened(chosen: str, request: gr.Request) -> list[Any]:
        names = usable()
        value = chosen if chosen in names else names[0]
        return [gr.update(choices=names, value=value), noted(value, request), methods_html(page, request)]

    page.on(start.click, clicked, [songs.ids, method, form], block.components)
    page.on(method.change, noted, [method], [note], queue=False)
    page.on_load(opened, [method], [method, note, overview])

    def endpoint(request: gr.Request, songs: str, method: str, format: str) -> dict[str, Any]:
        return separate(request, songs, method, format).to_dict()

    page.api("separate", endpoint, [songs.ids, method, form])


def usable() -> list[str]:
    """Methods that can be used here now: a name, or name/model file. Found without loading any of them."""
    from importlib.util import find_spec

    from svc.separation.model_files import model_files

    found = []
    for name in SEPARATORS.names():
        if name in MODEL_ENDINGS:
            found += [f"{name}/{path.name}" for path in model_files(name, MODEL_ENDINGS[name])]
        elif name == "demucs":
            found += [name] if find_spec("demucs") and model_files(name, (".th", ".yaml", ".safetensors")) else []
        elif name not in ("none", "lead"):
            found.append(name)
    # Three models in a row need at least the first of them.
    return found + (["lead"] if any("/" in name for name in found) else [])


def quality(page: Page, request: gr.Request, chosen: str) -> str:
    """An honest word on a method."""
    name = (chosen or "").partition("/")[0]
    return page.say(request, f"separate.quality.{name}") if name in SEPARATORS.names() else ""


def methods_html(page: Page, request: gr.Request) -> str:
    """All methods: what to expect of each, and whether it can be used here."""
    here = {name.partition("/")[0] for name in usable()}
    rows = ""
    for name in (name for name in SEPARATORS.names() if name != "none"):
        state = page.say(request, "separate.here" if name in here else "separate.missing")
        rows += (
            f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(quality(page, request, name))}</td>'
            f"<td>{html.escape(state)}</td></tr>"
        )
    help_ = html.escape(page.say(request, "separate.add"))
    return f'<table class="svc-table"><tbody>{rows}</tbody></table><p>{help_}</p>'


def results_html(page: Page, request: gr.Request, view: JobView) -> str:
    """Every song with both stems to hear and to save, or the reason why there are none."""
    cards = ""
    for entry in view.result.get("files", []):
        title = html.escape(entry["name"])
        reason = f'<p class="svc-error">{html.escape(entry["reason"])}</p>' if entry["reason"] else ""
        stems = "".join(
            _stem(page, request, view.outputs[entry[stem]], stem) for stem in STEMS if entry.get(stem) in view.outputs
        )
        cards += f'<section class="svc-card" data-state="{entry["state"]}"><h4>{title}</h4>{reason}{stems}</section>'
    return cards


def _stem(page: Page, request: gr.Request, path: Path, stem: str) -> str:
    label = page.say(request, f"separate.{stem}")
    name = f"{path.stem} ({label}){path.suffix}"
    url = address(page, path, name)
    described = page.say(request, "separate.download", stem=label)
    save = download(page, request, url, name, described)
    return f'<p class="svc-stem"><span>{html.escape(label)}</span>{player(url, label)}{save}</p>'
