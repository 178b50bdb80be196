"""A page with logins behind a proxy that shows it under a path, and a server that is killed in the middle of a job."""

import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pages import PATIENCE, PrefixProxy, Server, api_client, start_server, workers_of

from svc.interface.texts import words

client_module = pytest.importorskip("gradio_client", reason="the API's client is in pip install 'svc-toolkit[webui]'")

PREFIX = "/svc"
ANNA, BEN = ("anna", "one: two"), ("ben", "three")
SETTINGS = ("--root-path", PREFIX, "--auth", ":".join(ANNA), "--auth", ":".join(BEN))
EN = words("en")


@dataclass
class House:
    """A server with two users, and the address at which the proxy shows it."""

    server: Server
    runs: Path
    proxy: PrefixProxy

    def kill_and_start_again(self) -> None:
        """The server and all its processes are gone at once, as when the machine loses its power."""
        self.server.stop(signal.SIGKILL)
        for process in workers_of(self.server.data):
            process.kill()
            process.wait(120)
        self.server = start_server(self.server.data, self.runs, *SETTINGS, port=self.server.port)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, runs: Path) -> Iterator[House]:
    pytest.importorskip("gradio", reason="the page needs gradio (pip install 'svc-toolkit[webui]')")
    server = start_server(tmp_path_factory.mktemp("house") / "data", runs, *SETTINGS)
    with PrefixProxy(server, PREFIX) as proxy:
        made = House(server, runs, proxy)
        yield made
    made.server.stop()
    for process in workers_of(server.data):
        process.kill()


@pytest.fixture
def visit(browser: Any, house: House) -> Iterator[Callable[[], Any]]:
    """Opens the page as somebody who has not logged in yet."""
    contexts = []

    def start() -> Any:
        context = browser.new_context(locale="en-US")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(house.proxy.url)
        return page

    yield start
    for context in contexts:
        context.close()


def log_in(page: Any, name: str, password: str) -> None:
    page.get_by_label("username").fill(name)
    page.get_by_label("password").fill(password)
    page.get_by_role("button", name="Login").click()


def connect(house: House, login: tuple[str, str]) -> Any:
    return api_client(house.proxy.url, auth=login)


def test_without_a_login_nothing_is_told(house: House) -> None:
    for place in ("gradio_api/info", "gradio_api/queue/status", "config", "gradio_api/file=/etc/passwd"):
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(f"{house.proxy.url}{place}", timeout=240)
        assert raised.value.code == 401, place
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(f"{house.proxy.url}gradio_api/call/voices", b'{"data": []}', timeout=240)
    assert raised.value.code == 401
    with pytest.raises(Exception, match=r"(?i)login|credential|auth"):
        connect(house, ("anna", "three"))


def test_a_login_is_the_same_user_everywhere_and_another_one_sees_nothing(house: House, song: Path) -> None:
    song_id = connect(house, ANNA).predict(client_module.handle_file(song), api_name="/add_song")[0]
    job = connect(house, ANNA).predict(song_id, "basic", "wav", api_name="/separate")
    assert job["state"] in ("queued", "running")
    stranger = connect(house, BEN)
    assert stranger.predict(api_name="/jobs") == []
    with pytest.raises(Exception, match="no such job"):
        stranger.predict(job["id"], api_name="/job")
    with pytest.raises(Exception, match="no longer there"):
        stranger.predict(song_id, "basic", "wav", api_name="/separate")
    assert connect(house, ANNA).predict(job["id"], api_name="/cancel")["state"] in ("cancelled", "done")


def test_a_wrong_password_is_told_and_the_right_one_opens_the_page_behind_the_proxy(
    visit: Callable[[], Any], house: House, song: Path
) -> None:
    page = visit()
    log_in(page, ANNA[0], BEN[1])
    page.get_by_text("Incorrect Credentials").wait_for()
    assert page.locator("#convert-start").count() == 0
    log_in(page, *ANNA)
    page.wait_for_selector("#convert-start")
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.set_input_files("#convert-song input[type=file]", str(song))
    page.wait_for_selector("#convert-source [data-testid=download-link]")
    page.click("#convert-separate input")
    page.get_by_role("option", name=EN["choice.none"], exact=True).click()
    page.click("#convert-start")
    page.wait_for_selector("#convert-job [data-state=done], #convert-job [data-state=failed]")
    page.wait_for_selector("#convert-facts >> text=anna")
    link = page.locator("#convert-result [data-testid=download-link]").get_attribute("href")
    assert link.startswith(house.proxy.url)
    assert page.request.get(link).body()[:4] in (b"RIFF", b"fLaC")
    assert problems == []
    # Nothing was asked for outside of the path under which the proxy shows the page.
    # Browsers look for an icon at the root by themselves, while a page names none.
    asked = set(house.proxy.asked) - {"/favicon.ico"}
    assert [path for path in asked if not path.startswith(f"{PREFIX}/")] == []


def test_a_job_of_a_killed_server_is_shown_as_interrupted_and_can_be_tried_again(
    visit: Callable[[], Any], house: House, song: Path
) -> None:
    anna = connect(house, ANNA)
    song_id = anna.predict(client_module.handle_file(song), api_name="/add_song")[0]
    options = {"separate": "none"}
    job = anna.predict(song=song_id, voice="server-anna", options=options, api_name="/convert")
    end = time.monotonic() + PATIENCE / 1000
    while anna.predict(job["id"], api_name="/job")["state"] == "queued" and time.monotonic() < end:
        time.sleep(0.05)
    house.kill_and_start_again()
    page = visit()
    log_in(page, *ANNA)
    page.wait_for_selector("#convert-job [data-state=interrupted]")
    assert EN["jobs.vanished"] in page.inner_text("#convert-job")
    page.click("#convert-again")
    page.wait_for_selector("#convert-job [data-state=done]")
