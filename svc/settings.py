"""What every group of settings has in common: how it is checked, laid over another, and told what is wrong with it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from svc.errors import ConfigError
from svc.registry import CONTENT_ENCODERS, DECODERS, DISCRIMINATORS, PITCH_ESTIMATORS, SEPARATORS, SLICERS


class Settings(BaseModel):
    """Base of all settings groups: unknown keys are errors, values are checked on assignment."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, frozen=True)


def choice(registry: Any, default: str, text: str) -> Any:
    """A string field whose allowed values are the names of a registry."""
    return Field(default, description=text, json_schema_extra={"choices": list(registry.names())})


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, group by group."""
    out = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict) and key != "content_layers"
        out[key] = merge(out[key], value) if both else value
    return out


def build(model: type[Settings], data: dict[str, Any], where: str) -> Any:
    """An instance of a settings class from plain data; ConfigError in one sentence if it does not fit."""
    from pydantic import ValidationError

    try:
        settings = model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "extra_forbidden":
            raise ConfigError(_unknown(model, first["loc"], where)) from error
        name, problem = explain(error, model)
        raise ConfigError(f"Setting '{name}' in {where} {problem}.") from error
    _check_choices(settings)
    return settings


def explain(error: Any, model: type[Settings]) -> tuple[str, str]:
    """The dotted name of the first wrong setting in a pydantic ValidationError of `model`, and what is wrong."""
    problems = error.errors()
    name = _setting_name(model, problems[0]["loc"])
    # A setting that may be of several types has one problem for each.
    messages = dict.fromkeys(p["msg"] for p in problems if _setting_name(model, p["loc"]) == name)
    wanted = " or ".join(m.removeprefix("Input should be ").partition(", unable to")[0] for m in messages)
    verb = "must be" if all(m.startswith("Input should be ") for m in messages) else "is wrong:"
    value = problems[0]["input"]
    return name, f"{verb} {wanted} (got {value if isinstance(value, str) else repr(value)})"


def _setting_name(model: type[Settings], location: tuple[Any, ...]) -> str:
    """The part of pydantic's location that names fields, dotted; what follows are types and indices."""
    names: list[str] = []
    group: Any = model
    for part in location:
        names.append(str(part))
        field = group.model_fields.get(part)
        group = field.annotation if field else None
        if not (isinstance(group, type) and issubclass(group, Settings)):
            break
    return ".".join(names)


def _unknown(model: type[Settings], location: tuple[Any, ...], where: str) -> str:
    import difflib

    group: Any = model
    for part in location[:-1]:
        group = group.model_fields[part].annotation
    near = difflib.get_close_matches(str(location[-1]), list(group.model_fields), n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(group.model_fields)}."
    return f"Unknown setting '{'.'.join(map(str, location))}' in {where}. {hint}"


def _check_choices(settings: Settings) -> None:
    """Registry-backed names are checked here, so an unknown one names the nearest."""
    registries = {
        "content_encoder": CONTENT_ENCODERS,
        "pitch_estimator": PITCH_ESTIMATORS,
        "separate": SEPARATORS,
        "slicer": SLICERS,
        "decoder": DECODERS,
        "discriminator": DISCRIMINATORS,
    }
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Settings):
            _check_choices(value)
        elif name in registries and value is not None:
            registries[name].require(value)
