"""Jobs: the queue and the history; every job with its progress, messages, settings and results."""

import html
import time
from collections.abc import Sequence
from typing import Any

import gradio as gr

from svc.interface.jobblock import JobBlock, state_words
from svc.interface.jobs.record import JobView
from svc.interface.page import Page

REFRESH_SECONDS = 2.0


def build(page: Page) -> None:
    """Build the tab; its actions are the API's /jobs, /job, /cancel, /pause, /finish, /retry, /remove and /result."""
    table = gr.HTML("", elem_id="jobs-table")
    chosen = gr.Dropdown([], label=page.text("jobs.job"), elem_id="jobs-chosen", allow_custom_value=True)
    settings = gr.JSON(label=page.text("jobs.settings"), elem_id="jobs-settings", render=False)
    messages = gr.Textbox(
        label=page.text("jobs.messages"), lines=6, interactive=False, elem_id="jobs-messages", render=False
    )
    results = gr.File(
        label=page.text("jobs.results"), file_count="multiple", interactive=False, elem_id="jobs-results", render=False
    )

    def render(view: JobView | None, request: gr.Request) -> Sequence[Any]:
        if view is None:
            return [None, "", None]
        served = [page.serve(path, name) for name, path in view.outputs.items()]
        return [{**view.settings, **view.result}, messages_of(page, view, request), served or None]

    block = JobBlock(page, "jobs", (), [settings, messages, results], render)
    remove = gr.Button(page.text("jobs.remove"), size="sm", elem_id="jobs-remove")
    messages.render()
    with gr.Accordion(page.text("jobs.details"), open=False):
        settings.render()
    results.render()

    def listed(request: gr.Request) -> Any:
        jobs = page.jobs.listing(page.owner(request))
        return gr.update(choices=[(f"{when(job.created)}  {job.title}", job.id) for job in jobs])

    def draw(request: gr.Request) -> str:
        return jobs_table(page, page.jobs.listing(page.owner(request), most=30), request)

    def choose(job_id: str, request: gr.Request) -> list[Any]:
        return block.follow(page.jobs.view(page.owner(request), job_id) if job_id else None, request)

    def removed(job_id: str, request: gr.Request) -> list[Any]:
        if job_id:
            page.jobs.remove(page.owner(request), job_id)
        return [gr.update(value=None), *block.follow(None, request)]

    page.on(gr.Timer(REFRESH_SECONDS).tick, draw, [], [table], queue=False, trigger_mode="once")
    page.on(chosen.focus, listed, [], [chosen], queue=False)
    page.on(chosen.input, choose, [chosen], block.components, queue=False)
    page.on(remove.click, removed, [block.job_id], [chosen, *block.components], queue=False)
    page.on_load(draw, [], [table])
    page.on_load(listed, [], [chosen])
    _endpoints(page, chosen)


def _endpoints(page: Page, job: Any) -> None:
    """The API's actions on jobs; each takes a job's id."""
    jobs = page.jobs
    page.api("jobs", lambda request: [view.to_dict() for view in jobs.listing(page.owner(request))], [])
    for name, action in {
        "job": jobs.view,
        "cancel": jobs.cancel,
        "pause": jobs.pause,
        "finish": jobs.finish,
        "retry": jobs.retry,
    }.items():
        page.api(name, lambda request, job_id, action=action: action(page.owner(request), job_id).to_dict(), [job])
    page.api("remove", lambda request, job_id: jobs.remove(page.owner(request), job_id), [job])

    def result(request: gr.Request, job_id: str) -> list[str]:
        """The files a job made."""
        view = jobs.view(page.owner(request), job_id)
        return [page.serve(path, name) for name, path in view.outputs.items()]

    page.api("result", result, [job], gr.File(file_count="multiple", visible=False))


def messages_of(page: Page, view: JobView, request: gr.Request) -> str:
    """The sentences a job told, one a line."""
    events = page.jobs.events(page.owner(request), view.id)
    return "\n".join(event["text"] for event in events if event["type"] == "message")


def jobs_table(page: Page, jobs: list[JobView], request: gr.Request) -> str:
    """The jobs as an HTML table, the newest first."""
    if not jobs:
        return f"<p>{html.escape(page.say(request, 'jobs.none'))}</p>"
    language = page.language(request)
    titles = "".join(
        f'<th scope="col">{html.escape(page.say(request, f"jobs.column.{name}"))}</th>'
        for name in ("when", "title", "state")
    )
    rows = "".join(
        f'<tr data-job="{job.id}" data-state="{job.state}"><td>{when(job.created)}</td>'
        f"<td>{html.escape(job.title)}</td><td>{html.escape(state_words(job, language))}</td></tr>"
        for job in jobs
    )
    return (
        f'<div class="svc-scroll"><table class="svc-table"><thead><tr>{titles}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def when(seconds: float) -> str:
    """A time of this machine's clock as month-day hour:minute."""
    return time.strftime("%m-%d %H:%M", time.localtime(seconds))
