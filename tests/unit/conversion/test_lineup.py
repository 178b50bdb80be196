"""Speaker curves, and the index a conversion uses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_conversion import RATE, GivenFeatures, sung, tiny_voice

from svc.audio.signal import Audio
from svc.checkpoint.index_files import FaissIndex
from svc.checkpoint.voice import save_voice
from svc.checkpoint.voice_index import SingerSounds, VoiceIndex, content_of, index_beside, save_index
from svc.config import ConvertOptions
from svc.conversion import stream
from svc.conversion.batch import convert_many
from svc.conversion.converter import Converter
from svc.conversion.lineup import read_speaker_curve
from svc.errors import CheckpointError, ConfigError, SpecMismatchError

PLAIN = ConvertOptions(match_loudness=0.0, protect=0.0, transpose=0.0, separate="none", noise_scale=0.0)


def quick(path: Path) -> Converter:
    """A converter that loads no encoder and no estimator."""
    converter = Converter.load(path)
    converter.extractor = GivenFeatures(converter.spec)
    return converter


@pytest.fixture
def converter(tmp_path: Path) -> Converter:
    save_voice(tmp_path / "voice.safetensors", tiny_voice())
    return quick(tmp_path / "voice.safetensors")


def put(folder: Path, text: str) -> Path:
    path = folder / "curve.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_curve_is_read_and_drawn(tmp_path: Path) -> None:
    curve = read_speaker_curve(put(tmp_path, "time, anna, bert\n# a comment\n\n1, 1, 0\n3, 2, 6\n"))
    assert curve.speakers == ("anna", "bert")
    expected = np.array([[1, 0], [1, 0], [0.625, 0.375], [0.25, 0.75], [0.25, 0.75]])
    np.testing.assert_allclose(curve.at(np.array([0.0, 1.0, 2.0, 3.0, 9.0])), expected)
    again = read_speaker_curve(put(tmp_path, "\ufefftime;anna\n0;3\n"))
    np.testing.assert_array_equal(again.at(np.arange(3.0)), np.ones((3, 1)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no header"),
        ("0,1,0\n", "no header"),
        ("time\n0\n", "no header"),
        ("time,anna,anna\n0,1,1\n", "twice"),
        ("time,anna,\n0,1,1\n", "not at all"),
        ("time,anna\n", "header only"),
        ("time,anna\n0,one\n", "Line 2 .* not understood"),
        ("time,anna,bert\n0,1\n", "Line 2 .* 1 weights for 2 speakers"),
        ("time,anna,bert\n0,1,0\n0,0,1\n", "Line 3 .* not later"),
        ("time,anna,bert\n0,0,0\n", "impossible"),
        ("time,anna,bert\n0,2,-1\n", "impossible"),
        ("time,anna\n0,inf\n", "impossible"),
        ("time,anna\nnan,1\n", "impossible"),
    ],
)
def test_curves_that_are_not_understood(tmp_path: Path, text: str, said: str) -> None:
    path = put(tmp_path, text)
    with pytest.raises(ConfigError, match=said) as caught:
        read_speaker_curve(path)
    assert str(path) in str(caught.value)


def test_curves_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_bytes(b"\xff\xfe\x00\x81")
    for name in ("curve.csv", "gone.csv"):
        with pytest.raises(ConfigError, match="not a readable text file"):
            read_speaker_curve(tmp_path / name)


def sing(converter: Converter, samples: np.ndarray, **options: object) -> np.ndarray:
    return converter.convert(Audio(samples[None], RATE), PLAIN.model_copy(update=options)).samples[0]


def test_a_curve_of_one_speaker_is_that_speaker(converter: Converter, tmp_path: Path) -> None:
    samples = sung(1.0)
    alone = sing(converter, samples, speaker="singer1")
    curve = put(tmp_path, "time,singer0,singer1\n0,0,1\n")
    np.testing.assert_allclose(sing(converter, samples, speaker_curve=str(curve)), alone, atol=2e-5)
    assert np.abs(alone - sing(converter, samples, speaker="singer0")).max() > 1e-3


def test_a_curve_moves_from_one_speaker_to_the_other(
    converter: Converter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = sung(5.0)
    ends = [sing(converter, samples, speaker=f"singer{i}", window_seconds=2.0) for i in (0, 1)]
    curve = put(tmp_path, "time,singer0,singer1\n2,1,0\n3,0,1\n")
    mixed = sing(converter, samples, speaker_curve=str(curve), window_seconds=2.0)
    early, late = slice(0, round(1.5 * RATE)), slice(round(3.5 * RATE), 5 * RATE)
    np.testing.assert_allclose(mixed[early], ends[0][early], atol=1e-4)
    np.testing.assert_allclose(mixed[late], ends[1][late], atol=1e-4)
    middle = slice(round(2.3 * RATE), round(2.7 * RATE))
    assert min(np.abs(mixed[middle] - end[middle]).max() for end in ends) > 1e-3
    # The curve belongs to the song, not to its windows and pieces.
    monkeypatch.setattr(stream, "PIECE_SECONDS", 3.0)
    once = sing(converter, samples, speaker_curve=str(curve), window_seconds=9.0)
    assert np.corrcoef(once, mixed)[0, 1] > 0.999


def test_the_report_names_all_who_sing(converter: Converter, tmp_path: Path) -> None:
    curve = put(tmp_path, "time,singer1,singer0\n0,1,1\n")
    options = PLAIN.model_copy(update={"speaker_curve": str(curve), "transpose": "auto"})
    _, report = converter.convert_reported(Audio(sung(1.0)[None], RATE), options)
    assert report.speaker == "singer1 + singer0"
    for changes, said in (
        ({"speaker": "singer0"}, "contradict"),
        ({"speaker_curve": str(put(tmp_path, "time,zoe\n0,1\n"))}, "no speaker 'zoe'"),
    ):
        with pytest.raises((ConfigError, CheckpointError), match=said):
            converter.lookup.lineup(options.model_copy(update=changes))


@pytest.fixture
def voice_file(tmp_path: Path) -> Path:
    path = tmp_path / "voice.safetensors"
    save_voice(path, tiny_voice())
    return path


def write_index(path: Path, seed: int = 0, spec=None, **sounds: SingerSounds) -> Path:
    spec = spec or tiny_voice().spec
    values = np.random.default_rng(seed).standard_normal((100, spec.content_dim)).astype(np.float32)
    singers = sounds or {f"singer{i}": SingerSounds(FaissIndex(values * (1 + i)), values[:5]) for i in (0, 1)}
    save_index(path, VoiceIndex(spec.content_dim, singers, content_of(spec)))
    return path


def test_an_index_beside_the_voice_is_found(voice_file: Path, tmp_path: Path) -> None:
    plain = quick(voice_file)
    assert plain.lookup.note(PLAIN) == ""
    with pytest.raises(ConfigError, match=r"retrieval_ratio needs an index .* svc index"):
        plain.lookup.lineup(PLAIN.model_copy(update={"retrieval_ratio": 0.5}))
    beside = write_index(index_beside(voice_file))
    converter = quick(voice_file)
    assert converter.lookup.beside == beside
    assert "is not used: set --retrieval-ratio" in converter.lookup.note(PLAIN)
    with_it = PLAIN.model_copy(update={"retrieval_ratio": 0.5})
    assert f"{beside} beside the voice (singer0: 100 frames and 5 clusters" in converter.lookup.note(with_it)
    samples = sung(1.0)
    without = sing(converter, samples)
    np.testing.assert_array_equal(without, sing(plain, samples))
    results = [sing(converter, samples, **{name: 0.9}) for name in ("retrieval_ratio", "cluster_ratio")]
    results.append(sing(converter, samples, retrieval_ratio=0.9, speaker="singer1"))
    assert not any(np.array_equal(result, without) for result in results)
    named = write_index(tmp_path / "other.safetensors", seed=1)
    other = sing(converter, samples, retrieval_ratio=0.9, index=str(named))
    assert not np.array_equal(other, results[0])


def test_windows_with_an_index_are_fed_as_one_pass_is(voice_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_index(index_beside(voice_file))
    converter, fed = quick(voice_file), []
    inner = stream.SongStream._synthesise

    def watched(self, features, first_frame, start, stop, phase):
        fed.append((first_frame, features.content))
        return inner(self, features, first_frame, start, stop, phase)

    monkeypatch.setattr(stream.SongStream, "_synthesise", watched)
    samples, options = sung(6.0), {"retrieval_ratio": 0.6, "cluster_ratio": 0.2}
    sing(converter, samples, window_seconds=20.0, **options)
    ((_, whole),) = fed
    assert len(whole) >= 6.0 * converter.spec.frame_rate
    fed.clear()
    monkeypatch.setattr(stream, "PIECE_SECONDS", 3.0)
    sing(converter, samples, window_seconds=2.0, **options)
    assert len(fed) > 2
    for first, content in fed:
        np.testing.assert_allclose(content, whole[first : first + len(content)], atol=1e-5)
    fed.clear()
    sing(converter, samples, window_seconds=20.0)
    assert np.abs(fed[0][1] - whole).max() > 0.1


def test_an_index_that_cannot_be_used_is_said_before_any_song(voice_file: Path, tmp_path: Path) -> None:
    converter = quick(voice_file)
    spec = converter.spec
    only_clusters = write_index(
        tmp_path / "c.safetensors", singer0=SingerSounds(None, np.ones((2, spec.content_dim), "f4"))
    )
    only_frames = write_index(
        tmp_path / "f.safetensors", singer0=SingerSounds(FaissIndex(np.ones((9, spec.content_dim), "f4")))
    )
    another = write_index(tmp_path / "a.safetensors", spec=replace(spec, content_encoder="other"))
    for changes, error, said in (
        ({"index": str(only_frames)}, ConfigError, "would not be used"),
        ({"index": str(only_clusters), "retrieval_ratio": 0.5}, CheckpointError, "holds clusters only"),
        ({"index": str(only_frames), "cluster_ratio": 0.5}, CheckpointError, "holds no clusters"),
        ({"index": str(only_frames), "retrieval_ratio": 0.5, "speaker": "singer1"}, CheckpointError, "only of singer0"),
        ({"index": str(another), "retrieval_ratio": 0.5}, SpecMismatchError, "another content encoder"),
        ({"index": str(tmp_path / "gone"), "retrieval_ratio": 0.5}, CheckpointError, "Cannot read the index"),
    ):
        with pytest.raises(error, match=said):
            convert_many([tmp_path / "song.wav"], tmp_path / "out", converter, PLAIN.model_copy(update=changes))
    assert not (tmp_path / "out").exists()


def test_the_next_song_finds_the_index_ready(voice_file: Path) -> None:
    write_index(index_beside(voice_file))
    lookup = quick(voice_file).lookup
    options = PLAIN.model_copy(update={"retrieval_ratio": 0.5})
    first = lookup.lineup(options).retrieval
    assert lookup.lineup(options.model_copy(update={"seed": 3})).retrieval is first
    for changes in ({"retrieval_ratio": 0.6}, {"speaker": "singer1"}, {"retrieval_unvoiced": 1.0}):
        assert lookup.lineup(options.model_copy(update=changes)).retrieval is not first
    again = lookup.lineup(options).retrieval
    write_index(index_beside(voice_file), seed=4)
    assert lookup.lineup(options).retrieval is not again


def test_a_changed_index_or_curve_makes_songs_again(voice_file: Path, tmp_path: Path) -> None:
    from svc.audio.writing import write_audio

    converter = quick(voice_file)
    write_audio(tmp_path / "song.wav", Audio(sung(1.0)[None], RATE), "16")
    index, curve = write_index(tmp_path / "i.safetensors"), put(tmp_path, "time,singer0,singer1\n0,1,1\n")
    options = PLAIN.model_copy(update={"index": str(index), "retrieval_ratio": 0.5, "speaker_curve": str(curve)})

    def status() -> str:
        return convert_many([tmp_path / "song.wav"], tmp_path / "out", converter, options)[0].status

    assert [status(), status()] == ["done", "skipped"]
    put(tmp_path, "time,singer0,singer1\n0,1,2\n")
    assert [status(), status()] == ["done", "skipped"]
    write_index(index, seed=5)
    assert [status(), status()] == ["done", "skipped"]
