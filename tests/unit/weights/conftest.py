from collections.abc import Iterator
from pathlib import Path

import pytest
from web_server import Server, start


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server, web = start()
    yield server
    web.shutdown()
    web.server_close()


@pytest.fixture(autouse=True)
def pretrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SVC_WEIGHTS_MIRROR", "HF_ENDPOINT", "SVC_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "pretrain"
    monkeypatch.setenv("SVC_PRETRAIN_DIR", str(folder))
    return folder
