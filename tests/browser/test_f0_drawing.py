"""F0 drawn by hand in the page and sung by the next take; a curve of who sings when; both through the API too."""

import csv
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cli_cases import tiny_voice
from pages import Server

from svc.interface.texts import words

client_module = pytest.importorskip("gradio_client", reason="the API's client is in pip install 'svc-toolkit[webui]'")

EN = words("en")
WAIT_SECONDS = 240
DRY = {"separate": "none", "format": "wav"}
EDITOR = "#convert-f0-editor"


@pytest.fixture
def client(server: Server) -> Any:
    return client_module.Client(server.url, verbose=False)


@pytest.fixture
def duo(runs: Path) -> Iterator[str]:
    """Id of a voice with two speakers, mia and tom."""
    from svc.checkpoint.voice import SpeakerInfo, Voice, load_voice, save_voice
    from svc.models.vits.voice_model import VoiceModel

    path = tiny_voice(runs / "duo" / "voice.safetensors")
    one = load_voice(path)
    speakers = [SpeakerInfo("mia", 1.0, 150.0, 220.0, 400.0), SpeakerInfo("tom", 1.0, 90.0, 140.0, 250.0)]
    voice = Voice(one.config, one.spec, speakers, {})
    voice.state = VoiceModel(voice.config, voice.shape).state_dict()
    save_voice(path, voice)
    yield "server-duo"
    path.unlink()
    path.parent.rmdir()


def table(path: Path) -> list[list[float]]:
    """Rows of time, Hz, voiced."""
    return [[float(cell) for cell in row] for row in list(csv.reader(path.read_text().splitlines()))[1:]]


def curve_file(path: Path, f0_hz: list[float]) -> Path:
    path.write_text("time,f0_hz,voiced\n" + "".join(f"{i / 100},{hz},{int(hz > 0)}\n" for i, hz in enumerate(f0_hz)))
    return path


def show(page: Any, path: Path) -> None:
    """Have the editor show an F0 file."""
    page.get_by_text(EN["convert.files"]).click()
    page.set_input_files("#convert-f0 input[type=file]", str(path))
    page.wait_for_selector(f"{EDITOR} .svc-f0-full canvas")


def saved(page: Any) -> list[list[float]]:
    with page.expect_download() as download:
        page.click(f"{EDITOR} [data-do=save]")
    return table(Path(download.value.path()))


def convert(page: Any) -> None:
    page.click("#convert-start")
    page.wait_for_selector("#convert-job [data-state=running], #convert-job [data-state=queued]")
    page.wait_for_selector("#convert-job [data-state=done]", timeout=WAIT_SECONDS * 1000)


def test_f0_drawn_with_the_pointer_is_sung_by_the_next_take(page: Any, song: Path) -> None:
    page.set_input_files("#convert-song input[type=file]", str(song))
    page.wait_for_selector("#convert-source [data-testid=download-link]")
    page.click("#convert-separate input")
    page.get_by_role("option", name=EN["choice.none"], exact=True).click()
    convert(page)
    canvas = page.locator(f"{EDITOR} canvas")
    canvas.wait_for()
    measured = saved(page)
    assert len(measured) == 200 and 150 < max(row[1] for row in measured) < 500
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 60, steps=4)
    page.mouse.up()
    drawn = saved(page)
    changed = [new for old, new in zip(measured, drawn) if old != new]
    assert 50 <= len(changed) <= 75 and len({row[1] for row in changed}) == 1 and changed[0][2] == 1
    page.click(f"{EDITOR} [data-do=use]")
    page.wait_for_selector("#convert-f0-note >> text=(drawn)")
    convert(page)
    page.wait_for_selector("#convert-takes >> text=(drawn)")
    with page.expect_download() as download:
        page.locator("#convert-files a[href*='f0.csv']").first.click()
    sung = table(Path(download.value.path()))
    assert len(sung) == len(drawn)
    assert all(abs(a[1] - b[1]) < 0.01 and a[2] == b[2] for a, b in zip(sung, drawn))
    page.click("#convert-f0-again")
    page.wait_for_selector("#convert-f0-note", state="hidden")


def test_f0_is_edited_with_keys_alone_and_every_step_can_be_undone(page: Any, tmp_path: Path) -> None:
    start = [220.0] * 100 + [0.0] * 100 + [330.0] * 100
    show(page, curve_file(tmp_path / "f0.csv", start))
    canvas = page.locator(f"{EDITOR} canvas")
    assert canvas.get_attribute("aria-label") == EN["draw.editor.canvas"]
    canvas.focus()
    keys = page.keyboard
    keys.press("ArrowUp")  # the stretch at the cursor
    keys.press("End")
    keys.press("Shift+ArrowDown")
    changed = [row[1] for row in saved(page)]
    assert changed[50] == pytest.approx(233.08, abs=0.01) and changed[150] == 0 and changed[250] == pytest.approx(165)
    canvas.focus()
    keys.press("Control+a")
    keys.press("l")
    line = [row[1] for row in saved(page)]
    assert line[0] == pytest.approx(233.08, abs=0.01) and line[-1] == pytest.approx(165, abs=0.01)
    assert all(a > b > 0 for a, b in pairwise(line))
    canvas.focus()
    keys.press("Delete")
    assert not any(row[2] for row in saved(page))
    page.click(f"{EDITOR} [data-do=use]")
    toast = page.locator("[data-testid=toast-body]")
    toast.wait_for()
    assert "unvoiced everywhere" in toast.inner_text()
    canvas.focus()
    for _ in range(4):
        keys.press("Control+z")
    assert [row[1] for row in saved(page)] == start
    keys.press("Escape")
    assert page.locator(f"{EDITOR} [data-do=undo]").is_disabled()
    assert "E4 330.0 Hz" in page.inner_text(f"{EDITOR} [role=status]")


def test_a_song_of_four_minutes_on_a_phone_in_chinese(open_page: Callable[..., Any], tmp_path: Path) -> None:
    page = open_page(locale="zh-CN", viewport={"width": 390, "height": 800}, color_scheme="dark")
    long = curve_file(tmp_path / "long.csv", [220.0 + i % 100 if i % 400 < 320 else 0.0 for i in range(24_000)])
    page.get_by_text(words("zh")["convert.files"]).click()
    page.set_input_files("#convert-f0 input[type=file]", str(long))
    page.wait_for_selector(f"{EDITOR} .svc-f0-full canvas")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    english = {EN[key] for key in EN if key.startswith("draw.")}
    shown = [line.strip() for line in page.inner_text("#convert-draw").splitlines() if line.strip()]
    assert words("zh")["draw.editor.use"] in shown and not english.intersection(shown)
    labels = page.eval_on_selector_all(f"{EDITOR} [aria-label]", "all => all.map(a => a.getAttribute('aria-label'))")
    assert labels and all(labels) and not english.intersection(labels)
    scroll = page.locator(f"{EDITOR} input[type=range]")
    assert scroll.is_disabled()
    for _ in range(4):
        page.click(f"{EDITOR} [data-do=zoom_in]")
    page.wait_for_function(f"() => !document.querySelector('{EDITOR} input[type=range]').disabled")
    assert scroll.get_attribute("max") == "22500"


def ended(client: Any, job: dict[str, Any]) -> dict[str, Any]:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        view = client.predict(job["id"], api_name="/job")
        if view["state"] in ("done", "failed", "interrupted"):
            return view
        time.sleep(0.3)
    raise AssertionError(f"still {view}")


def refusal(client: Any, *values: Any, api_name: str, **named: Any) -> str:
    with pytest.raises(Exception) as raised:
        client.predict(*values, **named, api_name=api_name)
    return str(raised.value)


def result(client: Any, job: dict[str, Any], name: str) -> Path:
    return next(Path(path) for path in client.predict(job["id"], api_name="/result") if path.endswith(name))


def test_f0_is_measured_changed_and_sung_through_the_api(client: Any, song: Path) -> None:
    stored = client.predict(client_module.handle_file(song), api_name="/add_song")[0]
    measured = ended(client, client.predict(stored, "none", api_name="/measure_f0"))
    assert measured["state"] == "done" and measured["result"]["frames"] == 200, measured
    wanted = [2 * row[1] for row in table(result(client, measured, "f0.csv"))]
    told = client.predict({"step": 0.01, "f0_hz": wanted}, "mine", api_name="/draw_f0")
    view = ended(
        client, client.predict(song=stored, voice="server-anna", options=DRY, f0=told["id"], api_name="/convert")
    )
    assert view["state"] == "done" and view["settings"]["f0"] == "mine.csv", view
    assert [row[1] for row in table(result(client, view, "f0.csv"))] == pytest.approx(wanted, abs=0.01)
    for bad, why in (({"f0_hz": [220.0, -3.0]}, "is -3 Hz"), ({}, "is not there"), ({"f0_hz": ["x"]}, "a number")):
        assert why in refusal(client, bad, "x", api_name="/draw_f0")


def test_who_sings_when_is_told_by_a_file(client: Any, page: Any, duo: str, song: Path, tmp_path: Path) -> None:
    assert page.locator("#convert-curve-box").count() == 0 or not page.locator("#convert-curve-box").is_visible()
    page.click("#convert-voice input")
    page.get_by_role("option", name="duo", exact=True).click()
    page.get_by_text(EN["convert.curve"]).click()
    with page.expect_download() as download:
        page.click("#convert-curve-template")
    template = tmp_path / "who.csv"
    template.write_bytes(Path(download.value.path()).read_bytes())
    assert template.read_text().splitlines()[0] == "time,mia,tom"
    curve = client.predict(client_module.handle_file(template), api_name="/add_curve")
    stored = client.predict(client_module.handle_file(song), api_name="/add_song")[0]
    view = ended(client, client.predict(song=stored, voice=duo, options=DRY, curve=curve, api_name="/convert"))
    assert view["state"] == "done" and view["settings"]["curve"] == "who.csv", view
    told = refusal(client, song=stored, voice="server-anna", options=DRY, curve=curve, api_name="/convert")
    assert "'mia', who is not in the voice 'anna'" in told
    template.write_text("time,mia,tom\n0,1\n")
    assert "Line 2" in refusal(client, client_module.handle_file(template), api_name="/add_curve")
