"""`svc weights`: what weight files there are, bringing them here, and whether they are as they should be."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App

from svc.cli.console import emit, say, stage
from svc.cli.options import Json, UsageError

weights = App(name="weights", help="List, get, verify or locate weight files.")


@weights.command(name="list")
def list_weights(*, json: Json = False) -> int:
    """Name, size, licence, state and purpose of each weight file: those that ship, then the catalogue."""
    embedded, others = _embedded(), _others()
    rows = [_row(w) for w in embedded]
    rows += [_row(w) for w in others]
    emit({"weights": embedded, "catalogue": others}, json, _table(rows))
    return 0


@weights.command
def get(*names: str, json: Json = False) -> int:
    """Download files of the catalogue into the pretrain folder, or go on where a download stopped.

    Parameters
    ----------
    names
        Names from `svc weights list`. $SVC_WEIGHTS_MIRROR and $HF_ENDPOINT name other servers, and $SVC_OFFLINE=1
        forbids the network.
    """
    from svc.errors import SvcError
    from svc.weights import entry_of
    from svc.weights.getting import get as get_entry

    if not names:
        raise UsageError("Nothing to get: name at least one file; `svc weights list` shows all names.")
    entries = [entry_of(name) for name in dict.fromkeys(names)]
    results: list[dict[str, Any]] = []
    rows, failed = [], False
    for entry in entries:
        say(f"{entry.name}: licence {entry.licence or 'not known'}. {entry.note}".rstrip())
        try:
            with stage(entry.name) as update:
                gotten = get_entry(entry, update)
        except SvcError as error:
            failed = True
            say(f"Failed: {error}")
            results.append({"name": entry.name, "status": "failed", "reason": str(error), "files": []})
            rows.append(("failed", entry.name, ""))
            continue
        status = "there" if all(g.was_there for g in gotten) else "done"
        files = [{"path": str(g.path), "sha256": g.sha256, "was_there": g.was_there} for g in gotten]
        results.append({"name": entry.name, "status": status, "reason": "", "files": files})
        rows += [("there" if g.was_there else "done", entry.name, str(g.path)) for g in gotten]
    emit({"ok": not failed, "results": results}, json, _table(rows))
    return 1 if failed else 0


@weights.command
def verify(*, json: Json = False) -> int:
    """Check every weight file here against its hash; exit code 1 when one is damaged or an embedded one is missing."""
    embedded = _embedded()
    here = [w for w in _others(fresh=True) if w["state"] not in {"missing", "any name"}]
    bad = [w for w in [*embedded, *here] if w["problem"]]
    for w in bad:
        say(f"Failed: {w['problem']}")
    rows = [(w["state"], w["name"], w["sha256"]) for w in embedded]
    rows += [(f["state"], w["name"], f["sha256"]) for w in here for f in w["files"]]
    emit({"ok": not bad, "weights": embedded, "catalogue": here}, json, _table(rows))
    return 1 if bad else 0


@weights.command
def where(*, json: Json = False) -> int:
    """Where the files lie, and where files of your own are looked for."""
    from svc.paths import ASSETS, pretrain_dir

    embedded = _embedded()
    here = [f for w in _others() for f in w["files"] if f["path"]]
    rows = [(w["name"], str(w["path"] or w["state"])) for w in embedded]
    rows += [(f["name"], f["path"]) for f in here]
    rows += [("embedded files:", str(ASSETS)), ("your own files:", f"{pretrain_dir()} (or $SVC_PRETRAIN_DIR)")]
    result = {"embedded": str(ASSETS), "pretrain": str(pretrain_dir()), "weights": embedded, "files": here}
    emit(result, json, _table(rows))
    return 0


def _embedded() -> list[dict[str, Any]]:
    from svc.errors import WeightError
    from svc.weights import embedded_weights

    out = []
    for weight in embedded_weights():
        path, state, problem = None, "ok", ""
        try:
            path = str(weight.path())
        except WeightError as error:
            state, problem = ("missing" if weight.find() is None else "damaged"), str(error)
        out.append(
            {
                "name": weight.name,
                "megabytes": round(weight.bytes / 1e6, 1),
                "licence": weight.licence,
                "purpose": weight.purpose,
                "sha256": weight.sha256,
                "state": state,
                "path": path,
                "problem": problem,
            }
        )
    return out


def _others(fresh: bool = False) -> list[dict[str, Any]]:
    """The catalogue with the state of each entry and file; `fresh`: read every file again."""
    from svc.weights import catalogue
    from svc.weights.pretrained import Ledger

    ledger = Ledger()
    if fresh:
        ledger.forget()
    out = []
    for entry in catalogue():
        files = [_file_state(ledger, file, fresh) for file in entry.files]
        problems = [f["problem"] for f in files if f["problem"]]
        states = {f["state"] for f in files}
        if not files:
            state = "any name"
        elif len(states) == 1:
            (state,) = states
        else:
            state = next(s for s in ("damaged", "missing", "unpinned", "pinned") if s in states)
            state = "incomplete" if state == "missing" else state
        size = sum(file.bytes for file in entry.files) if all(file.bytes for file in entry.files) else 0
        out.append(
            {
                "name": entry.name,
                "megabytes": round(size / 1e6, 1) if size else None,
                "licence": entry.licence,
                "purpose": entry.purpose + (" (judge: measures only)" if entry.judge else ""),
                "origin": entry.origin,
                "downloadable": entry.downloadable,
                "judge": entry.judge,
                "state": state,
                "files": files,
                "problem": " ".join(problems),
            }
        )
    return out


def _file_state(ledger: Any, file: Any, fresh: bool) -> dict[str, Any]:
    from svc.weights.catalogue import is_distinctive

    path: Path | None = ledger.find(file, is_distinctive(file))
    problem = ledger.mismatch(file) if path is None else ""
    if path is not None:
        state = "ok" if len(file.sha256) == 64 else "pinned" if ledger.is_pinned(file) else "unpinned"
    else:
        state = "damaged" if problem else "missing"
    # A file that nothing is compared with is only read when asked to: it may be of gigabytes.
    read = path is not None and (fresh or state != "unpinned")
    sha256 = ledger.hash_of(path) if read else ledger.expected(file)[0]
    shown = str(path) if path else None
    return {"name": file.path, "state": state, "path": shown, "sha256": sha256, "problem": problem}


def _row(weight: dict[str, Any]) -> tuple[str, ...]:
    size = f"{weight['megabytes']:.1f} MB" if weight["megabytes"] else ""
    state = "by hand" if weight["state"] == "missing" and not weight.get("downloadable", True) else weight["state"]
    return weight["name"], size, weight["licence"], state, weight["purpose"]


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows)
