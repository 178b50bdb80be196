"""Convert's parts, the library of voices and speech, as an API and in the browser."""

import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_cases import sung, write
from pages import PATIENCE, Server, api_client

from svc.interface.texts import words

client_module = pytest.importorskip("gradio_client", reason="the API's client is in pip install 'svc-toolkit[webui]'")

WAIT_SECONDS = 240
DRY = {"separate": "none", "format": "wav"}


@pytest.fixture
def client(server: Server) -> Any:
    return api_client(server.url)


def ended(client: Any, job: dict[str, Any]) -> dict[str, Any]:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        view = client.predict(job["id"], api_name="/job")
        if view["state"] in ("done", "failed", "interrupted"):
            return view
        time.sleep(0.3)
    raise AssertionError(f"still {view}")


def done(client: Any, api_name: str, *values: Any, **named: Any) -> dict[str, Any]:
    view = ended(client, client.predict(*values, **named, api_name=api_name))
    assert view["state"] == "done", view
    return view


def refusal(client: Any, *values: Any, api_name: str, **named: Any) -> str:
    with pytest.raises(Exception) as raised:
        client.predict(*values, **named, api_name=api_name)
    return str(raised.value)


def files_of(client: Any, job: dict[str, Any]) -> dict[str, Path]:
    return {Path(path).name.rpartition(" - ")[2]: Path(path) for path in client.predict(job["id"], api_name="/result")}


def anna(client: Any) -> str:
    return next(v["id"] for v in client.predict(api_name="/voices") if v["label"] == "anna")


def added(client: Any, path: Path) -> str:
    return client.predict(client_module.handle_file(path), api_name="/add_song")[0]


def test_a_conversion_leaves_its_parts_and_its_f0_can_be_sung_again(client: Any, song: Path, tmp_path: Path) -> None:
    song_id, voice = added(client, song), anna(client)
    view = done(client, "/convert", song=song_id, voice=voice, options=DRY, also=["mp3"])
    assert view["outputs"] == ["converted.flac", "f0.csv", "mix.mp3", "mix.wav", "picture.png", "vocals.flac"]
    assert view["result"]["mix"] == "mix.wav"
    table = next(path for path in files_of(client, view).values() if path.suffix == ".csv")
    lines = list(csv.reader(table.read_text().splitlines()))
    assert lines[0] == ["time", "f0_hz", "voiced"] and len(lines) == 201
    assert sum(row[2] == "1" for row in lines[1:]) > 100
    higher = tmp_path / "f0.csv"
    higher.write_text("\n".join(f"{t},{2 * float(f):.3f},{v}" for t, f, v in lines[1:]))
    f0 = client.predict(client_module.handle_file(higher), api_name="/add_f0")
    again = done(client, "/convert", song=song_id, voice=voice, options={**DRY, "transpose": -12}, f0=f0)
    assert again["settings"]["f0"] == "f0.csv" and again["result"]["transpose_semitones"] == -12


def test_a_bad_f0_file_names_its_line(client: Any, tmp_path: Path) -> None:
    bad = tmp_path / "curve.csv"
    bad.write_text("time,f0_hz,voiced\n0.0,220,1\nsoon,220,1\n")
    told = refusal(client, client_module.handle_file(bad), api_name="/add_f0")
    assert "Line 3 of 'curve.csv'" in told


def test_files_of_the_server_are_refused_everywhere(client: Any, song: Path) -> None:
    song_id, voice = added(client, song), anna(client)
    for place in ("../../etc/passwd", "/etc/passwd"):
        for field in ("f0_file", "prompt", "index", "speaker_curve", "separate_model"):
            assert "cannot be set" in refusal(client, song_id, voice, {field: place}, api_name="/convert")
        for field in ("f0", "prompt"):
            refused = refusal(client, song=song_id, voice=voice, options=DRY, api_name="/convert", **{field: place})
            assert "no longer there" in refused and "root:" not in refused
        for name in ("sample", "compress", "remove_voice"):
            assert "Choose a voice" in refusal(client, place, api_name=f"/{name}")
        assert "no longer there" in refusal(client, place, "x", api_name="/import_voice")


def test_the_range_of_a_song(client: Any, tmp_path: Path) -> None:
    song_id = added(client, write(tmp_path / "low.wav", sung(4.0, 110.0)))
    measured = done(client, "/measure", song=song_id, voice=anna(client), method="none")["result"]
    assert 105 < measured["low_hz"] <= measured["median_hz"] <= measured["high_hz"] < 175


def test_the_life_of_a_voice(client: Any, runs: Path) -> None:
    file = client.predict(client_module.handle_file(runs / "anna" / "voice.safetensors"), api_name="/add_voice_file")
    first = done(client, "/import_voice", file, "mine")["result"]["voice"]
    client.predict(first, {"transpose": 3}, api_name="/preset")
    small = done(client, "/compress", first)["result"]
    assert small["bytes"] < 0.6 * small["bytes_before"]
    mixed = done(client, "/mix", [first, anna(client)], [0.25, 0.75])["result"]["voice"]
    known = {v["id"]: v for v in client.predict(api_name="/voices")}
    assert known[first]["preset"] == {"transpose": 3.0} and known[first]["own"]
    assert known[mixed]["label"] == "mine + anna" and known[small["voice"]]["label"] == "mine (fp16)"
    assert "path" not in str(known).lower()
    assert client.predict(first, "hers", api_name="/rename_voice")["label"] == "hers"
    refused = ended(client, client.predict(first, "rvc", api_name="/export"))
    assert refused["state"] == "failed" and refused["error"] and "/" not in refused["error"].split(":")[0]
    for voice in (first, mixed, small["voice"]):
        client.predict(voice, api_name="/remove_voice")
    assert [v["label"] for v in client.predict(api_name="/voices")] == ["anna", "base"]
    assert "belongs to the server" in refusal(client, anna(client), api_name="/remove_voice")


def test_a_voices_own_settings_hold_for_the_api(client: Any, runs: Path, song: Path) -> None:
    file = client.predict(client_module.handle_file(runs / "anna" / "voice.safetensors"), api_name="/add_voice_file")
    voice = done(client, "/import_voice", file, "mine")["result"]["voice"]
    client.predict(voice, {"transpose": 5}, api_name="/preset")
    song_id = added(client, song)
    assert client.predict(song_id, voice, DRY, api_name="/convert")["settings"]["options"]["transpose"] == 5
    told = client.predict(song_id, voice, {**DRY, "transpose": 1}, api_name="/convert")
    assert told["settings"]["options"]["transpose"] == 1


def test_words_renamed_to_pth_get_a_sentence(client: Any, tmp_path: Path) -> None:
    fake = tmp_path / "singer.pth"
    fake.write_text("These are words. " * 100)
    file = client.predict(client_module.handle_file(fake), api_name="/add_voice_file")
    view = ended(client, client.predict(file, "x", api_name="/import_voice"))
    assert view["state"] == "failed" and "singer.pth" in view["error"] and "/tmp" not in view["error"]


def test_speech_and_speech_in_a_voice(client: Any) -> None:
    ready = {e["name"]: e for e in client.predict(api_name="/engines")}
    assert set(ready) == {"hibari", "kokoro", "espeak", "piper", "edge"}
    engine = next((name for name in ("hibari", "espeak") if not ready[name]["lacking"]), None)
    if engine is None:
        pytest.skip(ready["hibari"]["lacking"])
    view = done(client, "/speak", text="Good morning.", voice=anna(client), engine=engine)
    assert view["outputs"] == ["speech.wav", "spoken.wav"] and view["result"]["speaker"] == "anna"
    alone = done(client, "/speak", text="Good morning.", voice="none", engine=engine, format="mp3")
    assert alone["outputs"] == ["speech.mp3"]
    assert "no text" in refusal(client, text=" ... ", voice="none", engine=engine, api_name="/speak")
    assert "has no voice" in refusal(
        client, text="Hello", voice="none", engine=engine, engine_voice="/etc/passwd", api_name="/speak"
    )


def test_the_server_tells_no_paths(client: Any, server: Server) -> None:
    told = client.predict(api_name="/server")
    assert told["version"] and str(server.data) not in str(told)


def test_the_library_in_the_browser(open_page: Callable[..., Any], runs: Path) -> None:
    page = open_page()
    page.get_by_role("tab", name=words("en")["voices.tab"]).click()
    page.wait_for_selector("#voices-table tr[data-voice=server-anna]")
    page.get_by_text(words("en")["voices.import"], exact=True).click()
    page.set_input_files("#voices-import input[type=file]", str(runs / "anna" / "voice.safetensors"))
    page.wait_for_selector("#voices-import >> text=voice")
    page.fill("#voices-import-label textarea, #voices-import-label input", "My <b>voice</b>")
    page.click("#voices-import-start")
    page.wait_for_selector("#voices-job [data-state=done]", timeout=PATIENCE)
    row = page.locator("#voices-table tr", has_text="My <b>voice</b>")
    row.wait_for()
    assert row.get_attribute("data-voice").startswith("own-")


def test_speak_and_settings_in_the_browser(open_page: Callable[..., Any]) -> None:
    page = open_page(locale="zh-CN")
    page.get_by_role("tab", name=words("zh")["speak.tab"]).click()
    # What is folded away is not in the page before it is unfolded.
    page.get_by_text(words("zh")["speak.engines"], exact=True).click()
    page.wait_for_selector("#speak-engines tr[data-engine=piper]")
    page.click("#speak-start")
    toast = page.locator("[data-testid=toast-body]")
    toast.wait_for()
    assert "Traceback" not in page.content()
    page.get_by_role("tab", name=words("zh")["settings.tab"]).click()
    page.wait_for_selector("#settings-facts >> text=MB")
