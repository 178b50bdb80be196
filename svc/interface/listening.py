"""Sound inside HTML: small players and links for lists, where gradio's large player would be too much."""

import html
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from svc.interface.page import Page

if TYPE_CHECKING:
    import gradio as gr


def address(page: Page, path: Path, label: str) -> str:
    """The address under which a browser gets the file for a day; escaped for an attribute."""
    served = page.serve(path, label)
    return html.escape(f"{page.settings.root_path.rstrip('/')}/gradio_api/file={quote(served)}", quote=True)


def player(url: str, describes: str) -> str:
    """A browser's own player; `describes` is what a screen reader says. It loads nothing before it is used."""
    return f'<audio controls preload="none" src="{url}" aria-label="{html.escape(describes, quote=True)}"></audio>'


def download(page: Page, request: "gr.Request", url: str, label: str, describes: str = "") -> str:
    """A link that saves the file as `label`."""
    name = html.escape(label, quote=True)
    words = html.escape(describes or page.say(request, "common.download"))
    return f'<a class="svc-download" href="{url}" download="{name}">{words}</a>'
