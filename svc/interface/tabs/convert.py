"""Convert: drop a song, choose a voice, hear the result."""

import html
from collections.abc import Sequence
from typing import Any

import gradio as gr

from svc.config import ConvertOptions
from svc.interface.jobblock import JobBlock
from svc.interface.jobs.record import DONE, JobView
from svc.interface.page import Page

FRONT = ("transpose", "separate", "match_loudness", "format")
PREVIEW_SECONDS = 20.0


def build(page: Page) -> None:
    """Build the tab; its actions are the API's /add_song, /convert and /preview."""
    with gr.Row():
        with gr.Column():
            upload = gr.File(label=page.text("convert.song"), elem_id="convert-song", file_count="single")
            song_id = gr.Textbox(label=page.text("convert.song_id"), visible=False)
            source = page.player("convert.source", "convert-source")
            voice = page.voice_choice("convert-voice")
            controls = page.controls(ConvertOptions, "convert")
            controls.front(*FRONT)
            controls.folded("common.more")
            with gr.Row():
                preview = gr.Button(page.text("convert.preview"), elem_id="convert-preview")
                start = gr.Button(page.text("convert.start"), variant="primary", elem_id="convert-start")
        with gr.Column():
            result = page.player("convert.result", "convert-result")
            facts = gr.HTML("", elem_id="convert-facts")

            def render(view: JobView | None, request: gr.Request) -> Sequence[Any]:
                if view is None or view.state != DONE:
                    return [None, ""]
                mix = view.outputs[view.result["mix"]]
                words = page.say(
                    request,
                    "convert.facts",
                    transpose=f"{view.result['transpose_semitones']:+.0f}",
                    speaker=view.result["speaker"],
                    seconds=f"{view.result['seconds']:.1f}",
                )
                return [page.serve(mix, f"{view.title}{mix.suffix}"), f"<p>{html.escape(words)}</p>"]

            block = JobBlock(page, "convert", ("convert",), [result, facts], render)

    def add_song(path: str | None, request: gr.Request) -> tuple[str, str | None]:
        """Take a song; gives its id and the song itself to hear."""
        if not path:
            return "", None
        stored = page.files(request).add_audio(path)
        return stored.id, page.serve(stored.path, stored.label)

    def convert(preview_seconds: float, song: str, voice_id: str, *values: Any, request: gr.Request) -> JobView:
        stored = page.files(request).get(song or "")
        chosen = page.voice(request, voice_id)
        options = controls.settings(values)
        return page.submit(
            request,
            "convert",
            {"options": options.model_dump(mode="json"), "preview_seconds": preview_seconds, "voice": chosen.label},
            title=page.say(request, "convert.title", song=stored.label, voice=chosen.label),
            inputs={"song": stored.path, "voice": chosen.path},
            labels={stored.path: stored.label, chosen.path: chosen.label},
        )

    def whole(request: gr.Request, *values: Any) -> list[Any]:
        """Convert the whole song as a job."""
        return block.follow(convert(0.0, *values, request=request), request)

    def beginning(request: gr.Request, *values: Any) -> list[Any]:
        """Convert the first 20 seconds as a job."""
        return block.follow(convert(PREVIEW_SECONDS, *values, request=request), request)

    inputs = [song_id, voice, *controls.components]
    page.on(upload.change, add_song, [upload], [song_id, source], api_name="add_song")
    page.on(start.click, whole, inputs, block.components)
    page.on(preview.click, beginning, inputs, block.components)
    page.api("convert", lambda request, *values: convert(0.0, *values, request=request).to_dict(), inputs)
