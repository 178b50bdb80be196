"""One file over HTTP: resumable, in blocks, never under its final name before it is whole."""

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from svc.errors import WeightError
from svc.progress import Progress

BLOCK = 1 << 18
ATTEMPTS = 4
_BUSY = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Transfer:
    """What to load: `bytes` is 0 when unknown; `checked` says that a hash will be compared afterwards."""

    url: str
    bytes: int = 0
    checked: bool = False
    timeout_seconds: float = 30.0
    pause_seconds: float = 1.0


class _Broken(Exception):
    """The connection ended early; what has arrived stays."""


class _Stale(Exception):
    """What lies here does not continue to what the server has."""


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not newurl.startswith("https:") and (req.full_url.startswith("https:") or not newurl.startswith("http:")):
            raise WeightError(f"{req.full_url} leads to {newurl}, which is not encrypted: it was not followed.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(transfer: Transfer, part: Path, progress: Progress | None = None) -> None:
    """Load `transfer.url` into `part`, going on where an earlier try stopped.

    A break is tried again a few times. Raises WeightError when the server refuses, offers another size than wanted,
    or breaks again and again; `part` is kept then wherever going on is possible.
    """
    if not transfer.url.startswith(("https://", "http://")):
        raise WeightError(f"{transfer.url} is no web address: use one that starts with https://.")
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(transfer.pause_seconds * 2 ** (attempt - 1))
        try:
            _attempt(transfer, part, progress)
        except _Stale as error:
            reason = str(error)
            discard(part)
        except _Broken as error:
            reason = str(error)
        else:
            _note(part).unlink(missing_ok=True)
            return
    arrived = part.stat().st_size if part.is_file() else 0
    kept = f"; {arrived:,} bytes have arrived and are kept, run it again to go on" if arrived else ""
    raise WeightError(f"{transfer.url} failed {ATTEMPTS} times ({reason}){kept}.")


def discard(part: Path) -> None:
    """Delete an unfinished download."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _attempt(transfer: Transfer, part: Path, progress: Progress | None) -> None:
    done, headers = _start(transfer, part)
    if transfer.bytes and done == transfer.bytes:
        return
    request = urllib.request.Request(transfer.url, headers=headers)
    try:
        response = urllib.request.build_opener(_NoDowngrade).open(request, timeout=transfer.timeout_seconds)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            if _complete_already(error.headers, done):
                return
            raise _Stale("the server has less than has arrived") from None
        if error.code in _BUSY:
            raise _Broken(f"HTTP {error.code} {error.reason}") from None
        raise WeightError(f"{transfer.url} cannot be had (HTTP {error.code} {error.reason}).") from None
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(_why(error)) from None
    with response:
        done, total = _position(transfer, response, done)
        _write_note(part, transfer.url, response.headers)
        with open(part, "r+b" if done else "wb") as file:
            file.seek(done)
            file.truncate()
            for block in _blocks(response):
                file.write(block)
                done += len(block)
                if progress is not None and total:
                    progress(min(1.0, done / total))
    if total and done < total:
        raise _Broken(f"the connection ended after {done:,} of {total:,} bytes")
    if total and done > total:
        raise _Stale(f"{done:,} bytes came instead of {total:,}")


def _start(transfer: Transfer, part: Path) -> tuple[int, dict[str, str]]:
    """(bytes that can be kept, request headers)."""
    headers = {"User-Agent": "svc-toolkit", "Accept-Encoding": "identity"}
    done = part.stat().st_size if part.is_file() else 0
    if not done:
        return 0, headers
    note = _read_note(part)
    validator = note["validator"] if note["url"] == transfer.url else ""
    too_long = transfer.bytes and done > transfer.bytes
    # Without a hash only the server's own mark tells that the rest belongs to what is here.
    if too_long or not (transfer.checked or validator):
        discard(part)
        return 0, headers
    headers["Range"] = f"bytes={done}-"
    if validator:
        headers["If-Range"] = validator
    return done, headers


def _position(transfer: Transfer, response: Any, done: int) -> tuple[int, int]:
    """(byte the answer starts at, size of the whole or 0); WeightError for another file than wanted."""
    length = response.length or 0
    if response.status == 206:
        match = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not match or int(match[1]) != done:
            raise _Stale("the server sent another range than asked for")
        total = int(match[2]) if match[2] != "*" else done + length
    else:
        done, total = 0, length
    if transfer.bytes and total and total != transfer.bytes:
        raise WeightError(f"{transfer.url} offers {total:,} bytes instead of {transfer.bytes:,}: it is another file.")
    if not transfer.checked and response.headers.get_content_type() == "text/html":
        raise WeightError(f"{transfer.url} answers with a web page instead of a file: a login may be needed.")
    return done, total or transfer.bytes


def _blocks(response: Any) -> Iterator[bytes]:
    while True:
        try:
            block = response.read(BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise _Broken(_why(error)) from None
        if not block:
            return
        yield block


def _complete_already(headers: Any, done: int) -> bool:
    match = re.match(r"bytes \*/(\d+)", headers.get("Content-Range", ""))
    return match is not None and int(match[1]) == done


def _why(error: BaseException) -> str:
    reason = getattr(error, "reason", error)
    return str(reason) or type(error).__name__


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json.part")


def _write_note(part: Path, url: str, headers: Any) -> None:
    mark = headers.get("ETag") or ""
    validator = mark if mark and not mark.startswith("W/") else headers.get("Last-Modified") or ""
    _note(part).write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")


def _read_note(part: Path) -> dict[str, str]:
    try:
        note = json.loads(_note(part).read_text(encoding="utf-8"))
        return {"url": str(note["url"]), "validator": str(note["validator"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"url": "", "validator": ""}
