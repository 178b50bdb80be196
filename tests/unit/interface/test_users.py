"""Who is who, and what a person sees of an error."""

import asyncio
from types import SimpleNamespace

import pytest

from svc.errors import SvcError
from svc.interface.users import SESSION_COOKIE, SessionCookie, language_of, owner_of


def request(username: str = "", cookie: str = "", session: str = "", **headers: str) -> SimpleNamespace:
    cookies = {SESSION_COOKIE: cookie} if cookie else {}
    return SimpleNamespace(username=username, cookies=cookies, session_hash=session, headers=headers)


def test_owners() -> None:
    assert owner_of(request("anna", cookie="c")) == owner_of(request("anna", cookie="d"))
    names = [request("anna"), request("ben"), request(cookie="anna"), request(session="anna"), request(), request()]
    owners = [owner_of(r) for r in names]
    assert len(set(owners)) == len(owners)
    assert all(owner.isalnum() and len(owner) == 33 for owner in owners)
    assert owner_of(request("../../etc")).isalnum()


def test_a_browser_without_cookie_gets_one() -> None:
    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def cookies(headers: list) -> list[bytes]:
        sent: list[dict] = []

        async def send(message: dict) -> None:
            sent.append(message)

        asyncio.run(SessionCookie(app)({"type": "http", "headers": headers}, None, send))
        return [value for key, value in sent[0]["headers"] if key == b"set-cookie"]

    (first,) = cookies([])
    assert first.startswith(SESSION_COOKIE.encode()) and b"HttpOnly" in first and b"SameSite=Lax" in first
    assert cookies([]) != [first]
    assert cookies([(b"cookie", first.split(b";")[0])]) == []


def test_languages_of_requests() -> None:
    wish = {"accept-language": "zh-CN"}
    assert language_of(request(**wish)) == "zh" and language_of(request(**wish), "en") == "en"
    chosen = request(**wish)
    chosen.cookies["svc_language"] = "en"
    assert language_of(chosen, "zh") == "en"


def test_errors_become_sentences(caplog: pytest.LogCaptureFixture) -> None:
    gr = pytest.importorskip("gradio", reason="the page needs gradio (pip install 'svc-toolkit[webui]')")
    from svc.interface.shown import shown

    def fails(error: Exception) -> None:
        raise error

    with pytest.raises(gr.Error) as known:
        shown(fails)(SvcError("'<b>.wav' is bad: choose another."))
    assert known.value.message == "'&lt;b&gt;.wav' is bad: choose another."
    with pytest.raises(gr.Error) as unknown:
        shown(fails)(RuntimeError("secret"))
    assert "secret" not in unknown.value.message and "number" in unknown.value.message
    assert "secret" in caplog.text


def test_markup_goes_into_html_only_with_the_right_length() -> None:
    from svc.interface.users import HeadMarkup

    def answer(kind: bytes) -> list[dict]:
        async def app(scope, receive, send) -> None:
            headers = [(b"content-type", kind), (b"content-length", b"13")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"<head>", "more_body": True})
            await send({"type": "http.response.body", "body": b"</head>"})

        sent: list[dict] = []

        async def send(message: dict) -> None:
            sent.append(message)

        asyncio.run(HeadMarkup(app, "<x>")({"type": "http", "method": "GET", "headers": []}, None, send))
        return sent

    page = answer(b"text/html; charset=utf-8")
    assert [m.get("body") for m in page] == [None, b"<head><x></head>"]
    assert dict(page[0]["headers"])[b"content-length"] == b"16"
    assert [m.get("body") for m in answer(b"application/json")] == [None, b"<head>", b"</head>"]
