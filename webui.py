"""`python webui.py` is `svc ui`."""

import sys

from svc.cli import main

if __name__ == "__main__":
    main(["ui", *sys.argv[1:]])
