"""What the page's benchmarks share: the server in a process of its own, and when it answers."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OPENING_STATUS = 503


@dataclass
class PageServer:
    """A page that was started at `began` (time.monotonic); `log` has what it said."""

    url: str
    process: "subprocess.Popen[bytes]"
    began: float
    log: Path

    def answer(self) -> int:
        """HTTP status of the page's address now; 0 while nobody listens."""
        try:
            with urllib.request.urlopen(self.url, timeout=30) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def wait(self, wanted: set[int], seconds: float = 240.0) -> float:
        """Seconds from the start until an answer of one of these statuses came."""
        while self.answer() not in wanted:
            if self.process.poll() is not None or time.monotonic() - self.began > seconds:
                raise SystemExit(f"the page did not start: {self.log.read_text()}")
            time.sleep(0.05)
        return time.monotonic() - self.began


@contextlib.contextmanager
def page_server(folder: Path, runs: Path) -> Iterator[PageServer]:
    """`python webui.py` with its data in `folder` and the voices of `runs`; ended with its jobs afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(ROOT / "webui.py"), "--port", str(port), "--data", str(folder / "data")]
    environment = {**os.environ, "SVC_RUNS_DIR": str(runs), "OMP_NUM_THREADS": "1"}
    log = folder / "server.log"
    with open(log, "wb") as file:
        began = time.monotonic()
        process = subprocess.Popen(
            [*command, "--device", "cpu", "--stop-jobs-at-exit"], env=environment, stdout=file, stderr=file
        )
    try:
        yield PageServer(f"http://127.0.0.1:{port}/", process, began, log)
    finally:
        process.terminate()
        process.wait(timeout=60)
