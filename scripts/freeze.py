"""Write constraints.txt from the packages of the running environment: the versions that were tested together."""

import importlib.metadata
import re
from pathlib import Path

HEADER = """\
# The versions that the tests ran with (Linux, Python 3.11), written by scripts/freeze.py.
# Used by the Makefile; on Python 3.10 the package's own ranges apply.
"""


def main() -> None:
    names = {}
    for distribution in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        if name not in {"svc-toolkit", "pip", "setuptools"}:
            names[name] = distribution.version
    lines = [f'{name}=={version} ; python_version >= "3.11"' for name, version in sorted(names.items())]
    Path("constraints.txt").write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
