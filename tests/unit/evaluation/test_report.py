import json

import numpy as np
import pytest

from svc.audio.signal import Audio
from svc.errors import AudioError
from svc.evaluation.judges import Judges
from svc.evaluation.pictures import compare_pictures, loudest_start
from svc.evaluation.report import EvaluationPair, Target, evaluate_pairs, markdown_table, write_report

RATE = 24_000


def voice(f0_hz: float, formant: float, seconds: float = 0.8, rate: int = RATE) -> Audio:
    t = np.arange(round(seconds * rate)) / rate
    partials = np.arange(1, 20) * f0_hz
    out = sum(np.exp(-(((f - formant) / 500) ** 2)) * np.sin(2 * np.pi * f * t + f) for f in partials)
    return Audio((0.1 * out)[None].astype(np.float32), rate)


class Formant:
    """A speaker encoder that hears where the spectrum's energy lies."""

    name = "formant"

    def embed(self, samples, sample_rate):
        power = np.abs(np.fft.rfft(samples, 4096)) ** 2
        bands = power[:2048].reshape(32, 64).sum(axis=1)
        return np.sqrt(bands)


class Listener:
    """A words judge that hears one word fewer in brighter voices."""

    name = "whisper"

    def words(self, samples, language="en"):
        bright = np.abs(np.diff(samples)).mean() / np.abs(samples).mean() > 0.25
        return ["la", "li"] if bright else ["la", "li", "lu"]


@pytest.fixture(scope="module")
def report():
    source, herself = voice(200, 500), voice(200, 1500)
    converted = voice(400, 1200)
    pairs = [
        EvaluationPair(source, converted, 12.0, text="La li lu!", parallel=herself, name="one", joins_seconds=(0.4,)),
        EvaluationPair(source, Audio(converted.samples[:, :-5], RATE), 12.0, name="two"),
    ]
    target = Target([voice(180, 1500), voice(220, 1500)], [herself])
    judges = Judges(words=Listener(), missing={"distillmos": "package 'distillmos' is not installed"})
    return evaluate_pairs(pairs, target, Formant(), judges)


def test_pitch_is_judged_against_the_request(report):
    assert report["converted"]["f0_cents_median"] < 5 and report["converted"]["rpa50"] > 0.95
    assert report["floor"]["rpa50"] > 0.9
    assert "f0_cents_median" not in report["source"]


def test_speaker_cosines_and_the_way_between(report):
    start, end, own = (
        report["source"]["speaker_formant"],
        report["converted"]["speaker_formant"],
        report["herself"]["formant"],
    )
    assert start < end < own
    assert report["closure"]["formant"] == pytest.approx((end - start) / (own - start))


def test_words_length_and_clicks(report):
    one, two = report["clips"]
    assert one["source"]["wer"] == 0.0 and one["converted"]["wer"] == pytest.approx(1 / 3)
    assert two["converted"]["wer"] == pytest.approx(1 / 3)  # against what is heard in the source
    assert (one["converted"]["length_equal"], two["converted"]["length_equal"]) == (1.0, 0.0)
    assert one["converted"]["click_excess"] <= 1.0 and "click_excess" not in two["converted"]
    assert one["converted"]["mcd"] < one["source"]["mcd"] and "mcd" not in two["converted"]


def test_what_has_no_figure_is_named(report, tmp_path):
    assert "mos" not in report["converted"] and "distillmos" in report["missing"]
    write_report(report, tmp_path / "deep" / "r.json")
    again = json.loads((tmp_path / "deep" / "r.json").read_text())
    assert again["closure"] == report["closure"] and again["format_version"] == 1
    table = (tmp_path / "deep" / "r.md").read_text()
    assert table == markdown_table(report)
    assert "speaker cosine (formant)" in table and "- distillmos: package" in table
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["r.json", "r.md"]


def test_without_target_and_judges_the_rest_is_measured():
    source = voice(200, 500)
    report = evaluate_pairs([EvaluationPair(source, source)])
    assert report["converted"]["f0_cents_median"] == 0.0
    assert report["closure"] == {} and "speaker" in report["missing"]
    with pytest.raises(AudioError, match="nothing to evaluate"):
        evaluate_pairs([])


def test_silent_results_give_no_number_that_is_not_json():
    source = voice(200, 500)
    report = evaluate_pairs([EvaluationPair(source, Audio(np.zeros_like(source.samples), RATE))])
    assert report["clips"][0]["converted"]["f0_cents_median"] is None
    json.dumps(report, allow_nan=False)


def test_picture_is_written_whole(tmp_path):
    path = compare_pictures(voice(200, 500), voice(400, 900, rate=44_100), tmp_path / "p" / "x.png", 12.0)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and path.stat().st_size > 20_000
    assert [p.name for p in path.parent.iterdir()] == ["x.png"]


def test_pictures_show_the_loud_part():
    samples = np.zeros((1, 60 * 1000), np.float32)
    samples[:, 25_000:50_000] = 0.5
    assert 20 <= loudest_start(Audio(samples, 1000)) <= 25
    assert loudest_start(Audio(samples[:, :9000], 1000)) == 0.0
