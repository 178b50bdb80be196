"""A web server on 127.0.0.1 that misbehaves as told."""

import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    content: bytes = b""
    status: int = 200
    ranges: bool = True
    etag: str = '"one"'
    break_after: int = 0  # this many bytes of each answer, then the line is cut
    breaks: int = 0  # how many answers are cut
    location: str = ""
    length: bool = True
    kind: str = "application/octet-stream"


@dataclass
class Server:
    url: str
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)  # (path, Range header)

    def put(self, path: str, content: bytes = b"", **how: object) -> str:
        self.pages[path] = Page(content, **how)
        return f"{self.url}{path}"


def start() -> tuple[Server, ThreadingHTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.path, self.headers.get("Range", "")))
            page = site.pages.get(self.path, Page(status=404))
            if page.location:
                self.send_response(302)
                self.send_header("Location", page.location)
                self.end_headers()
                return
            if page.status != 200:
                self.send_error(page.status)
                return
            self._answer(page)

        def _answer(self, page: Page) -> None:
            asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            same = self.headers.get("If-Range", page.etag) == page.etag
            start = int(asked[1]) if asked and page.ranges and same else 0
            size = len(page.content)
            if start >= size > 0:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = page.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Type", page.kind)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            if page.etag:
                self.send_header("ETag", page.etag)
            if page.length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if page.breaks > 0:
                page.breaks -= 1
                body = body[: page.break_after]
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Server(f"http://127.0.0.1:{web.server_address[1]}")
    threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True).start()
    return site, web
