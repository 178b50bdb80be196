"""Batch: many songs, or a folder of the server, with one voice; the state of each, and one zip."""

import html
from collections.abc import Sequence
from typing import Any

import gradio as gr

from svc.config import ConvertOptions
from svc.errors import ConfigError
from svc.interface.asked import asked, settings_box
from svc.interface.files import FileRefused
from svc.interface.jobblock import JobBlock
from svc.interface.jobs.record import DONE, JobView
from svc.interface.kinds.batch import FAILED, MADE, RUNNING, WAITING, ZIP_NAME
from svc.interface.listening import address, download, player
from svc.interface.page import Page
from svc.interface.presets import follow_voice, with_preset
from svc.interface.songlist import SongList, inputs_of

FRONT = ("transpose", "separate", "match_loudness", "format")


def build(page: Page) -> None:
    """Build the tab; its actions are the API's /batch and /batch_files."""
    with gr.Row():
        with gr.Column():
            songs = SongList(page, "batch", "batch.songs")
            folder = gr.Textbox(
                "",
                label=page.text("batch.folder"),
                info=page.text("batch.folder_help"),
                elem_id="batch-folder",
                visible=bool(page.settings.allow),
            )
            voice = page.voice_choice("batch-voice")
            controls = page.controls(ConvertOptions, "batch")
            controls.front(*FRONT)
            controls.folded("common.more")
            start = gr.Button(page.text("batch.start"), variant="primary", elem_id="batch-start")
        with gr.Column():
            archive = gr.File(
                label=page.text("batch.zip"), interactive=False, visible=False, elem_id="batch-zip", render=False
            )
            table = gr.HTML("", elem_id="batch-table", render=False)
            seen = gr.State("")

            def render(view: JobView | None, request: gr.Request) -> Sequence[Any]:
                if view is None:
                    return ["", gr.update(value=None, visible=False), ""]
                packed = view.outputs.get(ZIP_NAME)
                given = page.serve(packed, f"{view.title}.zip") if packed else None
                words, now = _drawn(page, view, request, "")
                return [words, gr.update(value=given, visible=bool(given)), now]

            block = JobBlock(page, "batch", ("batch",), [table, archive, seen], render)
            archive.render()
            table.render()

    def batch(request: gr.Request, ids: str, place: str, voice_id: str, options: ConvertOptions) -> JobView:
        chosen = page.voice(request, voice_id)
        settings = {"options": options.model_dump(mode="json"), "voice": chosen.label}
        if (place or "").strip():
            path = page.server_path(place.strip())
            if not path.is_dir():
                raise FileRefused(f"'{place.strip()[:120]}' is a file: give a folder.")
            title = page.say(request, "batch.title_folder", folder=path.name, voice=chosen.label)
            inputs, labels = {"folder": path}, {path: path.name}
        else:
            stored = songs.stored(ids, request)
            if not stored:
                raise ConfigError("Add some songs first.")
            title = page.say(request, "batch.title", count=len(stored), voice=chosen.label)
            inputs, labels = inputs_of(stored)
        inputs["voice"], labels[chosen.path] = chosen.path, chosen.label
        return page.submit(request, "batch", settings, title=title, inputs=inputs, labels=labels)

    def clicked(request: gr.Request, ids: str, place: str, voice_id: str, *values: Any) -> list[Any]:
        return block.follow(batch(request, ids, place, voice_id, controls.settings(values)), request)

    def endpoint(request: gr.Request, songs: str, folder: str, voice: str, options: Any) -> dict[str, Any]:
        """Many songs (ids, or a folder of the server) with a voice as one job."""
        wanted = with_preset(page.voice(request, voice), asked(ConvertOptions, options))
        chosen = ConvertOptions(**wanted)
        return batch(request, songs, folder, voice, chosen).to_dict()

    def live(job_id: str, before: str, request: gr.Request) -> list[Any]:
        view = page.jobs.view(page.owner(request), job_id) if job_id else None
        return list(_drawn(page, view, request, before)) if view else ["", ""]

    inputs = [songs.ids, folder, voice, *controls.components]
    page.on(start.click, clicked, inputs, block.components)
    follow_voice(page, voice, controls)
    page.on(block.ticked.then, live, [block.job_id, seen], [table, seen], queue=False)
    page.api("batch", endpoint, [songs.ids, folder, voice, settings_box()])
    job = gr.Textbox("", label=page.text("jobs.job"), visible=False)
    page.api("batch_files", lambda request, job_id: files_of(page, request, job_id), [job])


def files_of(page: Page, request: gr.Request, job_id: str) -> list[dict[str, Any]]:
    """Each song of a batch: name, state (waiting, running, done or failed), reason, and the result's file name."""
    files: list[dict[str, Any]] = []
    for event in page.jobs.events(page.owner(request), job_id):
        if event["type"] == "files":  # once for each attempt
            files = [{"name": name, "state": WAITING, "reason": "", "result": ""} for name in event["names"]]
        elif event["type"] == "file" and event["index"] < len(files):
            told = {key: event.get(key, "") for key in ("state", "reason", "result")}
            files[event["index"]].update(told)
    return files


def _drawn(page: Page, view: JobView, request: gr.Request, before: str) -> tuple[Any, Any]:
    """The table and what it shows; both left alone where nothing has changed since `before`, so that sound plays on."""
    files = files_of(page, request, view.id)
    now = f"{view.id}{view.live}{[file['state'] for file in files]}"
    if now == before:
        return gr.skip(), gr.skip()
    return table_html(page, view, files, request), now


def table_html(page: Page, view: JobView, files: list[dict[str, Any]], request: gr.Request) -> str:
    """One row for each song, with its state in words, and the result to hear and save as soon as it is there."""
    made = page.jobs.folder_of(page.owner(request), view.id).work / MADE
    rows = ""
    for file in files:
        state = file["state"]
        if state == RUNNING and not view.live:
            state = WAITING
        words = html.escape(page.say(request, f"batch.state.{state}"))
        if state == FAILED:
            words += f': <span class="svc-error">{html.escape(file["reason"])}</span>'
        path = view.outputs.get(file["result"]) or made / file["result"]
        if state == DONE and path.is_file():
            url = address(page, path, file["result"])
            words = player(url, file["name"]) + download(page, request, url, file["result"])
        rows += f'<tr data-state="{state}"><td>{html.escape(file["name"])}</td><td>{words}</td></tr>'
    if not rows:
        return ""
    names = [page.say(request, f"batch.{key}") for key in ("song", "how")]
    titles = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    return f'<table class="svc-table"><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table>'
