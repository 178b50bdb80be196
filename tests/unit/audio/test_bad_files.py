"""Every kind of broken input ends in one sentence that names the file and says what to do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RATE, Encode, tones

from svc.audio.reading import is_audio_file, probe, read_audio
from svc.audio.sniffing import mp3_frame_bytes
from svc.errors import AudioError


def refuses(path: Path, words: str) -> str:
    with pytest.raises(AudioError, match=words) as caught:
        read_audio(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.mp4", "a"])
def test_empty_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    refuses(tmp_path / name, "is empty")


@pytest.mark.parametrize(
    "text",
    [
        "Dear diary, today I renamed a text file.\n" * 50,
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile /etc/passwd\n",
        "1\n00:00:00,000 --> 00:00:02,000\nsubtitle\n",
    ],
)
@pytest.mark.parametrize("name", ["song.wav", "song.mp3", "song.mkv"])
def test_text_with_the_name_of_audio(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / name).write_text(text)
    refuses(tmp_path / name, "is not audio, whatever its name says")
    assert not is_audio_file(tmp_path / name)


def test_other_binary_files(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).integers(0, 256, 200_000, np.uint8).tobytes()
    for start in (b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", b"\xff\xfe" + "utf-16".encode("utf-16-le"), b"\xff\xd8\xff\xe0"):
        (tmp_path / "x.mp3").write_bytes(start + noise)
        assert not is_audio_file(tmp_path / "x.mp3")
        refuses(tmp_path / "x.mp3", "is not audio")


def test_header_without_a_body(tmp_path: Path) -> None:
    for magic in (b"RIFF\x00\x00\x00\x00WAVE", b"fLaC", b"OggS", b"ID3\x04\x00\x00\x00\x00\x00\x00", b"\x1aE\xdf\xa3"):
        (tmp_path / "x").write_bytes(magic + bytes(300))
        with pytest.raises(AudioError, match=r"damaged|cut off|no samples|no sound"):
            read_audio(tmp_path / "x")


@pytest.mark.parametrize("counted", [True, False])
def test_cut_mp3(tmp_path: Path, counted: bool) -> None:
    """With the encoder's frame count, and without it (where only the incomplete last frame tells)."""
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.tile(tones(2, RATE), 4).T, RATE)
    if not counted:
        data = path.read_bytes()
        path.write_bytes(data[mp3_frame_bytes(data[:8]) :])
        assert read_audio(path).seconds == pytest.approx(4, abs=0.1)
    message = refuses(cut(path, 0.5003), "cut off or damaged: only its first [12]\\.[0-9] seconds")
    assert "Export" in message


def test_cut_files_of_other_kinds(tmp_path: Path, encode: Encode) -> None:
    for ending in ("wav", "flac", "ogg"):
        path = tmp_path / f"a.{ending}"
        soundfile.write(path, np.random.default_rng(0).uniform(-0.3, 0.3, (2 * RATE, 1)), RATE)
        refuses(cut(path, 0.5), "cut off or damaged")
    for name, container, codec in [("a.m4a", "ipod", "aac"), ("a.webm", "webm", "libopus"), ("a.aac", "adts", "aac")]:
        refuses(cut(encode(tmp_path / name, container, codec), 0.5), "cut off")


def test_wav_of_a_recorder_that_did_not_write_the_length(tmp_path: Path) -> None:
    """Streamed wav files state the largest possible length: what is there is the recording."""
    path = tmp_path / "a.wav"
    soundfile.write(path, tones(1, RATE).T, RATE)
    data = bytearray(path.read_bytes())
    at = data.index(b"data")
    data[at + 4 : at + 8] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert read_audio(path).length == RATE


def test_flac_of_unknown_length(tmp_path: Path) -> None:
    """An encoder that writes into a pipe leaves the number of samples in the header at 0."""
    path = tmp_path / "a.flac"
    soundfile.write(path, tones(1, RATE).T, RATE)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert read_audio(path).length == RATE
    assert not probe(path).exact_frames


@pytest.mark.parametrize("ending", ["wav", "aiff"])
def test_no_samples(tmp_path: Path, ending: str) -> None:
    soundfile.write(tmp_path / f"a.{ending}", np.zeros((0, 1)), RATE)
    refuses(tmp_path / f"a.{ending}", "holds no samples")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_numbers(tmp_path: Path, value: float) -> None:
    samples = tones(2, 3 * RATE)
    samples[1, 2 * RATE + 5] = value
    soundfile.write(tmp_path / "a.wav", samples.T, RATE, subtype="FLOAT")
    refuses(tmp_path / "a.wav", r"NaN or infinite samples near [12]\.")


def test_too_many_channels(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((100, 12)), RATE)
    refuses(tmp_path / "a.wav", "has 12 channels, at most 8")


@pytest.mark.parametrize("rate", [4_000, 384_000])
def test_rates_out_of_range(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((1000, 1)), rate)
    refuses(tmp_path / "a.wav", f"sample rate of {rate} Hz")


def test_video_without_sound(tmp_path: Path, encode: Encode) -> None:
    refuses(encode(tmp_path / "a.mp4", "mp4", None, video=True), "has no sound in it")


def test_missing_and_folder(tmp_path: Path) -> None:
    refuses(tmp_path / "nothing.wav", "There is no file")
    refuses(tmp_path, "is a folder")


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(AudioError, match=r"Cannot read .*a\.wav: Permission denied"):
        probe(tmp_path / "a.wav")


@pytest.mark.parametrize("flip", [lambda d, i: d[i] ^ 0xFF, lambda d, i: 0])
def test_random_damage_never_escapes_as_another_error(tmp_path: Path, encode: Encode, flip: Callable) -> None:
    """Damaged files are read or refused by AudioError; no decoder error, crash or endless loop gets out."""
    rng = np.random.default_rng(11)
    sources = [encode(tmp_path / "a.mp3", "mp3", "libmp3lame"), encode(tmp_path / "a.m4a", "ipod", "aac")]
    sources.append(encode(tmp_path / "a.webm", "webm", "libopus"))
    for ending in ("wav", "flac", "ogg"):
        soundfile.write(tmp_path / f"b.{ending}", tones(2, RATE).T, RATE)
        sources.append(tmp_path / f"b.{ending}")
    for source in sources:
        original = source.read_bytes()
        for _ in range(6):
            data = bytearray(original)
            for at in rng.integers(0, len(data), 30):
                data[at] = flip(data, at)
            for at in rng.integers(0, 100, 2):
                data[at] = flip(data, at)
            source.write_bytes(data)
            try:
                assert np.isfinite(read_audio(source).samples).all()
            except AudioError as error:
                assert str(source) in str(error)
