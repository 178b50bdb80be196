"""The takes of the tab Convert: every conversion that is done, with its settings, to be compared by ear."""

import html
import time
from typing import TYPE_CHECKING, Any

from svc.config import ConvertOptions
from svc.interface.jobs.record import DONE, JobView
from svc.interface.listening import address, download, player
from svc.interface.page import Page
from svc.interface.presets import differences
from svc.interface.texts import field_key

if TYPE_CHECKING:
    import gradio as gr

MOST_TAKES = 12
HIGHEST_HZ = 20_000.0
NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def takes_html(page: Page, request: "gr.Request") -> str:
    """A table of the newest takes: name, what was set, and the result to hear and save."""
    owner = page.owner(request)
    views = page.jobs.listing(owner, ("convert",), (DONE,), MOST_TAKES)
    rows = "".join(_row(page, request, view) for view in views)
    if not rows:
        return f"<p>{html.escape(page.say(request, 'convert.no_takes'))}</p>"
    return f'<table class="svc-table"><tbody>{rows}</tbody></table>'


def _row(page: Page, request: "gr.Request", view: JobView) -> str:
    path = view.outputs.get(str(view.result.get("mix")))
    if path is None:
        return ""
    label = f"{view.title}{path.suffix}"
    url = address(page, path, label)
    when = time.strftime("%m-%d %H:%M", time.localtime(view.created))
    told = html.escape(settings_words(page, request, view.settings))
    title = html.escape(view.title)
    return (
        f'<tr data-job="{view.id}"><td><strong>{title}</strong><br>{when} · {told}'
        f"{player(url, view.title)}{download(page, request, url, label)}</td></tr>"
    )


def settings_words(page: Page, request: "gr.Request", settings: dict[str, Any]) -> str:
    """What was set other than usual, in the reader's words."""
    parts = [
        f"{page.say(request, field_key(ConvertOptions, name, 'label'))} {_value(value)}"
        for name, value in differences(settings.get("options") or {}).items()
    ]
    if settings.get("preview_seconds"):
        parts.insert(0, page.say(request, "convert.beginning"))
    for key in ("f0", "prompt", "curve"):
        if settings.get(key):
            parts.append(f"{page.say(request, f'convert.{key}')}: {settings[key]}")
    return " · ".join(parts) or page.say(request, "convert.usual")


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def suggestion(page: Page, request: "gr.Request", measured: dict[str, Any], speaker: dict[str, Any]) -> tuple[str, int]:
    """A sentence on both ranges, and the transposition in semitones that brings the song into the singer's range.

    Whole octaves keep the accompaniment in its key; the sentence also names the nearest semitones, for bare vocals.
    """
    from svc.conversion.melody import octave_transpose

    low, median, high = (float(speaker.get(f"f0_{name}_hz") or 0) for name in ("low", "median", "high"))
    song = [float(measured[f"{name}_hz"]) for name in ("low", "median", "high")]
    octaves = round(octave_transpose(song[1], median))
    values = {"low": note(song[0]), "high": note(song[2]), "octaves": f"{octaves:+d}"}
    if median <= 0:
        return page.say(request, "convert.range_song", low=values["low"], high=values["high"]), 0
    exact = round(nearest(song[1], median))
    return (
        page.say(
            request,
            "convert.range_both",
            **values,
            singer=str(speaker.get("name", "")),
            singer_low=note(low),
            singer_high=note(high),
            exact=f"{exact:+d}",
        ),
        octaves,
    )


def nearest(source_hz: float, target_hz: float) -> float:
    """Semitones from one F0 to another."""
    import math

    return 12 * math.log2(target_hz / source_hz)


def note(f0_hz: float) -> str:
    """The name of the note nearest to F0, such as A4 for 440 Hz; "?" for none."""
    import math

    if not 0 < f0_hz < HIGHEST_HZ:
        return "?"
    number = round(69 + 12 * math.log2(f0_hz / 440.0))
    return f"{NOTES[number % 12]}{number // 12 - 1}"
