"""`svc units`: learning from recordings and datasets, applying, scoring against labels."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli_cases import Cli, sung, write
from safetensors.numpy import load_file

from svc.content.unit_files import read_centres, read_facts
from svc.data.synthetic import SyntheticSize, write_synthetic_dataset
from svc.data.unit_table import read_units

CPU = ("--device", "cpu")


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of two sounds, with labels in HTS' units and in seconds."""
    folder = tmp_path_factory.mktemp("songs")
    rng = np.random.default_rng(0)
    for name, unit in (("a", 10_000_000), ("b", 1.0)):
        noise = rng.standard_normal(44_100).astype(np.float32) * 0.05
        write(folder / f"{name}.wav", np.concatenate([sung(1.0), noise]))
        marks = [(0, 1, "AA1"), (1, 2, "x^y-S+z=q@1_2/A:0-1+2")]
        text = "\n".join(f"{start * unit} {end * unit} {phone}" for start, end, phone in marks)
        (folder / f"{name}.lab").write_text(text)
    return folder


@pytest.fixture(scope="module")
def centres(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from svc.cli.app import run

    path = tmp_path_factory.mktemp("units") / "u.safetensors"
    assert run(["units", "learn", str(songs), "--output", str(path), "--count", "4", *CPU]) == 0
    return path


def test_the_file_holds_centres_and_what_they_were_learnt_on(centres: Path, songs: Path, cli: Cli) -> None:
    assert load_file(centres)["cluster_centers_"].shape == read_centres(centres)[""].shape == (4, 288)
    facts = read_facts(centres)
    assert (facts["encoder"], facts["normalisation"], facts["layers"]) == ("moonshine", "adaptive", [[7, 1.0]])
    assert len(facts["weights"]) == 64 and facts["frames"] > 160
    again = centres.with_name("again.safetensors")
    shown = json.loads(cli("units", "learn", songs, "--output", again, "--count", 4, "--json", *CPU).out)
    assert shown["units"] == 4 and 0.2 < shown["explained"] < 1
    np.testing.assert_array_equal(read_centres(again)[""], read_centres(centres)[""])


def test_applied_units_are_a_line_for_each_recording(centres: Path, songs: Path, cli: Cli, tmp_path: Path) -> None:
    outcome = cli("units", "apply", songs, "--units", centres, "--output", tmp_path / "u.tsv", *CPU)
    assert outcome.code == 0 and "2 recordings" in outcome.out
    units = read_units(tmp_path / "u.tsv")
    assert list(units) == ["a", "b"] and {len(row) for row in units.values()} <= {83, 84}
    assert (tmp_path / "u.tsv").read_text().startswith("# seconds per frame: 0.024\n")


def test_scores_tell_that_the_units_tell_the_two_sounds(centres: Path, songs: Path, cli: Cli) -> None:
    scores = json.loads(cli("units", "score", songs, "--units", centres, "--json", *CPU).out)
    assert scores["phone_purity"] > 0.85 and scores["pnmi"] > 0.5 and scores["utterances"] == 2
    assert scores["phone_entropy"] == pytest.approx(np.log(2), abs=1e-3)
    table = cli("units", "score", songs, "--units", centres, *CPU).out
    assert "PNMI" in table and "cluster purity" in table


def test_scores_of_tables_alone(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "u.tsv").write_text("# seconds per frame: 0.02\na\t7 7 2 2\nb\t7 2\n")
    (tmp_path / "p.tsv").write_text("a\tAA1,AA0,S,S\nb\tAA S\n")
    arguments = ("units", "score", "--assigned", tmp_path / "u.tsv", "--phones", tmp_path / "p.tsv", "--json")
    scores = json.loads(cli(*arguments).out)
    assert (scores["phone_purity"], scores["cluster_purity"]) == (1.0, 1.0)
    assert json.loads(cli(*arguments, "--keep-stress").out)["cluster_purity"] == 1.0
    (tmp_path / "p.tsv").write_text("a AA1\n")
    assert "has no tab" in cli(*arguments).sentences[0]


def test_units_of_a_dataset_and_only_on_the_same_content(centres: Path, cli: Cli, tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "data", SyntheticSize(singers=1, slice_seconds=1.0))
    learnt = cli("units", "learn", tmp_path / "data", "--output", tmp_path / "d.safetensors", "--count", 3, *CPU)
    assert learnt.code == 0, learnt.err
    applied = cli(
        "units", "apply", tmp_path / "data", "--units", tmp_path / "d.safetensors", "--output", tmp_path / "t", *CPU
    )
    assert applied.code == 0 and all(max(row) < 3 for row in read_units(tmp_path / "t").values())
    other = cli("units", "apply", tmp_path / "data", "--units", centres, "--output", tmp_path / "t2", *CPU)
    assert other.code == 2 and "holds other content" in other.sentences[0]


def test_foreign_files_need_an_encoder_and_a_singer(songs: Path, cli: Cli, tmp_path: Path) -> None:
    np.savez(tmp_path / "k.npz", cluster_centers_=np.random.default_rng(0).standard_normal((3, 288)))
    arguments = ("units", "apply", songs, "--units", tmp_path / "k.npz", "--output", tmp_path / "u.tsv", *CPU)
    assert "say it with --encoder" in cli(*arguments).sentences[0]
    assert cli(*arguments, "--encoder", "moonshine").code == 0
    import torch

    one = {"n_features_in_": 288, "cluster_centers_": torch.zeros(2, 288)}
    torch.save({"alto": one, "tenor": one}, tmp_path / "k.pt")
    several = ("units", "score", songs, "--units", tmp_path / "k.pt", "--encoder", "moonshine", *CPU)
    assert "alto, tenor: choose with --singer" in cli(*several).sentences[0]
    assert cli(*several, "--singer", "alto").code == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("learn", "--output", "u.safetensors"), "Nothing to learn from"),
        (("learn", "a.wav", "--output", "u.pt"), "give it the ending .safetensors"),
        (("learn", "a.wav", "--output", "u.safetensors", "--count", "1"), "--count is 1"),
        (("learn", "a.wav", "--output", "u.safetensors", "--encoder", "moonshin"), "Did you mean 'moonshine'?"),
        (("score",), "Nothing to score"),
        (("score", "--assigned", "u.tsv"), "give both"),
    ],
)
def test_wrong_usage(cli: Cli, arguments: tuple[str, ...], expected: str) -> None:
    outcome = cli("units", *arguments)
    assert outcome.code == 2 and expected in outcome.err, outcome.err


def test_recordings_without_labels_and_missing_files(centres: Path, cli: Cli, tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.wav", sung(0.5))
    outcome = cli("units", "score", tmp_path / "in", "--units", centres, *CPU)
    assert outcome.code == 1 and "No recording has a label file" in outcome.sentences[0]
    assert "does not exist" in cli("units", "apply", tmp_path / "no", "--units", centres, "--output", "x", *CPU).err
    gone = cli("units", "apply", tmp_path / "in", "--units", tmp_path / "no.bin", "--output", "x", *CPU)
    assert "There is no file" in gone.sentences[0]
