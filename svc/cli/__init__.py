"""The `svc` command: parses, calls, prints, and maps errors to exit codes."""

import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command and exit: 0 all done, 1 something failed (named), 2 wrong usage."""
    from svc.cli.app import run

    sys.exit(run(sys.argv[1:] if argv is None else argv))
