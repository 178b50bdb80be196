import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RATE, Encode, tones

from svc.audio.reading import AudioReader, find_audio, is_audio_file, probe, read_audio
from svc.errors import AudioError


def loudest_hz(channel: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(channel * np.hanning(len(channel))))
    return float(np.argmax(spectrum) * rate / len(channel))


def assert_tones(samples: np.ndarray, rate: int, skip: tuple[int, ...] = ()) -> None:
    for c, channel in enumerate(samples):
        if c not in skip:
            assert loudest_hz(channel, rate) == pytest.approx(200 + 150 * c, abs=3)
            assert np.sqrt(2 * np.mean(channel[4800:-4800] ** 2)) == pytest.approx(0.2, rel=0.1)


@pytest.mark.parametrize(
    ("ending", "subtype", "bit_depth", "step"),
    [
        ("wav", "PCM_U8", "16", 2**-7),
        ("wav", "PCM_16", "16", 2**-15),
        ("wav", "PCM_24", "24", 2**-23),
        ("wav", "PCM_32", "float", 2**-23),
        ("wav", "FLOAT", "float", 0),
        ("wav", "DOUBLE", "float", 0),
        ("flac", "PCM_16", "16", 2**-15),
        ("flac", "PCM_24", "24", 2**-23),
        ("aiff", "PCM_16", "16", 2**-15),
    ],
)
def test_lossless_files_give_their_samples(
    tmp_path: Path, ending: str, subtype: str, bit_depth: str, step: float
) -> None:
    samples = tones(2, 9_001)
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, samples.T, RATE, subtype=subtype)
    audio = read_audio(path)
    assert audio.samples.dtype == np.float32 and audio.samples.shape == (2, 9_001)
    assert np.abs(audio.samples - samples).max() <= step
    info = probe(path)
    assert (info.sample_rate, info.channels, info.frames, info.bit_depth) == (RATE, 2, 9_001, bit_depth)
    assert info.container == ending and info.exact_frames


@pytest.mark.parametrize(
    ("name", "container", "codec", "kind"),
    [
        ("a.mp3", "mp3", "libmp3lame", "mp3"),
        ("a.m4a", "ipod", "aac", "mp4"),
        ("lossless.m4a", "ipod", "alac", "mp4"),
        ("a.aac", "adts", "aac", "aac"),
        ("a.mp4", "mp4", "aac", "mp4"),
        ("a.mkv", "matroska", "aac", "mkv"),
        ("a.webm", "webm", "libopus", "mkv"),
        ("a.opus", "ogg", "libopus", "ogg"),
    ],
)
def test_compressed_files_give_their_sound(
    tmp_path: Path, encode: Encode, name: str, container: str, codec: str, kind: str
) -> None:
    path = encode(tmp_path / name, container, codec, video=name.endswith((".mp4", ".mkv")))
    audio = read_audio(path)
    assert (audio.sample_rate, audio.channels) == (RATE, 2)
    assert abs(audio.length - RATE) < 0.06 * RATE
    assert_tones(audio.samples, RATE)
    info = probe(path)
    assert info.container == kind and abs(info.seconds - 1) < 0.06


def test_a_song_keeps_its_exact_length_through_mp3(tmp_path: Path) -> None:
    samples = tones(2, 30_001, 44_100)
    soundfile.write(tmp_path / "a.mp3", samples.T, 44_100)
    audio = read_audio(tmp_path / "a.mp3")
    assert audio.length == 30_001
    assert np.abs(audio.samples - samples)[:, 2000:-2000].max() < 0.02


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 96_000, 192_000])
def test_rates_from_8_to_192_khz(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", tones(1, 1_000).T, rate)
    assert read_audio(tmp_path / "a.wav").sample_rate == rate


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_up_to_eight_channels(tmp_path: Path, ending: str, channels: int) -> None:
    soundfile.write(tmp_path / f"a.{ending}", tones(channels, RATE // 2).T, RATE)
    audio = read_audio(tmp_path / f"a.{ending}")
    assert audio.channels == channels
    assert_tones(audio.samples, RATE)
    assert audio.mono().samples.shape == (1, RATE // 2)


@pytest.mark.parametrize(("name", "container", "codec"), [("a.m4a", "ipod", "aac"), ("a.ogg", "ogg", "libopus")])
def test_surround_sound_has_one_channel_order(tmp_path: Path, encode: Encode, name: str, container: str, codec: str):
    """Ogg files store the centre second and the LFE last; every reader hands out the order of wav files."""
    audio = read_audio(encode(tmp_path / name, container, codec, layout="5.1"))
    assert audio.channels == 6
    assert_tones(audio.samples, RATE, skip=(3,))  # encoders filter the LFE
    assert loudest_hz(audio.samples[3], RATE) < 700


def test_the_name_does_not_decide(tmp_path: Path, encode: Encode) -> None:
    mp3 = encode(tmp_path / "song.mp3", "mp3", "libmp3lame")
    disguised = mp3.rename(tmp_path / "song.wav")
    assert probe(disguised).container == "mp3"
    soundfile.write(tmp_path / "b.flac", tones(1, 1_000).T, RATE)
    unnamed = (tmp_path / "b.flac").rename(tmp_path / "b")
    assert is_audio_file(unnamed) and read_audio(unnamed).length == 1_000


def test_mp3_behind_a_tag_and_padding(tmp_path: Path, encode: Encode) -> None:
    data = encode(tmp_path / "a.mp3", "mp3", "libmp3lame").read_bytes()
    start = data.index(b"\xff\xfb")
    tag = b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256)
    (tmp_path / "tagged").write_bytes(tag + bytes(100) + data[start:] + b"TAG" + bytes(125))
    assert probe(tmp_path / "tagged").container == "mp3"
    assert abs(read_audio(tmp_path / "tagged").length - RATE) < 0.06 * RATE


@pytest.mark.parametrize("name", ["夜曲 – été (take 2).wav", "x" * 240 + ".wav"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    soundfile.write(str(tmp_path / "a.wav"), tones(1, 500).T, RATE)
    path = (tmp_path / "a.wav").rename(tmp_path / name)
    assert read_audio(path).length == 500


def test_very_long_paths(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["deep folder " + "y" * 180] * 8)
    folder.mkdir(parents=True)
    (folder / "a.wav").write_bytes(b"")
    soundfile.write(tmp_path / "a.wav", tones(1, 500).T, RATE)
    (folder / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    assert read_audio(folder / "a.wav").length == 500
    assert find_audio(tmp_path)[-1].name == "a.wav"


@pytest.mark.parametrize("ending", ["wav", "ogg", "mp3"])
@pytest.mark.parametrize("size", [1_000, 4_096, 70_001, 10**6])
def test_blocks_are_the_whole_in_order(tmp_path: Path, ending: str, size: int) -> None:
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, tones(2, 150_000).T, RATE)
    whole = read_audio(path).samples
    with AudioReader(path) as reader:
        blocks = list(reader.blocks(size))
        again = list(reader.blocks(size, start=1_234, stop=99_999))
    assert {b.shape[1] for b in blocks[:-1]} <= {size}
    assert np.array_equal(np.concatenate(blocks, axis=1), whole)
    assert np.array_equal(np.concatenate(again, axis=1), whole[:, 1_234:99_999])


@pytest.mark.parametrize("ending", ["flac", "mp3"])
def test_memory_does_not_grow_with_length(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, np.tile(tones(1, RATE), 25).T, RATE)  # 25 s are 4.8 MB of samples
    tracemalloc.start()
    with AudioReader(path) as reader:
        total = sum(block.shape[1] for block in reader.blocks(8_192))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert abs(total - 25 * RATE) < 3_000
    assert peak < 2e6


def test_find_audio(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tones(1, 500).T, RATE)
    data = (tmp_path / "a.wav").read_bytes()
    for name in ("b/Z.WAV", "b/no ending", "b/.hidden.wav", ".git/c.wav", "__MACOSX/d.wav", "b/c/é.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "b/notes.txt").write_text("not audio")
    (tmp_path / "b/broken.mp3").write_text("not audio either")
    found = [path.relative_to(tmp_path).as_posix() for path in find_audio(tmp_path)]
    assert found == ["a.wav", "b/Z.WAV", "b/broken.mp3", "b/c/é.wav", "b/no ending"]


def test_find_audio_follows_links_once(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    soundfile.write(tmp_path / "real/a.wav", tones(1, 500).T, RATE)
    root = tmp_path / "root"
    root.mkdir()
    try:
        (root / "link").symlink_to(tmp_path / "real", target_is_directory=True)
        (tmp_path / "real/loop").symlink_to(tmp_path / "real", target_is_directory=True)
    except OSError:
        pytest.skip("this system does not let us make links")
    assert find_audio(root) == [root / "link/a.wav"]


def test_find_audio_without_audio(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(AudioError, match=r"no audio in .*put recordings"):
        find_audio(tmp_path)
    with pytest.raises(AudioError, match="does not exist"):
        find_audio(tmp_path / "missing")
    with pytest.raises(AudioError, match="is a file, not a folder"):
        find_audio(tmp_path / "notes.txt")
