"""Help at once, exit codes, and one sentence for a command line that cannot be meant."""

import subprocess
import sys

import pytest
from cli_cases import Cli

from svc.cli.app import COMMANDS

CONVERT = ("convert", "a.wav", "--voice", "v", "--output", "o")
TRAIN = ("train", "nowhere", "--run", "x")

HEAVY = ("torch", "numpy", "scipy", "librosa", "soundfile", "matplotlib", "gradio", "safetensors", "onnxruntime")
# What `svc --help` and `svc train --help` import today is about 350 modules; torch alone brings more than 1000.
MOST_MODULES = 550

ANSWERED = f"""
import sys
from svc.cli.app import run
code = run(sys.argv[1:])
heavy = [name for name in {HEAVY!r} if name in sys.modules]
print(code, len(sys.modules), *heavy, sep=",", file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], *[[name, "--help"] for name in ("convert", "train")]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """What makes help quick, counted rather than timed: a loaded machine is slow at everything."""
    done = subprocess.run([sys.executable, "-c", ANSWERED, *arguments], capture_output=True, text=True, check=True)
    code, modules, *heavy = done.stderr.strip().splitlines()[-1].split(",")
    assert int(code) == 0 and not heavy
    assert int(modules) < MOST_MODULES
    assert "Usage: svc" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, cli: Cli) -> None:
    outcome = cli(command, "--help")
    assert outcome.code == 0 and f"svc {command}" in outcome.out and not outcome.err


def test_parsing_a_whole_command_line_imports_no_torch() -> None:
    arguments = [*CONVERT, "--noise-scale", "9"]
    done = subprocess.run([sys.executable, "-c", ANSWERED, *arguments], capture_output=True, text=True, check=True)
    sentence, account = done.stderr.splitlines()
    assert "--noise-scale" in sentence and done.stdout == ""
    code, _, *heavy = account.split(",")
    assert int(code) == 2 and not heavy


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("convrt",), 'Did you mean "convert"?'),
        (("weights", "lst"), "list, get, verify, where"),
        (("convert", "--voice", "v"), "--output"),
        (("convert", "--voice", "v", "--output", "o"), "name at least one song"),
        (("separate", "--output", "o"), "name at least one song"),
        ((*CONVERT, "--nois-scale", "1"), "Did you mean --noise-scale?"),
        ((*CONVERT, "--noise-scale", "9"), "--noise-scale must be less than or equal to 2 (got 9)"),
        ((*CONVERT, "--transpose", "high"), "--transpose must be a valid number or 'auto' or 'nearest' (got high)"),
        ((*CONVERT, "--format", "mp4"), "--format must be 'keep', 'wav', 'flac', 'mp3' or 'ogg'"),
        ((*CONVERT, "--device", "tpu"), "--device"),
        ((*CONVERT, "--separate", "spleter"), "Did you mean 'spleeter'?"),
        ((*CONVERT, "--pitch-estimator", "fcp"), "Did you mean 'fcpe'?"),
        ((*TRAIN, "--train.bach-size", "3"), "Did you mean --train.batch-size?"),
        ((*TRAIN, "--train.batch-size", "0"), "--train.batch-size must be greater than or equal to 1 (got 0)"),
        ((*TRAIN, "--train.losses.mel", "-1"), "--train.losses.mel must be greater than or equal to 0"),
        ((*TRAIN, "--max-minutes", "-1"), "'train.max_minutes' in"),
        ((*TRAIN, "--config", "fst"), "There is no recipe 'fst'"),
        ((*TRAIN, "--features.content-encoder", "moonshin"), "Did you mean 'moonshine'?"),
        (("train", "nowhere", "--run", "../x"), "cannot be the name of a run"),
        (("evaluate", "--voice", "v", "--source", "s", "--target", "t", "--output", "o"), ".json"),
        (("info",), "--file"),
    ],
)
def test_wrong_usage_is_one_sentence_and_code_2(arguments: tuple[str, ...], expected: str, cli: Cli) -> None:
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert expected in outcome.err and len(outcome.err.splitlines()) == 1
    assert outcome.out == ""


@pytest.mark.parametrize("arguments", [CONVERT, TRAIN, ("info", "nowhere"), ("prepare", "nowhere", "--output", "o")])
def test_what_is_not_there_is_named_and_code_1(arguments: tuple[str, ...], cli: Cli) -> None:
    outcome = cli(*arguments)
    assert outcome.code == 1 and len(outcome.sentences) == 1 and outcome.out == ""


def test_an_unknown_log_level_is_wrong_usage(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SVC_LOG", "loud")
    assert cli("weights", "list").code == 2
