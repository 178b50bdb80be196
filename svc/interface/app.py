"""The page: header, tabs, and what happens when a browser opens it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from svc import __version__
from svc.interface import style, texts
from svc.interface.page import Page
from svc.interface.tabs import ORDER

if TYPE_CHECKING:
    import gradio as gr


def build(page: Page) -> "gr.Blocks":
    """The Blocks of the page. The cache folder must be set (see server.py) before this is called."""
    import gradio as gr

    with gr.Blocks(title=texts.say("en", "page.title"), analytics_enabled=False) as blocks:
        with gr.Row(elem_classes="svc-head"):
            gr.Markdown(page.text("page.heading"), elem_id="page-heading")
            language = gr.Dropdown(
                [(name, code) for code, name in texts.languages().items()],
                label=page.text("page.language"),
                elem_id="page-language",
                filterable=False,
                scale=0,
                min_width=160,
            )
        with gr.Tabs(elem_id="page-tabs"):
            for name in ORDER:
                module = _tab(name)
                if module is not None:
                    with gr.Tab(page.text(f"{name}.tab"), id=name, elem_id=f"tab-{name}"):
                        module.build(page)

        def chosen(request: gr.Request) -> str:
            return page.language(request)

        page.on_load(chosen, [], [language])
        language.input(None, [language], None, js=style.switch_script(page.settings.root_path))
        page.connect_loads(blocks)
    return blocks


def _tab(name: str) -> Any:
    """The module of a tab, or None while there is none."""
    from importlib.util import find_spec

    target = f"svc.interface.tabs.{name}"
    return import_module(target) if find_spec(target) else None


def launch_arguments(page: Page) -> dict[str, Any]:
    """What Blocks.launch is told, the server's address apart."""
    import gradio as gr
    from starlette.middleware import Middleware

    from svc.interface.boards import BoardProxy
    from svc.interface.users import HeadMarkup, SessionCookie

    settings = page.settings
    return {
        "auth": settings.users or None,
        "auth_message": None,
        "share": settings.share,
        "inbrowser": settings.open_browser,
        "root_path": settings.root_path or None,
        "max_file_size": settings.upload_limit_mb * 1_000_000,
        "show_error": False,
        "quiet": True,
        "ssr_mode": False,
        "footer_links": ["api"],
        "run_history": False,
        "enable_monitoring": False,
        "i18n": gr.I18n(**texts.translations()),
        "theme": style.theme(),
        "css": style.CSS,
        "app_kwargs": {
            "middleware": [
                Middleware(BoardProxy, boards=page.boards, path=settings.root_path),
                Middleware(SessionCookie, path=settings.root_path),
                Middleware(HeadMarkup, markup=style.head(settings.language, settings.upload_limit_mb)),
            ],
            "title": f"svc {__version__}",
        },
    }
