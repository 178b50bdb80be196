"""The page's actions as an API: what docs show with gradio_client, for training, batches and separation."""

import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_cases import sung, write
from pages import Server, api_client, running_server

client_module = pytest.importorskip("gradio_client", reason="the API's client is in pip install 'svc-toolkit[webui]'")

WAIT_SECONDS = 240


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the server that its operator allows: two songs, words, and a link that leads out of it."""
    place = tmp_path_factory.mktemp("allowed")
    outside = write(tmp_path_factory.mktemp("outside") / "secret.wav", sung(1.5))
    write(place / "one.wav", sung(1.5))
    write(place / "more" / "two.wav", sung(1.5, 330.0))
    (place / "words.mp3").write_text("These are words. " * 100)
    (place / "secret.wav").symlink_to(outside)
    return place


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, runs: Path, folder: Path) -> Iterator[Server]:
    pytest.importorskip("gradio", reason="the page needs gradio (pip install 'svc-toolkit[webui]')")
    with running_server(tmp_path_factory.mktemp("studio") / "data", runs, "--allow", str(folder)) as started:
        yield started


def connect(server: Server) -> Any:
    return api_client(server.url)


@pytest.fixture
def client(studio: Server) -> Any:
    return connect(studio)


def added(client: Any, path: Path) -> str:
    """The id of a song that was sent to the page."""
    return client.predict(client_module.handle_file(path), api_name="/add_song")[0]


def ended(client: Any, job: dict[str, Any], *states: str) -> dict[str, Any]:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        view = client.predict(job["id"], api_name="/job")
        if view["state"] in (states or ("done", "failed", "interrupted")):
            return view
        time.sleep(0.3)
    raise AssertionError(f"still {view}")


def refusal(client: Any, *arguments: Any, api_name: str) -> str:
    with pytest.raises(Exception) as raised:
        client.predict(*arguments, api_name=api_name)
    return str(raised.value)


def test_separating_gives_both_stems_and_they_sum_to_the_song(client: Any, song: Path) -> None:
    import numpy as np
    import soundfile

    job = client.predict(added(client, song), "basic", "wav", api_name="/separate")
    done = ended(client, job)
    assert done["state"] == "done", done
    assert done["outputs"] == ["accompaniment/my song.wav", "vocals/my song.wav"]
    assert done["result"]["files"][0]["name"] == "my song.wav"
    stems = [soundfile.read(path)[0] for path in client.predict(job["id"], api_name="/result")]
    original = soundfile.read(song)[0]
    assert len(stems) == 2 and np.allclose(stems[0] + stems[1], original, atol=1e-6)


def test_methods_and_models_are_only_those_that_are_listed(client: Any, song: Path) -> None:
    stored = added(client, song)
    for method in ("roformer/../../etc/passwd", "/etc/passwd", "sorcery", "none"):
        assert "There is no method" in refusal(client, stored, method, "wav", api_name="/separate")
    assert "not in the list of choices" in refusal(client, stored, "basic", "../x", api_name="/separate")


def test_a_batch_names_the_bad_file_and_packs_the_others(client: Any, song: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "my song.flac", sung(1.5, 330.0))
    ids = ",".join([added(client, song), added(client, other)])
    job = client.predict(ids, "", "server-anna", {"separate": "none"}, api_name="/batch")
    assert ended(client, job)["state"] == "done"
    files = client.predict(job["id"], api_name="/batch_files")
    assert [(file["name"], file["state"], file["result"]) for file in files] == [
        ("my song.wav", "done", "my song.wav"),
        ("my song.flac", "done", "my song.flac"),
    ]
    packed = next(path for path in client.predict(job["id"], api_name="/result") if path.endswith(".zip"))
    assert sorted(zipfile.ZipFile(packed).namelist()) == ["my song.flac", "my song.wav"]


def test_a_batch_over_a_folder_of_the_server_stays_inside_it(client: Any, folder: Path) -> None:
    options = {"separate": "none"}
    job = client.predict(songs="", folder=str(folder), voice="server-anna", options=options, api_name="/batch")
    done = ended(client, job)
    assert done["state"] == "done", done
    files = client.predict(job["id"], api_name="/batch_files")
    states = [(file["name"], file["state"]) for file in files]
    assert states == [("more/two.wav", "done"), ("one.wav", "done"), ("words.mp3", "failed")]
    assert "'words.mp3' is not audio" in files[2]["reason"] or "words.mp3 is not audio" in files[2]["reason"]
    for place in ("../../etc/passwd", "/etc", str(folder / "secret.wav"), str(folder.parent), "more/../.."):
        sentence = refusal(client, "", place, "server-anna", options, api_name="/batch")
        assert "is not in a folder that this page may read" in sentence
    for field in ({"index": "/etc/passwd"}, {"separate_model": "../../etc/passwd"}):
        assert "names a file of the server" in refusal(client, "", str(folder), "server-anna", field, api_name="/batch")


def test_a_singer_is_prepared_chosen_trained_and_kept_from_others(client: Any, studio: Server, tmp_path: Path) -> None:
    songs = [write(tmp_path / f"take {i}.wav", sung(6.0, 200.0 + 60 * i)) for i in range(2)]
    ids = " ".join(added(client, path) for path in songs)
    cut = {"separate": "none", "slice_min_seconds": 2.0, "slice_max_seconds": 3.0}
    settings = {"prepare": cut, "features": {"pitch_estimator": "dio"}}
    prepared = client.predict(songs=ids, singer="Anna / B", settings=settings, api_name="/prepare")
    assert ended(client, prepared)["state"] == "done"
    slices = client.predict(prepared["id"], api_name="/slices")
    assert {piece["recording"] for piece in slices} == {"take 0.wav", "take 1.wav"}
    assert all(piece["keep"] for piece in slices) and len(slices) >= 4
    dropped = slices[0]["id"]
    chosen = client.predict(prepared["id"], dropped, api_name="/choose_slices")
    assert [piece["id"] for piece in chosen if not piece["keep"]] == [dropped]
    assert "There is no slice" in refusal(client, prepared["id"], "nonsense", api_name="/choose_slices")
    sentence = refusal(client, prepared["id"], "/etc/x.yaml", "", {}, api_name="/train")
    assert "not in the list of choices" in sentence
    tiny = {"max_steps": 4, "voice_every": 2, "log_every": 1}
    job = client.predict(prepared["id"], "debug", "", {"train": tiny}, api_name="/train")
    done = ended(client, job)
    assert done["state"] == "done", done
    assert done["result"]["steps"] == 4 and done["outputs"] == ["Anna _ B.safetensors"]
    assert done["settings"]["excluded"] == [dropped]
    losses = client.predict(job["id"], api_name="/losses")
    assert [line["step"] for line in losses if line["kind"] == "train"] == [1, 2, 3, 4]
    stranger = connect(studio)
    for name in ("/losses", "/tensorboard", "/slices"):
        assert "There is no such job" in refusal(stranger, job["id"], api_name=name)
