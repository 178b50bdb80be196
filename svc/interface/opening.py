"""What answers while the page is being built: the address is there at once, with a word that shows itself anew."""

import contextlib
import html
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from svc.interface.texts import closest, say

RETRY_SECONDS = 1
MARK = "svc-opening"


class Opening:
    """A small server on the page's own address, from the start of the program until the page takes over.

    Use it as a context manager around what takes long; leaving it frees the port. OSError when the port is in use.
    It needs nothing but Python, so it is there in a fraction of a second; it reads nothing and knows nobody.
    """

    def __init__(self, host: str, port: int, language: str = "auto") -> None:
        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_GET(self) -> None:
                """The same short page for every address; 503 tells programs to come again."""
                wish = self.headers.get("Accept-Language", "") if language == "auto" else language
                body = waiting_page(closest(wish))
                self.send_response(503)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Retry-After", str(RETRY_SECONDS))
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            do_HEAD = do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                """Nothing of it goes to the log."""

        self._server = Server((host, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "Opening":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def waiting_page(language: str) -> bytes:
    """A page that says that the real one is coming, and asks for it every second."""
    title, words = (html.escape(say(language, key)) for key in ("page.title", "page.opening"))
    return f"""<!doctype html><html lang="{language}" id="{MARK}"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{RETRY_SECONDS}">
<style>:root {{ color-scheme: light dark }} body {{ font-family: system-ui, sans-serif; display: grid;
place-content: center; min-height: 90vh; text-align: center }}</style></head>
<body><h1>{title}</h1><p role="status">{words}</p></body></html>""".encode()
