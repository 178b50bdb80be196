"""Who may reach the page."""

import pytest

from svc.errors import ConfigError
from svc.interface.settings import ServerSettings, check


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"host": "localhost"},
        {"host": "::1"},
        {"host": "0.0.0.0", "auth": ("anna:secret:with:colons",)},
        {"host": "0.0.0.0", "no_auth": True},
        {"share": True, "auth": ("anna:x",)},
    ],
)
def test_safe_settings_pass(settings: dict) -> None:
    check(ServerSettings(**settings))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"host": "0.0.0.0"}, "opens the page to the network"),
        ({"host": "192.168.1.5"}, "--no-auth"),
        ({"host": "myserver"}, "opens the page to the network"),
        ({"share": True}, "whole internet"),
        ({"auth": ("anna",)}, "USER:PASSWORD"),
        ({"auth": (":x",)}, "USER:PASSWORD"),
        ({"auth": ("a:b",), "no_auth": True}, "exclude each other"),
        ({"language": "xx"}, "no language 'xx'"),
        ({"root_path": "svc"}, "slash"),
    ],
)
def test_unsafe_settings_are_refused_in_a_sentence(settings: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check(ServerSettings(**settings))


def test_a_password_may_hold_colons() -> None:
    assert ServerSettings(auth=("anna:a:b",)).users == [("anna", "a:b")]


def test_the_command_refuses_the_network_before_it_loads_anything(capsys: pytest.CaptureFixture[str]) -> None:
    from svc.cli.app import run

    assert run(["ui", "--host", "0.0.0.0"]) == 2
    assert "--auth USER:PASSWORD" in capsys.readouterr().err
