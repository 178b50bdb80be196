import json

import numpy as np
import pytest
from tiny_conversion import tiny_voice

from svc.audio.signal import Audio
from svc.audio.writing import write_audio
from svc.config import ConvertOptions
from svc.conversion.batch import LEDGER, convert_many, format_table
from svc.conversion.lookup import Lookup
from svc.conversion.stream import ConversionReport
from svc.errors import ConfigError, InterruptedBySignal

DRY = ConvertOptions(separate="none")


class Echo:
    """A voice that returns its source; counts its songs and may break on one of them."""

    device, sample_rate = "cpu", 16_000
    lookup = Lookup(tiny_voice())

    def __init__(self, fingerprint: str = "echo", error: Exception | None = None):
        self.fingerprint, self.error, self.calls = fingerprint, error, 0

    def require_able(self, options):
        """Takes everything."""

    def convert_stream(self, source, write, options=None, progress=None):
        self.calls += 1
        if self.error:
            raise self.error
        write(source.read(0, source.length))
        return ConversionReport("echo", 0.0, 0.0, source.length)


def put(path, seed: int = 0):
    noise = np.random.default_rng(seed).standard_normal((1, 4000)).astype(np.float32) * 0.1
    return write_audio(path, Audio(noise, 16_000), "16")


@pytest.fixture
def songs(tmp_path):
    put(tmp_path / "in" / "a.wav")
    put(tmp_path / "in" / "sub" / "b.flac", 1)
    put(tmp_path / "in" / "sub" / "mit Umlaut ä.wav", 2)
    (tmp_path / "in" / "bad.wav").write_text("words")
    return tmp_path / "in"


def test_tree_is_mirrored_and_a_bad_file_does_not_stop_the_rest(songs, tmp_path):
    seen: list[float] = []
    results = convert_many([songs], tmp_path / "out", Echo(), DRY, seen.append)
    assert [r.status for r in results] == ["done", "failed", "done", "done"]
    made = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*"))
    assert made == [LEDGER, "a.wav", "sub/b.flac", "sub/mit Umlaut ä.wav"]
    assert "not audio" in results[1].reason and "\n" not in results[1].reason
    table = format_table(results)
    assert "bad.wav" in table and table.endswith("3 done, 0 skipped, 1 failed")
    assert seen[-1] == 1.0 and seen == sorted(seen)
    json.dumps([r.to_dict() for r in results])


def test_what_is_done_is_skipped_until_input_options_voice_or_result_change(songs, tmp_path):
    out, echo = tmp_path / "out", Echo()

    def statuses(converter=echo, options=DRY):
        return [r.status for r in convert_many([songs / "a.wav", songs / "sub"], out, converter, options)]

    assert statuses() == ["done"] * 3
    assert statuses() == ["skipped"] * 3 and echo.calls == 3
    put(songs / "a.wav", 9)
    assert statuses() == ["done", "skipped", "skipped"]
    (out / "b.flac").unlink()
    assert statuses() == ["skipped", "done", "skipped"]
    assert statuses(options=DRY.model_copy(update={"seed": 5})) == ["done"] * 3
    assert statuses(converter=Echo("another")) == ["done"] * 3
    (out / LEDGER).write_text("{damaged")
    assert statuses() == ["done"] * 3


def test_patterns(songs, tmp_path):
    results = convert_many([str(songs / "**" / "*.wav")], tmp_path / "out", Echo(), DRY)
    names = {r.output.relative_to(tmp_path / "out").as_posix() for r in results if r.status == "done"}
    assert names == {"a.wav", "sub/mit Umlaut ä.wav"}
    (nothing,) = convert_many([str(songs / "*.ogg")], tmp_path / "out", Echo(), DRY)
    assert nothing.status == "failed" and "Nothing matches" in nothing.reason


def test_missing_file_and_folder_without_audio_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    results = convert_many([tmp_path / "gone.wav", tmp_path / "empty"], tmp_path / "out", Echo(), DRY)
    assert [r.status for r in results] == ["failed", "failed"]
    assert "gone.wav" in results[0].reason and "no audio" in results[1].reason


def test_equal_names_do_not_overwrite_each_other(songs, tmp_path):
    put(tmp_path / "other" / "a.wav", 7)
    put(tmp_path / "other" / "A.flac", 8)
    options = DRY.model_copy(update={"format": "flac"})
    results = convert_many([songs / "a.wav", tmp_path / "other"], tmp_path / "out", Echo(), options)
    assert [r.status for r in results] == ["done"] * 3
    assert len({str(r.output).casefold() for r in results}) == 3
    again = convert_many([songs / "a.wav", songs / "a.wav"], tmp_path / "out2", Echo(), options)
    assert len(again) == 1


def test_one_file_to_one_file(songs, tmp_path):
    (result,) = convert_many([str(songs / "a.wav")], tmp_path / "deep" / "x.flac", Echo(), DRY)
    assert result.status == "done" and (tmp_path / "deep" / "x.flac").is_file()
    with pytest.raises(ConfigError, match="give a folder"):
        convert_many([songs], tmp_path / "x.flac", Echo(), DRY)
    with pytest.raises(ConfigError, match="contradicts"):
        convert_many([songs / "a.wav"], tmp_path / "x.flac", Echo(), DRY.model_copy(update={"format": "mp3"}))
    with pytest.raises(ConfigError, match="m4a"):
        convert_many([songs / "a.wav"], tmp_path / "x.m4a", Echo(), DRY)


def test_input_as_output_is_refused_and_kept(songs):
    before = (songs / "a.wav").read_bytes()
    results = convert_many([songs / "a.wav"], songs, Echo(), DRY)
    assert results[0].status == "failed" and "input itself" in results[0].reason
    assert (songs / "a.wav").read_bytes() == before


def test_earlier_results_inside_the_input_folder_are_not_converted_again(songs):
    first = convert_many([songs], songs / "out", Echo(), DRY)
    second = convert_many([songs], songs / "out", Echo(), DRY)
    assert len(first) == len(second) == 4
    assert [r.status for r in second] == ["skipped", "failed", "skipped", "skipped"]


def test_unexpected_errors_are_reported_but_an_interruption_stops_all(songs, tmp_path):
    (result,) = convert_many([songs / "a.wav"], tmp_path / "out", Echo(error=RuntimeError("boom")), DRY)
    assert result.status == "failed" and "RuntimeError: boom" in result.reason
    with pytest.raises(InterruptedBySignal):
        convert_many([songs / "a.wav"], tmp_path / "out", Echo(error=InterruptedBySignal("stop")), DRY)
