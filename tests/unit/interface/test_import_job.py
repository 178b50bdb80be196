"""The page's job that imports a voice of another program: uploads lie under names of ours, people see theirs."""

from pathlib import Path

import torch
from foreign_voices import TINY, TINY_RVC, rvc_file, write_sovits

from svc.checkpoint.voice import load_voice
from svc.interface.jobs.context import JobContext, Kept
from svc.interface.jobs.record import Job, JobFolder, State
from svc.interface.kinds.voice_work import VOICE_NAME, import_file
from svc.interface.voices import OWN, own_folder


def run_import(home: Path, inputs: dict[str, Path], labels: dict[str, str], **choices: str) -> tuple[dict, Path]:
    """What the job returns, and the voice file it made."""
    job = Job(
        id="a" * 12,
        kind="import",
        owner="anna",
        title="import",
        target="",
        settings={"label": "My voice", **choices},
        inputs={name: str(path) for name, path in inputs.items()},
        labels={str(path): labels[name] for name, path in inputs.items()},
        home=str(home),
        device="cpu",
        created=0.0,
    )
    folder = JobFolder(home / "jobs" / job.id)
    folder.create(job, State())
    result = import_file(JobContext(folder, job, Kept()))
    assert result["voice"].startswith(OWN)
    return result, own_folder(home, result["voice"]) / VOICE_NAME


def test_of_rvc_with_what_it_does_not_tell(tmp_path: Path) -> None:
    upload = tmp_path / "data.pth"
    torch.save(rvc_file(TINY_RVC, seed=3), upload)
    result, made = run_import(tmp_path, {"file": upload}, {"file": "Anna 40k.pth"}, unvoiced_f0="filled")
    voice = load_voice(made)
    assert result["singers"][0] == voice.speakers[0].name == "Anna 40k"
    assert voice.provenance["imported_from"] == "Anna 40k.pth"
    assert voice.config.unvoiced_f0 == "filled_hz"


def test_of_sovits_with_its_settings_elsewhere(tmp_path: Path) -> None:
    upload = write_sovits(tmp_path, TINY)
    settings = tmp_path / "data.json"
    upload.with_name("config.json").rename(settings)
    result, made = run_import(
        tmp_path, {"file": upload, "config": settings}, {"file": "G_9.pth", "config": "config.json"}
    )
    assert result["singers"] == [f"singer {i}" for i in range(TINY.speakers)]
    assert load_voice(made).provenance["program"] == "so-vits-svc 4.1"
