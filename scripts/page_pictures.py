"""Pictures of the web page for docs/web.md: every tab on a desktop and on a phone, Convert and Train in the dark too.

    PYTHONPATH=tests:tests/browser python scripts/page_pictures.py docs/pictures

A page of its own is started in a temporary folder and used as a person would: the demo song is sung by the base voice,
parts of the demo singer's songs are prepared and a training is begun. Needs playwright and a chromium (SVC_BROWSER).
Takes some minutes. Look at what it made.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import soundfile
from pages import find_browser, start_server, workers_of
from test_studio import EN, select, show, state

from svc.data.demo import demo_singer, demo_song
from svc.training.builtin_base import find_builtin_base

TABS = ("convert", "batch", "train", "separate", "voices", "speak", "jobs", "settings")
LOOKS = {
    "": ({"viewport": {"width": 1280, "height": 900}}, TABS),
    "_phone": ({"viewport": {"width": 390, "height": 844}}, TABS),
    "_dark": ({"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"}, ("convert", "train")),
}
VOICE = "Kokoro"
MILLISECONDS = 600_000


def piece(song: Path, folder: Path, seconds: float, name: str) -> Path:
    """A part of a song that begins where somebody sings."""
    with soundfile.SoundFile(song) as file:
        file.seek(4 * file.samplerate)
        path = folder / f"{name}.flac"
        soundfile.write(path, file.read(round(seconds * file.samplerate)), file.samplerate)
    return path


def use(page: Any, folder: Path) -> None:
    """Convert a song and begin a training, in the page."""
    page.set_input_files("#convert-song input[type=file]", str(piece(demo_song(), folder, 12.0, "Harbour lights")))
    page.wait_for_selector("#convert-source [data-testid=download-link]")
    select(page, "#convert-voice", VOICE)
    page.click("#convert-start")
    if state(page, "convert", "done", "failed", minutes=10) != "done":
        raise SystemExit("The page could not convert the song.")
    page.click("#convert-start")  # a second take to compare with
    page.wait_for_timeout(3000)
    state(page, "convert", "done", "failed", minutes=10)
    show(page, "train")
    page.fill("#train-singer input, #train-singer textarea", "Mira")
    songs = [piece(path, folder, 14.0, path.stem) for path in sorted(demo_singer().iterdir())[:3]]
    page.set_input_files("#train-songs input[type=file]", [str(path) for path in songs])
    page.wait_for_selector("#train-list >> text=3 songs")
    page.click("#train-prepare")
    if state(page, "train-prepare", "done", "failed", minutes=10) != "done":
        raise SystemExit("The page could not prepare the songs.")
    page.wait_for_selector("#train-slice-0 audio", state="attached")
    page.get_by_label(EN["train.recipe.debug"]).check()
    page.wait_for_function("() => document.querySelector('#train-train-max_steps input').value === '20'")
    page.fill("#train-train-max_steps input", "100000")
    page.click("#train-start")
    page.wait_for_selector("#train-samples audio >> nth=1", state="attached")


def open_tab(page: Any, tab: str) -> None:
    """The tab, also where it is in the menu of those that have no room."""
    name = EN[f"{tab}.tab"]
    button = page.get_by_role("tab", name=name, exact=True)
    if button.is_visible():
        button.click()
    else:
        page.locator(".overflow-menu > button").first.click()
        page.locator(".overflow-dropdown button", has_text=name).first.click()
    page.wait_for_timeout(2500)


def take_pictures(browser: Any, url: str, cookies: Any, output: Path) -> None:
    for suffix, (look, tabs) in LOOKS.items():
        context = browser.new_context(locale="en-US", storage_state=cookies, **look)
        page = context.new_page()
        page.set_default_timeout(MILLISECONDS)
        page.goto(url)
        page.wait_for_selector("#convert-start", state="attached")
        for tab in tabs:
            open_tab(page, tab)
            page.screenshot(path=output / f"web_{tab}{suffix}.png", full_page=True)
            width = page.evaluate("document.documentElement.scrollWidth")
            if width > look["viewport"]["width"]:
                print(f"{tab}{suffix} is {width} wide, more than the window", file=sys.stderr)
        context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    from playwright.sync_api import sync_playwright

    base = find_builtin_base()
    if base is None:
        raise SystemExit("This version has no base voice to sing with.")
    with tempfile.TemporaryDirectory() as made, sync_playwright() as play:
        folder = Path(made)
        (folder / "runs" / VOICE).mkdir(parents=True)
        shutil.copyfile(base.voice, folder / "runs" / VOICE / "voice.safetensors")
        server = start_server(folder / "data", folder / "runs")
        browser = play.chromium.launch(executable_path=find_browser(), args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900})
            page = context.new_page()
            page.set_default_timeout(MILLISECONDS)
            page.goto(server.url)
            page.wait_for_selector("#convert-start", state="attached")
            use(page, folder)
            take_pictures(browser, server.url, context.storage_state(), output)
        finally:
            browser.close()
            server.stop()
            for process in workers_of(server.data):
                process.kill()


if __name__ == "__main__":
    main()
