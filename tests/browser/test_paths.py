"""What names a file or an id, by hand or through the API: no path of the server gets anywhere, nor another's things."""

import json
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from pages import Server, api_client

from svc.config import Config, ConvertOptions
from svc.interface.controls import is_path
from svc.interface.texts import fields_of, words

client_module = pytest.importorskip("gradio_client", reason="the API's client is in pip install 'svc-toolkit[webui]'")

HOSTILE = ("../../etc/passwd", "/etc/passwd")
# Fields that hold words, where a path is a word like any other and becomes no name of a file.
WORDS = {("/prepare", "singer"), ("/speak", "text"), ("/import_voice", "label")}
SECRET = "root:x:"


@pytest.fixture
def client(server: Server) -> Any:
    return api_client(server.url)


def added(client: Any, path: Path, api_name: str = "/add_song") -> str:
    """The id of a file that was sent to the page."""
    given = client.predict(client_module.handle_file(path), api_name=api_name)
    return given if isinstance(given, str) else given[0]


def refusal(client: Any, *arguments: Any, api_name: str, **named: Any) -> str:
    with pytest.raises(Exception) as raised:
        client.predict(*arguments, api_name=api_name, **named)
    return str(raised.value)


def get(url: str, data: Any = None) -> tuple[int, str]:
    """Status and text of an answer."""
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=240) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def test_a_path_in_any_field_of_the_api_is_refused_in_a_sentence(
    client: Any, server: Server, runs: Path, song: Path
) -> None:
    voice_file = added(client, runs / "anna" / "voice.safetensors", "/add_voice_file")
    right = {"song": added(client, song), "voice": "server-anna", "file": voice_file, "engine": "hibari"}
    right |= {"songs": right["song"], "method": "basic", "format": "wav", "recipe": "debug", "text": "Hello."}
    right |= {"singer": "Anna", "layout": "sovits", "label": "x"}
    taken = set()
    for endpoint, facts in client.view_api(return_format="dict", print_info=False)["named_endpoints"].items():
        names = [p["parameter_name"] for p in facts["parameters"] if p["type"].get("type") == "string"]
        known = {name: right[name] for name in names if name in right}
        for name in names:
            for path in HOSTILE:
                try:
                    answer = client.predict(api_name=endpoint, **{**known, name: path})
                except Exception as error:
                    said = str(error)
                    assert "Something went wrong" not in said and "Traceback" not in said, (endpoint, name, said)
                else:
                    taken.add((endpoint, name))
                    said = str(answer)
                assert SECRET not in said and str(server.data) not in said, (endpoint, name, said)
    assert taken <= WORDS
    for job in client.predict(api_name="/jobs"):
        assert client.predict(job["id"], api_name="/cancel")["state"] in ("cancelled", "done", "failed")
    # A singer's folder may be called etc_passwd; nothing went where the path leads.
    assert not [path for path in server.data.parent.rglob("*") if path.name == "passwd"]


def test_settings_that_name_files_are_refused(client: Any, song: Path) -> None:
    options = [path for path, field in fields_of(ConvertOptions) if is_path(path, field)]
    config = [path for path, field in fields_of(Config) if is_path(path, field)]
    assert options and config
    song_id = added(client, song)
    for path in options:
        sentence = refusal(client, song_id, "server-anna", {path: "/etc/passwd"}, api_name="/convert")
        assert "names a file of the server" in sentence
    for path in config:
        settings: Any = "/etc/passwd"
        for part in reversed(path.split(".")):
            settings = {part: settings}
        sentence = refusal(client, songs=song_id, singer="Anna", settings=settings, api_name="/prepare")
        assert "names a file of the server" in sentence


def test_files_of_the_server_are_neither_served_nor_taken_as_uploads(client: Any, server: Server) -> None:
    (server.data / "secret.txt").write_text(SECRET)
    for path in (*HOSTILE, str(server.data / "secret.txt"), f"{server.data}/cache/../secret.txt"):
        for escaped in (path, urllib.parse.quote(path, safe="")):
            status, text = get(f"{server.url}/gradio_api/file={escaped}")
            assert status in (403, 404) and SECRET not in text
        upload = {"path": path, "meta": {"_type": "gradio.FileData"}}
        for endpoint in ("add_song", "add_f0", "add_voice_file"):
            status, text = get(f"{server.url}/gradio_api/call/{endpoint}", {"data": [upload]})
            if status == 200:
                status, text = get(f"{server.url}/gradio_api/call/{endpoint}/{json.loads(text)['event_id']}")
                assert "event: error" in text and "event: complete" not in text
            assert SECRET not in text and "Traceback" not in text


def test_two_users_do_not_have_each_others_things(client: Any, server: Server, runs: Path, song: Path) -> None:
    other = api_client(server.url)
    song_id = added(client, song)
    voice_file = added(client, runs / "anna" / "voice.safetensors", "/add_voice_file")
    job = client.predict(voice_file, "Mine", api_name="/import_voice")
    assert "no longer there" in refusal(other, song_id, "server-anna", {}, api_name="/convert")
    assert "no longer there" in refusal(other, song_id, "basic", "wav", api_name="/separate")
    assert "no longer there" in refusal(other, voice_file, "Stolen", api_name="/import_voice")
    for name in ("/job", "/cancel", "/retry", "/result", "/remove", "/losses", "/batch_files"):
        assert "There is no such job" in refusal(other, job["id"], api_name=name)
    assert other.predict(api_name="/jobs") == []
    assert [voice["label"] for voice in other.predict(api_name="/voices")] == ["anna", "base"]


def test_a_path_typed_into_a_box_of_the_page_is_refused_in_a_sentence(page: Any, song: Path) -> None:
    english = words("en")
    toast = page.locator("[data-testid=toast-body]")
    page.get_by_role("tab", name=english["batch.tab"], exact=True).click()
    for path in HOSTILE:
        page.fill("#batch-folder input, #batch-folder textarea", path)
        page.click("#batch-start")
        toast.filter(has_text=f"'{path}' is not in a folder that this page may read").first.wait_for()
    page.get_by_role("tab", name=english["convert.tab"], exact=True).click()
    page.set_input_files("#convert-song input[type=file]", str(song))
    page.wait_for_selector("#convert-source [data-testid=download-link]")
    page.fill("#convert-voice input", "../../etc/passwd")
    page.press("#convert-voice input", "Enter")
    page.click("#convert-start")
    toast.filter(has_text="Choose a voice first").first.wait_for()
    assert "Traceback" not in page.content() and SECRET not in page.content()
