"""Fixtures of the browser tests. Without gradio, playwright or a browser they are skipped with a sentence."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_cases import sung, tiny_voice, write
from pages import PATIENCE, Server, find_browser, running_server


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs/ folder with one tiny voice, "anna", which every user of the page sees."""
    folder = tmp_path_factory.mktemp("runs")
    tiny_voice(folder / "anna" / "voice.safetensors")
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, runs: Path) -> Iterator[Server]:
    """One page for all tests of a file; every browser context is a user of its own."""
    pytest.importorskip("gradio", reason="the page needs gradio (pip install 'svc-toolkit[webui]')")
    settings = ("--upload-limit-mb", "20", "--allow", str(tmp_path_factory.mktemp("allowed")))
    with running_server(tmp_path_factory.mktemp("page") / "data", runs, *settings) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless chromium, for one file: while it is open, other tests of the process could start no event loop."""
    api = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright (pip install playwright)")
    program = find_browser()
    if program is None:
        pytest.skip("there is no chromium here: apt-get install chromium, or set SVC_BROWSER")
    with api.sync_playwright() as play:
        started = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any, server: Server) -> Iterator[Callable[..., Any]]:
    """Opens the page as a new user; keyword arguments go to the browser's context (locale, viewport ...)."""
    with contextlib.ExitStack() as stack:

        def start(url: str = "", **settings: Any) -> Any:
            context = browser.new_context(**{"locale": "en-US", **settings})
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            page.goto(url or server.url)
            page.wait_for_selector("#convert-start")
            return page

        yield start


@pytest.fixture
def page(open_page: Callable[..., Any]) -> Any:
    """The page in English, as a new user, at desktop width."""
    return open_page()


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of singing."""
    return write(tmp_path_factory.mktemp("songs") / "my song.wav", sung(2.0))
