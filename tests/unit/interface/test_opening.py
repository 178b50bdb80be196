"""The address answers before the page is there, and is free afterwards."""

import socket
import urllib.error
import urllib.request

import pytest

from svc.interface.opening import MARK, Opening, waiting_page
from svc.interface.texts import words


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_every_address_answers_in_the_readers_language_and_the_port_is_free_afterwards() -> None:
    port = free_port()
    with Opening("127.0.0.1", port):
        for path in ("/", "/gradio_api/file=/etc/passwd", "/../../etc/passwd"):
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept-Language": "zh-CN"})
            with pytest.raises(urllib.error.HTTPError) as answer:
                urllib.request.urlopen(request, timeout=240)
            assert answer.value.code == 503 and answer.value.headers["Retry-After"] == "1"
            body = answer.value.read().decode()
            assert words("zh")["page.opening"] in body and MARK in body and "root:" not in body
        with pytest.raises(OSError):
            Opening("127.0.0.1", port)
    with socket.socket() as probe:  # as gradio does, whose server comes next
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_it_shows_itself_anew() -> None:
    assert b'http-equiv="refresh"' in waiting_page("en") and words("en")["page.opening"].encode() in waiting_page("en")
