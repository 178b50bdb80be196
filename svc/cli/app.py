"""The command table, and what becomes of errors."""

import errno
import logging
import os
import sys
from typing import Any

from cyclopts import App, CycloptsError, Parameter

from svc import __version__
from svc.cli.options import UsageError
from svc.errors import ConfigError, SvcError

app = App(
    name="svc",
    version=__version__,
    help="Singing voice conversion: raw songs in, a singer's voice out, any song sung by it.",
    help_format="plaintext",
    default_parameter=Parameter(consume_multiple=True),
)
COMMANDS = {
    "prepare": "Turn raw songs or vocals into a training dataset, with a report on the data.",
    "train": "Train a voice from raw songs, vocals or a prepared dataset.",
    "convert": "Let a voice sing songs: files, folders or patterns.",
    "separate": "Take songs apart into vocals and accompaniment.",
    "pitch": "Write the F0 of a recording as a CSV file, to look at or to edit.",
    "units": "Discrete units: learn them, apply them, score them against phones.",
    "evaluate": "Measure a voice on songs it did not train on.",
    "import": "Turn a voice of so-vits-svc, RVC or Applio into a voice file.",
    "index": "Build the index that retrieval and clusters look a singer's sounds up in.",
    "mix": "Mix voices of one family into one.",
    "compress": "Make a voice file smaller: half precision, without the training parts.",
    "export": "Write a voice in the layout of so-vits-svc 4.1 or RVC v2.",
    "vocode": "Let a published vocoder make a recording anew (copy-synthesis).",
    "info": "Say what a voice, an audio file or a dataset holds.",
    "check": "Pre-flight: packages, device, disk, weights.",
    "weights": "List, get, verify or locate weight files.",
    "demo": "The whole way on embedded songs, offline.",
    "ui": "Open the web page: train a singer and convert songs in a browser.",
}
# Words that Python keeps for itself cannot name a module.
_MODULES = {"import": "import_voice"}
for _name, _help in COMMANDS.items():
    _module = _MODULES.get(_name, _name)
    app.command(f"svc.cli.{_module}:{_module}", name=_name, help=_help)

DONE, FAILED, WRONG_USAGE = 0, 1, 2
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def run(argv: list[str]) -> int:
    """Run one command line; the exit code: 0 all done, 1 something failed (named), 2 wrong usage."""
    try:
        _start_logging()
        result = app(argv, result_action="return_value", exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _end(_usage_sentence(error, argv), WRONG_USAGE)
    except (ConfigError, UsageError) as error:
        return _end(str(error), WRONG_USAGE)
    except SvcError as error:
        return _end(str(error), FAILED)
    except KeyboardInterrupt:
        return _end("stopped.", FAILED)
    except BrokenPipeError:
        # Nobody reads on: Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        return _end(_system_sentence(error), FAILED)
    return int(result) if isinstance(result, int) else DONE


def _end(sentence: str, code: int) -> int:
    print(f"Error: {sentence}", file=sys.stderr)
    return code


def _start_logging() -> None:
    level = os.environ.get("SVC_LOG", "WARNING").upper()
    if level not in LOG_LEVELS:
        raise UsageError(f"SVC_LOG is '{level}': set it to {', '.join(LOG_LEVELS)}.")
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(message)s")


def _usage_sentence(error: CycloptsError, argv: list[str]) -> str:
    """What is wrong with a command line, and where to look."""
    from pydantic import ValidationError

    command = next((word for word in argv if word in COMMANDS), "")
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        return f"{_setting_sentence(cause)}: see  svc {command} --help"
    error.verbose = False
    text = " ".join(str(error).split())
    text = text.replace("Unused Tokens:", "There is no place for").removesuffix(", ...").removesuffix(".")
    return f"{text}{'' if text.endswith('?') else ':'} see  {' '.join(['svc', command]).strip()} --help"


def _setting_sentence(cause: Any) -> str:
    from svc.config import Config, ConvertOptions
    from svc.settings import explain

    first = cause.errors()[0]["loc"]
    model = ConvertOptions if first and first[0] in ConvertOptions.model_fields else Config
    name, problem = explain(cause, model)
    return f"--{name.replace('_', '-')} {problem}"


def _system_sentence(error: OSError) -> str:
    where = f" {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return f"The disk is full{f' at{where}' if where else ''}: free some space and run it again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"Not allowed to use{where or ' a file'}: check its permissions, or choose another folder."
    return f"{error.strerror or error}{f':{where}' if where else ''}. Check the names, and the disk."
