"""The list of slices in the page: some at a time, each with player, facts, warnings and a box to keep or drop it."""

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svc.errors import DatasetError, SvcError
from svc.interface.page import Page
from svc.interface.slices import Slice, choose, excluded_in, report_html, report_of, slice_html, slices_of

if TYPE_CHECKING:
    import gradio as gr

ROWS = 8
ALL, WARNED, DROPPED = "all", "warned", "dropped"


class SliceList:
    """Report and slices of the preparation that `dataset` (a dropdown of job ids) names."""

    def __init__(self, page: Page, dataset: "gr.Dropdown") -> None:
        import gradio as gr

        self._page, self.dataset = page, dataset
        self.report = gr.HTML("", elem_id="train-report")
        self._first = gr.State(0)
        self._ids = gr.State([])
        self.filter = gr.Radio(
            [(page.text(f"slices.{name}"), name) for name in (ALL, WARNED, DROPPED)],
            value=ALL,
            label=page.text("slices.show"),
            elem_id="train-slices-filter",
            visible=False,
        )
        self._rows: list[tuple[Any, Any, Any]] = []
        for index in range(ROWS):
            with gr.Row(visible=False, elem_classes="svc-slice-row", elem_id=f"train-slice-{index}") as row:
                shown = gr.HTML("", elem_id=f"train-slice-{index}-facts")
                box = gr.Checkbox(
                    True,
                    label=page.text("slices.keep"),
                    elem_id=f"train-slice-{index}-keep",
                    min_width=120,
                    scale=0,
                    container=False,
                )
            self._rows.append((row, shown, box))
        with gr.Row(elem_classes="svc-pager", visible=False) as self._pager:
            self.back = gr.Button(page.text("slices.back"), size="sm", elem_id="train-slices-back", min_width=80)
            self._position = gr.HTML("", elem_id="train-slices-position")
            self.next = gr.Button(page.text("slices.next"), size="sm", elem_id="train-slices-next", min_width=80)
            self.advice = gr.Button(page.text("slices.advice"), size="sm", elem_id="train-slices-advice", min_width=120)
        self._connect()

    @property
    def components(self) -> list[Any]:
        """What `draw` gives updates for."""
        rows = [component for row in self._rows for component in row]
        around = [self.report, self.filter, self._pager, self._first, self._ids, self._position, self.back, self.next]
        return [*around, *rows]

    def work(self, request: "gr.Request", job_id: str | None) -> Path:
        """The folder of a finished preparation of the user; DatasetError without one."""
        owner = self._page.owner(request)
        if not job_id or self._page.jobs.view(owner, job_id).kind != "prepare":
            raise DatasetError("There are no prepared songs yet: add songs of the singer and prepare them first.")
        work = self._page.jobs.folder_of(owner, job_id).work
        if not report_of(work):
            raise DatasetError("These songs are not prepared yet: wait for the end, or choose others.")
        return work

    def excluded(self, request: "gr.Request", job_id: str | None) -> list[str]:
        """Ids of the slices that are left out now."""
        work = self.work(request, job_id)
        return sorted(excluded_in(work, slices_of(report_of(work))))

    def draw(self, job_id: str | None, which: str, first: int, request: "gr.Request") -> list[Any]:
        """Updates of `components`: the page of slices that begins with number `first` of those that `which` names."""
        import gradio as gr

        page = self._page
        hidden = [gr.update(visible=False), "", gr.update()]
        try:
            work = self.work(request, job_id)
        except SvcError as error:
            words = f"<p>{html.escape(str(error))}</p>" if job_id else ""
            away = gr.update(visible=False)
            return [words, away, away, 0, [], "", gr.skip(), gr.skip(), *(hidden * ROWS)]
        report = report_of(work)
        slices = slices_of(report)
        excluded = excluded_in(work, slices)
        chosen = [piece for piece in slices if _matches(piece, which, excluded)]
        first = max(0, min(int(first), (len(chosen) - 1) // ROWS * ROWS))
        shown = chosen[first : first + ROWS]
        rows: list[Any] = []
        for piece in shown:
            label = page.say(request, "slices.keep_one", number=piece.number)
            box = gr.update(value=piece.id not in excluded, label=label)
            rows += [gr.update(visible=True), slice_html(page, request, work, piece), box]
        rows += hidden * (ROWS - len(shown))
        last = first + len(shown)
        position = page.say(request, "slices.position", first=first + bool(shown), last=last, count=len(chosen))
        return [
            report_html(page, request, report, excluded),
            gr.update(visible=True),
            gr.update(visible=True),
            first,
            [piece.id for piece in shown],
            f"<p>{html.escape(position)}</p>",
            gr.update(interactive=first > 0),
            gr.update(interactive=last < len(chosen)),
            *rows,
        ]

    def choose(self, request: "gr.Request", job_id: str, excluded: set[str]) -> list[dict[str, Any]]:
        """Leave these slices out and keep the others; what `listed` says then. DatasetError for an unknown id."""
        work = self.work(request, job_id)
        slices = slices_of(report_of(work))
        unknown = excluded - {piece.id for piece in slices}
        if unknown:
            raise DatasetError(f"There is no slice '{sorted(unknown)[0][:40]}' in these songs: look at the list again.")
        choose(work, excluded)
        return self.listed(request, job_id)

    def listed(self, request: "gr.Request", job_id: str) -> list[dict[str, Any]]:
        """All slices as plain data for the API: id, recording, start, length, level, findings, whether it is kept."""
        work = self.work(request, job_id)
        slices = slices_of(report_of(work))
        excluded = excluded_in(work, slices)
        return [
            {
                "id": piece.id,
                "recording": piece.recording,
                "start_seconds": piece.start_seconds,
                "seconds": piece.seconds,
                "level_db": piece.level_db,
                "findings": [found["code"] for found in piece.findings],
                "keep": piece.id not in excluded,
            }
            for piece in slices
        ]

    def _connect(self) -> None:
        import gradio as gr

        page, where = self._page, [self.dataset, self.filter, self._first]

        def turned(pages: int) -> Any:
            def handler(job_id: str, which: str, first: int, request: gr.Request) -> list[Any]:
                return self.draw(job_id, which, first + pages * ROWS, request)

            return handler

        def anew(job_id: str, which: str, request: gr.Request) -> list[Any]:
            return self.draw(job_id, which, 0, request)

        def advised(job_id: str, which: str, request: gr.Request) -> list[Any]:
            work = self.work(request, job_id)
            choose(work, {piece.id for piece in slices_of(report_of(work)) if piece.advised_against})
            return self.draw(job_id, which, 0, request)

        page.on(self.back.click, turned(-1), where, self.components, queue=False)
        page.on(self.next.click, turned(1), where, self.components, queue=False)
        page.on(self.filter.input, anew, where[:2], self.components, queue=False)
        page.on(self.dataset.change, anew, where[:2], self.components, queue=False)
        page.on(self.advice.click, advised, where[:2], self.components, queue=False)
        for index, (_, _, box) in enumerate(self._rows):
            page.on(box.input, self._ticked(index), [box, self._ids, self.dataset], [self.report], queue=False)

    def _ticked(self, index: int) -> Any:
        """The handler of one row's box: `ids` are the slices of the rows as they were drawn."""
        import gradio as gr

        def handler(keep: bool, ids: list[str], job_id: str, request: gr.Request) -> str:
            work = self.work(request, job_id)
            report = report_of(work)
            excluded = excluded_in(work, slices_of(report))
            if index < len(ids):
                excluded = excluded - {ids[index]} if keep else excluded | {ids[index]}
                choose(work, excluded)
            return report_html(self._page, request, report, excluded)

        return handler


def _matches(piece: Slice, which: str, excluded: set[str]) -> bool:
    return which == ALL or (piece.id in excluded if which == DROPPED else bool(piece.findings))
