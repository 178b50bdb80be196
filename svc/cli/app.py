"""The command table, and what becomes of errors."""

import logging
import os
import sys

from cyclopts import App

from svc import __version__
from svc.errors import InterruptedBySignal, SvcError

app = App(
    name="svc",
    version=__version__,
    help="Singing voice conversion: raw songs in, a singer's voice out, any song sung by it.",
    help_format="plaintext",
)
COMMANDS = {
    "prepare": "Turn raw songs or vocals into a training dataset, with a report on the data.",
    "train": "Train a voice from raw songs, vocals or a prepared dataset.",
    "convert": "Let a voice sing songs: files, folders or patterns.",
    "separate": "Take songs apart into vocals and accompaniment.",
    "evaluate": "Measure a voice on songs it did not train on.",
    "info": "Say what a voice, an audio file or a dataset holds.",
    "check": "Pre-flight: packages, device, disk, weights.",
    "demo": "The whole way on embedded songs, offline.",
    "ui": "Open the web page (not in this version).",
}
for _name, _help in COMMANDS.items():
    app.command(f"svc.cli.{_name}:{_name}", name=_name, help=_help)


def run(argv: list[str]) -> int:
    """Run one command line; the exit code."""
    logging.basicConfig(
        level=os.environ.get("SVC_LOG", "WARNING"), stream=sys.stderr, format="%(levelname)s %(message)s"
    )
    try:
        result = app(argv, result_action="return_value")
    except InterruptedBySignal as error:
        print(error, file=sys.stderr)
        return 1
    except SvcError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(f"Error: {error.strerror or error}{where}.", file=sys.stderr)
        return 1
    return int(result) if isinstance(result, int) else 0
