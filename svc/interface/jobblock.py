"""A block that shows one job: its state, place or progress, and what may be done to it. It survives a reload."""

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from svc.interface.jobs.record import FAILED, INTERRUPTED, LIVE, PAUSED, QUEUED, RUNNING, JobView
from svc.interface.page import Page
from svc.interface.texts import FALLBACK, say, words

if TYPE_CHECKING:
    import gradio as gr

TICK_SECONDS = 1.0

Render = Callable[[JobView | None, "gr.Request"], Sequence[Any]]


class JobBlock:
    """Follows the user's newest job of some kinds.

    `render(view, request)` gives the updates of `outputs`; it is called when the job's state changes and when the page
    is opened, with None where there is no job. A handler that submits a job returns `block.follow(view, request)` as
    updates of `block.components` (then of its own outputs, if any).
    """

    def __init__(
        self,
        page: Page,
        name: str,
        kinds: Sequence[str],
        outputs: Sequence[Any] = (),
        render: Render | None = None,
        every_tick: bool = False,
    ) -> None:
        import gradio as gr

        self._page, self._kinds, self._render = page, kinds, render
        self._outputs, self._every_tick = list(outputs), every_tick
        self.job_id = gr.State("")
        # Not a gr.State: its change is not told when a timer's handler makes it.
        self._seen = gr.Textbox("", label=page.text("jobs.job"), visible="hidden", elem_id=f"{name}-seen")
        self.shown = gr.HTML("", elem_id=f"{name}-job")
        with gr.Row():
            self.cancel = gr.Button(
                page.text("jobs.cancel"), variant="stop", size="sm", visible=False, elem_id=f"{name}-cancel"
            )
            self.pause = gr.Button(page.text("jobs.pause"), size="sm", visible=False, elem_id=f"{name}-pause")
            self.finish = gr.Button(page.text("jobs.finish"), size="sm", visible=False, elem_id=f"{name}-finish")
            self.again = gr.Button(page.text("jobs.again"), size="sm", visible=False, elem_id=f"{name}-again")
        self.timer = gr.Timer(TICK_SECONDS, active=False)
        self._connect()

    @property
    def components(self) -> list[Any]:
        """What `follow` gives updates for."""
        return [self.job_id, self._seen, self.shown, *self._buttons, self.timer, *self._outputs]

    @property
    def state_changed(self) -> Any:
        """The event that another job is followed, or the same one is in another state."""
        return self._seen.change

    @property
    def _buttons(self) -> list[Any]:
        return [self.cancel, self.pause, self.finish, self.again]

    def follow(self, view: JobView | None, request: "gr.Request", seen: str = "") -> list[Any]:
        """Updates of `components` that show `view`; `seen` is the state that was rendered last."""
        import gradio as gr

        state = view.state if view else ""
        now = f"{view.id}:{view.state}:{view.attempt}" if view else ""
        allowed = (
            state in (*LIVE, PAUSED, INTERRUPTED),
            bool(view and view.pausable and state in LIVE),
            bool(view and view.finishable and state in (RUNNING, PAUSED, INTERRUPTED)),
            state in (PAUSED, INTERRUPTED, FAILED),
        )
        rest: Sequence[Any] = [gr.skip() for _ in self._outputs]
        if self._render and (now != seen or not seen or (self._every_tick and view and view.live)):
            rest = self._render(view, request)
        return [
            view.id if view else "",
            now,
            job_html(view, self._page.language(request)) if view else "",
            *(gr.update(visible=yes) for yes in allowed),
            gr.Timer(active=bool(view and view.live)),
            *rest,
        ]

    def _connect(self) -> None:
        import gradio as gr

        page, jobs = self._page, self._page.jobs

        def tick(job_id: str, seen: str, request: gr.Request) -> list[Any]:
            return self.follow(jobs.view(page.owner(request), job_id) if job_id else None, request, seen)

        def newest(request: gr.Request) -> list[Any]:
            found = jobs.listing(page.owner(request), self._kinds, most=1)
            return self.follow(found[0] if found else None, request)

        def does(action: Callable[[str, str], JobView]) -> Callable[..., list[Any]]:
            def handler(job_id: str, request: gr.Request) -> list[Any]:
                return self.follow(action(page.owner(request), job_id), request)

            return handler

        # What else follows the job hangs on `ticked.then`, so that it sees the last tick's end as well.
        self.ticked = page.on(
            self.timer.tick, tick, [self.job_id, self._seen], self.components, queue=False, trigger_mode="once"
        )
        for button, action in zip(self._buttons, (jobs.cancel, jobs.pause, jobs.finish, jobs.retry)):
            page.on(button.click, does(action), [self.job_id], self.components, queue=False)
        page.on_load(newest, [], self.components)


def job_html(view: JobView, language: str) -> str:
    """One job in HTML: title, state in words, bar; every word of a person or a program is escaped."""
    state = state_words(view, language)
    bar = ""
    if view.state in (RUNNING, PAUSED, INTERRUPTED):
        label = html.escape(say(language, "jobs.progress"), quote=True)
        bar = f'<progress max="100" value="{100 * view.fraction:.1f}" aria-label="{label}"></progress>'
    error = error_words(view, language)
    problem = f'<p class="svc-error" role="alert">{html.escape(error)}</p>' if error else ""
    return (
        f'<div class="svc-job" data-state="{view.state}"><span class="svc-job-title">{html.escape(view.title)}</span> '
        f'<span class="svc-job-state" role="status">{html.escape(state)}</span>{bar}{problem}</div>'
    )


def state_words(view: JobView, language: str) -> str:
    """The state of a job in words: its place in the queue, or how far it is and how long it will take."""
    if view.state == QUEUED:
        return say(language, "jobs.place", place=view.place)
    words_ = say(language, f"state.{view.state}")
    if view.state != RUNNING:
        return words_
    stage = f"stage.{view.stage}"
    if stage in words(FALLBACK):
        words_ = say(language, stage)
    words_ += f" {100 * view.fraction:.0f} %"
    if view.seconds_left is not None:
        words_ += f" · {say(language, 'jobs.left', time=clock(view.seconds_left))}"
    return words_


def error_words(view: JobView, language: str) -> str:
    """What went wrong, in a sentence; "" if nothing did."""
    if view.error_id:
        return say(language, "errors.unexpected", id=view.error_id)
    return say(language, view.error) if view.error in words(FALLBACK) else view.error


def clock(seconds: float) -> str:
    """Seconds as 1:05 or 2:03:04."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
