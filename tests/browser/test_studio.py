"""Train, Separate and Batch in a browser: the whole way to a voice, through reloads, pauses and a restart."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cli_cases import sung, write
from pages import Server, start_server, workers_of

from svc.data.demo import demo_singer, demo_song
from svc.interface.texts import words

EN = words("en")
LONG = 240_000  # milliseconds; a machine with other work takes long to start a training


@dataclass
class Studio:
    """A page of this file's own, as one of its tests starts it again."""

    server: Server
    runs: Path

    def restart(self) -> None:
        """Stop the server and start it again on the same folder and port; jobs go on meanwhile."""
        self.server.stop()
        self.server = start_server(self.server.data, self.runs, port=self.server.port)

    @property
    def jobs(self) -> list[Any]:
        """Processes of jobs, without the kept one."""
        data = str(self.server.data)
        return [process for process in workers_of(self.server.data) if data in " ".join(process.cmdline())]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, runs: Path) -> Iterator[Studio]:
    pytest.importorskip("gradio", reason="the page needs gradio (pip install 'svc-toolkit[webui]')")
    made = Studio(start_server(tmp_path_factory.mktemp("studio") / "data", runs), runs)
    yield made
    made.server.stop()
    for process in workers_of(made.server.data):
        process.kill()


@pytest.fixture
def open_studio(browser: Any, studio: Studio) -> Iterator[Callable[..., Any]]:
    opened: list[Any] = []

    def start(tab: str, **settings: Any) -> Any:
        context = browser.new_context(**{"locale": "en-US", **settings})
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(LONG)
        page.goto(studio.server.url)
        show(page, tab)
        return page

    yield start
    for context in opened:
        context.close()


def show(page: Any, tab: str) -> None:
    page.wait_for_selector("#convert-start", state="attached")
    page.get_by_role("tab", name=EN[f"{tab}.tab"], exact=True).click()


def select(page: Any, box: str, option: str) -> None:
    page.click(f"{box} input")
    page.get_by_role("option", name=option, exact=True).click()


def state(page: Any, block: str, *states: str, minutes: float = LONG / 60_000) -> str:
    """Wait until the block's job is in one of these states; which one it is then."""
    wanted = ", ".join(f"#{block}-job [data-state={name}]" for name in states)
    page.wait_for_selector(wanted, timeout=60_000 * minutes)
    return str(page.get_attribute(f"#{block}-job .svc-job", "data-state"))


def last_step(page: Any) -> int:
    return int(page.locator("#train-facts p").first.inner_text().split()[1].rstrip(","))


def test_stems_are_heard_and_saved(open_studio: Callable[..., Any], song: Path) -> None:
    import soundfile

    page = open_studio("separate")
    page.set_input_files("#separate-songs input[type=file]", str(song))
    page.wait_for_selector("#separate-list >> text=0:02")
    assert EN["separate.quality.refined"] in page.inner_text("#separate-note")
    select(page, "#separate-method", "basic")
    page.wait_for_selector(f"#separate-note >> text={EN['separate.quality.basic']}")
    page.click("#separate-start")
    assert state(page, "separate", "done", "failed") == "done"
    page.wait_for_selector("#separate-results audio >> nth=1", state="attached")
    with page.expect_download() as download:
        page.click("#separate-results a.svc-download >> nth=0")
    assert download.value.suggested_filename == "my song (Vocals).flac"
    assert soundfile.info(download.value.path()).frames == soundfile.info(song).frames
    # The browser itself can play what the row plays.
    seconds = page.evaluate(
        """() => new Promise((done) => { const a = document.querySelector('#separate-results audio');
        a.onloadedmetadata = () => done(a.duration); a.onerror = () => done(-1); a.preload = 'metadata'; a.load(); })"""
    )
    assert seconds == pytest.approx(2.0, abs=0.01)


def test_a_batch_shows_each_song_and_what_is_no_song(
    open_studio: Callable[..., Any], song: Path, tmp_path: Path
) -> None:
    import zipfile

    fake = tmp_path / "words.mp3"
    fake.write_text("These are words. " * 200)
    other = write(tmp_path / "second.wav", sung(1.5))
    page = open_studio("batch")
    page.set_input_files("#batch-songs input[type=file]", [str(song), str(fake), str(other)])
    page.wait_for_selector("#batch-list [role=alert] >> text='words.mp3' is not audio")
    assert EN["songs.count"].format(count=2, time="0:04") in page.inner_text("#batch-list")
    select(page, "#batch-separate", EN["choice.none"])
    page.click("#batch-start")
    assert state(page, "batch", "done", "failed") == "done"
    page.wait_for_selector("#batch-table tr[data-state=done] >> nth=1")
    with page.expect_download() as download:
        page.click("#batch-zip a >> nth=0")
    assert sorted(zipfile.ZipFile(download.value.path()).namelist()) == ["my song.wav", "second.wav"]


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.long)], ids=["tiny", "whole"])
def test_the_demo_singer_is_trained_and_sings_the_demo_song(
    open_studio: Callable[..., Any], tmp_path: Path, whole: bool
) -> None:
    """The page's main way: seconds of the demo songs and a tiny model, or all of them and the demo's recipe."""
    pieces = [_piece(path, tmp_path, whole) for path in sorted(demo_singer().iterdir())[: None if whole else 3]]
    method = "refined" if whole else "basic"
    page = open_studio("train")
    page.fill("#train-singer input, #train-singer textarea", "Demo")
    page.set_input_files("#train-songs input[type=file]", [str(path) for path in pieces])
    page.wait_for_selector(f"#train-list >> text={len(pieces)} songs")
    select(page, "#train-prepare-separate", method)
    page.click("#train-prepare")
    assert state(page, "train-prepare", "done", "failed") == "done"
    page.wait_for_selector("#train-slice-0 audio", state="attached")
    page.get_by_label(EN[f"train.recipe.{'demo' if whole else 'debug'}"]).check()
    if not whole:
        page.wait_for_function("() => document.querySelector('#train-train-max_steps input').value === '20'")
        page.fill("#train-train-max_steps input", "100000")  # more than it will get to
    page.click("#train-start")
    assert state(page, "train", "running", "failed") == "running"
    # The demo's recipe first prepares the lines of the base, minutes on a busy machine.
    page.wait_for_selector("#train-curves polyline", state="attached", timeout=20 * 60_000 if whole else LONG)

    page.reload()
    show(page, "train")
    assert state(page, "train", "running", "failed") == "running"
    page.wait_for_selector("#train-curves polyline", state="attached")
    if not whole:
        page.wait_for_selector("#train-samples audio", state="attached")
        page.click("#train-finish")
    assert state(page, "train", "done", "failed", "interrupted", minutes=40) == "done"

    show(page, "convert")
    page.set_input_files("#convert-song input[type=file]", str(_piece(demo_song(), tmp_path, whole)))
    page.wait_for_selector("#convert-source [data-testid=download-link]")
    select(page, "#convert-voice", "Demo")
    select(page, "#convert-separate", method)
    page.click("#convert-start")
    assert state(page, "convert", "done", "failed", minutes=20) == "done"
    page.wait_for_selector("#convert-result [data-testid=download-link]")


def _piece(song: Path, folder: Path, whole: bool) -> Path:
    """The song, or nine seconds in which there is singing."""
    import soundfile

    if whole:
        return song
    with soundfile.SoundFile(song) as file:
        file.seek(4 * file.samplerate)
        return write(folder / f"{song.stem}.wav", file.read(9 * file.samplerate), file.samplerate)


@pytest.mark.long
def test_a_singer_is_trained_through_reloads_a_pause_and_a_restart(
    open_studio: Callable[..., Any], studio: Studio, tmp_path: Path
) -> None:
    songs = [write(tmp_path / f"take {i}.wav", sung(8.0 + i, 200.0 + 60 * i)) for i in range(3)]
    page = open_studio("train")
    page.fill("#train-singer input, #train-singer textarea", "Mira")
    page.set_input_files("#train-songs input[type=file]", [str(path) for path in songs])
    page.wait_for_selector("#train-list >> text=3 songs")
    select(page, "#train-prepare-separate", EN["choice.none"])
    page.click("#train-prepare")
    assert state(page, "train-prepare", "done", "failed") == "done"
    _look_through_slices(page)

    page.get_by_label(EN["train.recipe.debug"]).check()
    page.wait_for_function("() => document.querySelector('#train-train-max_steps input').value === '20'")
    page.fill("#train-train-max_steps input", "100000")
    page.click("#train-start")
    assert state(page, "train", "running", "failed") == "running"
    page.wait_for_selector("#train-curves polyline >> nth=2", state="attached", timeout=LONG)
    page.reload()
    show(page, "train")
    assert state(page, "train", "running") == "running"
    page.wait_for_selector("#train-samples audio >> nth=1", state="attached", timeout=LONG)

    page.click("#train-pause")
    assert state(page, "train", "paused") == "paused"
    step = last_step(page)
    page.click("#train-again")
    assert state(page, "train", "running") == "running"
    page.wait_for_function(
        f"() => parseInt(document.querySelector('#train-facts p').innerText.split(' ')[1]) > {step}", timeout=LONG
    )

    studio.restart()
    page.goto(studio.server.url)
    show(page, "train")
    assert state(page, "train", "running") == "running"
    _open_tensorboard(page)
    page.click("#train-finish")
    assert state(page, "train", "done", "failed") == "done"
    page.wait_for_selector(f"#train-facts >> text={EN['train.done']}")
    page.get_by_role("tab", name=EN["convert.tab"], exact=True).click()
    page.click("#convert-voice input")
    page.get_by_role("option", name="Mira", exact=True).click()
    _cancel_in_the_middle(page, studio)


def _look_through_slices(page: Any) -> None:
    """Rows are there with player and facts; one that is dropped stays so after a reload."""
    page.wait_for_selector("#train-slice-0 audio", state="attached")
    count = page.locator("[id^=train-slice-][class*=svc-slice-row]:visible").count()
    assert count >= 3 and "take 0.wav" in page.inner_text("#train-slice-0-facts")
    assert f"{count} / {count}" in page.inner_text("#train-report-table")
    page.get_by_label(EN["slices.keep_one"].format(number=1), exact=True).uncheck()
    page.wait_for_selector(f"#train-report-table >> text={count - 1} / {count}")
    page.reload()
    show(page, "train")
    page.wait_for_selector(f"#train-report-table >> text={count - 1} / {count}")
    assert not page.get_by_label(EN["slices.keep_one"].format(number=1), exact=True).is_checked()


def _open_tensorboard(page: Any) -> None:
    """Only the owner gets to it; a browser without the cookie does not."""
    page.click("#train-tensorboard")
    address = page.locator("#train-tensorboard-link a").get_attribute("href", timeout=LONG)
    origin = page.url.rstrip("/")
    runs = page.request.get(f"{origin}{address}data/runs")
    assert runs.status == 200 and runs.json() == ["."]
    assert "<title>" in page.request.get(f"{origin}{address}").text()
    stranger = page.context.browser.new_context()
    try:
        assert stranger.request.get(f"{origin}{address}data/runs").status == 404
    finally:
        stranger.close()


def _cancel_in_the_middle(page: Any, studio: Studio) -> None:
    """A second training is gone two seconds after it is cancelled, with all its processes."""
    show(page, "train")
    page.click("#train-start")
    assert state(page, "train", "running") == "running"
    page.wait_for_function("() => document.querySelectorAll('#train-curves polyline').length > 2", timeout=LONG)
    assert studio.jobs
    page.click("#train-cancel")
    assert state(page, "train", "cancelled") == "cancelled"
    assert not studio.jobs
