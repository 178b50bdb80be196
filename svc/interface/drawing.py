"""The F0 of a song, drawn by hand: what the editor in the browser is given, and what comes back from it.

The editor (f0_editor.js) is given {"number", "words", "curve", "force"} as JSON. A curve is {"label", "made", "step",
"frames", "f0_hz"}: F0 in Hz at 0, step, 2 step ... seconds, 0 where unvoiced. The same comes back, without "made".
"""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svc.errors import AudioError
from svc.interface.files import fresh_place
from svc.interface.page import Page
from svc.interface.texts import FALLBACK, words

if TYPE_CHECKING:
    import gradio as gr
    import numpy as np

    from svc.pitch.estimator import F0Track

SCRIPT = Path(__file__).with_name("f0_editor.js")
WORDS = "draw.editor."
STEP_SECONDS = 0.01
SHORTEST_STEP, LONGEST_STEP = 0.001, 0.1
# Twenty minutes in steps of 10 ms.
MOST_FRAMES = 120_000
LOWEST_HZ, HIGHEST_HZ = 10.0, 20_000.0
MOST_NUMBER = 1e9


def editor(page: Page) -> "gr.HTML":
    """The editor; its value is what `for_editor` makes, then what the person drew, and `submit` means "use this F0"."""
    import gradio as gr

    return gr.HTML(
        "",
        label=page.text("draw.title"),
        html_template='<div class="svc-f0"></div>',
        js_on_load=SCRIPT.read_text(encoding="utf-8"),
        elem_id="convert-f0-editor",
        render=False,
    )


def for_editor(page: Page, request: "gr.Request", curve: dict[str, Any] | None = None, force: bool = False) -> str:
    """Words in the reader's language, and a curve to show.

    The editor keeps what was drawn or is newer, unless it is told to `force`.
    """
    keys = [key for key in words(FALLBACK) if key.startswith(WORDS)]
    told = {key.removeprefix(WORDS): page.say(request, key) for key in keys if "{" not in words(FALLBACK)[key]}
    # Filled in by the editor itself.
    told["chosen"] = page.say(request, f"{WORDS}chosen", seconds="{seconds}")
    return json.dumps({"number": time.time_ns(), "words": told, "curve": curve, "force": force})


def curve_of(path: Path, label: str, made: float) -> dict[str, Any]:
    """The curve in the CSV file at `path` for the editor; other steps than even ones become 10 ms.

    AudioError for a file that is not understood, or longer than the editor can show.
    """
    import numpy as np

    from svc.pitch.curve_file import curve_at, read_curve

    times, track = read_curve(path)
    steps = np.diff(times)
    step = float(np.median(steps)) if len(steps) else STEP_SECONDS
    even = abs(times[0]) < 1e-6 and (not len(steps) or float(np.abs(steps - step).max()) < 0.1 * step)
    if not (even and SHORTEST_STEP <= step <= LONGEST_STEP):
        step = STEP_SECONDS
        frames = min(MOST_FRAMES + 1, int(max(0.0, float(times[-1])) / step) + 1)
        track = curve_at(times, track, np.arange(frames) * step)
    if track.frames > MOST_FRAMES:
        raise AudioError(
            f"'{label}' holds more than {MOST_FRAMES * STEP_SECONDS / 60:.0f} minutes, too long to be drawn: edit it "
            "in a table program."
        )
    f0_hz = np.round(track.f0_hz.astype(np.float64), 2).tolist()
    return {"label": label, "made": made, "step": round(step, 6), "frames": track.frames, "f0_hz": f0_hz}


def drawn(data: Any) -> "tuple[np.ndarray, F0Track]":
    """Times (T,) in seconds and F0 of what came from the editor, JSON text or what it means.

    AudioError in one sentence for anything that is not such a curve.
    """
    import numpy as np

    from svc.pitch.estimator import F0Track

    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError):
            raise _refusal("is not understood") from None
    values = data.get("f0_hz") if isinstance(data, dict) else None
    if not isinstance(values, list) or not values:
        raise _refusal("is not there")
    if len(values) > MOST_FRAMES:
        raise _refusal(f"has {len(values)} values, more than {MOST_FRAMES}")
    if data.get("frames", len(values)) != len(values):
        raise _refusal(f"has {len(values)} values in place of {str(data['frames'])[:20]}")
    step = data.get("step", STEP_SECONDS)
    if not _is_number(step) or not SHORTEST_STEP <= step <= LONGEST_STEP:
        raise _refusal(f"has a step of {str(step)[:20]} seconds, not between {SHORTEST_STEP} and {LONGEST_STEP},")
    if not all(_is_number(value) for value in values):
        raise _refusal("holds something that is not a number")
    f0_hz = np.array(values, dtype=np.float64)
    wrong = np.flatnonzero((f0_hz != 0) & ((f0_hz < LOWEST_HZ) | (f0_hz > HIGHEST_HZ)))
    if len(wrong):
        at = int(wrong[0])
        raise _refusal(
            f"is {f0_hz[at]:g} Hz at {at * step:.2f} s, neither 0 nor between {LOWEST_HZ:g} and {HIGHEST_HZ:g},"
        )
    if not (f0_hz > 0).any():
        raise _refusal("is unvoiced everywhere, so there is nothing to sing,")
    return np.arange(len(f0_hz)) * step, F0Track(f0_hz.astype(np.float32), f0_hz > 0)


def write_drawn(page: Page, data: Any, label: str) -> str:
    """Write what came from the editor as a CSV file where uploads arrive; its path. AudioError as `drawn`."""
    from svc.pitch.curve_file import write_curve

    times, track = drawn(data)
    path = fresh_place(page.settings.cache_folder, label, ".csv")
    write_curve(path, times, track)
    return str(path)


def label_of(data: Any) -> str:
    """The name that the editor knows the curve by."""
    try:
        found = json.loads(data) if isinstance(data, str) else data
        return str(found["label"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= MOST_NUMBER  # false for NaN, and no overflow for long integers


def _refusal(what: str) -> AudioError:
    return AudioError(f"The drawn F0 {what}: load the curve again and draw it anew.")
