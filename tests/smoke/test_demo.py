"""The demo, shortened: what comes out is the song, in tune, nearer to the target singer, and not clipped."""

import json
from pathlib import Path

import numpy as np
import pytest

from svc.audio.reading import probe, read_audio
from svc.cli.app import run
from svc.data.demo import Score, demo_scores, demo_singer, demo_song
from svc.evaluation.pitch_metrics import FRAME_SECONDS, track_f0
from svc.registry import SEPARATORS
from svc.speaker.resemblyzer import Resemblyzer

MINUTES = "1.5"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The demo's own account of what it made."""
    import contextlib
    import io

    folder = tmp_path_factory.mktemp("demo")
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setenv("SVC_RUNS_DIR", str(folder / "runs"))
        code = run(["demo", "--output", str(folder), "--minutes", MINUTES, "--device", "cpu", "--json"])
    assert code == 0
    return json.loads(out.getvalue())


def source_score() -> Score:
    return next(score for score in demo_scores() if score.path == demo_song())


def test_everything_named_is_there(made: dict) -> None:
    for name in ("song", "vocals", "voice", "report"):
        assert Path(made[name]).stat().st_size > 0
    assert any(Path(made["tensorboard"]).iterdir())
    assert Path(made["report"]).with_suffix(".png").stat().st_size > 10_000


def test_the_song_keeps_its_length_rate_and_channels(made: dict) -> None:
    before, after = read_audio(demo_song()), read_audio(Path(made["song"]))
    assert (after.length, after.sample_rate, after.channels) == (before.length, before.sample_rate, before.channels)
    assert probe(Path(made["song"])).container == "flac"


def test_nothing_clips(made: dict) -> None:
    peaks = np.abs(read_audio(Path(made["song"])).samples).max()
    assert 0.05 < peaks < 1.0


def test_the_melody_is_the_score(made: dict) -> None:
    vocals = read_audio(Path(made["vocals"])).mono()
    f0_hz = track_f0(vocals.samples[0], vocals.sample_rate)
    cents = []
    for note in source_score().notes:
        # The middle of the note: its ends are glides.
        third = (note.end - note.start) / 3
        frames = f0_hz[round((note.start + third) / FRAME_SECONDS) : round((note.end - third) / FRAME_SECONDS)]
        wanted = note.f0_hz * 2 ** (made["transpose_semitones"] / 12)
        cents.extend(1200 * np.log2(frames[frames > 0] / wanted))
    assert len(cents) > 500
    assert np.median(np.abs(cents)) <= 30


def test_it_is_nearer_to_the_target_singer(made: dict) -> None:
    separator, embedder = SEPARATORS.create("spleeter"), Resemblyzer()

    def voice(audio) -> np.ndarray:
        return embedder.embed(audio.mono().samples[0], audio.sample_rate)

    target = voice(separator.separate(read_audio(sorted(demo_singer().glob("*.ogg"))[0])).vocals)
    source = voice(separator.separate(read_audio(demo_song())).vocals)
    result = voice(read_audio(Path(made["vocals"])))
    assert result @ target > result @ source
