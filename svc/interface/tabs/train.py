"""Train: name a singer, drop songs, look through the slices, and follow the training until the voice is there."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from svc.config import Config, load_config
from svc.errors import ConfigError
from svc.interface.asked import asked, settings_box
from svc.interface.curves import curves_html, last_lines, samples_of
from svc.interface.files import slug
from svc.interface.jobblock import JobBlock
from svc.interface.jobs.record import DONE, JobView
from svc.interface.kinds.prepare import DATASET
from svc.interface.listening import address, player
from svc.interface.page import Page
from svc.interface.slicelist import SliceList
from svc.interface.songlist import SongList, inputs_of
from svc.interface.voices import BUILTIN, voice_header
from svc.paths import recipe as recipe_path

# Recipes in the order they are offered, with the minutes that are suggested for each.
RECIPES: dict[str, float | None] = {"fast": 60.0, "quality": None, "demo": 5.0, "debug": None}
FRONT = ("train.max_minutes", "train.max_steps")
NONE = ""
FIXED_BASES = (("builtin_base", BUILTIN), ("no_base", NONE))


def build(page: Page) -> None:
    """Build the tab; its actions are the API's /prepare, /slices, /choose_slices, /train, /losses and /tensorboard."""
    gr.Markdown(page.text("train.step_songs"))
    prepare_block = _songs(page)
    gr.Markdown(page.text("train.step_slices"))
    dataset = gr.Dropdown(
        [], value=None, label=page.text("train.dataset"), elem_id="train-dataset", allow_custom_value=True
    )
    slices = SliceList(page, dataset)
    _follow_preparing(page, prepare_block, dataset, slices)
    gr.Markdown(page.text("train.step_train"))
    _training(page, slices)


def _songs(page: Page) -> JobBlock:
    """The first step: a name, songs, how vocals are taken out, and the job that prepares them."""
    with gr.Row():
        with gr.Column():
            singer = gr.Textbox(label=page.text("train.singer"), elem_id="train-singer", max_length=60)
            songs = SongList(page, "train", "train.songs")
        with gr.Column():
            controls = page.controls(Config, "train")
            controls.front("prepare.separate")
            groups = ("prepare.", "features.")
            but = ("prepare.keep_flagged", "prepare.separate_model")
            controls.folded("common.more", [path for path in controls.rest(but) if path.startswith(groups)])
            start = gr.Button(page.text("train.prepare"), variant="primary", elem_id="train-prepare")
            block = JobBlock(page, "train-prepare", ("prepare",))

    def prepare(request: gr.Request, ids: str, name: str, settings: dict[str, Any]) -> JobView:
        stored = songs.stored(ids, request)
        if not stored:
            raise ConfigError("Add some songs of the singer first.")
        title = " ".join((name or "").split())
        if not title:
            raise ConfigError("Give the singer a name first.")
        inputs, labels = inputs_of(stored)
        return page.submit(
            request,
            "prepare",
            {"singer": title, "singer_folder": slug(title), "settings": settings},
            title=page.say(request, "train.prepare_title", singer=title),
            inputs=inputs,
            labels=labels,
        )

    def clicked(request: gr.Request, ids: str, name: str, *values: Any) -> list[Any]:
        data = controls.settings(values).model_dump(mode="json", include={"features", "prepare"})
        return block.follow(prepare(request, ids, name, data), request)

    def endpoint(request: gr.Request, songs: str, singer: str, settings: Any) -> dict[str, Any]:
        return prepare(request, songs, singer, asked(Config, settings)).to_dict()

    page.on(start.click, clicked, [songs.ids, singer, *controls.components], block.components)
    page.api("prepare", endpoint, [songs.ids, singer, settings_box()])
    return block


def _follow_preparing(page: Page, block: JobBlock, dataset: gr.Dropdown, slices: SliceList) -> None:
    """Keep the list of prepared songs fresh: the newest is chosen when it is done, and at every opening."""

    def choices(request: gr.Request) -> list[tuple[str, str]]:
        done = page.jobs.listing(page.owner(request), ("prepare",), (DONE,))
        return [(_prepared_name(page, view, request), view.id) for view in done]

    def refresh(which: str, request: gr.Request) -> list[Any]:
        found = choices(request)
        newest = found[0][1] if found else None
        return [gr.update(choices=found, value=newest), *slices.draw(newest, which, 0, request)]

    def finished(job_id: str, chosen: str | None, which: str, request: gr.Request) -> list[Any]:
        state = page.jobs.view(page.owner(request), job_id).state if job_id else ""
        if state == DONE and chosen != job_id:
            return refresh(which, request)
        return [gr.skip() for _ in range(1 + len(slices.components))]

    outputs = [dataset, *slices.components]
    page.on(block.state_changed, finished, [block.job_id, dataset, slices.filter], outputs, queue=False)
    page.on_load(refresh, [slices.filter], outputs)
    page.api("slices", lambda request, dataset: slices.listed(request, dataset), [dataset])
    excluded = gr.Textbox("", label=page.text("slices.excluded"), visible=False)
    page.api(
        "choose_slices",
        lambda request, dataset, dropped: slices.choose(request, dataset, set(dropped.replace(",", " ").split())),
        [dataset, excluded],
    )


def _prepared_name(page: Page, view: JobView, request: gr.Request) -> str:
    minutes = f"{view.result.get('minutes', 0):.1f}"
    return page.say(request, "train.prepared", singer=view.settings.get("singer", ""), minutes=minutes)


def _training(page: Page, slices: SliceList) -> None:
    """The third step: preset, length, base voice; then the job, with curves and samples as they come."""
    config = load_config(recipe_path("fast"))
    fields = _flat(config.model_dump(mode="json"))
    with gr.Row():
        with gr.Column():
            preset = gr.Radio(
                [(page.text(f"train.recipe.{name}"), name) for name in RECIPES],
                value="fast",
                label=page.text("train.recipe.label"),
                elem_id="train-recipe",
            )
            base = gr.Dropdown(
                [(page.text("train.builtin_base"), BUILTIN), (page.text("train.no_base"), NONE)],
                value=BUILTIN,
                label=page.text("train.base"),
                info=page.text("train.base_help"),
                elem_id="train-base",
                allow_custom_value=True,
            )
        with gr.Column():
            controls = page.controls(Config, "train")
            with gr.Row():
                controls.front(*FRONT, values={**fields, "train.max_minutes": RECIPES["fast"]}, min_width=150)
            with gr.Accordion(page.text("common.more"), open=False):
                controls.front(*(p for p in controls.rest() if p.startswith("train.")), values=fields)
            start = gr.Button(page.text("train.start"), variant="primary", elem_id="train-start")
    facts = gr.HTML("", elem_id="train-facts", render=False)
    curves = gr.HTML("", elem_id="train-curves", render=False)
    samples = gr.HTML("", elem_id="train-samples", render=False)
    board = gr.Button(
        page.text("train.tensorboard"), size="sm", visible=False, elem_id="train-tensorboard", render=False
    )
    link = gr.HTML("", elem_id="train-tensorboard-link", render=False)
    seen = gr.State("")

    def picture(view: JobView | None, request: gr.Request, before: str = "") -> list[Any]:
        return _picture(page, view, request, before)

    def render(view: JobView | None, request: gr.Request) -> Sequence[Any]:
        return [*picture(view, request), gr.update(visible=view is not None), ""]

    block = JobBlock(page, "train", ("train",), [facts, curves, samples, seen, board, link], render)
    for component in (facts, curves, samples, board, link):
        component.render()
    _tensorboard(page, block, board, link)

    def live(job_id: str, before: str, request: gr.Request) -> list[Any]:
        view = page.jobs.view(page.owner(request), job_id) if job_id else None
        return picture(view, request, before)

    def clicked(request: gr.Request, job_id: str, name: str, base_id: str, *values: Any) -> list[Any]:
        chosen = (job_id, name, base_id)
        return block.follow(_submit(page, slices, chosen, controls.collect(values), request), request)

    def endpoint(request: gr.Request, dataset: str, recipe: str, base: str, settings: Any) -> dict[str, Any]:
        return _submit(page, slices, (dataset, recipe, base), asked(Config, settings), request).to_dict()

    def chosen(name: str) -> list[Any]:
        data = _recipe(name).model_dump(mode="json")
        data["train"]["max_minutes"] = RECIPES[name]
        return controls.show(data)

    def bases(now: str, request: gr.Request) -> Any:
        entries = page.voices(request)
        fixed = [(page.say(request, f"train.{key}"), key_id) for key, key_id in FIXED_BASES]
        names = [*fixed, *((e.label, e.id) for e in entries if e.id != BUILTIN)]
        return gr.update(choices=names, value=now if now in [key_id for _, key_id in names] else BUILTIN)

    inputs = [slices.dataset, preset, base, *controls.components]
    page.on(block.ticked.then, live, [block.job_id, seen], [facts, curves, samples, seen], queue=False)
    page.on(start.click, clicked, inputs, block.components)
    page.on(preset.input, chosen, [preset], controls.components, queue=False)
    page.on(base.focus, bases, [base], [base], queue=False)
    page.on_load(bases, [base], [base])
    page.api("train", endpoint, [slices.dataset, preset, base, settings_box()])


def _submit(
    page: Page, slices: SliceList, chosen: tuple[str, str, str], values: dict[str, Any], request: gr.Request
) -> JobView:
    """Put the training into the queue. `chosen` is the preparation's job, the recipe and the base voice."""
    job_id, name, base_id = chosen
    work = slices.work(request, job_id)
    prepared = page.jobs.view(page.owner(request), job_id)
    singer = prepared.settings["singer"]
    # The model is the base's where there is one, or nothing of it could be used.
    overrides: dict[str, Any] = {key: values[key] for key in ("model", "train") if key in values}
    inputs, labels = {"dataset": work / DATASET}, {work / DATASET: singer}
    if base_id not in (NONE, BUILTIN):
        entry = page.voice(request, base_id)
        overrides["model"] = _model_of(entry.path, work / DATASET)
        inputs["base"], labels[entry.path] = entry.path, entry.label
    load_config(recipe_path(_known(name)), overrides)
    return page.submit(
        request,
        "train",
        {
            "singer": singer,
            "singer_folder": prepared.settings["singer_folder"],
            "recipe": name,
            "settings": overrides,
            "base": base_id if base_id == BUILTIN else NONE,
            "excluded": slices.excluded(request, job_id),
        },
        title=page.say(request, "train.title", singer=singer),
        inputs=inputs,
        labels=labels,
    )


def _model_of(voice: Path, dataset: Path) -> dict[str, Any]:
    """The model settings of a base voice; SpecMismatchError when it was made for other features than the dataset."""
    from svc.data.manifest import PreparedDataset
    from svc.features.spec import FeatureSpec

    header = voice_header(voice)
    FeatureSpec.from_dict(header["spec"]).require(PreparedDataset.open(dataset).spec, "The prepared recording")
    return dict(header["model"])


def _picture(page: Page, view: JobView | None, request: gr.Request, before: str) -> list[Any]:
    """Facts, curves, samples and what they show, for `before` the last time; what has not changed is left alone."""
    if view is None:
        return ["", "", "", ""]
    run = page.jobs.folder_of(page.owner(request), view.id).work / "run"
    metrics = run / "metrics.jsonl"
    size = metrics.stat().st_size if metrics.exists() else 0
    sung = samples_of(run)
    newest = f"{view.id}:{view.attempt}:{[(name, len(files)) for name, files in sung]}"
    now = f"{newest}|{size}|{view.state}"
    if now == before:
        return [gr.skip() for _ in range(4)]
    heard = gr.skip() if before.partition("|")[0] == newest else _samples_html(page, request, sung)
    return [_facts_html(page, view, metrics, request), curves_html(page, request, metrics), heard, now]


def _facts_html(page: Page, view: JobView, metrics: Path, request: gr.Request) -> str:
    """How far the training is in steps, and at its end where the voice is."""
    lines = [line for line in last_lines(metrics) if line.get("kind") == "train"]
    words = []
    if lines:
        last = lines[-1]
        values = {"step": last["step"], "speed": f"{last['steps_per_second']:.2f}"}
        words.append(page.say(request, "train.facts", minutes=f"{last['seconds'] / 60:.1f}", **values))
    if view.state == DONE:
        words.append(page.say(request, "train.done"))
    return "".join(f"<p>{html.escape(sentence)}</p>" for sentence in words)


def _samples_html(page: Page, request: gr.Request, sung: list[tuple[str, list[Path]]]) -> str:
    """What the voice sang at the newest steps, beside the recordings."""
    if not sung:
        return ""
    rows = ""
    for folder, files in sung:
        step = folder.removeprefix("step_").lstrip("0")
        name = page.say(request, "train.at_step", step=step) if step.isdigit() else page.say(request, "train.original")
        players = "".join(player(address(page, path, f"{folder} {path.name}"), name) for path in files)
        rows += f'<tr><th scope="row">{html.escape(name)}</th><td class="svc-players">{players}</td></tr>'
    title = html.escape(page.say(request, "train.samples"))
    return f"<h4>{title}</h4><table class='svc-table'><tbody>{rows}</tbody></table>"


def _tensorboard(page: Page, block: JobBlock, button: gr.Button, link: gr.HTML) -> None:
    """The button that starts TensorBoard for the training that is shown, and the link to it."""

    def address_of(request: gr.Request, job: str) -> str:
        """The path of a TensorBoard for a training, below the page's address."""
        owner = page.owner(request)
        if not job:
            raise ConfigError("There is no training yet: start one first.")
        logs = page.jobs.folder_of(owner, job).work / "run" / "tensorboard"
        if not logs.is_dir():
            raise ConfigError("This training has measured nothing yet: wait until it has begun.")
        return page.settings.root_path.rstrip("/") + page.boards.open(owner, logs)

    def opened(job_id: str, request: gr.Request) -> str:
        words = html.escape(page.say(request, "train.tensorboard_open"))
        return f'<a href="{html.escape(address_of(request, job_id))}" target="_blank" rel="noopener">{words}</a>'

    page.on(button.click, opened, [block.job_id], [link], show_progress="minimal")
    given = gr.Textbox("", label=page.text("jobs.job"), visible=False)
    page.api("tensorboard", address_of, [given])

    def losses(request: gr.Request, job: str) -> list[dict[str, Any]]:
        return last_lines(page.jobs.folder_of(page.owner(request), job).work / "run" / "metrics.jsonl")

    page.api("losses", losses, [given])


def _recipe(name: str) -> Config:
    return load_config(recipe_path(_known(name)))


def _known(name: str) -> str:
    """A recipe's name; ConfigError for anything else, which could be a path."""
    if name not in RECIPES:
        raise ConfigError(f"There is no preset '{str(name)[:40]}': use {', '.join(RECIPES)}.")
    return name


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted path -> value."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        path = f"{prefix}{name}"
        found |= {path: value, **(_flat(value, f"{path}.") if isinstance(value, dict) else {})}
    return found
