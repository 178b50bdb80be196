"""Whose files and jobs: the login's name, else a cookie of the browser, else the session of an API client."""

import hashlib
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import SimpleCookie
from typing import Any

SESSION_COOKIE = "svc_session"
LANGUAGE_COOKIE = "svc_language"
YEAR_SECONDS = 365 * 24 * 3600

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def owner_of(request: Any) -> str:
    """The id of the user of a gradio Request: letters and digits, fit as a folder's name, not to be guessed.

    With a login it is the same from every browser; without one, each browser is a user of its own.
    """
    name = getattr(request, "username", None)
    if name:
        return _id("user", name)
    cookie = request.cookies.get(SESSION_COOKIE)
    if cookie:
        return _id("browser", cookie)
    # A client of the API keeps no cookies, but sends one session name with all its calls.
    return _id("session", request.session_hash or secrets.token_hex(16))


def _id(kind: str, name: str) -> str:
    return kind[0] + hashlib.sha256(f"{kind}\0{name}".encode()).hexdigest()[:32]


class SessionCookie:
    """ASGI middleware: gives a browser without a session cookie a new one."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], path: str = "/") -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on; add the cookie to the answer where the request came without one."""
        if scope["type"] != "http" or _cookie(scope, SESSION_COOKIE):
            await self._app(scope, receive, send)
            return
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        value = (
            f"{SESSION_COOKIE}={secrets.token_urlsafe(32)}; Path={self._path or '/'}; Max-Age={YEAR_SECONDS}; "
            f"HttpOnly; SameSite=Lax{secure}"
        )

        async def send_with_cookie(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"set-cookie", value.encode())]
            await send(message)

        await self._app(scope, receive, send_with_cookie)


class HeadMarkup:
    """ASGI middleware: puts markup at the beginning of the head of HTML pages.

    Gradio's own `head` is added by its script, after it has chosen the language.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], markup: str) -> None:
        self._app = app
        self._markup = markup.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on; change the answer if it is HTML."""
        if scope["type"] != "http" or scope.get("method") != "GET":
            await self._app(scope, receive, send)
            return
        start: MutableMapping[str, Any] = {}
        body = b""

        async def send_changed(message: MutableMapping[str, Any]) -> None:
            nonlocal body
            if message["type"] == "http.response.start":
                headers = dict(message.get("headers", []))
                if headers.get(b"content-type", b"").startswith(b"text/html"):
                    start.update(message)
                    return
            if not start:
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            whole = body.replace(b"<head>", b"<head>" + self._markup, 1)
            kept = [(key, value) for key, value in start.get("headers", []) if key != b"content-length"]
            await send({**start, "headers": [*kept, (b"content-length", str(len(whole)).encode())]})
            await send({**message, "body": whole})

        await self._app(scope, receive, send_changed)


def _cookie(scope: Scope, name: str) -> str:
    for key, value in scope.get("headers", []):
        if key == b"cookie":
            jar: SimpleCookie = SimpleCookie(value.decode("latin-1"))
            if name in jar:
                return jar[name].value
    return ""


def language_of(request: Any, default: str = "auto") -> str:
    """The language of a gradio Request: the reader's choice, else the server's, else the browser's wish."""
    from svc.interface.texts import closest, languages

    chosen = request.cookies.get(LANGUAGE_COOKIE, "") if request is not None else ""
    if chosen in languages():
        return chosen
    if default != "auto":
        return default
    return closest(request.headers.get("accept-language", "") if request is not None else "")
