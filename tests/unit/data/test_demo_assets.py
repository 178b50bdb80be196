import hashlib
import json

import numpy as np
import pytest
import soundfile

from svc.data import demo
from svc.errors import DatasetError

NAMES = ("amazing_grace", "scarborough_fair", "auld_lang_syne", "ode_to_joy", "red_river_valley")
KEPT_OUT = ("kids are talking", "dogs are sitting")


@pytest.fixture(scope="module")
def decoded() -> dict[str, tuple[np.ndarray, int]]:
    return {s.name: soundfile.read(s.path, dtype="float32", always_2d=True) for s in demo.demo_scores()}


def test_every_file_of_the_folder_is_in_the_scores_and_small_enough():
    assert tuple(s.name for s in demo.demo_scores()) == NAMES
    songs = sorted(demo.demo_songs_dir().glob("*/*.ogg"))
    assert songs == sorted(s.path for s in demo.demo_scores())
    assert sum(p.stat().st_size for p in demo.demo_songs_dir().rglob("*") if p.is_file()) <= 8_000_000


def test_files_are_the_ones_that_were_described():
    entries = json.loads((demo.demo_songs_dir() / "scores.json").read_text(encoding="utf-8"))["songs"]
    for entry in entries:
        data = (demo.demo_songs_dir() / entry["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"], entry["name"]
        assert entry["dry_voice_cents"] <= 20


@pytest.mark.parametrize("name", NAMES)
def test_song_decodes_to_the_length_and_level_of_its_score(name, decoded):
    score = demo.load_score(name)
    samples, rate = decoded[name]
    assert (rate, samples.shape) == (score.sample_rate, (score.frames, 2))
    assert 10 ** (-1 / 20) > np.abs(samples).max() > 0.3
    assert score.seconds > score.notes[-1].end


@pytest.mark.parametrize("name", NAMES)
def test_notes_are_ordered_long_enough_and_in_the_singers_range(name):
    score = demo.load_score(name)
    low, high = (130, 320) if score.singer == "bram" else (180, 500)
    for note, following in zip(score.notes, (*score.notes[1:], None)):
        assert note.end - note.start >= 0.2
        assert low < note.f0_hz < high
        assert following is None or note.end <= following.start + 1e-6


def salience_rank(samples: np.ndarray, rate: int, midi: int) -> int:
    """0 where `midi` has the strongest harmonic sum of the octave around it."""
    magnitude = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 32768))
    sums = []
    for candidate in range(midi - 6, midi + 6):
        f0_hz = 440 * 2 ** ((candidate - 69) / 12)
        edges = [(k * f0_hz * 2 ** (-40 / 1200), k * f0_hz * 2 ** (40 / 1200)) for k in range(1, 13)]
        sums.append(sum(magnitude[int(a * 32768 / rate) : int(b * 32768 / rate) + 2].max() for a, b in edges))
    return int(np.argsort(sums)[::-1].tolist().index(6))


def mean_rank(score: demo.Score, samples: np.ndarray, rate: int, late: float) -> float:
    ranks = []
    for note in score.notes:
        a, b = note.start + 0.1 + late, note.end - 0.1 + late
        if note.end - note.start >= 0.5 and b < score.seconds - 2:
            ranks.append(salience_rank(samples[int(a * rate) : int(b * rate)].mean(axis=1), rate, note.midi))
    assert len(ranks) >= 10
    return float(np.mean(ranks))


@pytest.mark.parametrize("name", NAMES)
def test_the_written_notes_are_heard_in_the_mix_at_their_times(name, decoded):
    """The band plays too, so another note may be louder now and then, not on average; 1.3 s later it is chance."""
    score = demo.load_score(name)
    right = mean_rank(score, *decoded[name], late=0.0)
    shifted = mean_rank(score, *decoded[name], late=1.3)
    assert right < 0.6
    assert shifted > 2


def test_two_singers_and_the_folders_that_the_demo_uses():
    scores = {s.name: s for s in demo.demo_scores()}
    target = [s for s in scores.values() if s.path.parent == demo.demo_singer()]
    assert len(target) == 4
    assert 180 <= sum(s.seconds for s in target) <= 260
    source = scores[demo.demo_song().stem]
    assert source.singer != target[0].singer
    assert 30 <= source.seconds <= 40
    assert source.title not in {s.title for s in target}
    reach = [n.midi + source.transpose_semitones for n in source.notes]
    owned = [n.midi for s in target for n in s.notes]
    assert min(owned) <= min(reach) and max(reach) <= max(owned)


def test_kept_out_sentences_do_not_occur():
    words = " ".join(" ".join(s.words) for s in demo.demo_scores()).lower()
    assert not any(sentence in words for sentence in KEPT_OUT)
    assert "amazing grace" in words


def test_unknown_song_is_named_with_the_choices():
    with pytest.raises(DatasetError, match="red_river_valley"):
        demo.load_score("yesterday")


def test_missing_or_newer_scores_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "ASSETS", tmp_path)
    with pytest.raises(DatasetError, match="install the package again"):
        demo.demo_song()
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "scores.json").write_text('{"format": 2, "songs": []}', encoding="utf-8")
    with pytest.raises(DatasetError, match="format 2"):
        demo.demo_scores()
