"""Convert: drop a song, choose a voice, hear the result beside the original, compare takes."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from svc.config import ConvertOptions
from svc.errors import CheckpointError
from svc.interface.asked import asked, settings_box
from svc.interface.drawing import write_drawn
from svc.interface.f0_section import F0Section
from svc.interface.files import StoredFile
from svc.interface.jobblock import JobBlock
from svc.interface.jobs.record import DONE, JobView
from svc.interface.kinds.convert import PICTURE
from svc.interface.page import Page
from svc.interface.presets import differences, follow_voice, other_speaker, speaker_choice, with_preset
from svc.interface.singers import CurveChoice, require_speakers
from svc.interface.takes import suggestion, takes_html
from svc.interface.voices import change_voice
from svc.registry import DEFAULT_SEPARATOR

FRONT = ("transpose", "separate", "match_loudness", "format")
ALSO = ("wav", "flac", "mp3")
PREVIEW_SECONDS = 20.0


def build(page: Page) -> None:
    """Build the tab; its actions are the API's /add_song, /add_f0, /add_curve, /convert, /measure and more."""
    section = F0Section(page)
    with gr.Row():
        with gr.Column():
            form = _Form(page)
        with gr.Column():
            block = _results(page, section)
    _connect(page, form, block)
    inputs = [form.song, form.controls.component("separate"), form.controls.component("pitch_estimator")]
    section.render(lambda request, *values: submit_melody(page, request, *values), inputs)
    section.connect(form.f0, form.f0_id, form.f0_note, form.f0_again, take_f0)
    _ranges(page, form)
    _endpoints(page, form)


class _Form:
    """The left side: song, voice, settings."""

    def __init__(self, page: Page) -> None:
        self.upload = gr.File(label=page.text("convert.song"), elem_id="convert-song", file_count="single", height=130)
        self.song = gr.Textbox("", label=page.text("convert.song_id"), visible=False)
        self.source = page.player("convert.source", "convert-source")
        self.voice = page.voice_choice("convert-voice")
        self.speaker = speaker_choice(page, "convert-speaker")
        self.curve = CurveChoice(page)
        self.controls = page.controls(ConvertOptions, "convert")
        self.controls.front(*FRONT)
        with gr.Accordion(page.text("convert.ranges"), open=False):
            self.measure = gr.Button(page.text("convert.measure"), size="sm", elem_id="convert-measure")
            self.range_words = gr.HTML("", elem_id="convert-range")
            self.suggested = gr.Number(0, visible=False, label=page.text("convert.ranges"))
            self.use = gr.Button(page.text("convert.use"), size="sm", visible=False, elem_id="convert-use")
            self.range_block = JobBlock(
                page, "range", ("measure",), [self.range_words, self.suggested, self.use], self._range(page)
            )
        self.also = gr.CheckboxGroup(
            list(ALSO), label=page.text("convert.also"), info=page.text("convert.also_help"), elem_id="convert-also"
        )
        with gr.Accordion(page.text("convert.files"), open=False):
            self.f0 = gr.File(label=page.text("convert.f0"), elem_id="convert-f0", height=110)
            gr.Markdown(page.text("convert.f0_help"))
            self.prompt = gr.File(label=page.text("convert.prompt"), elem_id="convert-prompt", height=110)
            self.prompt_id = gr.Textbox("", label=page.text("convert.prompt_id"), visible=False)
            gr.Markdown(page.text("convert.prompt_help"))
        self.controls.folded("common.more", but=("speaker",))
        # Not invisible: the change of what is not in the page is not told.
        self.f0_id = gr.Textbox("", label=page.text("convert.f0_id"), visible="hidden", elem_id="convert-f0-id")
        self.f0_note = gr.HTML("", visible=False, elem_id="convert-f0-note")
        self.f0_again = gr.Button(page.text("draw.again"), size="sm", visible=False, elem_id="convert-f0-again")
        self.keep = gr.Button(page.text("convert.keep"), size="sm", elem_id="convert-keep")
        with gr.Row():
            self.preview = gr.Button(page.text("convert.preview"), elem_id="convert-preview")
            self.start = gr.Button(page.text("convert.start"), variant="primary", elem_id="convert-start")

    @property
    def inputs(self) -> list[Any]:
        return [self.song, self.voice, self.speaker, *self.files, self.also, *self.controls.components]

    @property
    def files(self) -> list[Any]:
        """Ids of the files that a take is given beside its song, in the order of FILES."""
        return [self.f0_id, self.prompt_id, self.curve.id]

    def _range(self, page: Page) -> Any:
        def render(view: JobView | None, request: gr.Request) -> Sequence[Any]:
            if view is None or view.state != DONE:
                return ["", 0, gr.update(visible=False)]
            words, octaves = suggestion(page, request, view.result, view.settings.get("singer") or {})
            return [f"<p>{html.escape(words)}</p>", octaves, gr.update(visible=True)]

        return render


def _results(page: Page, section: F0Section) -> JobBlock:
    """The right side: progress, the four sounds, pictures, files, takes; `section` is shown the F0."""
    result = page.player("convert.result", "convert-result")
    facts = gr.HTML("", elem_id="convert-facts")
    vocals = page.player("convert.vocals", "convert-vocals")
    converted = page.player("convert.converted", "convert-converted")
    picture = gr.Image(
        label=page.text("convert.picture"), show_label=False, elem_id="convert-picture", interactive=False, buttons=[]
    )
    files = gr.File(
        label=page.text("convert.save"), file_count="multiple", interactive=False, elem_id="convert-files", height=190
    )
    takes = gr.HTML("", elem_id="convert-takes")
    outputs = [result, facts, vocals, converted, picture, files, takes]

    def render(view: JobView | None, request: gr.Request) -> Sequence[Any]:
        told = [takes_html(page, request), section.shown(view, request)]
        if view is None or view.state != DONE:
            return [None, "", None, None, None, None, *told]
        made = {name: page.serve(path, _named(view, path)) for name, path in view.outputs.items()}
        words = page.say(
            request,
            "convert.facts",
            transpose=f"{view.result['transpose_semitones']:+.0f}",
            speaker=view.result["speaker"],
            seconds=f"{view.result['seconds']:.1f}",
        )
        return [
            made[view.result["mix"]],
            f"<p>{html.escape(words)}</p>",
            made.get("vocals.flac"),
            made.get("converted.flac"),
            made.get(PICTURE),
            [path for name, path in made.items() if name != PICTURE],
            *told,
        ]

    for part in outputs:  # they stand below the progress, which is made of them
        part.unrender()
    block = JobBlock(page, "convert", ("convert",), [*outputs, section.board], render)
    result.render()
    facts.render()
    with gr.Accordion(page.text("convert.parts"), open=True):
        for part in (vocals, converted, picture):
            part.render()
    files.render()
    with gr.Accordion(page.text("convert.takes"), open=True):
        takes.render()
    return block


def _named(view: JobView, path: Path) -> str:
    """A file of a take under the song's name: the mix as it is, the others with what they are."""
    ending = "" if path.stem == "mix" else f" - {path.stem}"
    return f"{view.title}{ending}{path.suffix}"


def _connect(page: Page, form: _Form, block: JobBlock) -> None:
    def add_song(path: str | None, request: gr.Request) -> tuple[str, str | None]:
        """Take a song; gives its id and the song itself to hear."""
        if not path:
            return "", None
        stored = page.files(request).add_audio(path)
        return stored.id, page.serve(stored.path, stored.label)

    def add_prompt(path: str | None, request: gr.Request) -> str:
        return page.files(request).add_audio(path).id if path else ""

    def add_f0(path: str | None, request: gr.Request) -> str:
        """Take an F0 file (CSV of time, f0_hz, voiced); gives its id."""
        return take_f0(page, request, path).id if path else ""

    def run(seconds: float) -> Any:
        def handler(request: gr.Request, *values: Any) -> list[Any]:
            song, voice, speaker, f0, prompt, curve, also, *rest = values
            # A recording or a curve says who sings, so no chosen speaker does.
            singer = None if prompt or curve else other_speaker(page.voice(request, voice), speaker)
            options = form.controls.settings(rest, speaker=singer).model_dump(mode="json")
            given = Given(song, voice, options, {"f0": f0, "prompt": prompt, "curve": curve}, also, seconds)
            return block.follow(submit(page, request, given), request)

        return handler

    def keep(voice_id: str, speaker: str | None, request: gr.Request, *values: Any) -> None:
        chosen = page.voice(request, voice_id)
        options = form.controls.settings(values, speaker=other_speaker(chosen, speaker))
        preset = differences(options.model_dump(mode="json"))
        change_voice(page.home(request), chosen.id, preset=preset)
        gr.Info(page.say(request, "convert.kept", voice=html.escape(chosen.label)), title=html.escape(chosen.label))

    page.on(form.upload.change, add_song, [form.upload], [form.song, form.source], api_name="add_song")
    page.on(form.f0.change, add_f0, [form.f0], [form.f0_id], api_name="add_f0")
    page.on(form.prompt.change, add_prompt, [form.prompt], [form.prompt_id])
    page.on(form.start.click, run(0.0), form.inputs, block.components)
    page.on(form.preview.click, run(PREVIEW_SECONDS), form.inputs, block.components)
    page.on(form.keep.click, keep, [form.voice, form.speaker, *form.controls.components], [])
    follow_voice(page, form.voice, form.controls, form.speaker)
    form.curve.connect(form.voice)


@dataclass(frozen=True)
class Given:
    """What a conversion is asked for: ids of stored files and of the voice, options as plain data.

    files: "f0", "prompt" and "curve" -> id, "" for none.
    """

    song: str
    voice: str
    options: dict[str, Any]
    files: dict[str, str]
    also: Sequence[str] | None = ()
    seconds: float = 0.0


def submit(page: Page, request: gr.Request, given: Given) -> JobView:
    """Put a conversion into the queue."""
    files = page.files(request)
    stored, chosen = files.get(given.song or ""), page.voice(request, given.voice)
    inputs, labels = {"song": stored.path, "voice": chosen.path}, {stored.path: stored.label, chosen.path: chosen.label}
    settings = {
        "options": given.options,
        "preview_seconds": given.seconds,
        "song": stored.label,
        "voice": chosen.label,
        "also": [name for name in given.also or () if name in ALSO],
    }
    for name, file_id in given.files.items():
        if file_id:
            file = files.get(file_id)
            if name == "curve":
                require_speakers(file, chosen)
            inputs[name], labels[file.path], settings[name] = file.path, file.label, file.label
    title = page.say(request, "convert.title", song=stored.label, voice=chosen.label)
    return page.submit(request, "convert", settings, title=title, inputs=inputs, labels=labels)


def take_f0(page: Page, request: gr.Request, upload: str | None) -> StoredFile:
    """Store an uploaded F0 file once it has been read; AudioError names the line that is not understood."""
    from svc.pitch.curve_file import read_curve

    return page.files(request).add_table(upload, "f0", read_curve)


def submit_melody(page: Page, request: gr.Request, song: str, method: str, estimator: str | None) -> JobView:
    """Put the measuring of a song's F0 into the queue."""
    stored = page.files(request).get(song or "")
    return page.submit(
        request,
        "melody",
        {**_means(method, estimator), "song": stored.label},
        title=page.say(request, "draw.measure_title", song=stored.label),
        inputs={"song": stored.path},
        labels={stored.path: stored.label},
    )


def _ranges(page: Page, form: _Form) -> None:
    def measured(request: gr.Request, song: str, voice: str, speaker: str | None, method: str) -> list[Any]:
        return form.range_block.follow(submit_measure(page, request, song, voice, speaker, method), request)

    def use(octaves: float) -> Any:
        return f"{octaves:+.0f}" if octaves else "0"

    inputs = [form.song, form.voice, form.speaker, form.controls.component("separate")]
    page.on(form.measure.click, measured, inputs, form.range_block.components)
    page.on(form.use.click, use, [form.suggested], [form.controls.component("transpose")], queue=False)


def _means(method: str, estimator: str | None = None) -> dict[str, Any]:
    """By what F0 is measured, as settings of the job; ConfigError for a name that is none."""
    return asked(ConvertOptions, {"separate": method, "pitch_estimator": estimator or None})


def submit_measure(page: Page, request: gr.Request, song: str, voice: str, speaker: str | None, method: str) -> JobView:
    """Put the measuring of a song's range into the queue."""
    stored, chosen = page.files(request).get(song or ""), page.voice(request, voice)
    singer = next((s for s in chosen.speakers if s.get("name") == speaker), next(iter(chosen.speakers), None))
    if singer is None:
        raise CheckpointError("This voice names no singer: choose another one.")
    return page.submit(
        request,
        "measure",
        {**_means(method), "singer": singer, "voice": chosen.label},
        title=page.say(request, "convert.measure_title", song=stored.label),
        inputs={"song": stored.path},
        labels={stored.path: stored.label},
    )


def _endpoints(page: Page, form: _Form) -> None:
    def convert(
        request: gr.Request,
        song: str,
        voice: str,
        options: Any = None,
        preview_seconds: float = 0.0,
        f0: str = "",
        prompt: str = "",
        also: Any = None,
        curve: str = "",
    ) -> dict[str, Any]:
        """Convert a song; the voice's preset holds where `options` says nothing. also: more formats of the mix."""
        wanted = with_preset(page.voice(request, voice), asked(ConvertOptions, options))
        if curve:
            wanted.pop("speaker", None)
        chosen = ConvertOptions(**wanted).model_dump(mode="json")
        beside = {"f0": f0, "prompt": prompt, "curve": curve}
        given = Given(song, voice, chosen, beside, also, max(0.0, float(preview_seconds or 0)))
        return submit(page, request, given).to_dict()

    def measure(request: gr.Request, song: str, voice: str, method: str = DEFAULT_SEPARATOR) -> dict[str, Any]:
        """Measure the range of a song, to choose a transposition."""
        return submit_measure(page, request, song, voice, None, method or DEFAULT_SEPARATOR).to_dict()

    def melody(request: gr.Request, song: str, method: str = DEFAULT_SEPARATOR) -> dict[str, Any]:
        """Measure the F0 of a whole song: the result is f0.csv."""
        return submit_melody(page, request, song, method or DEFAULT_SEPARATOR, None).to_dict()

    def draw(request: gr.Request, drawn: Any, label: str = "") -> dict[str, str]:
        """Keep F0 given as {"step": 0.01, "f0_hz": [...]}, 0 where unvoiced: the id is a conversion's `f0`."""
        return {"id": take_f0(page, request, write_drawn(page, drawn, label or "f0")).id}

    seconds = gr.Number(0, label=page.text("convert.preview"), visible=False)
    method = gr.Textbox(DEFAULT_SEPARATOR, label=page.text("separate.method"), visible=False)
    label = gr.Textbox("", label=page.text("convert.f0"), visible=False)
    f0, prompt, curve = form.files
    page.api("convert", convert, [form.song, form.voice, settings_box(), seconds, f0, prompt, form.also, curve])
    page.api("measure", measure, [form.song, form.voice, method])
    page.api("measure_f0", melody, [form.song, method])
    page.api("draw_f0", draw, [gr.JSON({}, label=page.text("draw.title"), visible=False), label])
