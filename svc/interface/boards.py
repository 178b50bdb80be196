"""TensorBoard for a training, behind the page's own address.

Each one is a child process bound to 127.0.0.1 on a free port. A browser never talks to it: `BoardProxy` hands on what
comes to /tensorboard/<token>/ after it has seen that the login or the browser's cookie is that of the job's owner. The
token is random, and the child answers below it alone, so other accounts of this machine that find the port get nothing.
The child is told its folder and token on standard input, ends when that closes (with the server, however it ends), and
by itself when nobody has looked for half an hour.
"""

import contextlib
import json
import os
import secrets
import select
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from svc.errors import SvcError

PREFIX = "/tensorboard/"
IDLE_SECONDS = 1800.0
START_SECONDS = 60.0
MOST = 4
# What of a request and of an answer is handed on; cookies never are.
REQUEST_HEADERS = frozenset({"accept", "accept-encoding", "content-type", "if-none-match", "range"})
ANSWER_HEADERS = frozenset(
    {"cache-control", "content-encoding", "content-length", "content-security-policy", "content-type", "etag"}
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass
class Board:
    """One running TensorBoard."""

    owner: str
    folder: Path
    token: str
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def touch(self) -> None:
        """Tell it that somebody looks."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait(timeout=5)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class Boards:
    """The TensorBoards of all users: one for each user, a few in all; the oldest makes room."""

    def __init__(self) -> None:
        self._boards: dict[str, Board] = {}
        self._lock = threading.Lock()

    def open(self, owner: str, folder: Path) -> str:
        """The path below the page's address of a TensorBoard over `folder`; SvcError when it does not start."""
        with self._lock:
            for board in list(self._boards.values()):
                if board.alive and board.owner == owner and board.folder == folder:
                    return f"{PREFIX}{board.token}/"
                if not board.alive or board.owner == owner:
                    self._drop(board)
            while len(self._boards) >= MOST:
                self._drop(next(iter(self._boards.values())))
            board = _start(owner, folder)
            self._boards[board.token] = board
            return f"{PREFIX}{board.token}/"

    def find(self, owner: str, token: str) -> Board | None:
        """The owner's TensorBoard of that token, if it runs."""
        board = self._boards.get(token)
        return board if board is not None and board.owner == owner and board.alive else None

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            for board in list(self._boards.values()):
                self._drop(board)

    def _drop(self, board: Board) -> None:
        self._boards.pop(board.token, None)
        board.close()


def _start(owner: str, folder: Path) -> Board:
    token = secrets.token_urlsafe(24)
    command = [sys.executable, "-m", "svc.interface.boards"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert process.stdin is not None and process.stdout is not None
    told = {"folder": str(folder), "prefix": PREFIX + token}
    with contextlib.suppress(OSError):
        process.stdin.write(json.dumps(told).encode() + b"\n")
        process.stdin.flush()
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    answer = process.stdout.readline() if ready else b""
    if not answer.strip().isdigit():
        process.kill()
        process.wait(timeout=5)
        raise SvcError("TensorBoard does not start: try again, or run  tensorboard --logdir  on the server.")
    return Board(owner, folder, token, int(answer), process)


class BoardProxy:
    """ASGI middleware: requests below /tensorboard/ go to the owner's TensorBoard, and to nobody else's."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], boards: Boards, path: str = "") -> None:
        self._app, self._boards, self._path = app, boards, path.rstrip("/")
        self._client: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is TensorBoard's; pass everything else on."""
        path = str(scope.get("path", ""))
        if self._path and path.startswith(f"{self._path}/"):  # a proxy in front that does not take it off
            path = path[len(self._path) :]
        if scope["type"] != "http" or not path.startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        from starlette.requests import Request
        from starlette.responses import PlainTextResponse

        request = Request(scope, receive)
        owner = _owner(request)
        board = self._boards.find(owner, path[len(PREFIX) :].partition("/")[0]) if owner else None
        if board is None or request.method not in ("GET", "HEAD", "POST"):
            await PlainTextResponse("There is no TensorBoard here: open it from the page.", 404)(scope, receive, send)
            return
        board.touch()
        await (await self._forward(request, board, path))(scope, receive, send)

    async def _forward(self, request: Any, board: Board, path: str) -> Any:
        import httpx
        from starlette.background import BackgroundTask
        from starlette.responses import PlainTextResponse, StreamingResponse

        if self._client is None:
            self._client = httpx.AsyncClient(trust_env=False, timeout=60.0)
        headers = {name: value for name, value in request.headers.items() if name in REQUEST_HEADERS}
        url = httpx.URL(scheme="http", host="127.0.0.1", port=board.port, path=path, query=request.url.query.encode())
        asked = self._client.build_request(request.method, url, headers=headers, content=await request.body())
        try:
            answer = await self._client.send(asked, stream=True)
        except httpx.HTTPError:
            return PlainTextResponse("TensorBoard does not answer: open it from the page again.", 502)
        kept = {name: value for name, value in answer.headers.items() if name in ANSWER_HEADERS}
        return StreamingResponse(answer.aiter_raw(), answer.status_code, kept, background=BackgroundTask(answer.aclose))


def _owner(request: Any) -> str:
    """The id of the user who asks, as the page's handlers know it; "" for one who has to log in first."""
    from svc.interface.users import SESSION_COOKIE, owner_of

    app, cookies = request.scope["app"], request.cookies
    name = None
    if getattr(app, "auth", None) is not None:
        key = f"access-token-{app.cookie_id}"
        name = app.tokens.get(cookies.get(key) or cookies.get(f"access-token-unsecure-{app.cookie_id}"))
        if name is None:
            return ""
    elif SESSION_COOKIE not in cookies:
        return ""
    return owner_of(SimpleNamespace(username=name, cookies=cookies, session_hash=None))


def main() -> None:
    """The child: serve the folder that the first line of standard input names, and tell the port."""
    from tensorboard import default, program

    told = json.loads(sys.stdin.buffer.readline())
    board = program.TensorBoard(default.get_plugins())
    board.configure(
        (sys.argv[0],),
        logdir=told["folder"],
        path_prefix=told["prefix"],
        host="127.0.0.1",
        port=0,
        load_fast="false",
        reload_interval=5,
    )
    port = board.launch().rstrip("/").removesuffix(told["prefix"]).rpartition(":")[2]
    print(port, flush=True)
    while True:
        ready, _, _ = select.select([0], [], [], IDLE_SECONDS)
        if not ready or not os.read(0, 4096):
            os._exit(0)


if __name__ == "__main__":
    main()
