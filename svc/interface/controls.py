"""Gradio controls made from the fields of a settings class, and settings made from the controls' values."""

import json
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from svc.errors import ConfigError
from svc.interface.texts import FALLBACK, field_key, fields_of, text, words
from svc.registry import PITCH_ESTIMATORS
from svc.settings import Settings, build

if TYPE_CHECKING:
    import gradio as gr

AUTO = "auto"
SLIDER_STEPS = 200
# Settings that name files of the machine: a user chooses a stored file instead, so they never have a control.
PATH_FIELDS = frozenset({"f0_file", "speaker_curve", "index", "separate_model"})
# Optional names whose choices stand in a registry.
REGISTRIES = {"pitch_estimator": PITCH_ESTIMATORS}


@dataclass(frozen=True)
class Control:
    """One field: its dotted path, its pydantic field and the component that shows it."""

    path: str
    field: Any
    component: "gr.components.Component"


class Controls:
    """The controls of some fields of `model`, in the order they were made.

    Make them with `front` and `folded` where they shall stand; `components` are a handler's inputs and `collect` turns
    the values it gets into settings.
    """

    def __init__(self, model: type[Settings], prefix: str = "") -> None:
        self.model = model
        self.made: list[Control] = []
        self._prefix = prefix or model.__name__.lower()
        self._fields = dict(fields_of(model))

    @property
    def components(self) -> "list[gr.components.Component]":
        """Inputs for a handler, in the order that `collect` expects."""
        return [control.component for control in self.made]

    def component(self, path: str) -> "gr.components.Component":
        """The component of one field."""
        return next(control.component for control in self.made if control.path == path)

    def front(self, *paths: str, values: dict[str, Any] | None = None, **changes: Any) -> None:
        """Controls of these fields here and now. values: path -> shown at first; changes go to every component.

        ValueError for a field that names a file: see PATH_FIELDS.
        """
        for path in paths:
            if is_path(path, self._fields[path]):
                raise ValueError(f"{path} names a file of the machine and may not be a field of the page")
            value = (values or {}).get(path, _default(self._fields[path]))
            component = self._make(path, self._fields[path], value, changes)
            self.made.append(Control(path, self._fields[path], component))

    def folded(self, title_key: str, paths: Sequence[str] = (), but: Sequence[str] = ()) -> None:
        """A closed accordion with these fields: by default all that have no control yet, except `but`."""
        import gradio as gr

        with gr.Accordion(text(title_key), open=False):
            self.front(*(paths or self.rest(but)))

    def rest(self, but: Sequence[str] = ()) -> list[str]:
        """Paths of the fields without a control, groups and `but` left out."""
        done = {control.path for control in self.made} | set(but)
        return [
            path
            for path, field in self._fields.items()
            if path not in done and not _is_group(field) and not is_path(path, field)
        ]

    def collect(self, values: Sequence[Any]) -> dict[str, Any]:
        """The values of all controls, in order, as nested plain data; ConfigError for what cannot be read."""
        data: dict[str, Any] = {}
        for control, value in zip(self.made, values, strict=True):
            group = data
            *groups, name = control.path.split(".")
            for part in groups:
                group = group.setdefault(part, {})
            group[name] = _value(control, value)
        return data

    def settings(self, values: Sequence[Any], **more: Any) -> Any:
        """The settings object with the controls' values, and `more` fields; ConfigError in one sentence."""
        return build(self.model, {**self.collect(values), **more}, "the form")

    def show(self, data: dict[str, Any]) -> list[Any]:
        """Updates for `components` that show the settings `data` (nested plain data); what it lacks is set back."""
        import gradio as gr

        shown = []
        for control in self.made:
            value: Any = data
            for part in control.path.split("."):
                value = value.get(part, None) if isinstance(value, dict) else None
            shown.append(gr.update(value=_shown(control.field, _default(control.field) if value is None else value)))
        return shown

    def _make(self, path: str, field: Any, value: Any, changes: dict[str, Any]) -> "gr.components.Component":
        import gradio as gr

        common = {
            "label": text(field_key(self.model, path, "label")),
            "info": text(field_key(self.model, path, "help")),
            "elem_id": f"{self._prefix}-{path.replace('.', '-')}",
            **changes,
        }
        kind, optional = _kind(field)
        shown, choices = _shown(field, value), _choices(path, field)
        if kind is bool:
            return gr.Checkbox(value=shown, **common)
        if choices is not None:
            if optional:
                choices = [(text("controls.own"), ""), *choices]
            return gr.Dropdown(choices, value=shown if shown is not None else "", **common)
        if kind in (int, float):
            low, high = _bounds(field)
            if low is not None and high is not None and not optional:
                step = 1 if kind is int else _step(low, high)
                return gr.Slider(low, high, value=shown, step=step, **common)
            return gr.Number(shown, precision=0 if kind is int else None, minimum=low, maximum=high, **common)
        return gr.Textbox(shown if shown is not None else "", **common)


def _kind(field: Any) -> tuple[Any, bool]:
    """(type without None, whether None is allowed) of a field."""
    annotation = field.annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [a for a in typing.get_args(annotation) if a is not type(None)]
        optional = len(members) < len(typing.get_args(annotation))
        return (members[0] if len(members) == 1 else annotation), optional
    return annotation, False


def is_path(path: str, field: Any) -> bool:
    """Whether a setting names a file of the machine."""
    return path.rpartition(".")[2] in PATH_FIELDS or _kind(field)[0] is Path


def _is_group(field: Any) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, Settings)


def _default(field: Any) -> Any:
    return field.get_default(call_default_factory=True)


def _choices(path: str, field: Any) -> list[Any] | None:
    """What a dropdown offers, or None for a field with free values."""
    extra = field.json_schema_extra or {}
    if "choices" in extra:
        return [(_named(name), name) for name in extra["choices"]]
    kind, _ = _kind(field)
    if typing.get_origin(kind) is Literal:
        return [(_named(name), name) for name in typing.get_args(kind)]
    name = path.rpartition(".")[2]
    if name in REGISTRIES:
        return [(entry, entry) for entry in REGISTRIES[name].names()]
    return None


def _named(name: Any) -> Any:
    """A choice in the reader's words where there are any; names of methods stay as they are."""
    key = f"choice.{name}"
    return text(key) if key in words(FALLBACK) else str(name)


def _bounds(field: Any) -> tuple[float | None, float | None]:
    low = high = None
    for rule in field.metadata:
        low = next((v for v in (getattr(rule, "ge", None), getattr(rule, "gt", None)) if v is not None), low)
        high = next((v for v in (getattr(rule, "le", None), getattr(rule, "lt", None)) if v is not None), high)
    return low, high


def _step(low: float, high: float) -> float:
    """A round step that makes about 100 to 1000 of the range."""
    step = 10.0
    while (high - low) / step < SLIDER_STEPS / 2:
        step /= 10
    return float(f"{step:.0e}")


def _shown(field: Any, value: Any) -> Any:
    """A field's value as its component holds it."""
    if isinstance(value, tuple | list | dict):
        return json.dumps(value)
    kind, _ = _kind(field)
    plain = kind in (bool, int, float) or typing.get_origin(kind) is Literal
    return value if plain or value is None else str(value)


def _value(control: Control, value: Any) -> Any:
    """A component's value as the settings take it."""
    kind, optional = _kind(control.field)
    if value in ("", None):
        if optional:
            return None
        if kind is not str:
            return _default(control.field) if value is None else value
    if typing.get_origin(kind) in (tuple, list, dict):
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError as error:
            raise ConfigError(f"Setting '{control.path}' must be written as [1, 2] (got {value}).") from error
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value != AUTO and kind not in (str,) and typing.get_origin(kind) is not Literal:
        try:
            return float(value)
        except ValueError:
            return value
    return value
