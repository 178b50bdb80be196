import errno
import os

import numpy as np
import pytest
from tiny_conversion import sung

from svc.audio.reading import probe, read_audio
from svc.audio.signal import Audio
from svc.audio.writing import write_audio
from svc.config import ConvertOptions
from svc.conversion import sources
from svc.conversion.song import convert_song
from svc.conversion.stream import ConversionReport
from svc.errors import AudioError, ConfigError, SvcError
from svc.separation.basic import Basic


class Echo:
    """A converter whose voice is the source itself (times `gain`), at another rate: what remains is the song's way."""

    device = "cpu"
    fingerprint = "echo"

    def __init__(self, sample_rate: int = 44_100, gain: float = 1.0):
        self.sample_rate, self.gain = sample_rate, gain

    def convert_stream(self, source, write, options=None, progress=None):
        for start in range(0, source.length, 10_000):
            write(self.gain * source.read(start, start + 10_000))
        return ConversionReport("echo", 0.0, 0.0, source.length)


def song(rate: int = 48_000, seconds: float = 2.0, channels: int = 2, noise: float = 0.02) -> Audio:
    vocals = sung(seconds, rate=rate)
    rng = np.random.default_rng(0)
    backing = rng.standard_normal((channels, len(vocals))).astype(np.float32) * noise
    pan = np.linspace(0.9, 0.5, channels, dtype=np.float32)[:, None]
    return Audio((pan * vocals + backing).astype(np.float32), rate)


DRY = ConvertOptions(separate="none")
BASIC = ConvertOptions(separate="basic")


@pytest.mark.parametrize(("ending", "depth"), [("wav", "16"), ("flac", "24"), ("wav", "float")])
@pytest.mark.parametrize("rate", [22_050, 48_000])
def test_with_the_voice_bypassed_it_is_the_song(tmp_path, ending, depth, rate):
    write_audio(tmp_path / f"in.{ending}", song(rate), depth)
    report = convert_song(tmp_path / f"in.{ending}", tmp_path / f"out.{ending}", Echo(), BASIC, bypass=True)
    before, after = read_audio(tmp_path / f"in.{ending}"), read_audio(tmp_path / f"out.{ending}")
    assert after.sample_rate == rate and after.samples.shape == before.samples.shape
    assert np.abs(after.samples - before.samples).max() < 1e-4
    assert probe(tmp_path / f"out.{ending}").bit_depth == depth
    assert report.gain_db == 0 and sorted(os.listdir(tmp_path)) == sorted({f"in.{ending}", f"out.{ending}"})


def test_a_voice_that_changes_nothing_gives_the_vocals_back_in_place(tmp_path):
    write_audio(tmp_path / "in.wav", song(noise=0.001), "float")
    convert_song(tmp_path / "in.wav", tmp_path / "out.wav", Echo(44_100), DRY)
    before, after = read_audio(tmp_path / "in.wav").samples, read_audio(tmp_path / "out.wav").samples
    assert before.shape == after.shape
    for channel in range(2):
        assert np.corrcoef(before[channel], after[channel])[0, 1] > 0.99
    ratio = np.square(after).mean(axis=1) / np.square(before).mean(axis=1)
    np.testing.assert_allclose(10 * np.log10(ratio), 0.0, atol=0.3)


def test_accompaniment_is_untouched_by_the_voice(tmp_path):
    write_audio(tmp_path / "in.wav", song(), "float")
    silent = Echo(gain=0.0)
    convert_song(tmp_path / "in.wav", tmp_path / "out.wav", silent, BASIC)
    rest = Basic().separate(read_audio(tmp_path / "in.wav")).accompaniment.samples
    np.testing.assert_allclose(read_audio(tmp_path / "out.wav").samples, rest, atol=2e-4)


def test_levels_and_vocals_only(tmp_path):
    write_audio(tmp_path / "in.wav", song(), "float")
    convert_song(tmp_path / "in.wav", tmp_path / "a.wav", Echo(), BASIC)
    convert_song(tmp_path / "in.wav", tmp_path / "b.wav", Echo(), BASIC.model_copy(update={"vocals_only": True}))
    loud = BASIC.model_copy(update={"vocals_db": 6.0, "accompaniment_db": -60.0})
    convert_song(tmp_path / "in.wav", tmp_path / "c.wav", Echo(), loud)
    mixed, vocals, changed = (read_audio(tmp_path / f"{name}.wav").samples for name in "abc")
    np.testing.assert_allclose(changed, vocals * 10 ** (6 / 20) + 1e-3 * (mixed - vocals), atol=1e-5)


def test_the_nearest_semitone_is_for_vocals_alone(tmp_path):
    write_audio(tmp_path / "in.wav", song(), "float")
    options = BASIC.model_copy(update={"transpose": "nearest"})
    with pytest.raises(ConfigError, match="key"):
        convert_song(tmp_path / "in.wav", tmp_path / "out.wav", Echo(), options)
    assert not (tmp_path / "out.wav").exists()
    for alone in ({"vocals_only": True}, {"separate": "none"}):
        convert_song(tmp_path / "in.wav", tmp_path / "out.wav", Echo(), options.model_copy(update=alone))


def test_a_mix_that_would_clip_is_turned_down_as_a_whole(tmp_path):
    loud = song(noise=0.001)
    write_audio(tmp_path / "in.wav", Audio(loud.samples * 1.7, loud.sample_rate), "16")
    louder = DRY.model_copy(update={"vocals_db": 18.0})
    report = convert_song(tmp_path / "in.wav", tmp_path / "out.wav", Echo(48_000), louder)
    before, after = read_audio(tmp_path / "in.wav").samples, read_audio(tmp_path / "out.wav").samples
    assert report.turned_down and report.gain_db < -1.5
    assert np.corrcoef(before[0], after[0])[0, 1] > 0.99
    assert (np.abs(after) >= 0.9999).mean() < 1e-4


def test_failed_separation_fails_the_song(tmp_path, monkeypatch):
    write_audio(tmp_path / "in.wav", song(), "16")

    def broken(self, source, write, progress=None):
        write(np.zeros((2, 1000), np.float32), np.zeros((2, 1000), np.float32))
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Basic, "separate_stream", broken)
    with pytest.raises(AudioError, match=r"'basic' failed.*out of memory"):
        convert_song(tmp_path / "in.wav", tmp_path / "out.wav", Echo(), BASIC)
    assert os.listdir(tmp_path) == ["in.wav"]


def test_the_input_is_never_overwritten(tmp_path):
    write_audio(tmp_path / "in.wav", song(), "16")
    with pytest.raises(AudioError, match="is the input itself"):
        convert_song(tmp_path / "in.wav", tmp_path / "." / "in.wav", Echo(), DRY)


@pytest.mark.parametrize(("code", "words"), [(errno.ENOSPC, "is full"), (errno.EACCES, "may write to")])
def test_a_full_or_closed_disk_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, code, words):
    write_audio(tmp_path / "in.wav", song(), "16")

    class FullFile(sources.RawFile):
        def __init__(self, path, channels=1):
            super().__init__(path, channels)
            self._file = FullDisk(self._file, code)

    class FullDisk:
        def __init__(self, file, code):
            self.file, self.code = file, code

        def write(self, data):
            raise OSError(self.code, os.strerror(self.code))

        def __getattr__(self, name):
            return getattr(self.file, name)

    monkeypatch.setattr("svc.conversion.song.RawFile", FullFile)
    with pytest.raises(AudioError, match=words):
        convert_song(tmp_path / "in.wav", tmp_path / "out.wav", Echo(), DRY)
    assert os.listdir(tmp_path) == ["in.wav"]


def test_bad_input_is_one_sentence_and_leaves_nothing(tmp_path):
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("not audio at all, just words " * 20)
    for name in ("empty.wav", "text.wav", "absent.wav"):
        with pytest.raises(SvcError):
            convert_song(tmp_path / name, tmp_path / "out" / "x.wav", Echo(), DRY)
    assert sorted(os.listdir(tmp_path)) == ["empty.wav", "text.wav"]


@pytest.mark.parametrize("rate", [8_000, 96_000])
def test_fifth_of_a_second_with_a_real_voice(converter, tmp_path, rate):
    clip = song(rate, 0.2)
    write_audio(tmp_path / "in.wav", clip, "16")
    seen: list[float] = []
    report = convert_song(tmp_path / "in.wav", tmp_path / "out.flac", converter, DRY, progress=seen.append)
    result = read_audio(tmp_path / "out.flac")
    assert (result.sample_rate, result.samples.shape) == (rate, clip.samples.shape)
    assert report.speaker == "singer0" and report.to_dict()["path"].endswith("out.flac")
    assert seen == sorted(seen) and seen[-1] == 1.0


def test_silent_song_stays_silent(converter, tmp_path):
    write_audio(tmp_path / "in.wav", Audio(np.zeros((2, 30_000), np.float32), 44_100), "16")
    convert_song(tmp_path / "in.wav", tmp_path / "out.wav", converter, DRY)
    assert not read_audio(tmp_path / "out.wav").samples.any()
