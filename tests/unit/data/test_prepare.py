import json
import os
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, small_config, sung, write

from svc.audio.signal import Audio
from svc.data.manifest import PreparedDataset
from svc.data.prepare import prepare_dataset
from svc.features.extractor import FeatureExtractor


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Two singers; same file names in different folders; names that are not ASCII."""
    root = tmp_path_factory.mktemp("raw")
    write(root / "Zoë Sängerin" / "take 1.wav", sung(9, seed=1))
    write(root / "Zoë Sängerin" / "第二.flac", sung(3, 260, seed=2))
    write(root / "Zoë Sängerin" / "b" / "same.wav", sung(2.5, 240, seed=3))
    write(root / "Zoë Sängerin" / "c" / "same.wav", sung(2.6, 250, seed=4))
    write(root / "bob" / "x.wav", np.stack([sung(5, 120, seed=5)] * 2))
    (root / "bob" / "notes.txt").write_text("not audio")
    return root


@pytest.fixture(scope="module")
def out(raw, tmp_path_factory):
    directory = tmp_path_factory.mktemp("prepared") / "dataset"
    prepare_dataset(raw, directory, small_config())
    return directory


@pytest.fixture(scope="module")
def dataset(out):
    return PreparedDataset.open(out)


def stored_files(out):
    return {p.relative_to(out).as_posix(): p.stat().st_mtime_ns for p in (out / "store").rglob("*") if p.is_file()}


def test_manifest_describes_every_singer_and_slice(dataset):
    assert dataset.speakers == ["Zoë Sängerin", "bob"]
    names = {u.recording for u in dataset.utterances}
    assert {"Zoë Sängerin/b/same.wav", "Zoë Sängerin/c/same.wav", "bob/x.wav"} <= names
    assert len({u.id for u in dataset.utterances}) == len(dataset.utterances)
    for u in dataset.utterances:
        assert u.start % 256 == 0 and u.frames == -(-u.samples // 256)
        assert 1.9 <= u.samples / RATE <= 4.05
        assert 80 < u.f0_low_hz <= u.f0_median_hz <= u.f0_high_hz < 500
    stats = dataset.speaker_stats["bob"]
    assert stats.minutes == pytest.approx(5 / 60, abs=0.02)
    f0 = np.concatenate(
        [f.f0_hz[f.voiced] for f in (dataset.features(u) for u in dataset.utterances if u.speaker == "bob")]
    )
    np.testing.assert_allclose(
        [stats.f0_low_hz, stats.f0_median_hz, stats.f0_high_hz], np.percentile(f0, [5, 50, 95]), atol=0.01
    )


def test_slices_of_a_recording_do_not_overlap(dataset):
    for sha256 in {u.recording_sha256 for u in dataset.utterances}:
        own = sorted((u for u in dataset.utterances if u.recording_sha256 == sha256), key=lambda u: u.start)
        for before, after in pairwise(own):
            assert before.start + before.samples <= after.start


def test_stored_features_are_what_the_extractor_measures(dataset, raw):
    from svc.audio.reading import read_audio

    whole = FeatureExtractor(dataset.spec).extract(read_audio(raw / "Zoë Sängerin" / "take 1.wav"))
    for u in (u for u in dataset.utterances if u.recording.endswith("take 1.wav")):
        part, stored = whole.cut(u.start // 256, u.start // 256 + u.frames), dataset.features(u)
        both = part.voiced & stored.voiced
        assert (part.voiced == stored.voiced).mean() > 0.99
        np.testing.assert_allclose(stored.f0_hz[both], part.f0_hz[both], rtol=1e-3)
        np.testing.assert_allclose(stored.loudness_db, part.loudness_db, atol=0.05)
        cosine = (part.content * stored.content).sum(1) / np.linalg.norm(part.content, axis=1)
        cosine /= np.linalg.norm(stored.content, axis=1)
        assert np.median(cosine) > 0.999


def test_audio_is_kept_to_16_bit_of_its_own_peak_and_read_in_parts(dataset, raw):
    u = next(u for u in dataset.utterances if u.recording == "bob/x.wav")
    original = sung(5, 120, seed=5)[u.start : u.start + u.samples]
    audio = dataset.audio(u)
    assert audio.dtype == np.float32 and len(audio) == u.samples
    assert np.abs(audio - original).max() <= np.abs(original).max() / 32767
    np.testing.assert_array_equal(dataset.audio(u, 100, 300), audio[100:300])
    assert len(dataset.audio(u, u.samples - 10, u.samples + 500)) == 10
    part, whole = dataset.features(u, 10, 20), dataset.features(u)
    np.testing.assert_array_equal(part.content, whole.content[10:20])
    assert part.frames == 10 and dataset.features(u, u.frames - 2, u.frames + 9).frames == 2


def test_running_again_changes_nothing(out, raw, dataset):
    before, manifest = stored_files(out), (out / "manifest.json").read_bytes()
    again = prepare_dataset(raw, out, small_config())
    assert stored_files(out) == before and (out / "manifest.json").read_bytes() == manifest
    assert again.fingerprint() == dataset.fingerprint()


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        ({"pitch_estimator": "harvest"}, {"pitch", "slices", "measures"}),
        ({"content_layers": {"2": 1.0}}, {"content"}),
        ({"slice_max_seconds": 2.9}, {"slices", "measures"}),
        ({"n_fft": 512}, {"loudness", "measures"}),
        ({"sample_rate": 22_050, "hop_length": 512}, {"audio", "content", "pitch", "loudness", "slices", "measures"}),
        ({"separate": "basic"}, {"separated", "audio", "content", "pitch", "loudness", "slices", "measures"}),
        ({"n_mels": 64, "validation_fraction": 0.2}, set()),
    ],
)
def test_a_changed_setting_redoes_only_what_depends_on_it(tmp_path, change, redone):
    raw, out = tmp_path / "ann", tmp_path / "out"
    write(raw / "a.wav", sung(5, seed=8))
    prepare_dataset(raw, out, small_config())
    before = stored_files(out)
    prepare_dataset(raw, out, small_config(**change))
    after = stored_files(out)
    assert {name: time for name, time in after.items() if name in before} == before
    assert {name.split("/")[-1].split("-")[0] for name in after.keys() - before.keys()} == redone


def test_fingerprint_changes_with_data_and_settings(out, raw, dataset, tmp_path):
    other = tmp_path / "raw"
    shutil.copytree(raw, other)
    (other / "bob" / "x.wav").unlink()
    write(other / "bob" / "x.wav", sung(5, 130, seed=50))
    changed_data = prepare_dataset(other, tmp_path / "out", small_config())
    assert changed_data.fingerprint() != dataset.fingerprint()


def test_a_killed_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    raw, out = tmp_path / "ann", tmp_path / "out"
    for i in range(3):
        write(raw / f"{i}.wav", sung(2.5, seed=20 + i))
    calls = []

    def content(self, samples, progress=None):
        calls.append(len(samples))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, samples, progress)

    original = FeatureExtractor.content
    monkeypatch.setattr(FeatureExtractor, "content", content)
    with pytest.raises(KeyboardInterrupt):
        prepare_dataset(raw, out, small_config())
    assert not (out / "manifest.json").exists()
    before = stored_files(out)
    assert not [name for name in before if name.endswith(".tmp")]
    dataset = prepare_dataset(raw, out, small_config())
    assert len(calls) == 4 and {u.recording for u in dataset.utterances} == {"0.wav", "1.wav", "2.wav"}
    assert {name: time for name, time in stored_files(out).items() if name in before} == before


def test_a_damaged_stored_file_is_measured_again(tmp_path):
    raw, out = tmp_path / "ann", tmp_path / "out"
    write(raw / "a.wav", sung(2.5, seed=31))
    first = prepare_dataset(raw, out, small_config())
    content = out / next(iter(first.recordings.values())).content
    expected = np.load(content)
    content.write_bytes(content.read_bytes()[:1000])
    prepare_dataset(raw, out, small_config())
    np.testing.assert_array_equal(np.load(content), expected)


def test_several_processes_give_the_same_dataset(tmp_path, raw, dataset):
    parallel = prepare_dataset(raw, tmp_path / "out", small_config(workers=2))
    assert parallel.utterances == dataset.utterances and parallel.recordings == dataset.recordings
    for u in parallel.utterances[:2]:
        np.testing.assert_array_equal(parallel.audio(u), dataset.audio(u))
        np.testing.assert_allclose(parallel.features(u).content, dataset.features(u).content, atol=2e-3)


@pytest.mark.skipif(os.name == "nt", reason="uses SIGKILL")
@pytest.mark.long
def test_a_process_killed_at_any_moment_loses_at_most_the_files_in_work(tmp_path):
    """With worker processes, which must not outlive their parent."""
    import psutil

    raw, out = tmp_path / "ann", tmp_path / "out"
    for i in range(6):
        write(raw / f"{i}.wav", sung(8, seed=40 + i))
    script = tmp_path / "run.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from recordings import small_config\nfrom svc.data.prepare import prepare_dataset\n"
        "if __name__ == '__main__':\n"
        f"    prepare_dataset({str(raw)!r}, {str(out)!r}, small_config(workers=2, pitch_estimator='dio'))\n"
    )
    process = subprocess.Popen([sys.executable, str(script)])
    while len(list(out.glob("store/*/measures-*.json"))) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=240)
    assert not alive
    before = stored_files(out)
    whole = {name: when for name, when in before.items() if not name.endswith(".tmp")}
    dataset = prepare_dataset(raw, out, small_config(workers=1, pitch_estimator="dio"))
    after = stored_files(out)
    assert len({u.recording for u in dataset.utterances}) == 6
    assert {name: when for name, when in after.items() if name in whole} == whole
    assert not [name for name in after if name.endswith(".tmp")]


def test_progress_rises_to_one(tmp_path):
    raw = tmp_path / "ann"
    write(raw / "a.wav", sung(2.5, seed=1))
    write(raw / "b.wav", sung(2.5, seed=2))
    told = []
    prepare_dataset(raw, tmp_path / "out", small_config(), progress=told.append)
    assert told == sorted(told) and told[-1] == 1.0 and len(told) > 5


def test_separated_vocals_are_kept_at_the_songs_rate(tmp_path):
    raw, out = tmp_path / "ann", tmp_path / "out"
    write(raw / "song.wav", np.stack([sung(3, seed=1, rate=22_050), sung(3, seed=1, rate=22_050)]), 22_050)
    dataset = prepare_dataset(raw, out, small_config(separate="basic"))
    facts = json.loads(next((out / "store").rglob("separated-*.json")).read_text())
    assert facts["rate"] == 22_050
    assert len(np.load(out / facts["file"])) == 3 * 22_050
    assert dataset.utterances and dataset.spec.sample_rate == RATE


def test_output_inside_the_raw_folder_is_not_read_back(tmp_path):
    raw = tmp_path / "ann"
    write(raw / "a.wav", sung(2.5, seed=1))
    out = raw / "prepared"
    out.mkdir()
    write(out / "old.wav", sung(2.5, seed=2))
    dataset = prepare_dataset(raw, out, small_config())
    assert {u.recording for u in dataset.utterances} == {"a.wav"}


def test_one_file_is_one_singer(tmp_path):
    dataset = prepare_dataset(write(tmp_path / "Ann.wav", sung(2.5, seed=1)), tmp_path / "out", small_config())
    assert dataset.speakers == ["Ann"]


def test_quiet_recordings_keep_their_resolution(tmp_path):
    raw = tmp_path / "ann"
    quiet = (0.01 * sung(2.5, seed=1)).astype(np.float32)
    write(raw / "a.wav", quiet)
    dataset = prepare_dataset(raw, tmp_path / "out", small_config(keep_flagged=True))
    audio = dataset.audio(dataset.utterances[0])
    noise = audio - quiet[: len(audio)]
    assert 10 * np.log10(np.mean(quiet**2) / np.mean(noise**2)) > 75
    assert Audio(audio[None], RATE).length == len(audio)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other limits on names")
def test_stored_names_do_not_come_from_user_names(out):
    for path in (out / "store").rglob("*"):
        assert all(c in "0123456789abcdefghijklmnopqrstuvwxyz-." for c in path.name), path


def bright(seed: int, edge_hz: float | None = None, breathing: float = 0.0) -> np.ndarray:
    """Singing with bursts of noise up to half the rate, or ending at `edge_hz` with noise that follows its level."""
    from scipy.signal import butter, sosfiltfilt

    tone, random = sung(6, 200 + 10 * seed, seed=seed), np.random.default_rng(100 + seed)
    bursts = random.standard_normal(len(tone)) * (np.sin(np.arange(len(tone)) / RATE * 11) > 0.8)
    sound = tone + 0.05 * bursts
    if edge_hz is not None:
        sound = sosfiltfilt(butter(16, edge_hz, output="sos", fs=RATE), sound)
    envelope = sosfiltfilt(butter(2, 8, output="sos", fs=RATE), np.abs(sound))
    return (sound + breathing * envelope * random.standard_normal(len(sound))).astype(np.float32)


@pytest.mark.parametrize(("narrow", "expected_hz"), [(5, 4_000), (2, RATE / 2)])
def test_an_edge_is_looked_for_where_most_of_a_singer_s_recordings_have_it(
    tmp_path: Path, narrow: int, expected_hz: float
) -> None:
    for i in range(5):
        write(tmp_path / "raw" / "ann" / f"{i}.wav", bright(i, 4_000 if i < narrow else None))
    write(tmp_path / "raw" / "ann" / "noisy.wav", bright(7, 4_000, breathing=0.03))
    prepare_dataset(tmp_path / "raw", tmp_path / "out", small_config())
    found = {Path(u.recording).stem: u.bandwidth_hz for u in PreparedDataset.open(tmp_path / "out").utterances}
    others = [found[str(i)] for i in range(5)]
    assert others == pytest.approx([4_000] * narrow + [RATE / 2] * (5 - narrow), rel=0.12)
    assert found["noisy"] == pytest.approx(expected_hz, rel=0.12)
    rows = json.loads((tmp_path / "out" / "report.json").read_text())["recordings"]
    assert {row["name"]: row["bandwidth_hz"] for row in rows}["ann/noisy.wav"] == found["noisy"]
