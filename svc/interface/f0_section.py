"""The part of the tab Convert where F0 is measured, drawn and handed over to the next take."""

import html
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from svc.errors import AudioError, SvcError
from svc.interface.drawing import curve_of, editor, for_editor, label_of, write_drawn
from svc.interface.files import StoredFile, clean_label
from svc.interface.jobblock import JobBlock
from svc.interface.jobs.record import DONE, JobView
from svc.interface.kinds.convert import F0_FILE
from svc.interface.page import Page

if TYPE_CHECKING:
    import gradio as gr

Hear = Callable[["gr.Request", str, str, str | None], JobView]


class F0Section:
    """The editor and its buttons. Make it first, since what shows results fills it; `render` it where it shall stand.

    `board` is the editor, an output for `shown`.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self.board = editor(page)

    def shown(self, view: JobView | None, request: "gr.Request", force: bool = False) -> str:
        """The board's value for a job: its F0 if it is done and has any."""
        curve = None
        if view is not None and view.state == DONE and F0_FILE in view.outputs:
            try:
                curve = curve_of(view.outputs[F0_FILE], self._label(request, view), view.created)
            except AudioError:
                curve = None  # unvoiced sources, and songs that are too long to draw, are converted all the same
        return for_editor(self._page, request, curve, force)

    def _label(self, request: "gr.Request", view: JobView) -> str:
        return self._page.say(request, "draw.label", song=str(view.settings.get("song") or view.title))

    def render(self, submit: Hear, inputs: Sequence[Any]) -> None:
        """Put it here. `submit(request, *values of inputs)` starts the measuring of a song's F0."""
        import gradio as gr

        page = self._page
        with gr.Accordion(page.text("draw.title"), open=True, elem_id="convert-draw"):
            gr.Markdown(page.text("draw.help"))
            with gr.Row():
                measure = gr.Button(page.text("draw.measure"), size="sm", elem_id="convert-f0-measure")
                newest = gr.Button(page.text("draw.newest"), size="sm", elem_id="convert-f0-newest")
            block = JobBlock(page, "melody", ("melody",), [self.board], lambda view, asks: [self.shown(view, asks)])
            self.board.render()

        def start(request: gr.Request, *values: Any) -> list[Any]:
            return block.follow(submit(request, *values), request)

        def take(request: gr.Request) -> str:
            found = page.jobs.listing(page.owner(request), ("convert", "melody"), (DONE,))
            view = next((view for view in found if F0_FILE in view.outputs), None)
            if view is None:
                raise AudioError("There is no F0 yet: convert a song, or measure its F0.")
            return self.shown(view, request, force=True)

        page.on(measure.click, start, inputs, block.components)
        page.on(newest.click, take, [], [self.board])

    def connect(self, file: Any, file_id: Any, note: Any, again: Any, store: Callable[..., StoredFile]) -> None:
        """Hand what is drawn to the next take.

        file, file_id: where an F0 file is uploaded, and the id of the stored one; note, again: a line that says what
        will be sung, and the button that goes back to the measured F0. `store(page, request, path)` checks and keeps a
        CSV file.
        """
        import gradio as gr

        page, board = self._page, self.board

        def use(data: str, request: gr.Request) -> list[Any]:
            name = page.say(request, "draw.drawn", name=clean_label(label_of(data)).removesuffix(".csv"))
            stored = store(page, request, write_drawn(page, data, f"{name}.csv"))
            return [page.serve(stored.path, stored.label), stored.id]

        def show(upload: str | None, request: gr.Request) -> Any:
            try:
                path = page.files(request).arrived(upload)
                return for_editor(page, request, curve_of(path, clean_label(path.name), time.time()), force=True)
            except SvcError:
                return gr.skip()  # what is wrong with it is said where it is stored

        def tell(stored_id: str, request: gr.Request) -> list[Any]:
            if not stored_id:
                return [gr.update(value="", visible=False), gr.update(visible=False)]
            words = page.say(request, "draw.used", name=page.files(request).get(stored_id).label)
            told = f'<p class="svc-warning" role="status">{html.escape(words)}</p>'
            return [gr.update(value=told, visible=True), gr.update(visible=True)]

        page.on(board.submit, use, [board], [file, file_id])
        page.on(file.upload, show, [file], [board])
        page.on(file_id.change, tell, [file_id], [note, again], queue=False)
        page.on(again.click, lambda: [None, ""], [], [file, file_id], queue=False)
