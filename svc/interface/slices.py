"""The slices of a prepared dataset: what a person sees and hears of each, and which of them are kept."""

import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svc.interface.disk import read_json, write_json
from svc.interface.jobblock import clock
from svc.interface.kinds.prepare import DATASET
from svc.interface.listening import address, player
from svc.interface.page import Page
from svc.interface.texts import FALLBACK, words

if TYPE_CHECKING:
    import gradio as gr

CHOICE_NAME = "choice.json"
HEARD = "heard"


@dataclass(frozen=True)
class Slice:
    """One slice. number counts from 1 over the whole dataset; findings are dicts of code, drop, reason, advice."""

    number: int
    id: str
    recording: str
    start_seconds: float
    seconds: float
    level_db: float | None
    findings: tuple[dict[str, Any], ...]

    @property
    def advised_against(self) -> bool:
        """Whether the measures say that it should be left out."""
        return any(found["drop"] for found in self.findings)


def report_of(work: Path) -> dict[str, Any]:
    """The dataset report in a preparation's folder; empty while there is none."""
    from svc.data.report import JSON_NAME

    return read_json(work / DATASET / JSON_NAME, {}) or {}


def slices_of(report: dict[str, Any]) -> list[Slice]:
    """All slices of a report, in order."""
    rows = [(recording, row) for recording in report.get("recordings", []) for row in recording["slices"]]
    return [
        Slice(
            number,
            row["id"],
            recording["name"],
            row["start_seconds"],
            row["seconds"],
            row.get("level_db"),
            tuple(row["findings"]),
        )
        for number, (recording, row) in enumerate(rows, 1)
    ]


def excluded_in(work: Path, slices: list[Slice]) -> set[str]:
    """Ids of the slices that are left out: the person's choice, else what the measures advise."""
    choice = read_json(work / CHOICE_NAME)
    if isinstance(choice, dict):
        return {name for name in choice.get("excluded", []) if isinstance(name, str)}
    return {piece.id for piece in slices if piece.advised_against}


def choose(work: Path, excluded: set[str]) -> None:
    """Keep the person's choice beside the dataset."""
    write_json(work / CHOICE_NAME, {"excluded": sorted(excluded)})


def slice_wav(work: Path, slice_id: str) -> Path:
    """The slice as a wav file, as training hears it; made when it is first asked for."""
    target = work / HEARD / f"{slice_id}.wav"
    if not target.exists():
        from svc.audio.signal import Audio
        from svc.audio.writing import write_audio
        from svc.data.manifest import PreparedDataset

        dataset = PreparedDataset.open(work / DATASET)
        utterance = next(u for u in dataset.utterances if u.id == slice_id)
        target.parent.mkdir(exist_ok=True)
        write_audio(target, Audio(dataset.audio(utterance)[None], dataset.spec.sample_rate), "16")
    return target


def slice_html(page: Page, request: "gr.Request", work: Path, piece: Slice) -> str:
    """One slice: where it is from, length, level, player, and what is found about it in words."""
    label = page.say(request, "slices.name", number=piece.number)
    place = f"{clock(piece.start_seconds)}–{clock(piece.start_seconds + piece.seconds)}"
    level = "" if piece.level_db is None else f" · {piece.level_db:.0f} dB"
    facts = html.escape(f"{piece.recording}, {place} · {piece.seconds:.1f} s{level}")
    sound = player(address(page, slice_wav(work, piece.id), f"slice {piece.number}.wav"), label)
    found = "".join(
        f'<li class="{"svc-error" if one["drop"] else "svc-warning"}">{html.escape(finding_words(page, request, one))}'
        "</li>"
        for one in piece.findings
    )
    warnings = f'<ul class="svc-findings">{found}</ul>' if found else ""
    return f'<div class="svc-slice"><p><b>{html.escape(label)}</b> {facts}</p>{sound}{warnings}</div>'


def finding_words(page: Page, request: "gr.Request", found: dict[str, Any]) -> str:
    """What was found, in the reader's language where there are words for it."""
    key = f"finding.{found['code']}"
    return page.say(request, key) if key in words(FALLBACK) else f"{found['reason']}: {found['advice']}."


def report_html(page: Page, request: "gr.Request", report: dict[str, Any], excluded: set[str]) -> str:
    """The dataset report: figures of each singer, recordings that cannot be used, warnings."""
    titles = ("recordings", "minutes", "slices", "held", "range")
    head = "".join(f'<th scope="col">{html.escape(page.say(request, f"report.{name}"))}</th>' for name in titles)
    slices = slices_of(report)
    kept = [piece for piece in slices if piece.id not in excluded]
    rows = ""
    for singer in report.get("singers", []):
        f0 = "–".join(f"{note_name(hz)}" for hz in (singer["f0_hz"] or [])[::2])
        cells = (
            f"{singer['recordings'] - singer['unused_recordings']} / {singer['recordings']}",
            clock(sum(piece.seconds for piece in kept)),
            f"{len(kept)} / {len(slices)}",
            str(singer["validation_slices"]),
            f0,
        )
        rows += f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
    bad = "".join(
        f'<p class="svc-error">{html.escape(recording["name"])}: {html.escape(recording["error"])}</p>'
        for recording in report.get("recordings", [])
        if recording["error"]
    )
    warnings = "".join(f'<p class="svc-warning">{html.escape(text)}</p>' for text in report.get("warnings", []))
    return (
        f'<div class="svc-scroll"><table class="svc-table" id="train-report-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{bad}{warnings}"
    )


def note_name(f0_hz: float) -> str:
    """The nearest note of a frequency, such as A4 for 440 Hz, with the frequency."""
    import math

    if f0_hz <= 0:
        return "?"
    number = round(69 + 12 * math.log2(f0_hz / 440.0))
    names = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
    return f"{names[number % 12]}{number // 12 - 1} ({f0_hz:.0f} Hz)"
