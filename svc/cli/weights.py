"""`svc weights`: the weight files that ship, what each is for, and whether they are as they should be."""

from collections.abc import Sequence
from typing import Any

from cyclopts import App

from svc.cli.console import emit, say
from svc.cli.options import Json

weights = App(name="weights", help="List, verify or locate the weight files that ship.")


@weights.command(name="list")
def list_weights(*, json: Json = False) -> int:
    """Name, size, licence, purpose and state of each weight file."""
    found = _states()
    rows = [(w["name"], f"{w['megabytes']:.1f} MB", w["licence"], w["state"], w["purpose"]) for w in found]
    emit({"weights": found}, json, _table(rows))
    return 0


@weights.command
def verify(*, json: Json = False) -> int:
    """Check every weight file against its hash; exit code 1 when one is missing or damaged."""
    found = _states()
    bad = [w for w in found if w["state"] != "ok"]
    for w in bad:
        say(f"Failed: {w['problem']}")
    emit({"ok": not bad, "weights": found}, json, _table([(w["state"], w["name"], w["sha256"]) for w in found]))
    return 1 if bad else 0


@weights.command
def where(*, json: Json = False) -> int:
    """Where the files lie, and where files of your own are looked for."""
    from svc.paths import ASSETS, pretrain_dir

    found = _states()
    rows = [(w["name"], str(w["path"] or w["state"])) for w in found]
    rows += [("embedded files:", str(ASSETS)), ("your own files:", f"{pretrain_dir()} (or $SVC_PRETRAIN_DIR)")]
    result = {"embedded": str(ASSETS), "pretrain": str(pretrain_dir()), "weights": found}
    emit(result, json, _table(rows))
    return 0


def _states() -> list[dict[str, Any]]:
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


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows)
