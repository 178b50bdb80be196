"""Several singers in one song: the control for a speaker curve, shown for voices with more than one speaker."""

import csv
import io
from typing import TYPE_CHECKING, Any

from svc.errors import ConfigError
from svc.interface.files import StoredFile, fresh_place, slug
from svc.interface.page import Page
from svc.interface.voices import VoiceEntry

if TYPE_CHECKING:
    import gradio as gr

# Seconds and the weights of two singers: one, then within four seconds the other.
EXAMPLE = ((0, 1, 0), (30, 1, 0), (34, 0, 1))


class CurveChoice:
    """An upload for the curve, a sentence on its format, and a template with the voice's own speakers.

    `id` holds the id of the stored file, "" for none.
    """

    def __init__(self, page: Page) -> None:
        import gradio as gr

        self._page = page
        with gr.Accordion(page.text("convert.curve"), open=False, visible=False, elem_id="convert-curve-box") as box:
            gr.Markdown(page.text("convert.curve_help"))
            self.template = gr.DownloadButton(
                page.text("convert.curve_template"), size="sm", elem_id="convert-curve-template"
            )
            self.upload = gr.File(label=page.text("convert.curve_file"), elem_id="convert-curve", height=110)
        self.box = box
        self.id = gr.Textbox("", label=page.text("convert.curve_file"), visible=False)

    def connect(self, voice: "gr.Dropdown") -> None:
        """Follow the voice that is chosen, and keep what is uploaded."""
        import gradio as gr

        page = self._page

        def chosen(voice_id: str | None, request: gr.Request) -> list[Any]:
            entry = next((entry for entry in page.voices(request) if entry.id == voice_id), None)
            if entry is None or len(entry.speakers) < 2:
                # A curve of another voice may not stay behind unseen.
                return [gr.update(visible=False), None, None, ""]
            return [gr.update(visible=True), self._template(entry), gr.skip(), gr.skip()]

        def add(path: str | None, request: gr.Request) -> str:
            """Take a speaker curve (CSV of time and a weight for each speaker); gives its id."""
            return take_curve(page, request, path).id if path else ""

        outputs = [self.box, self.template, self.upload, self.id]
        page.on(voice.change, chosen, [voice], outputs, queue=False)
        page.on(self.upload.change, add, [self.upload], [self.id], api_name="add_curve")

    def _template(self, entry: VoiceEntry) -> str:
        path = fresh_place(self._page.settings.cache_folder, slug(entry.label), ".csv")
        path.write_text(template(names_of(entry)), encoding="utf-8")
        return str(path)


def names_of(entry: VoiceEntry) -> list[str]:
    """Names of a voice's speakers."""
    return [str(speaker.get("name", "")) for speaker in entry.speakers]


def template(names: list[str]) -> str:
    """A speaker curve in which the second of these speakers takes over from the first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", *names[:2]])
    writer.writerows(EXAMPLE)
    return text.getvalue()


def take_curve(page: Page, request: "gr.Request", upload: str | None) -> StoredFile:
    """Store an uploaded speaker curve once it has been read; ConfigError names the line that is not understood."""
    from svc.conversion.lineup import read_speaker_curve

    return page.files(request).add_table(upload, "curve", read_speaker_curve)


def require_speakers(file: StoredFile, entry: VoiceEntry) -> None:
    """ConfigError unless every speaker of the curve is one of the voice's."""
    from svc.conversion.lineup import read_speaker_curve

    known = names_of(entry)
    for name in read_speaker_curve(file.path).speakers:
        if name not in known:
            shown = ", ".join(known[:8]) + (" ..." if len(known) > 8 else "")
            raise ConfigError(
                f"The speaker curve '{file.label}' names '{name}', who is not in the voice '{entry.label}': "
                f"use {shown}."
            )
