"""Starts the web page in a process of its own, and a browser to look at it."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil

HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "host", "te", "trailer", "upgrade")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_SECONDS = 600.0
# Milliseconds that a page may take for one step. Only a failure takes this long; a busy machine takes half of it.
PATIENCE = 240_000


def find_browser() -> str | None:
    """The browser's program: $SVC_BROWSER, else what Debian and others call it."""
    names = [os.environ["SVC_BROWSER"]] if os.environ.get("SVC_BROWSER") else BROWSERS
    return next((path for name in names if (path := shutil.which(name))), None)


@dataclass
class Server:
    """A page that runs: its address, its data folder, and the process."""

    url: str
    port: int
    data: Path
    log: Path
    process: subprocess.Popen

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the server; its jobs go on, as they do when a person stops it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        self.process.wait(timeout=120)


def start_server(data: Path, runs: Path, *arguments: str, port: int | None = None) -> Server:
    """`python webui.py` with its own data folder, ready to answer; AssertionError with its log if it is not."""
    port = port or free_port()
    log = data.parent / f"server-{port}.log"
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, str(root / "webui.py"), "--port", str(port), "--data", str(data), "--device", "cpu"]
    environment = {**os.environ, "SVC_RUNS_DIR": str(runs), "OMP_NUM_THREADS": "1"}
    with open(log, "ab") as file:
        process = subprocess.Popen([*command, *arguments], env=environment, stdout=file, stderr=file)
    server = Server(f"http://127.0.0.1:{port}", port, data, log, process)
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(server.url, timeout=5).close()
            return server
        time.sleep(0.1)
    process.kill()
    raise AssertionError(f"the page did not start: {log.read_text()}")


def api_client(url: str, **settings: Any) -> Any:
    """A client of the page's API, which is a user of its own; it waits as long as a busy machine takes to answer."""
    from gradio_client import Client

    return Client(url, verbose=False, httpx_kwargs={"timeout": PATIENCE / 1000}, **settings)


class PrefixProxy:
    """A proxy as docs/web.md sets nginx up: shows `server` below `prefix`, which it takes off, and nothing else."""

    def __init__(self, server: Server, prefix: str) -> None:
        proxy = self
        self.asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def _pass(self) -> None:
                proxy.asked.append(self.path)
                if not self.path.startswith(f"{prefix}/"):
                    self.send_error(404)
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
                headers = {key: value for key, value in self.headers.items() if key.lower() not in HOP_BY_HOP}
                host = self.headers["Host"]
                headers |= {"Host": host, "X-Forwarded-Host": host, "X-Forwarded-Proto": "http"}
                connection = http.client.HTTPConnection("127.0.0.1", server.port)
                with contextlib.closing(connection), contextlib.suppress(OSError):
                    connection.request(self.command, self.path.removeprefix(prefix), body, headers)
                    answer = connection.getresponse()
                    self.send_response_only(answer.status)
                    for key, value in answer.getheaders():
                        if key.lower() not in HOP_BY_HOP:
                            self.send_header(key, value)
                    self.end_headers()
                    while block := answer.read1(65_536):  # as it comes: events of the queue are not held back
                        self.wfile.write(block)

            do_GET = do_POST = do_HEAD = _pass

            def log_message(self, format: str, *args: object) -> None:
                """Nothing of it is shown."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.origin}{prefix}/"

    def __enter__(self) -> "PrefixProxy":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def workers_of(data: Path) -> list[psutil.Process]:
    """Processes of jobs and kept models of the page with this data folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            line = " ".join(process.cmdline())
            if "svc.interface.jobs.worker" in line and (str(data) in line or _parent_is_gone_or(process, data)):
                found.append(process)
    return found


def _parent_is_gone_or(process: psutil.Process, data: Path) -> bool:
    """Whether a kept worker, whose command names no folder, belongs to this data folder: by its open files."""
    return any(str(data) in file.path for file in process.open_files())


@contextlib.contextmanager
def running_server(data: Path, runs: Path, *arguments: str) -> Iterator[Server]:
    """A server for a block of code; afterwards it and all its jobs are ended."""
    server = start_server(data, runs, "--stop-jobs-at-exit", *arguments)
    try:
        yield server
    finally:
        server.stop()
        for process in workers_of(data):
            with contextlib.suppress(psutil.Error):
                process.kill()
