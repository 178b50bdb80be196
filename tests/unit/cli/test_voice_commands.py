"""`svc index`, `svc mix`, `svc compress` and `svc export`, and the options of `svc convert` that need an index."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_cases import FAST, Cli, sung, tiny_voice, write

from svc.checkpoint.voice import load_voice, save_voice
from svc.checkpoint.voice_index import load_index
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    return tiny_voice(tmp_path / "voice.safetensors")


def like_the_voice(voice: Path, folder: Path) -> Path:
    """A prepared dataset of one singer whose content says it is that of the voice's encoder."""
    spec = load_voice(voice).spec
    dataset = write_synthetic_dataset(folder, SyntheticSize(recordings=2, content_dim=spec.content_dim))
    own = ("sample_rate", "hop_length", "n_fft")
    replace(dataset, spec=replace(spec, **{name: getattr(dataset.spec, name) for name in own})).save()
    return folder


def test_index_then_convert_with_it(cli: Cli, voice: Path, tmp_path: Path) -> None:
    dataset = like_the_voice(voice, tmp_path / "data")
    made = cli("index", dataset, "--voice", voice, "--clusters", "5", "--json")
    assert made.code == 0, made.err
    result = json.loads(made.out)
    assert result["index"] == str(tmp_path / "voice.index.safetensors")
    assert result["singers"]["singer0"]["clusters"] == 5
    frames = load_index(Path(result["index"])).singers["singer0"].frames
    assert result["singers"]["singer0"]["frames"] == len(frames.vectors) > 20
    song = write(tmp_path / "song.wav", sung(1.0))
    arguments = ("convert", song, "--voice", voice, "--output", tmp_path / "out", *FAST)
    unused = cli(*arguments)
    assert unused.code == 0 and "is not used: set --retrieval-ratio" in unused.err
    used = cli(*arguments, "--retrieval-ratio", "0.5", "--cluster-ratio", "0.3")
    assert used.code == 0 and "1 done" in used.out
    assert f"Using the index {result['index']} beside the voice (singer0: " in used.err


def test_index_of_another_encoder_is_refused_before_it_is_built(cli: Cli, voice: Path, tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "data", SyntheticSize(recordings=2))
    outcome = cli("index", tmp_path / "data", "--voice", voice)
    assert outcome.code == 1 and "values per frame" in outcome.sentences[0] and "Building" not in outcome.err
    assert not (tmp_path / "voice.index.safetensors").exists()
    alone = cli("index", tmp_path / "data", "--output", tmp_path / "own.safetensors")
    assert alone.code == 0 and "singer0: " in alone.out
    refused = cli(
        *("convert", tmp_path / "x.wav", "--voice", voice, "--output", tmp_path / "out", *FAST),
        *("--index", tmp_path / "own.safetensors", "--retrieval-ratio", "0.5"),
    )
    assert refused.code == 1 and len(refused.sentences) == 1 and "own.safetensors" in refused.sentences[0]


def test_index_wrong_usage(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert cli("index", tmp_path / "data").code == 2
    assert cli("index", tmp_path / "data", "--output", tmp_path / "x.index").code == 2
    assert cli("index", tmp_path / "data", "--output", tmp_path / "x.safetensors", "--clusters", "0").code == 2
    assert cli("index", tmp_path / "gone", "--output", tmp_path / "x.safetensors").code == 1


def test_a_ratio_without_an_index_and_an_index_without_a_ratio(cli: Cli, voice: Path, tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", sung(0.5))
    arguments = ("convert", song, "--voice", voice, "--output", tmp_path / "out", *FAST)
    for more, said in (
        (("--cluster-ratio", "0.5"), "svc index"),
        (("--index", tmp_path / "x.index"), "would not be used"),
        (("--speaker-curve", tmp_path / "gone.csv"), "gone.csv"),
        (("--retrieval-ratio", "1.5"), "--retrieval-ratio"),
    ):
        outcome = cli(*arguments, *more)
        assert outcome.code == 2 and len(outcome.sentences) == 1 and said in outcome.sentences[0]
    assert not (tmp_path / "out").exists()


def test_mix(cli: Cli, voice: Path, tmp_path: Path) -> None:
    other = load_voice(voice)
    other.state = {name: value * 1.1 for name, value in other.state.items()}
    other.speakers = [replace(other.speakers[0], name="bert")]
    save_voice(tmp_path / "b.safetensors", other)
    output = tmp_path / "c.safetensors"
    done = cli("mix", voice, tmp_path / "b.safetensors", "--weights", "0.3", "0.7", "--output", output, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["speakers"] == ["anna + bert"]
    bias, first = load_voice(output).state["prior.proj.bias"], load_voice(voice).state["prior.proj.bias"]
    np.testing.assert_allclose(bias, first * 1.07, rtol=1e-5)
    assert cli("mix", voice, tmp_path / "b.safetensors", "--output", output).code == 0
    for arguments in (
        (voice, "--output", output),
        (voice, voice, "--output", tmp_path / "c.pth"),
        (voice, voice, "--weights", "1", "--output", output),
    ):
        assert cli("mix", *arguments).code == 2
    assert cli("mix", voice, voice, "--weights", "0", "0", "--output", tmp_path / "d.safetensors").code == 1


def test_compress_and_train_from_it(cli: Cli, voice: Path, tmp_path: Path) -> None:
    output = tmp_path / "small.safetensors"
    done = cli("compress", voice, "--output", output, "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["bytes"] == output.stat().st_size < 0.6 * voice.stat().st_size
    assert not result["trainable"] and not load_voice(output).has_training_parts
    kept = cli("compress", voice, "--output", tmp_path / "half.safetensors", "--keep-training-parts")
    assert "can be trained further" in kept.out and load_voice(tmp_path / "half.safetensors").has_training_parts
    assert cli("compress", voice, "--output", voice).code == 2
    assert cli("compress", voice, "--output", tmp_path / "x.pth").code == 2


def test_export_refuses_a_voice_of_our_own_shape(cli: Cli, voice: Path, tmp_path: Path) -> None:
    for layout, output in (("sovits", tmp_path / "out"), ("rvc", tmp_path / "out.pth")):
        outcome = cli("export", voice, "--format", layout, "--output", output)
        assert outcome.code == 1 and len(outcome.sentences) == 1
        assert "content_encoder is moonshine" in outcome.sentences[0] and not output.exists()
    assert cli("export", voice, "--format", "rvc", "--output", tmp_path / "x.bin").code == 2
    assert cli("export", voice, "--format", "other", "--output", tmp_path / "x").code == 2


def test_export_of_an_imported_voice(cli: Cli, shared: Path, tmp_path: Path) -> None:
    foreign = shared / "golden/voices/rvc_v1_40k/goldA.pth"
    if not foreign.is_file():
        pytest.skip(f"reference file {foreign} is not here")
    done = cli("export", foreign, "--format", "rvc", "--output", tmp_path / "again.pth", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {"files": [str(tmp_path / "again.pth")], "precision": "fp16", "notes": []}


def test_the_base_voice_goes_by_its_name(
    cli: Cli, voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = json.loads(cli("info", "builtin", "--json").out)
    assert told["kind"] == "voice" and len(told["speakers"]) == 50
    song = write(tmp_path / "song.wav", sung(1.0))
    arguments = ("convert", song, "--voice", "builtin", "--output", tmp_path / "out", *FAST)
    assert cli(*arguments, "--speaker", "zf_xiaoyi").code == 0
    unknown = cli(*arguments, "--speaker", "nobody")
    assert unknown.code == 1 and "nobody" in unknown.sentences[0]
    # A file of that name is what its owner means.
    voice.rename(tmp_path / "builtin")
    assert (
        cli("convert", song, "--voice", "builtin", "--output", tmp_path / "own", *FAST, "--speaker", "anna").code == 0
    )
