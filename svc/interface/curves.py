"""Curves of a training as pictures in HTML: one small chart for each figure, in the colours of the page."""

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svc.interface.page import Page

if TYPE_CHECKING:
    import gradio as gr

WIDTH, HEIGHT, MARGIN = 260.0, 90.0, 6.0
MOST_POINTS = 160
# Kind and name in metrics.jsonl of what is shown, in order; those a run has not are left out.
SHOWN = (
    ("validation", "mel_distance"),
    ("validation", "speaker_cosine"),
    ("train", "mel"),
    ("train", "prior_mel"),
    ("train", "highs"),
    ("train", "kl"),
    ("train", "f0"),
    ("train", "feature_matching"),
    ("train", "adversarial"),
    ("train", "discriminator"),
)


def read_curves(path: Path) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """The shown figures of a metrics.jsonl as lists of (step, value); a torn last line is left out."""
    curves: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for line in last_lines(path):
        for kind, name in SHOWN:
            if line.get("kind") == kind and isinstance(line.get(name), int | float):
                curves.setdefault((kind, name), []).append((int(line["step"]), float(line[name])))
    return {key: curves[key] for key in SHOWN if key in curves}


def last_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file of JSON lines; empty where there is none."""
    lines = []
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return []
    for line in text.split("\n"):
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return lines


def thinned(points: Sequence[tuple[int, float]], most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """At most `most` points: means of neighbours."""
    size = -(-len(points) // most) or 1
    parts = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(p[0] for p in part) / len(part), sum(p[1] for p in part) / len(part)) for part in parts]


def curves_html(page: Page, request: "gr.Request", path: Path) -> str:
    """All charts of a run; "" while nothing is measured."""
    charts = "".join(
        _chart(page.say(request, f"curve.{name}"), points) for (_, name), points in read_curves(path).items()
    )
    return f'<div class="svc-curves">{charts}</div>' if charts else ""


def _chart(title: str, points: list[tuple[int, float]]) -> str:
    """One chart: its name, the last value, the line with its lowest and highest value, the steps below."""
    shown = thinned(points)
    first, last = points[0][0], points[-1][0]
    low, high = min(y for _, y in shown), max(y for _, y in shown)
    wide, tall = max(last - first, 1), max(high - low, 1e-9)
    line = " ".join(
        f"{MARGIN + (x - first) / wide * (WIDTH - 2 * MARGIN):.1f},"
        f"{HEIGHT - MARGIN - (y - low) / tall * (HEIGHT - 2 * MARGIN):.1f}"
        for x, y in shown
    )
    x, y = line.rsplit(" ", 1)[-1].split(",")
    words = html.escape(title)
    value = f"{points[-1][1]:.3g}"
    return (
        f'<figure class="svc-curve"><figcaption><span>{words}</span> <b>{value}</b></figcaption>'
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{html.escape(title, quote=True)}: {value}">'
        f'<polyline points="{line}" fill="none" stroke="var(--color-accent)" stroke-width="2" '
        f'vector-effect="non-scaling-stroke"/><circle cx="{x}" cy="{y}" r="3" fill="var(--color-accent)"/></svg>'
        f'<p class="svc-axis"><span>{first}</span><span>{low:.3g} – {high:.3g}</span><span>{last}</span></p></figure>'
    )


def samples_of(run: Path, most: int = 4) -> list[tuple[str, list[Path]]]:
    """What the voice sang: (name of a folder in samples/, its files), the recordings first, then the newest steps."""
    folder = run / "samples"
    steps = sorted(folder.glob("step_*"), reverse=True)[:most]
    return [
        (place.name, sorted(place.glob("*.wav")))
        for place in (folder / "recordings", *steps)
        if any(place.glob("*.wav"))
    ]
