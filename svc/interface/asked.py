"""Settings that a client of the API sends as one object, instead of a value for each control."""

from typing import TYPE_CHECKING, Any

from svc.errors import ConfigError
from svc.interface.controls import is_path
from svc.interface.texts import fields_of, text
from svc.settings import Settings, build

if TYPE_CHECKING:
    import gradio as gr


def asked(model: type[Settings], data: Any) -> dict[str, Any]:
    """`data` (nested plain data, None for nothing) if it is right for `model`, as it was given.

    ConfigError in one sentence for what the settings do not take, and for every field that names a file of the server.
    """
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise ConfigError('Settings are given as an object, such as {"transpose": 2}.')
    for path, field in fields_of(model):
        value: Any = data
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None and is_path(path, field):
            raise ConfigError(f"'{path}' names a file of the server and cannot be set from here: leave it out.")
    build(model, data, "the request")
    return data


def settings_box() -> "gr.JSON":
    """The input of an endpoint that takes settings; an empty object where nothing is given."""
    import gradio as gr

    return gr.JSON({}, label=text("common.settings"), visible=False)
