"""Speak: text to speech by an engine that is installed, then in a voice of the library."""

import html
from collections.abc import Sequence
from typing import Any

import gradio as gr

from svc.config import ConvertOptions
from svc.errors import ConfigError
from svc.interface.asked import asked, settings_box
from svc.interface.jobblock import JobBlock
from svc.interface.jobs.record import DONE, JobView
from svc.interface.page import Page
from svc.interface.presets import follow_voice, other_speaker, speaker_choice, with_preset

FORMATS = ("wav", "flac", "mp3")
FRONT = ("transpose", "predict_f0")
TITLE_LENGTH = 40
SLOWEST, FASTEST = 0.5, 2.0
NO_VOICE = "none"


def build(page: Page) -> None:
    """Build the tab; its actions are the API's /speak and /engines."""
    with gr.Row():
        with gr.Column():
            form = _Form(page)
        with gr.Column():
            spoken = page.player("speak.result", "speak-result")
            speech = page.player("speak.speech", "speak-speech")
            facts = gr.HTML("", elem_id="speak-facts")

            def render(view: JobView | None, request: gr.Request) -> Sequence[Any]:
                if view is None or view.state != DONE:
                    return [None, None, ""]
                made = {p.stem: page.serve(p, f"{view.title} - {p.stem}{p.suffix}") for p in view.outputs.values()}
                words = page.say(request, "speak.facts", seconds=f"{view.result['seconds']:.1f}")
                return [made.get("spoken"), made.get("speech"), f"<p>{html.escape(words)}</p>"]

            block = JobBlock(page, "speak", ("speak",), [spoken, speech, facts], render)
    form.connect()

    def clicked(request: gr.Request, *values: Any) -> list[Any]:
        text, engine, engine_voice, speed, ending, convert, voice, speaker, *rest = values
        singer = other_speaker(page.voice(request, voice), speaker) if convert else None
        options = form.controls.settings(rest, speaker=singer).model_dump(mode="json")
        given = {"text": text, "engine": engine, "engine_voice": engine_voice, "speed": speed, "format": ending}
        return block.follow(submit(page, request, given, voice if convert else NO_VOICE, options), request)

    page.on(form.start.click, clicked, form.inputs, block.components)
    _endpoints(page, form)


class _Form:
    """The left side: text, engine, voice."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.text = gr.Textbox(
            "", label=page.text("speak.text"), placeholder=page.text("speak.text_help"), lines=5, elem_id="speak-text"
        )
        self.engine = gr.Dropdown([], label=page.text("speak.engine"), elem_id="speak-engine", filterable=False)
        self.note = gr.HTML("", elem_id="speak-note")
        self.engine_voice = gr.Dropdown(
            [], label=page.text("speak.engine_voice"), elem_id="speak-engine-voice", allow_custom_value=True
        )
        self.speed = gr.Slider(
            SLOWEST, FASTEST, value=1.0, step=0.05, label=page.text("speak.speed"), elem_id="speak-speed"
        )
        self.convert = gr.Checkbox(True, label=page.text("speak.convert"), elem_id="speak-convert")
        self.voice = page.voice_choice("speak-voice")
        self.speaker = speaker_choice(page, "speak-speaker")
        self.controls = page.controls(ConvertOptions, "speak")
        self.controls.front(*FRONT)
        unfit = ("speaker", "separate", "vocals_db", "accompaniment_db", "vocals_only", "format", "bit_depth")
        self.controls.folded("common.more", but=unfit)
        self.format = gr.Radio(list(FORMATS), value="wav", label=page.text("speak.format"), elem_id="speak-format")
        self.start = gr.Button(page.text("speak.start"), variant="primary", elem_id="speak-start")
        with gr.Accordion(page.text("speak.engines"), open=False):
            self.overview = gr.HTML("", elem_id="speak-engines")

    @property
    def inputs(self) -> list[Any]:
        own = [self.text, self.engine, self.engine_voice, self.speed, self.format]
        return [*own, self.convert, self.voice, self.speaker, *self.controls.components]

    def connect(self) -> None:
        """Fill the lists of engines and voices, and follow the choices."""
        page = self.page

        def opened(request: gr.Request) -> list[Any]:
            known = facts(page, request)
            ready = [fact for fact in known if not fact["lacking"]]
            first = ready[0]["name"] if ready else None
            choices = [(fact["title"], fact["name"]) for fact in ready]
            return [gr.update(choices=choices, value=first), _table(page, request, known), *changed(first, request)]

        def changed(name: str | None, request: gr.Request) -> list[Any]:
            if not name:
                words = html.escape(page.say(request, "speak.no_engine"))
                return [f'<p class="svc-error" role="alert">{words}</p>', gr.update(choices=[], value=None)]
            fact = next(fact for fact in facts(page, request) if fact["name"] == name)
            choices = [(f"{v['label']} · {v['language']}", v["id"]) for v in fact["voices"]]
            update = gr.update(choices=choices, value=choices[0][1] if choices else None)
            return [f"<p>{html.escape(fact['note'])}</p>", update]

        page.on_load(opened, [], [self.engine, self.overview, self.note, self.engine_voice])
        page.on(self.engine.input, changed, [self.engine], [self.note, self.engine_voice], queue=False)
        follow_voice(page, self.voice, self.controls, self.speaker)


def facts(page: Page, request: gr.Request) -> list[dict[str, Any]]:
    """Every engine as plain data: name, title, note in the reader's language, lacking ("" if it is ready), voices."""
    from svc.speech.speech import engines

    found = []
    for name, engine in engines().items():
        voices = [{"id": v.id, "language": v.language, "label": v.label} for v in engine.voices()]
        note, lacking = page.say(request, f"speak.note.{name}"), engine.lacking()
        found.append(
            {"name": name, "title": engine.title, "note": note, "lacking": lacking, "online": engine.online}
            | {"voices": voices if not lacking else []}
        )
    return found


def _table(page: Page, request: gr.Request, known: list[dict[str, Any]]) -> str:
    """Every engine with its note, and how to get it where it is missing."""
    rows = ""
    for fact in known:
        if fact["lacking"]:
            state = f"{html.escape(page.say(request, 'speak.missing'))}: {html.escape(fact['lacking'])}"
        else:
            state = html.escape(page.say(request, "speak.ready", voices=len(fact["voices"])))
        rows += (
            f'<tr data-engine="{fact["name"]}"><th scope="row">{html.escape(fact["title"])}</th>'
            f'<td>{html.escape(fact["note"])}<br><span class="svc-warning">{state}</span></td></tr>'
        )
    return f'<div class="svc-scroll"><table class="svc-table"><tbody>{rows}</tbody></table></div>'


def submit(page: Page, request: gr.Request, given: dict[str, Any], voice_id: str, options: dict[str, Any]) -> JobView:
    """Put the speaking of a text into the queue. ConfigError or SpeechError for what cannot be spoken."""
    from svc.speech.speech import checked, create_engine

    if not given["engine"]:
        raise ConfigError(page.say(request, "speak.no_engine"))
    if given["format"] not in FORMATS:
        raise ConfigError(f"The format must be one of {', '.join(FORMATS)}.")
    speed = float(given["speed"] or 1.0)
    text = checked(str(given["text"] or ""), speed)
    engine = create_engine(given["engine"])
    engine_voice = engine.chosen(given["engine_voice"] or "").id
    settings = {**given, "text": text, "speed": speed, "engine_voice": engine_voice, "options": options}
    inputs, labels = {}, {}
    if voice_id != NO_VOICE:
        chosen = page.voice(request, voice_id)
        inputs["voice"], labels[chosen.path], settings["voice"] = chosen.path, chosen.label, chosen.label
    short = " ".join(text.split())
    title = short if len(short) <= TITLE_LENGTH else f"{short[:TITLE_LENGTH].rstrip()}…"
    return page.submit(request, "speak", settings, title=title, inputs=inputs, labels=labels)


def _endpoints(page: Page, form: _Form) -> None:
    def speak(
        request: gr.Request,
        text: str,
        voice: str = NO_VOICE,
        engine: str = "hibari",
        engine_voice: str = "",
        speed: float = 1.0,
        format: str = "wav",
        options: Any = None,
    ) -> dict[str, Any]:
        """Speak a text, in a voice of the library unless it is "none"."""
        wanted = asked(ConvertOptions, options)
        if voice != NO_VOICE:
            wanted = with_preset(page.voice(request, voice), wanted)
        given = {"text": text, "engine": engine, "engine_voice": engine_voice, "speed": speed, "format": format}
        return submit(page, request, given, voice, ConvertOptions(**wanted).model_dump(mode="json")).to_dict()

    hidden = {
        name: gr.Textbox(value, label=page.text(f"speak.{name}"), visible=False)
        for name, value in (("engine", "hibari"), ("engine_voice", ""))
    }
    inputs = [form.text, form.voice, hidden["engine"], hidden["engine_voice"], form.speed, form.format, settings_box()]
    page.api("speak", speak, inputs)
    page.api("engines", lambda request: facts(page, request), [])
