"""The page opens, speaks both languages, refuses what is not a song, converts, cancels, and keeps users apart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_cases import write
from pages import PATIENCE, Server, workers_of

from svc.interface.texts import words


def give(page: Any, song: Path, box: str = "#convert-song") -> None:
    page.set_input_files(f"{box} input[type=file]", str(song))


def without_separation(page: Any) -> None:
    page.click("#convert-separate input")
    page.get_by_role("option", name=words("en")["choice.none"], exact=True).click()


def test_the_page_opens_without_errors_on_the_console(open_page: Callable[..., Any]) -> None:
    page = open_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.reload()
    page.wait_for_selector("#convert-start")
    page.wait_for_timeout(1500)
    assert problems == []
    assert page.title() == words("en")["page.title"]


def test_language_switch_translates_every_label(page: Any) -> None:
    english = {text for key, text in words("en").items() if not key.startswith("language.")}
    chinese = set(words("zh").values())
    assert page.get_by_role("tab", name=words("en")["convert.tab"]).is_visible()
    page.click("#page-language input")
    page.get_by_role("option", name="中文").click()
    page.wait_for_selector(f"text={words('zh')['convert.start']}")
    page.wait_for_timeout(1000)
    shown = [line.strip() for line in page.locator("body").inner_text().splitlines() if line.strip()]
    assert words("zh")["convert.start"] in shown
    assert [line for line in shown if line in english - chinese] == []
    labels = page.locator("[data-testid=block-info], label > span").all_inner_texts()
    assert [label for label in labels if label.strip() in english - chinese] == []
    # Kept for the next visit.
    page.reload()
    page.wait_for_selector(f"text={words('zh')['convert.start']}")


def test_the_browsers_language_is_the_first_one(open_page: Callable[..., Any]) -> None:
    page = open_page(locale="zh-CN")
    assert page.get_by_role("tab", name=words("zh")["convert.tab"]).is_visible()


def test_text_renamed_to_mp3_gets_the_sentence(page: Any, tmp_path: Path) -> None:
    fake = tmp_path / "song.mp3"
    fake.write_text("These are words. " * 200)
    give(page, fake)
    toast = page.locator("[data-testid=toast-body]")
    toast.wait_for()
    assert "'song.mp3' is not audio" in toast.inner_text()
    assert "Traceback" not in page.content()


@pytest.mark.parametrize(("locale", "words_"), [("en-US", "larger than 20 MB"), ("zh-CN", "超过了本页面的上限 20 MB")])
def test_an_upload_over_the_limit_gets_the_sentence(
    open_page: Callable[..., Any], tmp_path: Path, locale: str, words_: str
) -> None:
    large = tmp_path / "large.wav"
    with open(large, "wb") as file:
        file.truncate(21_000_000)
    page = open_page(locale=locale)
    give(page, large)
    toast = page.locator("[data-testid=toast-body]", has_text=words_)
    toast.wait_for()
    assert "large.wav" in toast.inner_text()


def test_a_song_is_converted_and_shown_after_a_reload(page: Any, song: Path) -> None:
    give(page, song)
    page.wait_for_selector("#convert-source [data-testid=download-link]")
    without_separation(page)
    page.click("#convert-start")
    page.wait_for_selector("#convert-job [data-state=done]", timeout=PATIENCE)
    page.wait_for_selector("#convert-facts >> text=anna")
    page.reload()
    page.wait_for_selector("#convert-job [data-state=done]")
    page.get_by_role("tab", name=words("en")["jobs.tab"]).click()
    page.wait_for_selector("#jobs-table tr[data-state=done] >> text=my song.wav")
    # The history shows with what it was made.
    page.get_by_text(words("en")["jobs.details"], exact=True).click()
    settings = page.locator("#jobs-settings")
    settings.get_by_text("transpose", exact=False).first.wait_for()
    assert "my song.wav" in settings.inner_text()


def test_cancel_in_the_middle_and_another_user_sees_nothing(
    open_page: Callable[..., Any], server: Server, tmp_path: Path
) -> None:
    import numpy as np
    from cli_cases import sung

    page, other = open_page(), open_page()
    give(page, write(tmp_path / "long.wav", np.tile(sung(8.0), 8)))
    page.wait_for_selector("#convert-source [data-testid=download-link]")
    page.click("#convert-start")
    page.wait_for_selector("#convert-job [data-state=running]")
    workers = workers_of(server.data)
    assert workers
    page.click("#convert-cancel")
    page.wait_for_selector("#convert-job [data-state=cancelled]")
    assert not any(process.is_running() for process in workers)
    other.reload()
    other.get_by_role("tab", name=words("en")["jobs.tab"]).click()
    other.wait_for_selector(f"text={words('en')['jobs.none']}")
    assert "long.wav" not in other.content()


def test_phone_width_needs_no_sideways_scrolling(open_page: Callable[..., Any]) -> None:
    page = open_page(viewport={"width": 390, "height": 800})
    for tab in page.get_by_role("tab").all():
        if tab.is_visible():
            tab.click()
            page.wait_for_timeout(300)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
