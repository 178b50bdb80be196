"""Writes docs/cli.md from the command table and the settings' fields.

python scripts/make_reference.py            # write it
python scripts/make_reference.py --check    # exit 1 when it is out of date
"""

import sys
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from cyclopts import App

from svc.cli.app import COMMANDS, app
from svc.config import Config, ConvertOptions
from svc.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
SETTINGS_COMMANDS = ("prepare", "train")
OPTIONS_COMMANDS = ("convert", "evaluate")
INTRODUCTION = """\
# The command line and all settings

Written by `scripts/make_reference.py` from the code; change the code, then run it.

Exit codes: 0 all done, 1 something failed (named on stderr), 2 wrong usage. Results go to stdout, with `--json` as
JSON; progress and messages go to stderr. `SVC_LOG` sets the level of the log (DEBUG, INFO, WARNING, ERROR).
"""


def render() -> str:
    """The whole page."""
    lines = [INTRODUCTION]
    for name, text in COMMANDS.items():
        lines += _command(name, text, app[name])
    lines += ["## Settings of a recipe", ""]
    lines += [
        "In a YAML file as `group: {name: value}`, on the command line of `svc prepare` and `svc train` as\n"
        "`--group.name value`. `configs/*.yaml` list differences from these defaults.",
        "",
    ]
    for group, field in Config.model_fields.items():
        lines += _settings(group, field.annotation, field.description)
    lines += [
        "## Options of a conversion",
        "",
        "Flags of `svc convert` and `svc evaluate`, fields of `ConvertOptions`.",
    ]
    lines += ["", *_table(ConvertOptions, "--", flags=True), ""]
    return "\n".join(lines)


def _command(name: str, text: str, command: App) -> list[str]:
    lines = [f"## svc {name}", "", text, ""]
    children = [child for child in command if not child.startswith("-")]
    if children:
        for child in children:
            lines += [f"- `svc {name} {child}`: {command[child].help.splitlines()[0]}"]
        return [*lines, ""]
    rows = []
    for argument in command.assemble_argument_collection(parse_docstring=True):
        if not argument.show or _is_setting(argument):
            continue
        default = argument.field_info.default
        required = argument.required or argument.field_info.default is argument.field_info.empty
        positional = argument.index is not None and not argument.field_info.is_keyword_only
        flag = argument.name.lstrip("-").upper() if positional else argument.name
        shown = "required" if required else _shown(default)
        rows.append(f"| `{flag}` | {shown} | {_cell(_help(argument))} |")
    if rows:
        lines += ["| argument | default | meaning |", "|---|---|---|", *rows, ""]
    if name in SETTINGS_COMMANDS:
        lines += ["and every setting of a recipe, as `--group.name value` ([below](#settings-of-a-recipe)).", ""]
    if name in OPTIONS_COMMANDS:
        lines += ["and every option of a conversion ([below](#options-of-a-conversion)).", ""]
    return lines


def _is_setting(argument: Any) -> bool:
    """Whether it is a field of the settings, which have tables of their own."""
    return bool(argument.keys)


def _help(argument: Any) -> str:
    text = (argument.parameter.help or "").strip()
    choices = argument.get_choices() or ()
    return f"{text} One of: {', '.join(choices)}." if choices else text


def _settings(prefix: str, group: type[Settings], text: str | None) -> list[str]:
    lines = [f"### {prefix}", "", text or "", "", *_table(group, f"{prefix}."), ""]
    for name, field in group.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            lines += _settings(f"{prefix}.{name}", field.annotation, field.description)
    return lines


def _table(group: type[Settings], prefix: str, flags: bool = False) -> list[str]:
    rows = ["| name | default | allowed | meaning |", "|---|---|---|---|"]
    for name, field in group.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            continue
        shown = name.replace("_", "-") if flags else name
        default = _shown(field.get_default(call_default_factory=True))
        rows.append(f"| `{prefix}{shown}` | {default} | {_allowed(field)} | {_cell(field.description or '')} |")
    return rows


def _allowed(field: Any) -> str:
    """Range or choices of a field, with its type where neither says it."""
    extra = field.json_schema_extra or {}
    if "choices" in extra:
        return ", ".join(extra["choices"])
    limits = {type(limit).__name__: limit for limit in field.metadata}
    signs = {"Ge": ("ge", ">="), "Gt": ("gt", ">"), "Le": ("le", "<="), "Lt": ("lt", "<")}
    ranges = [f"{sign} {getattr(limits[kind], key):g}" for kind, (key, sign) in signs.items() if kind in limits]
    return " ".join([_type_name(field.annotation), " and ".join(ranges)]).strip()


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(map(str, get_args(annotation)))
    arguments = [a for a in get_args(annotation) if a is not Ellipsis]
    if not arguments:
        return {"float": "number", "int": "integer", "bool": "true, false", "str": "text", "NoneType": "empty"}.get(
            annotation.__name__, annotation.__name__
        )
    if get_origin(annotation) is tuple and get_origin(arguments[0]) is Literal:
        return f"any of {_type_name(arguments[0])}"
    if get_origin(annotation) is tuple:
        return f"list of {_type_name(arguments[0])}s" if not get_args(arguments[0]) else "list of lists of integers"
    if get_origin(annotation) is dict:
        return "names with numbers"
    return " or ".join(_type_name(a) for a in arguments)


def _shown(value: Any) -> str:
    if value is None or value in ((), {}):
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, tuple):
        return "`" + ", ".join(str(list(v)) if isinstance(v, tuple) else f"{v:g}" for v in value) + "`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """Write the page, or with --check say whether it is up to date."""
    text = render()
    if "--check" in sys.argv[1:]:
        current = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
        if current != text:
            print(f"{PAGE} is out of date: run  python scripts/make_reference.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
