"""Measures of content frames: a planted leak is found, no leak is chance."""

import numpy as np
import pytest

DIM = 12


def noise(rng: np.random.Generator, count: int, frames: int = 90) -> list[np.ndarray]:
    return [rng.standard_normal((frames, DIM)) for _ in range(count)]


def leak(frames: list[np.ndarray], singers: list[int]) -> list[np.ndarray]:
    """Every singer couples two values its own way; no mean or variance over the recording tells of it."""
    couple = {0: 1.0, 1: -1.0}
    for values, singer in zip(frames, singers, strict=True):
        if singer in couple:
            values[:, 3] = couple[singer] * values[:, 2]
    return frames


def test_probe_hears_a_singer_whom_no_mean_tells_and_nothing_where_there_is_none(monkeypatch):
    from content_metrics import singer_probe

    for name, value in {"EPOCHS": 15, "CROP": 20, "BATCH": 15}.items():
        monkeypatch.setattr(singer_probe, name, value)
    rng = np.random.default_rng(0)
    singers = [k % 3 for k in range(60)]
    clips = [leak(noise(rng, 60, 30), singers) for _ in range(2)]
    assert singer_probe.singer_accuracy(clips[0], singers, clips[1], singers, seeds=1) > 0.9
    silent = singer_probe.singer_accuracy(noise(rng, 60, 30), singers, noise(rng, 60, 30), singers, seeds=1)
    assert silent < 0.33 + 0.2


def test_probe_repeats_clips_shorter_than_its_crop():
    import torch
    from content_metrics.singer_probe import CROP, crop

    short = torch.arange(7.0)[:, None]
    piece = crop(short)[:, 0]
    assert len(piece) == CROP
    assert torch.equal(piece[1:], (piece[:-1] + 1) % 7)


def test_pitch_r2_finds_pitch_in_a_direction_and_not_in_noise():
    from content_metrics.measures import pitch_r2

    rng = np.random.default_rng(1)
    f0 = [np.exp(rng.uniform(5, 6, 60)) * (rng.random(60) > 0.3) for _ in range(20)]
    blind = noise(rng, 20, 60)
    told = [v + np.outer(np.log(np.maximum(f, 1)), np.eye(DIM)[0]) for v, f in zip(blind, f0, strict=True)]
    assert pitch_r2(blind, f0) < 0.05
    assert pitch_r2([10 * v for v in told], f0) == pytest.approx(pitch_r2(told, f0), abs=1e-6)
    exact = [np.outer(np.log(np.maximum(f, 1)), np.ones(DIM)) + 1e-3 * v for v, f in zip(blind, f0, strict=True)]
    assert pitch_r2(exact, f0) > 0.98


def test_within_takes_the_register_out():
    from content_metrics.measures import pitch_r2

    rng = np.random.default_rng(2)
    register = rng.uniform(4.8, 6.2, 40)
    f0 = [np.exp(r + rng.normal(0, 0.05, 30)) for r in register]
    frames = [np.full((30, DIM), r) + 0.05 * rng.standard_normal((30, DIM)) for r in register]
    assert pitch_r2(frames, f0) > 0.9
    assert pitch_r2(frames, f0, within=True) < 0.05


def test_groups_stay_in_one_fold():
    """Three copies of a line with an arbitrary pitch: only a fit that saw a copy can know it."""
    from content_metrics.measures import pitch_r2

    rng = np.random.default_rng(3)
    lines = [(np.tile(rng.standard_normal(40), (20, 1)), np.full(20, np.exp(rng.uniform(5, 6)))) for _ in range(20)]
    copies = [line for line in lines for _ in range(3)]
    frames, f0 = [v for v, _ in copies], [f for _, f in copies]
    groups = [k for k in range(20) for _ in range(3)]
    assert pitch_r2(frames, f0) > 0.9
    assert pitch_r2(frames, f0, groups=groups) < 0.3


def test_timbre_agreement():
    from content_metrics.measures import timbre_agreement

    rng = np.random.default_rng(5)
    words, silence = noise(rng, 30, 40), np.arange(40) < 30
    apart = noise(rng, 30, 40)
    offset = 100 * np.ones(DIM)
    same = [[w + offset, w + offset] for w in words]
    for pair in same:
        pair[1] = np.where(silence[:, None], pair[1], 1e6)  # what is not said does not count
    mask = [silence] * 30
    assert timbre_agreement(same, mask) == pytest.approx(1.0, abs=1e-6)
    assert abs(timbre_agreement([[a + offset, b + offset] for a, b in zip(words, apart, strict=True)], mask)) < 0.1


def spoken(rng: np.random.Generator, phones: np.ndarray) -> tuple[list[np.ndarray], list[list[str | None]]]:
    rows = [[None if p == 0 else "pakti"[p] for p in rng.integers(0, 5, 60)] for _ in range(12)]
    frames = [np.stack([phones["pakti".index(p) if p else 0] for p in row]) for row in rows]
    return [v + 0.1 * rng.standard_normal(v.shape) for v in frames], rows


def test_phones_are_told_by_frames_that_hold_them_only():
    from content_metrics.measures import phone_probe, unit_purity

    rng = np.random.default_rng(6)
    frames, rows = spoken(rng, rng.standard_normal((5, DIM)))
    blind = noise(rng, 12, 60)
    test, kinds = [k % 4 == 3 for k in range(12)], ["de", "ja"] * 6
    assert phone_probe(frames, rows, test, kinds) == {"ja": 1.0}
    assert phone_probe(blind, rows, test, kinds)["ja"] == pytest.approx(0.25, abs=0.12)
    assert unit_purity(frames, rows, units=8) > 0.95
    assert unit_purity(blind, rows, units=8) < 0.45


def test_a_phone_that_training_never_saw_is_wrong():
    from content_metrics.measures import phone_probe

    frames = [np.eye(DIM)[[0, 1] * 10], np.eye(DIM)[[0, 2] * 10]]
    assert phone_probe(frames, [["a", "b"] * 10, ["a", "z"] * 10], [False, True], ["x", "x"]) == {"x": 0.5}


def test_marks_belong_to_their_phones():
    from content_metrics.recordings import phone_stretches

    phonemes = "ˈa\u0303ː n.ʲ"
    row = phone_stretches(phonemes, [2, 1, 1, 1, 1, 1, 1, 1, 1, 3])
    assert row.labels == [None, "a\u0303", "a\u0303", "a\u0303", "a\u0303", None, "n", None, None, None]
    assert row.at(0.025, 12)[:3] == ["a\u0303"] * 3  # the two frames of the start pad are the lead of the phones
    assert row.at(0.025, 12)[11] is None
    with pytest.raises(ValueError, match="durations"):
        phone_stretches("ab", [1, 2])


def test_made_line_reads_pitch_and_phones_at_any_hop():
    from content_metrics.recordings import MadeLine

    facts = {"phonemes": "a", "durations": [4, 4, 4], "f0": [0] * 8 + [200] * 8 + [0] * 8, "lang": "en", "mode": "sung"}
    line = MadeLine(facts, [])
    for hop in (320, 384):
        times = np.arange(int(0.3 * 16_000) // hop + 1) * hop / 16_000
        assert [f > 0 for f in line.f0(hop, len(times))] == [0.1 <= t < 0.2 for t in times]
        assert [p == "a" for p in line.phones(hop, len(times))] == [0.05 <= t < 0.15 for t in times]


def test_cache_asks_the_network_once(tmp_path):
    from content_metrics.forms import Cache, Form, Network, per_recording
    from content_metrics.recordings import Recording

    asked = []

    def encode(samples: np.ndarray) -> np.ndarray:
        asked.append(len(samples))
        return np.arange(6.0)[:, None] * [1.0, 2.0]

    form = Form("x", Network("key", encode, 384), per_recording)
    recording = Recording("a", np.zeros(100, np.float32))
    first, again = (Cache(tmp_path).frames(form, recording) for _ in range(2))
    assert asked == [100]
    assert np.array_equal(first, again)
    assert np.allclose(first.mean(axis=0), 0, atol=1e-6)


def test_packed_clips_get_their_own_frames(tmp_path):
    from content_metrics.forms import Cache, Form, Network, unchanged
    from content_metrics.recordings import Recording

    lengths = []

    def level(samples: np.ndarray) -> np.ndarray:
        lengths.append(len(samples))
        return np.array([[samples[min(t * 320, len(samples) - 1)]] for t in range(len(samples) // 320 + 1)])

    network = Network("packed", level, 320, pack_seconds=5.0)
    clips = [Recording(str(k), np.full(16_000 + 100 * k, k + 1.0, np.float32)) for k in range(5)]
    cache = Cache(tmp_path)
    cache.hear(network, clips)
    assert len(lengths) == 3
    assert max(lengths) <= 5 * 16_000
    for k, clip in enumerate(clips):
        values = cache.frames(Form("x", network, unchanged), clip)
        assert values.shape == (len(clip.samples) // 320 + 1, 1)
        assert np.all(values[:50] == k + 1)
    assert len(lengths) == 3


def test_shipped_weights_give_what_the_encoder_gives():
    from content_metrics.forms import moonshine_forms, shipped

    from svc.content.moonshine import Moonshine

    samples = np.random.default_rng(7).standard_normal(8000).astype(np.float32) * 0.1
    forms = moonshine_forms(shipped(), "M", published=False)
    for form, normalisation in zip(forms, ("adaptive", "recording"), strict=True):
        ours = form.finish(form.network.encode(samples))
        assert np.allclose(ours, Moonshine(normalisation=normalisation).encode(samples).values, atol=2e-4)


class ScriptedListener:
    """Hears the words that the first sample of a clip stands for."""

    def __init__(self, said: list[list[str]]) -> None:
        self.said = said

    def words(self, samples: np.ndarray, language: str = "en") -> list[str]:
        return self.said[round(float(samples[len(samples) // 2]) * 10)]


def constant(value: float):
    from svc.audio.signal import Audio

    return Audio(np.full((1, 1600), value, np.float32), 16_000)


def test_word_errors_by_text_and_by_what_is_heard():
    from content_metrics.words import Clip, word_errors

    listener = ScriptedListener([["eins", "zwei"], ["eins", "drei", "vier"], ["你好吗"], ["你好"]])
    known = word_errors([Clip(constant(0.0), "de", "Eins, zwei!")], lambda _: constant(0.1), listener)
    assert (known.reference, known.source, known.converted) == ("text", 0.0, 1.0)
    heard = word_errors([Clip(constant(0.2), "zh")], lambda _: constant(0.3), listener)
    assert (heard.reference, heard.source) == ("source as heard", 0.0)
    assert heard.converted == pytest.approx(1 / 3)
