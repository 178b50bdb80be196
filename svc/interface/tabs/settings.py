"""Settings and help: the device, folders and what is installed on this server, and how to begin."""

import html
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gradio as gr

from svc import __version__
from svc.errors import SvcError
from svc.interface.files import usage_bytes
from svc.interface.page import Page

Finding = dict[str, Any]
CHECK_SECONDS = 300.0
HELP = ("help.begin", "help.convert", "help.train", "help.range", "help.speak", "help.words", "help.api")


def build(page: Page) -> None:
    """Build the tab; its action is the API's /server. The page's language is chosen at the top of the page."""
    with gr.Row():
        with gr.Column():
            gr.Markdown(page.text("settings.help"))
            for key in HELP:
                with gr.Accordion(page.text(f"{key}.title"), open=key == HELP[0]):
                    gr.Markdown(page.text(f"{key}.text"))
        with gr.Column():
            gr.Markdown(page.text("settings.server"))
            facts = gr.HTML("", elem_id="settings-facts")
            check = gr.Button(page.text("settings.check"), size="sm", elem_id="settings-check")
            installed = gr.HTML("", elem_id="settings-installed")

    def shown(request: gr.Request) -> str:
        return table(page, request, {key: value for key, value in server_facts(page, request).items() if value})

    def checked(request: gr.Request) -> str:
        return findings_html(page, request, installed_findings())

    page.on_load(shown, [], [facts])
    page.on(check.click, checked, [], [installed], show_progress="full")
    page.api("server", lambda request: {"version": __version__, **server_facts(page, request)}, [])


def server_facts(page: Page, request: gr.Request) -> dict[str, str]:
    """What a user may know of the server: names of folders, not where they lie."""
    settings = page.settings
    home = page.home(request)
    used = usage_bytes([home]) if home.is_dir() else 0
    return {
        "version": __version__,
        "device": settings.device,
        "queue": str(settings.jobs_at_once),
        "upload": f"{settings.upload_limit_mb:,} MB",
        "allowed": ", ".join(Path(folder).name for folder in settings.allow),
        "used": f"{used / 1e6:.1f} MB",
        "login": page.say(request, "settings.yes" if settings.users else "settings.no"),
    }


def installed_findings() -> list[Finding]:
    """What `svc check` finds: state, what, detail. A process of its own, so that the server loads no tensor library."""
    command = [sys.executable, "-m", "svc", "check", "--json"]
    done = subprocess.run(command, capture_output=True, timeout=CHECK_SECONDS, stdin=subprocess.DEVNULL, check=False)
    try:
        found: list[Finding] = json.loads(done.stdout)["findings"]
    except (ValueError, KeyError, TypeError) as error:
        raise SvcError("The check did not end as it should: run  svc check  in a terminal of the server.") from error
    return found


def findings_html(page: Page, request: gr.Request, found: list[Finding]) -> str:
    """The findings in a table."""
    rows = "".join(
        f'<tr data-state="{html.escape(f["state"])}"><td>{html.escape(page.say(request, "found." + f["state"]))}</td>'
        f'<th scope="row">{html.escape(f["what"])}</th><td>{html.escape(f["detail"])}</td></tr>'
        for f in found
    )
    return f'<div class="svc-scroll"><table class="svc-table"><tbody>{rows}</tbody></table></div>'


def table(page: Page, request: gr.Request, values: dict[str, str]) -> str:
    """Facts with their names in the reader's language."""
    rows = "".join(
        f'<tr><th scope="row">{html.escape(page.say(request, f"settings.fact.{key}"))}</th>'
        f"<td>{html.escape(value)}</td></tr>"
        for key, value in values.items()
    )
    return f'<table class="svc-table"><tbody>{rows}</tbody></table>'
