import errno
from pathlib import Path

import numpy as np
import pytest
import soundfile

from svc.audio.reading import probe, read_audio
from svc.audio.signal import Audio
from svc.audio.writing import AudioWriter, _TemporaryFile, write_audio
from svc.errors import AudioError

RATE = 44_100


def noise(channels: int = 2, samples: int = 20_011, scale: float = 0.2) -> np.ndarray:
    return (np.random.default_rng(5).standard_normal((channels, samples)) * scale).clip(-0.9, 0.9).astype(np.float32)


def assert_same_channels(result: np.ndarray, expected: np.ndarray) -> None:
    """Tones of different pitch correlate only with themselves; encoders are coarse with the LFE."""
    for c, (a, b) in enumerate(zip(result, expected)):
        a, b = a[2000:40_000], b[2000:40_000]
        assert np.corrcoef(a, b)[0, 1] > (0.9 if c == 3 else 0.99)
        assert np.std(a) == pytest.approx(np.std(b), rel=0.5 if c == 3 else 0.1)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.name.startswith(".svc-")]


@pytest.mark.parametrize(
    ("ending", "bit_depth", "subtype", "step"),
    [
        ("wav", "16", "PCM_16", 2**-16),
        ("wav", "24", "PCM_24", 2**-24),
        ("wav", "float", "FLOAT", 0),
        ("flac", "16", "PCM_16", 2**-16),
        ("flac", "24", "PCM_24", 2**-24),
        ("flac", "float", "PCM_24", 2**-24),
    ],
)
def test_lossless_round_trip(tmp_path: Path, ending: str, bit_depth: str, subtype: str, step: float) -> None:
    audio = Audio(noise(), RATE)
    path = write_audio(tmp_path / f"a.{ending}", audio, bit_depth)
    back = read_audio(path)
    assert np.abs(back.samples - audio.samples).max() <= step * 1.001
    assert soundfile.info(path).subtype == subtype
    again = write_audio(tmp_path / f"b.{ending}", back, bit_depth)
    assert np.array_equal(read_audio(again).samples, back.samples)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("ending", ["mp3", "ogg"])
def test_lossy_files_keep_length_and_sound(tmp_path: Path, ending: str) -> None:
    time = np.arange(40_001) / RATE
    samples = np.stack([0.3 * np.sin(2 * np.pi * f * time) for f in (440, 660)]).astype(np.float32)
    path = write_audio(tmp_path / f"a.{ending}", Audio(samples, RATE))
    back = read_audio(path)
    assert (back.sample_rate, back.samples.shape) == (RATE, samples.shape)
    assert np.abs(back.samples - samples)[:, 2000:-2000].max() < 0.02
    assert probe(path).container == ending


@pytest.mark.parametrize(("ending", "bit_depth"), [("wav", "16"), ("wav", "24"), ("flac", "16"), ("flac", "24")])
def test_too_loud_samples_are_limited_and_never_wrap(tmp_path: Path, ending: str, bit_depth: str) -> None:
    samples = np.array([[0.5, 1.0, 1.7, 40.0, -1.0, -1.0001, -3.0, -0.5]], np.float32)
    back = read_audio(write_audio(tmp_path / f"a.{ending}", Audio(samples, RATE), bit_depth)).samples
    assert np.abs(back - samples.clip(-1, 1)).max() <= 2**-15


@pytest.mark.parametrize("ending", ["mp3", "ogg"])
def test_too_loud_lossy(tmp_path: Path, ending: str) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(20_000) / RATE)
    back = read_audio(write_audio(tmp_path / f"a.{ending}", Audio((4 * tone[None]).astype(np.float32), RATE))).samples
    limited = np.clip(4 * tone, -1, 1)
    assert np.abs(back[0] - limited)[2000:-2000].max() < 0.25


def test_float_wav_keeps_what_is_too_loud(tmp_path: Path) -> None:
    samples = noise(scale=0.2) * 10
    assert np.array_equal(read_audio(write_audio(tmp_path / "a.wav", Audio(samples, RATE), "float")).samples, samples)


def test_integers_of_a_16_bit_song_pass_unchanged(tmp_path: Path) -> None:
    values = np.arange(-(2**15), 2**15, 7, np.int16)[:, None]
    soundfile.write(tmp_path / "a.wav", values, RATE, subtype="PCM_16")
    write_audio(tmp_path / "b.wav", read_audio(tmp_path / "a.wav"), "16")
    assert np.array_equal(soundfile.read(tmp_path / "b.wav", dtype="int16", always_2d=True)[0], values)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("channels", [1, 5, 6, 8])
def test_channels_keep_their_place(tmp_path: Path, ending: str, channels: int) -> None:
    time = np.arange(RATE // 2) / RATE
    samples = np.stack([0.2 * np.sin(2 * np.pi * (100 + 20 * c) * time) for c in range(channels)]).astype(np.float32)
    back = read_audio(write_audio(tmp_path / f"a.{ending}", Audio(samples, RATE))).samples
    assert_same_channels(back, samples)


def test_surround_ogg_is_understood_by_another_decoder(tmp_path: Path) -> None:
    import av

    time = np.arange(RATE) / RATE
    samples = np.stack([0.2 * np.sin(2 * np.pi * (50 + 10 * c) * time) for c in range(6)]).astype(np.float32)
    write_audio(tmp_path / "a.ogg", Audio(samples, RATE))
    with av.open(str(tmp_path / "a.ogg")) as container:
        decoded = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert_same_channels(decoded, samples)


def test_a_stream_of_blocks_is_one_file(tmp_path: Path) -> None:
    samples = noise(2, 100_003)
    with AudioWriter(tmp_path / "a.flac", RATE, 2, "24") as writer:
        for start in range(0, samples.shape[1], 33_333):
            writer.write(samples[:, start : start + 33_333])
    whole = write_audio(tmp_path / "b.flac", Audio(samples, RATE))
    assert np.array_equal(read_audio(tmp_path / "a.flac").samples, read_audio(whole).samples)


def test_nothing_appears_before_the_end_or_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"what was there before")
    with pytest.raises(KeyboardInterrupt), AudioWriter(path, RATE, 2) as writer:
        writer.write(noise())
        assert path.read_bytes() == b"what was there before"
        raise KeyboardInterrupt
    assert path.read_bytes() == b"what was there before"
    assert leftovers(tmp_path) == []
    with AudioWriter(path, RATE, 2) as writer:
        writer.write(noise())
    assert read_audio(path).length == 20_011


@pytest.mark.parametrize("name", ["夜曲 – été.flac", "x" * 250 + ".wav", "new/folders/a.mp3"])
def test_odd_names_and_new_folders(tmp_path: Path, name: str) -> None:
    assert read_audio(write_audio(tmp_path / name, Audio(noise(), RATE))).length == 20_011


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg"])
@pytest.mark.parametrize("room", [0, 30_000])
def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, room: int) -> None:
    """A disk that takes `room` bytes: the failure happens inside libsndfile, or only at closing."""
    create = _TemporaryFile.__init__

    class FullDisk:
        def __init__(self, file: object) -> None:
            self.file, self.room = file, room

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

        def write(self, data: bytes) -> int:
            self.room -= len(data)
            if self.room < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return self.file.write(data)  # type: ignore[attr-defined]

    def limited(self: _TemporaryFile, target: Path) -> None:
        create(self, target)
        self._file = FullDisk(self._file)  # type: ignore[assignment]

    monkeypatch.setattr(_TemporaryFile, "__init__", limited)
    path = tmp_path / f"a.{ending}"
    with pytest.raises(AudioError, match=r"No space left to write .*a\..*free some disk space"):
        write_audio(path, Audio(noise(2, 400_000), RATE))
    assert list(tmp_path.iterdir()) == []


def test_a_real_limit_of_the_system(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(AudioError, match="No space left to write"):
            write_audio(tmp_path / "a.wav", Audio(noise(2, 400_000), RATE))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_folder_that_must_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, "refused")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(AudioError, match=r"Not allowed to write .*a\.wav: choose a folder"):
        write_audio(tmp_path / "a.wav", Audio(noise(), RATE))


def test_read_only_folder(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    try:
        (folder / "probe").touch()
    except OSError:
        with pytest.raises(AudioError, match="Not allowed to write"):
            write_audio(folder / "a.wav", Audio(noise(), RATE))
    else:
        pytest.skip("this user may write into read-only folders")
    finally:
        folder.chmod(0o755)


def test_target_that_cannot_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(AudioError, match=r"Cannot write .*a\.wav"):
        write_audio(tmp_path / "a.wav", Audio(noise(), RATE))
    (tmp_path / "file").touch()
    with pytest.raises(AudioError, match=r"Cannot write .*b\.wav"):
        write_audio(tmp_path / "file/b.wav", Audio(noise(), RATE))


@pytest.mark.parametrize(
    ("name", "channels", "rate", "bit_depth", "words"),
    [
        ("a.xyz", 2, RATE, "24", "choose a name that ends in .wav, .flac, .mp3, .ogg"),
        ("a", 2, RATE, "24", "choose a name that ends in"),
        ("a.wav", 2, RATE, "20", "Unknown bit depth '20': choose one of 16, 24, float"),
        ("a.mp3", 6, RATE, "24", "mp3 holds up to 2 channels, not 6"),
        ("a.mp3", 2, 96_000, "24", "mp3 does not know a rate of 96000 Hz"),
        ("a.flac", 9, RATE, "24", "flac holds up to 8 channels"),
    ],
)
def test_what_a_format_cannot_hold(
    tmp_path: Path, name: str, channels: int, rate: int, bit_depth: str, words: str
) -> None:
    with pytest.raises(AudioError, match=words):
        write_audio(tmp_path / name, Audio(noise(channels, 100), rate), bit_depth)
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_write(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no samples to write"):
        write_audio(tmp_path / "a.wav", Audio(np.zeros((1, 0), np.float32), RATE))
    with pytest.raises(AudioError, match="NaN"), AudioWriter(tmp_path / "a.wav", RATE, 1) as writer:
        writer.write(np.array([[0.0, np.nan]], np.float32))
    assert list(tmp_path.iterdir()) == []


def test_wav_beyond_4_gb_is_refused_before_it_is_damaged(tmp_path: Path) -> None:
    with (
        pytest.raises(AudioError, match="a wav file holds at most 4 GB"),
        AudioWriter(tmp_path / "a.wav", RATE, 2, "float") as writer,
    ):
        writer.samples_written = 2**29 - 100
        writer.write(noise())
    assert list(tmp_path.iterdir()) == []
